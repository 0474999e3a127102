"""The command `resinflow permeability`: one tensor, or a table of many media in which failures are rows."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from resinflow.flow import Microstructure, save_medium
from resinflow.media import BundleSettings, fibre_bundle
from resinflow.stokes import permeability_tensor

from .commands import refusal, run

PIXEL = 0.6e-6
CLASSICAL = ("--front-end", "classical", "--tolerance", "1e-4")
SIZES = ("--pixel-size", "0.6um", *CLASSICAL)


@pytest.fixture(scope="module")
def masks(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three sections of straight fibres as masks, white in the resin."""
    folder = tmp_path_factory.mktemp("masks")
    paths = []
    for seed in range(3):
        settings = BundleSettings(0.4, 7e-6, 0.1, 0.0, 0.9e-6)
        layer = fibre_bundle((1, 40, 40), (PIXEL, 40 * PIXEL, 40 * PIXEL), seed=seed, settings=settings)
        paths.append(folder / f"section-{seed}.tif")
        tifffile.imwrite(paths[-1], (layer.fluid[0] * 255).astype(np.uint8))
    return paths


def table_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_table_has_a_row_a_medium_and_axis_with_the_tensor_of_the_library(masks: list[Path], tmp_path: Path) -> None:
    run("permeability", *masks, *SIZES, "-o", tmp_path / "table.csv")
    rows = table_of(tmp_path / "table.csv")
    assert [(row["medium"], row["axis"]) for row in rows] == [(str(path), axis) for path in masks for axis in "xyz"]
    for path, (x, y, z) in zip(masks, zip(rows[::3], rows[1::3], rows[2::3], strict=True), strict=True):
        fluid = tifffile.imread(path)[None] > 0
        tensor = permeability_tensor(Microstructure(fluid, (PIXEL,) * 3), tolerance=1e-4).values
        for row, column in zip((x, y, z), tensor.T, strict=True):
            assert [float(row[f"K_to_{axis}_m2"]) for axis in "xyz"] == pytest.approx(list(column), rel=1e-9, abs=1e-24)
        assert float(x["K_um2"]) == pytest.approx(float(x["K_m2"]) * 1e12)
        radius, fraction = float(z["fibre_diameter_m"]) / 2, float(z["fibre_fraction"])
        assert float(z["gebart_m2"]) == pytest.approx(8 * radius**2 * (1 - fraction) ** 3 / (53 * fraction**2))
        assert float(x["gebart_m2"]) == float(y["gebart_m2"]) < float(z["gebart_m2"])


def test_a_medium_that_fails_is_a_row_and_the_rest_goes_on(
    masks: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken, absent = tmp_path / "broken.tif", tmp_path / "absent.tif"
    broken.write_bytes(b"no image")
    tifffile.imwrite(tmp_path / "solid.tif", np.zeros((20, 20), dtype=np.uint8))
    media = [masks[0], broken, absent, tmp_path / "solid.tif", masks[1]]
    line = refusal(capsys, "permeability", *media, *SIZES, "-o", tmp_path / "table.csv")
    assert "3 of 5 media failed" in line
    rows = table_of(tmp_path / "table.csv")
    assert [row["axis"] for row in rows] == ["x", "y", "z", "", "", "", "x", "y", "z"]
    assert all(bool(row["error"]) == (row["axis"] == "") for row in rows)
    assert "absent.tif does not exist" in rows[4]["error"]


@pytest.mark.parametrize("suffix", [".csv", ".json"])
def test_running_again_measures_only_what_is_missing_or_changed(
    masks: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    table, copy = tmp_path / f"table{suffix}", tmp_path / "copy.tif"
    copy.write_bytes(masks[0].read_bytes())
    measured: list[float] = []

    def counted(micro: Microstructure, **options: object):
        measured.append(micro.fibre_fraction)
        return permeability_tensor(micro, **options)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr("resinflow.stokes.permeability_tensor", counted)
    run("permeability", copy, *SIZES, "-o", table)
    run("permeability", copy, masks[1], *SIZES, "-o", table)
    assert len(measured) == 2  # the first one was there
    before = table.read_bytes()
    run("permeability", copy, masks[1], *SIZES, "-o", table)
    assert len(measured) == 2
    assert table.read_bytes() == before
    copy.write_bytes(masks[2].read_bytes())
    run("permeability", copy, masks[1], *SIZES, "-o", table)
    assert len(measured) == 3
    run("permeability", copy, masks[1], *SIZES, "--boundary", "periodic", "-o", table)
    assert len(measured) == 5


def test_json_is_all_that_is_printed(masks: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    run("permeability", masks[0], *SIZES, "--json")
    tensor = json.loads(capsys.readouterr().out)["media"][0]["tensor"]
    assert np.array(tensor["values_um2"]) == pytest.approx(np.array(tensor["values_m2"]) * 1e12)
    assert np.array(tensor["values_darcy"]) == pytest.approx(np.array(tensor["values_m2"]) / 9.869233e-13)
    assert tensor["method"] == "slice"


def test_one_medium_is_told_with_principal_axes_and_gebart(masks: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    run("permeability", masks[0], *SIZES)
    text = capsys.readouterr().out
    assert "K1 = " in text
    assert "along (0.000, 0.000, 1.000)" in text
    assert "symmetric" in text
    assert "positive definite" in text
    assert "Gebart" in text


def test_images_whose_tags_tell_other_pixels_are_not_mixed(
    masks: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = []
    for number, pixel in enumerate((0.6, 0.6, 0.3)):
        paths.append(tmp_path / f"{number}.tif")
        dots = 10000 / pixel  # a centimetre
        tifffile.imwrite(paths[-1], tifffile.imread(masks[number]), resolution=(dots, dots), resolutionunit="CENTIMETER")
    call = ("--pixel-size", "tag", *CLASSICAL, "-o", tmp_path / "table.csv")
    for _ in range(2):  # also when the others come from the table
        line = refusal(capsys, "permeability", *paths, *call)
        assert "1 of 3 media failed; the first is 2.tif: its pixels are 0.3 um" in line
    (tmp_path / "table.csv").unlink()
    run("permeability", paths[2], *call)
    assert "2.tif: its pixels are 0.3 um" in refusal(capsys, "permeability", paths[0], paths[2], *call)


def test_saved_media_of_any_voxels_go_together(tmp_path: Path) -> None:
    paths = []
    for number in (1, 2):
        micro = fibre_bundle((2, 20, 20), (6e-6, number * 20e-6, number * 20e-6), seed=1, volume_fraction=0.35)
        paths.append(save_medium(micro, tmp_path / f"{number}.npz"))
    run("permeability", *paths, "--tolerance", "1e-4", "-o", tmp_path / "table.json")
    media = json.loads((tmp_path / "table.json").read_text())["media"]
    assert [entry["error"] for entry in media] == ["", ""]


def test_bad_requests_end_in_one_line(masks: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no medium is named" in refusal(capsys, "permeability")
    assert "pixel size is missing" in refusal(capsys, "permeability", masks[0], masks[1])
    assert "named twice" in refusal(capsys, "permeability", masks[0], masks[0], *SIZES)
    assert "goes with --boundary pressure" in refusal(
        capsys, "permeability", masks[0], *SIZES, "--lateral", "no-slip", "--boundary", "periodic"
    )
    assert "suffix" in refusal(capsys, "permeability", masks[0], *SIZES, "-o", tmp_path / "table.txt")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    assert "no table of permeabilities" in refusal(capsys, "permeability", masks[0], *SIZES, "-o", tmp_path / "other.csv")
