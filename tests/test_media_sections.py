"""Sections of fibres: their peaks, and what is looked at of a medium."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from skimage.feature import peak_local_max

import resinflow as rf
from resinflow.media.sections import _peaks, fibre_sections


@pytest.mark.parametrize("seed", range(12))
def test_the_peaks_are_those_of_scikit_image(seed: int):
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.standard_normal(tuple(rng.integers(1, 90, 2))), rng.uniform(0, 6))
    page = field > np.quantile(field, rng.uniform())
    depth = np.asarray(ndimage.distance_transform_edt(page))
    smooth = ndimage.gaussian_filter(depth, 1.3)
    for values in (depth, smooth):  # whole and equal depths, and single ones
        for reach in (0, 1, 2, 5, 11):
            theirs = peak_local_max(values, min_distance=max(1, reach), labels=page.astype(np.int32), exclude_border=False)
            np.testing.assert_array_equal(_peaks(values, page, reach), theirs)


def test_slices_that_are_alike_are_looked_at_once():
    page = rf.fibre_bundle((1, 40, 40), (1e-6, 40e-6, 40e-6), seed=2, volume_fraction=0.4)
    extruded = rf.Microstructure(np.repeat(page.fluid, 11, axis=0), page.spacing)
    one, many = fibre_sections(page), fibre_sections(extruded)
    np.testing.assert_array_equal(one.counts, many.counts)
    np.testing.assert_array_equal(one.diameters, many.diameters)
    two = rf.Microstructure(np.concatenate([extruded.fluid, extruded.fluid[:, ::-1]]), page.spacing)
    assert len(fibre_sections(two).counts) == 2
