"""The claims of `resinflow segment`: its numbers are the library's, and what it saves is read back as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from resinflow.flow import FlowField, InvalidInputError, load_medium, save_medium
from resinflow.flow.microstructure import Microstructure
from resinflow.media import draw_micrograph, example_path, fibre_sections, save_stack
from resinflow.media.bundles import BundleSettings, fibre_bundle
from resinflow.presets.surface.reading import read_medium
from resinflow.stokes import gap_statistics, solve, surface_response
from resinflow.view.overlay import compose_segmentation
from tests.commands import refusal, run

PIXEL, DEPTH = 50e-6 / 64, 20e-6
SIZES = ["--pixel-size", str(PIXEL), "--depth", str(DEPTH)]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pages of the embedded example."""
    path = tmp_path_factory.mktemp("greys") / "stack.tif"
    return save_stack(path, tifffile.imread(example_path())[4:7])


@pytest.fixture(scope="module")
def micro(stack: Path) -> Microstructure:
    return read_medium(stack, pixel_size=PIXEL, depth=DEPTH)


@pytest.mark.parametrize("axis", ["x", "z"])
def test_the_command_prints_the_numbers_of_the_library(
    axis: str, stack: Path, micro: Microstructure, capsys: pytest.CaptureFixture[str]
) -> None:
    run("segment", stack, *SIZES, "--axis", axis)
    said = " ".join(capsys.readouterr().out.split())
    response = surface_response(micro, axis=axis)  # pyright: ignore[reportArgumentType]
    assert f"K{axis}{axis}, walls at the surfaces │ {response.permeability:.4g} m^2" in said
    for value in (response.thinner, response.thicker):
        assert f"{value:.4g} m^2 ({100 * (value / response.permeability - 1):+.1f} %)" in said
    assert f"gaps below 3 pixels │ {100 * gap_statistics(response.flow).narrow_share:.0f} %" in said
    diameter = np.median(fibre_sections(micro).diameters) / PIXEL
    assert f"{diameter:.1f} pixels" in said
    assert f"fibre fraction │ {micro.fibre_fraction:.3f}" in said
    assert "darker than the matrix" in said


