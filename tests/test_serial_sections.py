"""Slices that lie far apart: where they are, the media drawn between them, and the command."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

import resinflow as rf
from resinflow.flow import FlowField, InvalidInputError, Microstructure
from resinflow.media import BundleSettings, draw_micrograph, fibre_bundle, lay_sections, save_stack, view_slices
from tests.commands import refusal, run

PIXEL = 40e-6 / 48
SIZES = ["--pixel-size", f"{PIXEL}", "--front-end", "classical"]


def bundle(seed: int = 3, *, misalignment: float = 12.0) -> Microstructure:
    """Fifteen slices 4 um apart."""
    settings = BundleSettings(volume_fraction=0.45, diameter=9e-6, misalignment=misalignment)
    return fibre_bundle((15, 48, 48), (60e-6, 40e-6, 40e-6), seed=seed, settings=settings)


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    """The micrographs of three slices that lie 20 um apart."""
    return save_stack(tmp_path / "far.tif", draw_micrograph(bundle(), seed=1)[[2, 7, 12]])


def test_slices_lie_about_the_middle_with_half_a_distance_beyond_the_outer_ones():
    sections = lay_sections(3, [20e-6])
    assert sections.depth == pytest.approx(60e-6)
    assert sections.heights == pytest.approx([10e-6, 30e-6, 50e-6])
    uneven = lay_sections(3, [10e-6, 30e-6], depth=50e-6)
    assert uneven.heights == pytest.approx([5e-6, 15e-6, 45e-6])


@pytest.mark.parametrize("count", [2, 3, 7])
@pytest.mark.parametrize("diameter", [None, 4e-6, 9e-6, 60e-6])
def test_evenly_spread_slices_are_middles_of_drawn_ones_that_are_thin_against_a_fibre(count, diameter):
    sections = lay_sections(count, [20e-6])
    total = sections.slices(diameter)
    places = np.array(sections.heights) / sections.depth * total - 0.5
    assert places == pytest.approx(places.round(), abs=1e-6)
    assert sections.depth / total <= (0.4 * diameter if diameter else 20e-6 / 3) * (1 + 1e-9)


def test_distances_that_do_not_fit_are_refused():
    for count, distances, depth, words in (
        (1, [20e-6], None, "two or more"),
        (3, [1e-6] * 4, None, "one for all, or 2"),
        (3, [20e-6, -1e-6], None, "positive number"),
        (3, [20e-6], 30e-6, "reach over"),
    ):
        with pytest.raises(InvalidInputError, match=words):
            lay_sections(count, distances, depth)
    with pytest.raises(InvalidInputError, match="at most 1024"):
        lay_sections(30, [1e-3]).slices(7e-6)


def test_slices_that_are_alike_are_several_where_there_is_a_height_for_each():
    straight = bundle(misalignment=0.0)
    pages = Microstructure(straight.fluid[:2], straight.spacing)
    assert len(view_slices(pages, 50e-6).slices) == 1
    assert view_slices(pages, 50e-6, heights=[5e-6, 45e-6]).places == (1, 9)


def test_fibres_are_followed_through_slices_of_one_bundle_and_not_through_those_of_two():
    micro, other = bundle(seed=4), bundle(seed=5)
    heights = [10e-6, 30e-6]
    shares = []
    for upper in (micro, other):
        (medium,) = rf.draw_media([micro.slice_at(2), upper.slice_at(7)], depth=60e-6, heights=heights, samples=1, slices=15)
        shares.append(medium.provenance["followed"])
    assert shares[0] > 0.95
    assert shares[1] < 0.7


def test_media_between_slices_are_nearer_to_the_truth_than_slices_that_go_on_straight():
    micro = bundle()
    heights = [10e-6, 30e-6, 50e-6]
    pages = [micro.slice_at(place) for place in (2, 7, 12)]
    media = rf.draw_media(pages, depth=60e-6, heights=heights, samples=4, slices=15)
    slabs = np.repeat(np.stack([page.fluid[0] for page in pages]), 5, axis=0)
    wrong = np.mean([(medium.fluid != micro.fluid).mean() for medium in media])
    assert wrong < 0.5 * (slabs != micro.fluid).mean()


@pytest.mark.parametrize("exact", [True, False])
def test_the_command_draws_what_lies_between_the_slices_of_a_stack(
    stack: Path, tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], exact: bool
) -> None:
    options = [
        *SIZES,
        "--slice-spacing",
        "20um",
        "--samples",
        "2",
        "--model",
        tiny_run / "model",
        "--figure",
        tmp_path / "f.png",
    ]
    extra = ["--exact"] if exact else ["--slices", "9"]
    run("predict", stack, *options, *extra, "-o", tmp_path / "mean.npz")
    printed = capsys.readouterr().out
    assert "the 3 slices lie 20 um apart in a box 60 um deep" in printed
    assert "2 media drawn through 3 slices" in printed
    assert "fibres are followed from slice to slice" in printed
    assert "overlaps between slices 5 %" in printed
    assert "warning" not in printed.split("media drawn")[0]
    mean = FlowField.load(tmp_path / "mean.npz")
    assert mean.microstructure.shape[0] == (21 if exact else 9)
    assert mean.microstructure.extent[0] == pytest.approx(60e-6)
    assert (tmp_path / "f.png").is_file()


def test_a_stack_of_far_slices_is_warned_of_and_the_remedy_named(
    stack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("solve", stack, *SIZES, "--depth", "60um", "--tolerance", "1e-2")
    assert "--slice-spacing" in capsys.readouterr().out


def test_what_does_not_go_with_far_slices_is_refused_in_one_line(
    stack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    single = tmp_path / "one.tif"
    tifffile.imwrite(single, tifffile.imread(stack)[0])
    far = ["--slice-spacing", "20um"]
    assert "misalignment" in refusal(capsys, "predict", single, *SIZES, *far)
    assert "one for all, or 2" in refusal(capsys, "predict", stack, *SIZES, "--slice-spacing", "20um,30um,40um")
    assert "reach over 40 um" in refusal(capsys, "predict", stack, *SIZES, *far, "--depth", "30um")
    assert "distance of two slices" in refusal(capsys, "predict", stack, *SIZES, "--slice-spacing", "near")
    assert "positive" in refusal(capsys, "predict", stack, *SIZES, "--slice-spacing", "0um")
    assert "leave it out" in refusal(capsys, "predict", stack, *SIZES, *far, "--engine", "oneslice")
    assert "leave out --slice-spacing" in refusal(capsys, "predict", stack, *SIZES, *far, "--compare")
    assert "at least the 3" in refusal(capsys, "predict", stack, *SIZES, *far, "--slices", "2")
    assert "--slice-spacing" in refusal(capsys, "predict", stack, *SIZES, "--depth", "60um", "--misalignment", "5")
