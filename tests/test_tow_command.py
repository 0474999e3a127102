"""The command `resinflow tow`: intervals, budget, map and figures of one image."""

import html
import json
import re
import shlex
from importlib.metadata import version
from pathlib import Path

import pytest

from resinflow.data import workers
from resinflow.flow import Microstructure, save_medium
from resinflow.media import BundleSettings, draw_micrograph, fibre_bundle
from resinflow.tow import TowOptions, assess_tow

from .commands import refusal, run


@pytest.fixture(scope="module")
def section() -> Microstructure:
    settings = BundleSettings(0.4, 7e-6, 0.1, 0.0, 0.9e-6)
    return fibre_bundle((1, 66, 66), (1e-6, 66e-6, 66e-6), seed=8, settings=settings)


def test_the_command_says_and_saves_what_the_library_gives(
    section: Microstructure, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    medium = save_medium(section, tmp_path / "section.npz")
    outputs = [word for name in ("map.csv", "map.zarr", "answer.json") for word in ("-o", tmp_path / name)]
    figures = ("--figure", tmp_path / "map.png", "--curve", tmp_path / "curve.png")
    run("tow", medium, "--window", "22um", "--misalignment", "2", "--tolerance", "1e-3", *outputs, *figures)
    text = capsys.readouterr().out
    for words in (
        "90 % interval of the tow",
        "size and place of the image",
        "drawn media, misalignment 2 degrees",
        "reduce first",
    ):
        assert words in text
    answer = assess_tow(section, TowOptions(window=22e-6, misalignment=2.0, tolerance=1e-3))
    saved = json.loads((tmp_path / "answer.json").read_text())
    assert saved["budget"]["axes"]["z"]["interval_m2"] == list(answer.budget.intervals[2])
    assert len((tmp_path / "map.csv").read_text().splitlines()) == 10
    assert all((tmp_path / name).exists() for name in ("map.zarr", "map.png", "curve.png"))


def test_pixel_size_with_its_error_enters_the_budget(
    section: Microstructure, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import tifffile

    path = tmp_path / "section.tif"
    tifffile.imwrite(path, draw_micrograph(section, seed=1)[0])
    run("tow", path, "--pixel-size", "1um+-2%", "--front-end", "classical", "--tolerance", "1e-3", "--json")
    answer = json.loads(capsys.readouterr().out)
    sources = {source["name"]: source["log_deviations"] for source in answer["budget"]["sources"]}
    assert sources["pixel size"] == [0.04] * 3
    assert min(sources["fibre surfaces"]) > 0.02  # an image tells its surfaces to a tenth of a pixel
    assert answer["tensor"]["fibre_fraction"] == pytest.approx(section.fibre_fraction, abs=0.05)


def test_bad_requests_end_in_one_line(section: Microstructure, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    medium = save_medium(section, tmp_path / "section.npz")
    assert "3 diameters or more" in refusal(capsys, "tow", medium, "--window", "9um")
    assert "0 to 30" in refusal(capsys, "tow", medium, "--misalignment", "80")
    assert "needs a folder" in refusal(capsys, "tow", medium, "--scheduler", "tcp://nowhere:1", "--tolerance", "1e-2")
    assert "suffix" in refusal(capsys, "tow", medium, "-o", tmp_path / "map.txt")
    assert "length in metres" in refusal(capsys, "tow", medium, "--window", "wide")


def test_what_cannot_be_done_with_windows_is_named_before_the_whole_is_solved(
    section: Microstructure, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "_PATIENCE", 0.5)
    monkeypatch.setattr("resinflow.tow.assess.permeability_tensor", lambda *medium, **options: pytest.fail("work was done"))
    medium = save_medium(section, tmp_path / "section.npz")
    windows = tmp_path / "others" / "windows-3"
    windows.mkdir(parents=True)
    (windows / "plan.json").write_text("{}")
    assert "another medium" in refusal(capsys, "tow", medium, "--folder", windows.parent)
    assert "3 diameters" in refusal(capsys, "tow", medium, "--window", "9um")
    for address in ("tcp://127.0.0.1:9", "nowhere:1", "word", "gopher://127.0.0.1:9"):
        line = refusal(capsys, "tow", medium, "--scheduler", address, "--folder", tmp_path / "windows")
        assert f"no Dask scheduler answers at {address}" in line
        assert "dask worker" in line


def test_the_report_stands_alone_and_holds_figures_budget_method_versions_and_command_line(
    section: Microstructure, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import tifffile

    path, report = tmp_path / "a <b> & c.tif", tmp_path / "report.html"
    tifffile.imwrite(path, draw_micrograph(section, seed=1)[0])
    run("tow", path, "--pixel-size", "1um+-2%", "--front-end", "classical", "--tolerance", "1e-2", "--html", report, "--json")
    answer = json.loads(capsys.readouterr().out)
    page = report.read_text(encoding="utf-8")
    assert page.count('src="data:image/png;base64,') == 4  # surfaces, ellipses, map, curve
    assert not re.search(r'<script|<link|(src|href)="(?!data:)', page)
    assert "<b>" not in page
    assert "a &lt;b&gt; &amp; c.tif" in page
    command = shlex.join(["resinflow", "tow", str(path), "--pixel-size", "1um+-2%", "--front-end", "classical"])
    assert html.escape(command) in page
    text = html.unescape(page)
    for source in answer["budget"]["sources"]:
        assert source["name"] in text
        assert source["advice"] in text
    for values in answer["budget"]["axes"].values():
        low, high = (end * 1e12 for end in values["interval_m2"])
        assert f"{low:.4g} to {high:.4g}" in text
    assert answer["budget"]["advice"][1:] in text
    assert f"<td>{version('numpy')}</td>" in page
    assert "relative error of 0.01" in text


def test_a_report_of_another_suffix_is_refused_before_the_work(
    section: Microstructure, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    medium = save_medium(section, tmp_path / "section.npz")
    assert "needed: one of .html" in refusal(capsys, "tow", medium, "--html", tmp_path / "report.pdf")
