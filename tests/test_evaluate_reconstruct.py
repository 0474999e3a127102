"""Claims about reconstructions by the branches of the VAE, end to end for both kinds of model."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from resinflow.data.store import FlowStore
from resinflow.evaluate.choices import Mode
from resinflow.evaluate.collapse import diagnose
from resinflow.evaluate.methods import start_of
from resinflow.evaluate.metrics import compare
from resinflow.evaluate.reconstruct import examples, reconstruct_samples, reconstructed
from resinflow.flow.errors import InvalidInputError
from resinflow.models.features import PLANAR
from resinflow.models.predictor import branched
from resinflow.presets.direct.networks import DirectNetwork
from resinflow.presets.direct.predictor import DirectPredictor
from resinflow.presets.direct.recipe import DirectArchitecture
from resinflow.presets.families import load_model
from resinflow.view.reconstruction import compose_diagnosis, compose_latents, compose_reconstruction, compose_slices
from tests.test_evaluate_model import PNG, refusal, run, save_paper_model


@pytest.fixture(scope="module")
def paper_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_paper_model(tmp_path_factory.mktemp("paper") / "model")


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        ("own", "2d"),
        ("own", "cross"),
        ("published", "2d"),
        pytest.param("own", "3d", marks=pytest.mark.slow),
        pytest.param("published", "cross", marks=pytest.mark.slow),
    ],
)
def test_every_mode_writes_numbers_and_figures_for_both_kinds_of_model(
    mode: Mode, kind: str, tiny_run: Path, paper_model: Path, tiny_store: FlowStore, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    model = tiny_run / "model" if kind == "own" else paper_model
    run("reconstruct", "--data", tiny_store.path, "--model", model, "--mode", mode, "--sample", "2", "-o", tmp_path / "out")
    document = json.loads((tmp_path / "out" / "reconstruction.json").read_text())
    rows = list(csv.DictReader((tmp_path / "out" / "slices.csv").open()))
    components = "xy" if mode == "2d" else "xyz"
    assert [sample["sample"] for sample in document["samples"]] == [2]
    assert [(row["component"], row["slice"]) for row in rows] == [(c, str(k)) for c in components for k in range(3)]
    component = "y" if mode == "2d" else "z"
    figures = {path.name: path.read_bytes() for path in (tmp_path / "out" / "figures").iterdir()}
    names = ("fields", f"v{component}-slices", f"v{component}-diagnosis", "latents")
    assert set(figures) == {f"sample-00002-{name}.png" for name in names}
    assert all(content.startswith(PNG) for content in figures.values())
    assert f"Does the model collapse vz to zero? {document['collapses']}" in capsys.readouterr().out


def test_the_branch_of_our_own_model_returns_the_planar_flow_when_its_decoder_does(
    tiny_run: Path, tiny_store: FlowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decoder that repeats its conditions shows that units, pressure and cropping are those of the planar flow."""
    model, sample = branched(load_model(tiny_run / "model")), tiny_store.sample(1)
    monkeypatch.setattr(model.networks.vae, "decode_2d", lambda latent, fields: fields[:, PLANAR])  # pyright: ignore
    flow = model.reconstruct_planar(start_of(sample, model))
    score = compare(flow, sample.planar)
    assert score.velocity_error < 1e-5
    assert score.pressure_error < 1e-5


