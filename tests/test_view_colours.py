"""The maps of figures can be read without colour."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest
from skimage.color import rgb2lab

from resinflow.view.scales import DIVERGING, PRESSURE, SEQUENTIAL


def lightness(name: str) -> np.ndarray:
    colours = matplotlib.colormaps[name](np.linspace(0, 1, 64))[:, :3]
    return rgb2lab(colours[None])[0, :, 0]


@pytest.mark.parametrize("name", [SEQUENTIAL, PRESSURE])
def test_larger_values_are_lighter_all_along_the_map(name: str) -> None:
    assert np.diff(lightness(name)).min() > 0.2
    assert np.ptp(lightness(name)) > 60


def test_both_halves_of_the_diverging_map_darken_from_its_middle_alike() -> None:
    low, high = np.split(lightness(DIVERGING), 2)
    assert np.diff(low).min() > 0
    assert np.diff(high).max() < 0
    assert low == pytest.approx(high[::-1], abs=12)
