"""Claims about the distance of a medium to the training media: what makes it large, and what it does not see."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import cache

import numpy as np
import pytest

from resinflow.flow.errors import InvalidInputError
from resinflow.flow.microstructure import Microstructure
from resinflow.flow.report import ModelReport
from resinflow.media.bundles import BundleSettings, fibre_bundle
from resinflow.models.features import Conditions, build_conditions
from resinflow.models.novelty import DESCRIPTORS, Novelty, describe_conditions, fit_novelty, with_novelty
from resinflow.stokes.planar import planar_flow
from resinflow.stokes.response import response_flow

DEPTH = 15e-6


@cache
def medium(tilt: float, seed: int, *, fraction: float = 0.4, depth: float = DEPTH) -> Microstructure:
    settings = BundleSettings(volume_fraction=fraction, diameter=7e-6, misalignment=tilt)
    return fibre_bundle((3, 24, 24), (depth, 30e-6, 30e-6), seed=seed, settings=settings)


@cache
def conditions_of(micro: Microstructure, drop: float = 1e5) -> Conditions:
    drive = {"pressure_drop": drop, "viscosity": 0.1}
    return build_conditions(planar_flow(micro, **drive), response_flow(micro, **drive))


@pytest.fixture(scope="module")
def known() -> np.ndarray:
    """Descriptors of media tilted by up to five degrees."""
    tilts = np.random.default_rng(0).uniform(0, 5, 32)
    return np.stack([describe_conditions(conditions_of(medium(tilt, seed))) for seed, tilt in enumerate(tilts)])


@pytest.fixture(scope="module")
def novelty(known) -> Novelty:
    return fit_novelty(known)


def test_novelty_of_a_wider_tilt_is_larger(novelty):
    near, far = (np.median([novelty.assess(conditions_of(medium(tilt, 60 + k)))[0] for k in range(4)]) for tilt in (4.0, 20.0))
    assert far > 1.5 * near
    assert far > novelty.threshold


def test_a_medium_unlike_the_training_media_is_warned_of_in_one_line_with_the_range(novelty):
    deep = conditions_of(medium(3.0, 70, depth=8 * DEPTH))
    line = novelty.assess(deep)[1]
    assert line is not None
    assert len(line.splitlines()) == 1
    place = list(DESCRIPTORS).index("anisotropy")
    low, high = np.exp([novelty.knots[place][0], novelty.knots[place][-1]])
    assert "the thickness of a slice over the edge of a pixel" in line
    assert f"in training {low:.3g} to {high:.3g}" in line


def test_a_medium_like_the_training_media_is_not_warned_of(novelty):
    assert sum(novelty.assess(conditions_of(medium(3.0, 80 + k)))[1] is not None for k in range(5)) <= 1


def test_the_report_of_a_prediction_says_the_distance_and_warns_beside_what_it_said_before(novelty):
    micro, deep = medium(3.0, 80), medium(3.0, 70, depth=8 * DEPTH)
    report = ModelReport("toy", "bridge", 2, 0, 4, 0.1, warnings=("padded",))
    for case, count in ((micro, 1), (deep, 2)):
        flow = replace(planar_flow(case), report=report)
        found = with_novelty(flow, novelty, conditions_of(case)).report
        assert isinstance(found, ModelReport)
        assert found.novelty == pytest.approx(novelty.assess(conditions_of(case))[0])
        assert len(found.warnings) == count
        assert found.warnings[0] == "padded"
    with pytest.raises(InvalidInputError, match="no prediction"):
        with_novelty(planar_flow(micro), novelty, conditions_of(micro))


def test_the_distance_depends_on_neither_drive_nor_size(novelty):
    micro = medium(3.0, 1)
    dz, dy, dx = micro.spacing
    larger = Microstructure(micro.fluid, (10 * dz, 10 * dy, 10 * dx))
    score = novelty.assess(conditions_of(micro))[0]
    assert novelty.assess(conditions_of(micro, 3e5))[0] == pytest.approx(score, rel=1e-3)
    assert novelty.assess(conditions_of(larger))[0] == pytest.approx(score, rel=1e-2)


def test_of_normal_numbers_the_distance_is_the_mahalanobis_distance():
    rng = np.random.default_rng(1)
    count = len(DESCRIPTORS)
    mixing = np.eye(count) + 0.2 * rng.normal(size=(count, count))
    novelty = fit_novelty(rng.normal(size=(3000, count)) @ mixing)
    probe = rng.normal(size=(300, count)) @ mixing
    exact = np.sqrt(np.einsum("ni,ij,nj->n", probe, np.linalg.inv(mixing.T @ mixing), probe))
    assert np.corrcoef(novelty.distances(probe), exact)[0, 1] > 0.97


def test_the_threshold_holds_for_media_that_the_fit_has_not_seen():
    rng = np.random.default_rng(2)
    count = len(DESCRIPTORS)
    shares = []
    for _ in range(12):
        novelty = fit_novelty(rng.uniform(size=(200, count)), quantile=0.9)
        shares.append((novelty.distances(rng.uniform(size=(500, count))) > novelty.threshold).mean())
    assert np.mean(shares) == pytest.approx(0.1, abs=0.02)


def test_a_number_that_leaves_an_evenly_filled_range_is_far_out_and_one_in_a_long_tail_is_not():
    rng = np.random.default_rng(3)
    count = len(DESCRIPTORS)
    table = rng.uniform(size=(500, count))
    table[:, 1] = rng.lognormal(sigma=1.5, size=500)
    novelty = fit_novelty(table)
    even, tail = (np.median(table, axis=0)[None].copy() for _ in range(2))
    even[0, 0] = 1.0 + 0.3 * np.ptp(table[:, 0])
    tail[0, 1] = table[:, 1].max() + 0.3 * np.ptp(table[:, 1])
    assert novelty.distances(even)[0] > 2.0 * novelty.distances(tail)[0]
    assert novelty.distances(even)[0] > novelty.threshold > novelty.distances(tail)[0]


def test_a_descriptor_that_all_training_media_share_counts_when_it_changes(known):
    fixed = known.copy()
    fixed[:, 1] = 1.5
    novelty = fit_novelty(fixed)
    other = fixed[:1].copy()
    other[0, 1] = 1.6
    assert novelty.distances(fixed[:1])[0] < novelty.threshold < novelty.distances(other)[0]


def test_a_medium_of_equal_slices_has_no_shift_and_no_step():
    layer = medium(0.0, 3).fluid[0]
    micro = Microstructure(np.stack([layer] * 3), medium(0.0, 3).spacing)
    found = dict(zip(DESCRIPTORS, describe_conditions(conditions_of(micro)), strict=True))
    assert found["slope"] == 0.0
    assert found["pressure_step"] == pytest.approx(0.0, abs=1e-6)
    assert found["base_vz"] == pytest.approx(0.0, abs=1e-6)
    assert found["porosity"] == pytest.approx(layer.mean())


def test_too_few_media_and_foreign_descriptors_are_refused(novelty, known):
    with pytest.raises(InvalidInputError, match="at least 20 media"):
        fit_novelty(known[:19])
    with pytest.raises(InvalidInputError, match="NaN"):
        fit_novelty(np.full_like(known, np.nan))
    with pytest.raises(InvalidInputError, match="moon"):
        replace(novelty, names=("moon",))
    with pytest.raises(InvalidInputError, match="do not fit"):
        Novelty(**{**asdict(novelty), "scores": novelty.scores[::-1]})
