"""Plain weaves: clear of one another, periodic, with distances to their surfaces."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

import resinflow as rf
from resinflow.flow import InvalidInputError
from resinflow.media import WeaveSettings

BOX = (0.4e-3, 2e-3, 2e-3)


def surface_points(settings, extent, count=400):
    """Points on the surfaces of all yarns and of their neighbours beyond the box, from their equations, (n, 3) as (z, y, x)."""
    height = settings.thickness * extent[0] / (1 + settings.swing)
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)[:, None]
    clouds = []
    for family, (pitch, other) in enumerate([(extent[1], extent[2]), (extent[2], extent[1])]):
        pitch, other = pitch / settings.yarns, other / settings.yarns
        along = np.linspace(-0.3, 1.3, 2 * count)[None] * other * settings.yarns
        for number in range(-1, settings.yarns + 1):
            sign = (1 if number % 2 == 0 else -1) * (1 if family == 0 else -1)
            across = (number + 0.5) * pitch + settings.width * pitch / 2 * np.cos(angle) + 0 * along
            axis = sign * settings.swing * height / 2 * np.sin(np.pi * along / other)
            z = extent[0] / 2 + axis + height / 2 * np.sin(angle)
            lines = along + 0 * angle
            clouds.append(np.stack([z, across, lines] if family == 0 else [z, lines, across], axis=-1).reshape(-1, 3))
    return np.concatenate(clouds)


@pytest.mark.parametrize("settings", [WeaveSettings(), WeaveSettings(width=0.5, gap=0.3), WeaveSettings(width=0.9, gap=0.0)])
def test_distance_near_the_surface_is_that_to_the_nearest_yarn(settings):
    shape = (40, 60, 60)
    micro = rf.plain_weave(shape, BOX, settings)
    steps = np.array(micro.spacing)
    near = np.abs(micro.signed_distance) < 2 * steps.min()
    centres = (np.argwhere(near) + 0.5) * steps
    exact, _ = cKDTree(surface_points(settings, BOX)).query(centres)
    # the cloud's points lie up to 9 um apart: far from it by d, the nearest is off by at most 9^2 / (8 d)
    apart = exact > 0.5 * steps.min()
    error = np.abs(np.abs(micro.signed_distance[near]) - exact)[apart]
    assert error.max() < 0.17 * steps.min()
    assert np.sqrt((error**2).mean()) < 0.03 * steps.min()


def test_yarns_do_not_meet_and_the_gap_is_where_it_is_tightest():
    settings = WeaveSettings(width=0.85, gap=0.1)
    cloud = surface_points(settings, BOX, 300)
    half = len(cloud) // 2
    closest, _ = cKDTree(cloud[:half]).query(cloud[half:])
    height = settings.thickness * BOX[0] / (1 + settings.swing)
    assert 0.5 * settings.gap * height < closest.min() < 1.3 * settings.gap * height


def test_weave_repeats_along_x_and_y_and_turns_over_along_z():
    micro = rf.plain_weave((16, 32, 32), BOX)
    distance = micro.signed_distance
    for axis in (1, 2):
        assert np.roll(distance, 16, axis)[::-1] == pytest.approx(distance, abs=1e-9)
    doubled = rf.plain_weave((16, 64, 32), (BOX[0], 2 * BOX[1], BOX[2]), WeaveSettings(yarns=4))
    assert doubled.shape == (16, 64, 32)


def test_fraction_is_that_of_ellipses_along_their_axes():
    settings = WeaveSettings()
    height = settings.thickness / (1 + settings.swing)
    expected = 2 * np.pi / 4 * settings.width * height
    assert rf.plain_weave((48, 96, 96), BOX).fibre_fraction == pytest.approx(expected, abs=0.004)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"yarns": 3}, "yarns is 3"),
        ({"width": 1.2}, "width is 1.2"),
        ({"gap": -1}, "gap is -1"),
        ({"thickness": 0}, "thickness"),
    ],
)
def test_impossible_weaves_are_refused_in_one_line(values, words):
    with pytest.raises(InvalidInputError, match=words) as caught:
        WeaveSettings(**values)
    assert "needed" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_box_that_is_none_is_refused():
    with pytest.raises(InvalidInputError, match="the extent is"):
        rf.plain_weave((4, 8, 8), (0.0, 1e-3, 1e-3))
    with pytest.raises(InvalidInputError, match="the shape is"):
        rf.plain_weave((0, 8, 8), BOX)
