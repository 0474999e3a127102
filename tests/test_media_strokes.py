"""Claims about the brush: a stroke adds a fibre with an exact surface or erases one, and nothing else changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from resinflow.flow import InvalidInputError, Microstructure
from resinflow.media import Stroke, load_strokes, painted, save_strokes, section_map
from tests.drawn_images import drawn_bundle, refusal

PIXEL = 1e-6


def lone_fibre(displacements: bool = False) -> Microstructure:
    """A fibre of radius 6 pixels in the middle of three slices of 48 x 40."""
    y, x = np.mgrid[0:48, 0:40] + 0.5
    distance = np.repeat((np.hypot(x - 20, y - 24) - 6)[None], 3, axis=0) * PIXEL
    shifts = np.full((2, *distance.shape), 0.1 * PIXEL) if displacements else None
    return Microstructure(distance > 0, (2e-6, PIXEL, PIXEL), distance, {"file": "a.png"}, shifts)


def test_a_click_adds_a_disc_of_the_brush_with_its_exact_surface():
    micro = painted(lone_fibre(), [Stroke(((8.0, 9.5),), 4.0, adds=True)])
    y, x = np.mgrid[0:48, 0:40] + 0.5
    disc = np.hypot(x - 8, y - 9.5) - 4
    assert micro.signed_distance is not None
    assert np.allclose(micro.signed_distance[1] / PIXEL, np.minimum(disc, np.hypot(x - 20, y - 24) - 6))
    added = (~micro.fluid[0]).sum() - (~lone_fibre().fluid[0]).sum()
    assert added == pytest.approx(np.pi * 16, rel=0.1)


def test_erasing_a_fibre_leaves_resin_in_its_place_and_all_else_as_it_was():
    before = painted(lone_fibre(), [Stroke(((8.0, 9.5),), 4.0, adds=True)])
    after = painted(before, [Stroke(((8.0, 9.5),), 5.0, adds=False)])
    assert np.array_equal(after.fluid, lone_fibre().fluid)


def test_a_stroke_is_drawn_on_its_slices_alone():
    micro = painted(lone_fibre(), [Stroke(((8.0, 9.5), (12.0, 9.5)), 3.0, adds=True, first=1, last=1)])
    changed = (micro.fluid != lone_fibre().fluid).any(axis=(1, 2))
    assert changed.tolist() == [False, True, False]


def test_a_stroke_is_given_in_pixels_of_the_whole_image():
    micro = lone_fibre()
    part = Microstructure(micro.fluid[:, 8:, 4:], micro.spacing, micro.signed_distance[:, 8:, 4:], {"region": [4, 40, 8, 48]})
    stroke = [Stroke(((10.0, 40.0),), 4.0, adds=True)]
    assert np.array_equal(painted(micro, stroke).fluid[:, 8:, 4:], painted(part, stroke).fluid)


def test_what_was_drawn_by_hand_has_no_doubt_left():
    micro = painted(lone_fibre(displacements=True), [Stroke(((8.0, 9.5),), 4.0, adds=True)])
    assert micro.displacements is not None
    assert (micro.displacements[:, :, 9, 8] == 0).all()
    assert (micro.displacements[:, :, 24, 26] == 0.1 * PIXEL).all()


def test_a_mask_without_surfaces_is_painted_too():
    micro = drawn_bundle()
    bare = Microstructure(micro.fluid, micro.spacing)
    after = painted(bare, [Stroke(((32.0, 32.0),), 9.0, adds=False)])
    assert after.signed_distance is None
    assert after.fluid[:, 28:36, 28:36].all()
    assert painted(bare, ()) is bare


def test_strokes_are_read_back_as_they_were_saved(tmp_path: Path):
    strokes = (Stroke(((1.0, 2.5), (3.0, 4.0)), 2.5, adds=True), Stroke(((9.0, 9.0),), 1.0, adds=False, first=2, last=4))
    assert load_strokes(save_strokes(strokes, tmp_path / "edits.json")) == strokes


@pytest.mark.parametrize("text", ["", "{}", "[1]", '[{"points": [], "radius": 1, "adds": true}]', '[{"points": [[0, 0]]}]'])
def test_files_of_something_else_are_refused(tmp_path: Path, text: str):
    path = tmp_path / "edits.json"
    path.write_text(text)
    assert "edits.json" in refusal(load_strokes, path) or "stroke" in refusal(load_strokes, path)


def test_strokes_that_leave_one_phase_are_refused():
    everything = Stroke(((20.0, 24.0),), 100.0, adds=True)
    assert "no resin" in refusal(painted, lone_fibre(), [everything])
    with pytest.raises(InvalidInputError, match="radius of a stroke"):
        Stroke(((1.0, 1.0),), 0.0, adds=True)


def test_the_map_of_sections_names_the_diameter_of_the_fibre_at_a_pixel():
    sections = section_map(lone_fibre(), 1)
    label = sections.labels[24, 20]
    assert label > 0
    assert sections.whole[label - 1]
    assert sections.diameters[label - 1] == pytest.approx(12 * PIXEL, rel=0.03)
    assert sections.labels[2, 2] == 0
