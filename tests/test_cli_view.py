"""The commands `plot` and `view`, as a user calls them."""

import json
from pathlib import Path

import pytest

from resinflow import view
from resinflow.flow.field import FlowField
from resinflow.view.training_figure import with_distinct_names
from resinflow.view.training_log import read_training_log
from tests.commands import refusal, run
from tests.test_view_render import graphics, pyvista, uniform_flow  # noqa: F401

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return uniform_flow().save(tmp_path_factory.mktemp("flow") / "flow.npz")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a run with two stages of one term each."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    folder.mkdir()
    history = {stage: {"train_loss": [2.0, 1.0], "validation_loss": [3.0, 2.0]} for stage in ("vae3d", "diffusion")}
    (folder / "log.json").write_text(json.dumps({"history": history}))
    return folder


def test_plot_writes_one_figure_of_several_runs(trained, tmp_path, capsys):
    run("plot", trained, trained / "log.json", "-o", tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(PNG)
    assert "curves.png" in capsys.readouterr().out


def test_plot_writes_a_figure_for_each_stage_into_a_folder(trained, tmp_path):
    run("plot", trained, "--output", tmp_path / "curves")
    assert {path.name for path in (tmp_path / "curves").iterdir()} == {"training_vae3d.png", "training_diffusion.png"}


def test_runs_of_one_name_are_told_apart_by_their_paths(trained):
    logs = [read_training_log(trained), read_training_log(trained)]
    assert [log.name for log in with_distinct_names(logs, [Path("a/tiny"), Path("b/tiny")])] == ["a/tiny", "b/tiny"]
    assert [log.name for log in with_distinct_names(logs, [Path("a"), Path("a")])] == ["a (1)", "a (2)"]


def test_names_from_a_log_do_not_lead_out_of_the_folder(tmp_path):
    (tmp_path / "log.json").write_text(json.dumps({"history": {"../../evil": {"train_loss": [2.0, 1.0]}}}))
    run("plot", tmp_path, "-o", tmp_path / "curves")
    assert [path.name for path in (tmp_path / "curves").iterdir()] == ["training_evil.png"]


def test_plot_refuses_what_is_no_log_and_other_suffixes_in_one_line(trained, tmp_path, capsys):
    (tmp_path / "log.json").write_text("no json")
    assert "cannot be read as JSON" in refusal(capsys, "plot", tmp_path, "-o", tmp_path / "curves.png")
    assert "needed: one of .png, .pdf, .svg" in refusal(capsys, "plot", trained, "-o", tmp_path / "curves.gif")
    assert [path.name for path in tmp_path.iterdir()] == ["log.json"]


def test_view_draws_one_slice_by_default_and_all_on_demand(saved, tmp_path):
    run("view", saved, "-o", tmp_path / "one.png", "--slice", "0")
    run("view", saved, "-o", tmp_path / "all.png", "--kind", "all-slices", "--field", "pressure")
    assert all((tmp_path / name).read_bytes().startswith(PNG) for name in ("one.png", "all.png"))


def test_the_slice_that_is_asked_for_is_the_slice_that_the_title_names(saved, tmp_path, capsys):
    count = FlowField.load(saved).microstructure.shape[0]
    for index in (0, count - 1):
        run("view", saved, "-o", tmp_path / "one.svg", "--slice", str(index))
        assert f"slice {index} (0 to {count - 1})" in (tmp_path / "one.svg").read_text(encoding="utf-8")
    assert f"needed: 0 to {count - 1}" in refusal(capsys, "view", saved, "-o", tmp_path / "no.svg", "--slice", str(count))


def test_view_draws_in_three_dimensions(saved, tmp_path, graphics):  # noqa: F811
    pytest.importorskip("trame_vtk")
    run("view", saved, "-o", tmp_path / "lines.png", "--kind", "streamlines")
    run("view", saved, "-o", tmp_path / "page.html")
    assert (tmp_path / "lines.png").read_bytes().startswith(PNG)
    assert (tmp_path / "page.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_view_converts_to_any_other_suffix(saved, tmp_path):
    run("view", saved, "-o", tmp_path / "flow.nc")
    assert FlowField.load(tmp_path / "flow.nc").permeability == FlowField.load(saved).permeability


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "needed: --output FILE, or --napari"),
        (["-o", "flow.vti", "--kind", "speed"], "--kind speed goes with a picture"),
        (["-o", "flow.png", "--field", "vz"], "--field goes with --kind all-slices"),
        (["-o", "flow.png", "--kind", "all-slices", "--slice", "1"], "--slice goes with --kind slices"),
        (["-o", "flow.html", "--slice", "1"], "--slice goes with --kind slices"),
        (["-o", "flow.html", "--kind", "slices"], "needed: one of .png, .pdf, .svg"),
        (["-o", "flow.svg", "--kind", "streamlines"], "needed: one of .png, .jpg, .html"),
        (["-o", "flow.gif"], ".gif"),
        (["-o", "flow.png", "--slice", "99"], "slice 99 does not exist"),
    ],
)
def test_view_refuses_options_that_do_not_fit_in_one_line(saved, tmp_path, capsys, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    assert message in refusal(capsys, "view", saved, *words)
    assert not list(tmp_path.iterdir())


def test_napari_is_opened_with_the_flow_after_the_output_is_written(saved, tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(view, "check_napari", lambda: None)
    monkeypatch.setattr(view, "open_in_napari", lambda flow, title: opened.append((flow.permeability, title)))
    run("view", saved, "--napari", "-o", tmp_path / "flow.nc")
    assert opened == [(FlowField.load(saved).permeability, "flow.npz")]
    assert (tmp_path / "flow.nc").is_file()


@pytest.mark.parametrize("command", ["plot", "view"])
def test_the_commands_explain_themselves(command, capsys):
    run(command, "--help")
    assert f"Usage: resinflow {command}" in capsys.readouterr().out