@pytest.mark.parametrize("suffix", [".npz", ".vti", ".nc", ".zarr"])
def test_a_saved_medium_is_the_one_of_the_image_and_has_its_k(
    suffix: str, stack: Path, micro: Microstructure, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("segment", stack, *SIZES, "--no-solve", "-o", tmp_path / f"medium{suffix}")
    back = load_medium(tmp_path / f"medium{suffix}")
    np.testing.assert_array_equal(back.fluid, micro.fluid)
    np.testing.assert_array_equal(np.asarray(back.signed_distance), np.asarray(micro.signed_distance))
    np.testing.assert_array_equal(np.asarray(back.displacements), np.asarray(micro.displacements))
    assert back.spacing == micro.spacing
    assert back.provenance["surface"] == micro.provenance["surface"]
    if suffix == ".npz":
        capsys.readouterr()
        run("solve", tmp_path / "medium.npz")
        again = capsys.readouterr().out
        run("solve", stack, *SIZES)
        first, second = (
            next(line for line in text.splitlines() if line.startswith("Kxx")) for text in (again, capsys.readouterr().out)
        )
        assert first == second


def test_a_saved_medium_gives_the_interval_of_its_image(
    stack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("segment", stack, *SIZES, "--no-solve", "-o", tmp_path / "medium.npz")
    capsys.readouterr()
    lines = []
    for words in ([tmp_path / "medium.npz"], [stack, *SIZES]):
        run("predict", *words, "--figure", tmp_path / "flow.png")
        lines.append([line for line in capsys.readouterr().out.splitlines() if line.startswith(("Kxx", "90 %"))])
    assert lines[0] == lines[1] != []


def test_a_medium_saved_of_a_flow_is_that_flow_s(tmp_path: Path) -> None:
    settings = BundleSettings(0.4, 8e-6)
    micro = fibre_bundle((3, 16, 16), (12e-6, 20e-6, 20e-6), seed=1, settings=settings)
    flow = solve(micro)
    flow.save(tmp_path / "flow.npz")
    assert load_medium(tmp_path / "flow.npz").fingerprint == micro.fingerprint
    save_medium(micro, tmp_path / "medium.npz")
    with pytest.raises(InvalidInputError, match=r"medium\.npz cannot be used as a flow field: it holds a medium"):
        FlowField.load(tmp_path / "medium.npz")


@pytest.mark.parametrize("name", ["mask.tif", "mask.npy"])
def test_a_saved_mask_is_read_back_as_it_was(name: str, stack: Path, micro: Microstructure, tmp_path: Path) -> None:
    run("segment", stack, *SIZES, "--no-solve", "-o", tmp_path / name)
    back = read_medium(tmp_path / name, pixel_size=PIXEL, depth=DEPTH, fibres="dark", front_end="classical")
    np.testing.assert_array_equal(back.fluid, micro.fluid)
    assert back.signed_distance is None


def test_a_saved_distance_is_in_pixels_and_positive_in_the_resin(stack: Path, micro: Microstructure, tmp_path: Path) -> None:
    outputs = ["-o", tmp_path / "distance.npy", "-o", tmp_path / "distance.tif"]
    run("segment", stack, *SIZES, "--no-solve", "--what", "distance", *outputs)
    for pixels in (np.load(tmp_path / "distance.npy"), tifffile.imread(tmp_path / "distance.tif")):
        np.testing.assert_allclose(pixels * PIXEL, np.asarray(micro.signed_distance), rtol=1e-5)
        np.testing.assert_array_equal(pixels > 0, micro.fluid)


def test_a_single_image_is_saved_as_a_single_page(stack: Path, tmp_path: Path) -> None:
    save_stack(tmp_path / "one.tif", tifffile.imread(stack)[0])
    run("segment", tmp_path / "one.tif", *SIZES, "--no-solve", "-o", tmp_path / "mask.npy")
    assert np.load(tmp_path / "mask.npy").shape == (1, 64, 64)


def test_k_of_one_slice_is_that_of_the_extruded_image(stack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = save_stack(tmp_path / "one.tif", tifffile.imread(stack)[0])
    medium = read_medium(path, pixel_size=PIXEL, depth=DEPTH, slices=4)
    run("segment", path, *SIZES, "--slices", "4", "--axis", "y")
    said = capsys.readouterr().out
    assert f"{solve(medium, axis='y').permeability:.4g} m^2" in said


def test_settings_change_the_surfaces_as_the_library_s_do(stack: Path, tmp_path: Path) -> None:
    words = ["--level", "0.4", "--roundness", "0", "--rim-weight", "0", "--smallest", "0.2", "--fibre-diameter", "14"]
    run("segment", stack, *SIZES, "--no-solve", *words, "-o", tmp_path / "medium.npz")
    how = load_medium(tmp_path / "medium.npz").provenance["segmentation"]
    expected = {"level": 0.4, "roundness": 0.0, "rim_weight": 0.0, "smallest": 0.2, "fibre_diameter": 14.0}
    assert {name: how["settings"][name] for name in expected} == expected


def test_what_cannot_be_done_is_refused_in_one_line(
    stack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "the suffix of m.gif" in refusal(capsys, "segment", stack, *SIZES, "-o", "m.gif")
    assert "--what goes with an image" in refusal(capsys, "segment", stack, *SIZES, "--what", "mask", "-o", "m.npz")
    assert "--slice goes with a figure" in refusal(capsys, "segment", stack, *SIZES, "--slice", "1")
    assert "0.1 to 0.9" in refusal(capsys, "segment", stack, *SIZES, "--level", "2")
    assert "slice 9 does not exist" in refusal(capsys, "segment", stack, *SIZES, "--slice", "9", "--figure", "f.png")
    run("segment", stack, *SIZES, "--no-solve", "-o", "mask.npy", "-o", "medium.npz")
    assert "leave out --level" in refusal(capsys, "segment", "medium.npz", "--level", "0.5")
    told = ["segment", "mask.npy", *SIZES, "--fibres", "dark", "--no-solve", "--level", "0.5"]
    assert "leave out --level" in refusal(capsys, *told)
    assert "holds a medium without a flow" in refusal(capsys, "view", "medium.npz", "-o", "f.png")


def test_a_medium_without_a_way_through_keeps_its_table_and_says_k_0(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mask = np.ones((1, 16, 16), dtype=bool)
    mask[:, :, 7:10] = False
    np.save(tmp_path / "dam.npy", mask)
    run("segment", tmp_path / "dam.npy", *SIZES, "--fibres", "dark", "--figure", tmp_path / "dam.png")
    said = capsys.readouterr().out
    assert "K = 0 along x" in said
    assert "sections a slice" in said
    assert (tmp_path / "dam.png").exists()


def test_the_figure_shows_the_image_upright_with_the_outlines_on_it_and_marks_the_walls_that_count(
    stack: Path, micro: Microstructure, tmp_path: Path
) -> None:
    run("segment", stack, *SIZES, "--figure", tmp_path / "outlines.png")
    assert (tmp_path / "outlines.png").read_bytes().startswith(b"\x89PNG")
    greys = tifffile.imread(stack)
    weights = np.zeros(micro.shape)
    weights[1, 3, 5] = -2.0
    whole, larger = compose_segmentation(micro, greys, weights).axes
    np.testing.assert_array_equal(np.asarray(whole.images[0].get_array()), greys[1])
    low, high = whole.get_ylim()
    assert low > high == 0  # row 0 on top
    assert larger.get_xlim()[0] < (5.5 * PIXEL * 1e6) < larger.get_xlim()[1]
    assert larger.get_ylim()[1] < (3.5 * PIXEL * 1e6) < larger.get_ylim()[0]
    # the outline runs where the signed distance changes its sign
    points = np.concatenate([path.vertices for path in whole.collections[0].get_paths()]) / (PIXEL * 1e6) - 0.5
    columns, rows = np.clip(points.round().astype(int), 0, 63).T
    assert np.abs(np.asarray(micro.signed_distance)[1, rows, columns]).max() < 1.1 * PIXEL


def test_sections_are_counted_and_measured() -> None:
    micro = fibre_bundle((3, 96, 96), (12e-6, 60e-6, 60e-6), seed=2, settings=BundleSettings(0.4, 8e-6))
    sections = fibre_sections(micro)
    assert len(sections.counts) == 3
    expected = 0.4 * 60e-6**2 / (np.pi * 4e-6**2)
    assert expected < sections.counts.mean() < 1.7 * expected  # the border cuts fibres in two
    assert np.median(sections.diameters) == pytest.approx(8e-6 + 2 * micro.provenance["radius_change"], rel=0.04)


def test_drawn_greys_give_the_fibres_that_they_were_drawn_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    micro = fibre_bundle((3, 64, 64), (12e-6, 50e-6, 50e-6), seed=5, settings=BundleSettings(0.4, 9e-6))
    path = save_stack(tmp_path / "drawn.tif", draw_micrograph(micro, seed=1))
    run("segment", path, *SIZES, "--no-solve")
    fraction = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("│ fibre fraction"))
    assert float(fraction.split("│")[2]) == pytest.approx(micro.fibre_fraction, abs=0.03)