def test_the_branch_of_a_published_model_returns_the_planar_flow_when_its_decoder_does(
    paper_model: Path, tiny_store: FlowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, sample = branched(load_model(paper_model)), tiny_store.sample(1)
    planar = torch.from_numpy(np.array(sample.planar.velocity, dtype=np.float32))[None] / 1e-2
    monkeypatch.setattr(model.networks.vae, "decode_2d", lambda latent: planar)  # pyright: ignore
    assert compare(model.reconstruct_planar(start_of(sample, model)), sample.planar).velocity_error < 1e-5


def test_the_latents_are_those_that_the_predictions_decode(paper_model: Path, tiny_store: FlowStore) -> None:
    model, sample = branched(load_model(paper_model)), tiny_store.sample(1)
    latents = model.latents(sample.truth, start_of(sample, model))
    assert {name: latent.shape for name, latent in latents.items()} == dict.fromkeys(("E2D", "E3D"), (8, 3, 4, 4))
    fluid = torch.from_numpy(sample.truth.microstructure.fluid.astype(np.float32))[None, :, None]
    with torch.inference_mode():
        decoded = model.networks.decode_volume(torch.from_numpy(latents["E3D"])[None], fluid)  # pyright: ignore
    flow = model.reconstruct(sample.truth, start_of(sample, model))
    np.testing.assert_allclose(decoded[0].numpy().transpose(1, 0, 2, 3), flow.velocity, rtol=1e-4, atol=1e-8)


def test_the_volume_modes_compare_with_the_true_flow_and_the_planar_mode_with_the_planar_flow(
    tiny_run: Path, tiny_store: FlowStore
) -> None:
    model, sample = branched(load_model(tiny_run / "model")), tiny_store.sample(0)
    for mode, original in (("2d", sample.planar), ("3d", sample.truth), ("cross", sample.truth)):
        flow, found = reconstructed(model, mode, sample)
        assert found is original
        assert compare(flow, original).velocity_error > 0


def test_the_best_the_median_and_the_worst_of_several_are_drawn(tiny_run: Path, tiny_store: FlowStore) -> None:
    model = branched(load_model(tiny_run / "model"))
    found = reconstruct_samples(tiny_store, model, "cross", range(5))
    errors = [reconstruction.comparison.velocity_error for reconstruction in examples(found)]
    ranked = sorted(reconstruction.comparison.velocity_error for reconstruction in found)
    assert errors == [ranked[0], ranked[2], ranked[4]]
    assert len(examples(found[:1])) == 1


def test_the_figure_says_the_verdict_and_shows_every_slice(tiny_store: FlowStore) -> None:
    sample = tiny_store.sample(0)
    diagnosis = diagnose(sample.planar, sample.truth)
    figure = compose_diagnosis(sample.planar, sample.truth, diagnosis)
    assert "yes, vz collapses to zero" in figure.get_suptitle()
    assert len(figure.axes[0].lines[0].get_xdata()) == 3
    titles = [axes.get_title() for axes in compose_slices(sample.response, sample.truth).axes]
    assert [title for title in titles if title] == ["slice 0", "slice 1", "slice 2"]


def test_the_error_panel_holds_reconstruction_minus_original(tiny_store: FlowStore) -> None:
    sample = tiny_store.sample(0)
    figure = compose_reconstruction(sample.response, sample.truth, 1)
    images = [axes.images[0] for axes in figure.axes if axes.images]
    shown_error = np.ma.asarray(images[2 * 4 + 1].get_array())  # third row, second column: vx
    fluid = sample.truth.microstructure.fluid[1]
    expected = (np.asarray(sample.response.velocity[0, 1], dtype=float) - sample.truth.velocity[0, 1])[fluid]
    unit = np.abs(expected).max() / np.abs(shown_error.data[fluid]).max()
    np.testing.assert_allclose(unit * shown_error.data[fluid], expected, rtol=1e-3, atol=1e-6 * np.abs(expected).max())


def test_two_latents_show_their_difference() -> None:
    latents = {"E3D": np.ones((2, 3, 4, 4)), "E2D": np.full((2, 3, 4, 4), 3.0)}
    images = [axes.images[0].get_array() for axes in compose_latents(latents).axes if axes.images]
    assert [float(np.ma.asarray(image).mean()) for image in images[:6]] == [1, 1, 3, 3, 2, 2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--sample", "8"], "needed: 0 to 7"),
        (["--sample", "-1"], "needed: 0 to 7"),
        (["--sample", "1", "--split", "test"], "both given"),
        (["--mode", "4d"], "mode"),
        (["--split", "everything"], "split"),
    ],
)
def test_samples_that_are_not_there_are_refused_in_one_line(
    tiny_run: Path, tiny_store: FlowStore, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    command = ["reconstruct", "--data", tiny_store.path, "--model", tiny_run / "model", "-o", tmp_path / "out"]
    assert message in refusal(capsys, *command, *options)
    assert not (tmp_path / "out").exists()


def test_networks_that_are_not_trained_are_refused_in_one_line(
    tiny_store: FlowStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = save_paper_model(tmp_path / "stage-1", unet=None, trained=("encoder_3d", "decoder_3d"))
    command = ["reconstruct", "--data", tiny_store.path, "--model", model, "-o", tmp_path / "out", "--sample", "0"]
    assert "encoder_2d and decoder_2d" in refusal(capsys, *command, "--mode", "2d")
    assert "encoder_2d" in refusal(capsys, *command, "--mode", "cross")
    run(*command, "--mode", "3d")
    assert (tmp_path / "out" / "figures" / "sample-00000-latents.png").exists()


def test_a_folder_of_something_else_is_refused_before_anything_is_computed(
    tiny_run: Path, tiny_store: FlowStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    line = refusal(capsys, "reconstruct", "--data", tiny_store.path, "--model", tiny_run / "model", "-o", tmp_path)
    assert "reconstruction.json" in line


def test_a_model_without_branches_is_refused() -> None:
    config = DirectArchitecture.model_validate({"network": {"kind": "unet", "widths": [4], "blocks": [1]}})
    with pytest.raises(InvalidInputError, match="bare has no dual-branch VAE"):
        branched(DirectPredictor("bare", config, DirectNetwork(config)))
