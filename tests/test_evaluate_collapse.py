"""Claims about the diagnosis whether a reconstruction keeps a velocity component."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from resinflow.evaluate.collapse import diagnose, judge, mean_spectrum, pooled, radial_spectrum
from resinflow.flow.field import FlowField
from resinflow.flow.microstructure import Microstructure


def swirling(shape: tuple[int, int, int] = (4, 48, 48), seed: int = 0) -> FlowField:
    rng = np.random.default_rng(seed)
    fluid = rng.random(shape) > 0.2
    velocity = rng.normal(size=(3, *shape)) * np.array([3e-3, 1e-3, 5e-4]).reshape(3, 1, 1, 1) * fluid
    return FlowField(Microstructure(fluid, (2e-6, 1e-6, 1e-6)), velocity, np.zeros(shape), "x", 1e5, 0.1)


def with_vz(flow: FlowField, vz: np.ndarray) -> FlowField:
    return replace(flow, velocity=np.stack([flow.velocity[0], flow.velocity[1], vz * flow.microstructure.fluid]))


def test_a_perfect_reconstruction_keeps_everything() -> None:
    truth = swirling()
    found = diagnose(truth, truth)
    assert found.state == "kept"
    assert (found.amplitude_ratio, found.correlation, found.shrinkage) == pytest.approx((1, 1, 1))
    for part in found.slices:
        assert (part.coarse, part.middle, part.fine) == pytest.approx((1, 1, 1))
    assert found.verdict.startswith("no, vz is kept")


def test_a_zero_vz_is_a_collapse() -> None:
    truth = swirling()
    found = diagnose(with_vz(truth, np.zeros(truth.microstructure.shape)), truth)
    assert found.state == "collapsed"
    assert found.amplitude_ratio == found.shrinkage == 0.0
    assert np.isnan(found.correlation)
    assert found.verdict.startswith("yes, vz collapses to zero")


def test_half_the_amplitude_is_weakened_with_full_correlation_and_a_quarter_of_the_power() -> None:
    truth = swirling()
    found = diagnose(with_vz(truth, 0.5 * truth.velocity[2]), truth)
    assert found.state == "weakened"
    assert (found.amplitude_ratio, found.correlation, found.shrinkage) == pytest.approx((0.5, 1.0, 0.5))
    assert all((part.coarse, part.middle, part.fine) == pytest.approx((0.25, 0.25, 0.25)) for part in found.slices)


def test_another_field_of_the_same_amplitude_is_wrong_and_no_collapse() -> None:
    truth, other = swirling(), swirling(seed=5)
    found = diagnose(with_vz(truth, other.velocity[2]), truth)
    assert found.state == "wrong"
    assert abs(found.correlation) < 0.1
    assert found.verdict.startswith("no, but vz is not the true one")


def test_a_component_that_the_original_lacks_cannot_collapse() -> None:
    truth = swirling()
    planar = with_vz(truth, 1e-5 * truth.velocity[2])
    assert diagnose(planar, planar).state == "absent"
    assert diagnose(planar, planar, "y").state == "kept"


def test_every_slice_is_judged_by_itself() -> None:
    truth = swirling()
    vz = truth.velocity[2].copy()
    vz[1] = 0.0
    found = diagnose(with_vz(truth, vz), truth)
    assert [part.amplitude_ratio for part in found.slices] == pytest.approx([1, 0, 1, 1])
    assert [part.slice for part in found.slices] == [0, 1, 2, 3]


def test_a_smoothed_field_loses_its_fine_structure_first() -> None:
    shape = (1, 64, 64)
    flow = replace(swirling(shape), microstructure=Microstructure(np.ones(shape, dtype=bool), (1e-6, 1e-6, 1e-6)))
    true = flow.velocity[2, 0]
    smooth = sum(np.roll(true, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)) / 9
    part = diagnose(with_vz(flow, smooth[None]), with_vz(flow, true[None])).slices[0]
    assert part.coarse > 0.9
    assert part.coarse > part.middle > part.fine
    assert part.fine < 0.1


def test_a_slice_too_coarse_for_a_band_has_no_number_there() -> None:
    truth = swirling((2, 16, 16))
    part = diagnose(truth, truth).slices[0]
    assert part.coarse == pytest.approx(1.0)
    assert np.isnan(part.fine)


def test_the_spectrum_of_a_wave_stands_at_its_wave_number_and_sums_to_the_mean_square() -> None:
    x = np.arange(32) / 32
    wave = 3.0 * np.sin(2 * np.pi * 5 * x)[None] * np.ones((16, 1))
    power = radial_spectrum(wave)
    assert power[5] == pytest.approx(4.5)
    assert power.sum() == pytest.approx((wave**2).mean())
    noise = np.random.default_rng(0).normal(size=(12, 20))
    assert radial_spectrum(noise).sum() == pytest.approx((noise**2).mean())


def test_the_mean_spectrum_counts_fibres_as_zero() -> None:
    flow = swirling()
    assert mean_spectrum(flow).sum() == pytest.approx((flow.velocity[2] ** 2).mean())


def test_the_medians_leave_out_samples_that_lack_the_component() -> None:
    truth = swirling()
    planar = with_vz(truth, np.zeros(truth.microstructure.shape))
    found = [diagnose(with_vz(truth, factor * truth.velocity[2]), truth) for factor in (0.2, 0.4, 0.9)]
    assert pooled([*found, diagnose(planar, planar)])["amplitude_ratio"] == pytest.approx(0.4)
    assert np.isnan(pooled([diagnose(planar, planar)])["correlation"])


def test_the_states_part_where_the_thresholds_stand() -> None:
    assert [judge(0.09, 1.0), judge(0.11, 1.0), judge(0.69, 0.9), judge(0.71, 0.9), judge(0.9, 0.49)] == [
        "collapsed",
        "weakened",
        "weakened",
        "kept",
        "wrong",
    ]
