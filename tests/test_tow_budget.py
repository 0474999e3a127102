"""How sure K of a tow is: deviations of ln K that add up in squares, from windows and from what changes K."""

import numpy as np
import pytest
from scipy import ndimage

from resinflow.flow import InvalidInputError, Microstructure, PermeabilityTensor
from resinflow.media import BundleSettings, fibre_bundle
from resinflow.stokes import permeability_tensor
from resinflow.tow import (
    CONDITIONS,
    Budget,
    Representativity,
    Source,
    TowAnswer,
    TowOptions,
    assess_tow,
    permeability_under,
    size_statistics,
)
from resinflow.tow.sources import Parts, pixel_source, surface_remedy, window_source
from resinflow.tow.third_dimension import tilt_source
from resinflow.tow.whole import least_windows, solve_bytes

EDGE = 84e-6


@pytest.fixture(scope="module")
def section() -> Microstructure:
    settings = BundleSettings(0.45, 7e-6, 0.1, 0.0, 0.9e-6)
    return fibre_bundle((1, 84, 84), (1e-6, EDGE, EDGE), seed=6, settings=settings)


@pytest.fixture(scope="module")
def answer(section: Microstructure) -> TowAnswer:
    return assess_tow(section, TowOptions(window=EDGE / 2, pixel_deviation=0.01, misalignment=2.0, tolerance=1e-3))


def test_sources_add_up_in_squares_of_ln_k() -> None:
    sources = tuple(Source(name, (size, 0.1, 0.0), "", "do that.") for name, size in (("a", 0.3), ("b", 0.4)))
    budget = Budget((1e-13, 2e-13, 3e-12), sources)
    assert budget.deviations == pytest.approx((0.5, 0.1 * np.sqrt(2), 0.0))
    assert budget.shares(sources[1]) == pytest.approx((0.64, 0.5, 0.0))
    low, high = budget.intervals[0]
    assert low * high == pytest.approx(1e-26)
    assert np.log(high / low) == pytest.approx(2 * 1.6449 * 0.5)
    assert budget.intervals[2] == (3e-12, 3e-12)
    assert budget.first is sources[1]
    assert budget.advice.startswith("reduce first: b (64% of the variance). do that.")


def test_interval_of_windows_that_are_drawn_independently_holds_their_mean() -> None:
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(400):
        logs = rng.normal(0.0, 0.4, (16, 3))
        windows = np.exp(logs)
        whole = tuple(np.exp(logs.mean(axis=0)))  # as that of a chequerboard: the geometric mean
        answer = Representativity(whole, (size_statistics(windows, 1.0),), 16.0)
        inside += sum(low <= 1.0 <= high for low, high in answer.interval(0.9))
    assert inside / 1200 == pytest.approx(0.94, abs=0.03)  # the factor for what windows of an image share is in vain here


@pytest.mark.parametrize(("breadth", "most"), [(0.5, 0.99), (2.5, 0.96)])
def test_intervals_of_fields_that_correlate_over_a_part_of_the_image_hold_their_mean(breadth: float, most: float) -> None:
    rng = np.random.default_rng(1)
    inside = []
    for _ in range(60):  # fields of ln K, an image 24 wide, what correlates 2 or 9 wide
        field = ndimage.gaussian_filter(rng.standard_normal((96, 96)), breadth, mode="wrap")
        for rows, columns in np.ndindex(4, 4):
            image = field[24 * rows : 24 * rows + 24, 24 * columns : 24 * columns + 24]
            sizes = []
            for count in (2, 3):
                edge = 24 // count
                means = image.reshape(count, edge, count, edge).mean(axis=(1, 3))
                sizes.append(size_statistics(np.exp(np.repeat(means[..., None], 3, axis=-1)), 1 / count))
            whole = float(np.exp(image.mean()))
            (low, high), *_ = Representativity((whole,) * 3, tuple(sizes), 1.0).interval(0.9)
            inside.append(low <= 1.0 <= high)
    assert 0.85 <= np.mean(inside) <= most


def test_windows_without_flow_are_counted_and_too_many_of_them_tell_nothing() -> None:
    values = np.ones((10, 3))
    values[:3, 0] = 0.0
    values[9] = np.nan
    size = size_statistics(values, 1.0)
    assert size.windows == 9
    assert size.blocked == (3, 0, 0)
    x, y, _ = Representativity((1.0, 1.0, 1.0), (size,), 9.0).deviation
    assert np.isnan(x)
    assert y == 0.0


def test_what_makes_surfaces_surer_depends_on_where_they_come_from(section: Microstructure) -> None:
    values = section.signed_distance
    for provenance, distance, words in (
        ({"surfaces": "grey"}, values, "less noise"),
        ({"surfaces": "mask"}, values, "in the place of a mask"),
        ({}, None, "in the place of a mask"),
        ({"surfaces": "classical"}, values, "--front-end learned"),
    ):
        medium = Microstructure(section.fluid, section.spacing, distance, provenance)
        assert words in surface_remedy(medium)


def test_pixel_size_counts_twice() -> None:
    assert pixel_source(0.01).deviations == (0.02, 0.02, 0.02)


def test_what_the_third_dimension_leaves_open_grows_with_the_misalignment_and_is_nothing_without(
    section: Microstructure,
) -> None:
    tensor = PermeabilityTensor(np.diag([1e-13, 1e-13, 4e-12]), "pressure", "symmetry", "slice", (0.0, 0.0, 0.0), 0.5)
    parts = Parts((section,), np.ones((1, 3)), 1e-5, 1.0)
    small, large = (tilt_source(tensor, parts, degrees, "auto", 1e-3) for degrees in (2.0, 15.0))
    assert max(small.deviations[:2]) < max(large.deviations[:2])
    assert 0.005 < min(large.deviations[:2]) < 1.0
    assert "4 drawn media" in large.basis
    assert tilt_source(tensor, parts, None, "auto", 1e-3).deviations == (0.0, 0.0, 0.0)
    assert "give --misalignment" in tilt_source(tensor, parts, None, "auto", 1e-3).basis


def test_an_answer_has_the_tensor_of_the_library_and_a_budget_of_all_sources(
    section: Microstructure, answer: TowAnswer
) -> None:
    tensor = permeability_tensor(section, tolerance=1e-3)
    assert (answer.tensor.values == tensor.values).all()
    names = [source.name for source in answer.budget.sources]
    assert names == [
        *("size and place of the image", "fibre surfaces", "voxel size", "condition on the sides", "pixel size"),
        *("third dimension", "solver"),
    ]
    for (low, high), value in zip(answer.budget.intervals, tensor.diagonal, strict=True):
        assert 0 < low < value < high
    assert answer.budget.sources[1].deviations == (0.0, 0.0, 0.0)  # a generator's surfaces are exact
    assert min(answer.budget.sources[0].deviations) > 0.05
    assert answer.budget.to_dict()["axes"]["x"]["permeability_m2"] == tensor.diagonal[0]


def test_an_image_that_tells_nothing_of_its_scatter_is_refused(section: Microstructure) -> None:
    assert section.signed_distance is not None
    part = (slice(None), slice(30), slice(30))
    with pytest.raises(InvalidInputError, match="too narrow"):
        assess_tow(Microstructure(section.fluid[part], section.spacing, section.signed_distance[part]))
    with pytest.raises(InvalidInputError, match="0 to 50 %"):
        assess_tow(section, TowOptions(pixel_deviation=0.7))
    with pytest.raises(InvalidInputError, match="misalignment"):
        assess_tow(section, TowOptions(misalignment=-1.0))


def test_walls_beside_a_section_let_least_through(section: Microstructure) -> None:
    for axis in ("x", "y", "z"):
        values = {condition: permeability_under(section, condition, axis) for condition in CONDITIONS}
        assert values["no-slip sides"] < values["symmetric sides"]
        assert min(values.values()) > 0
    tensor = permeability_tensor(section, lateral="no-slip", tolerance=1e-4)  # in the plane alone, for a single section
    assert tensor.method == "slice"
    values = [permeability_under(section, "no-slip sides", axis) for axis in ("x", "y", "z")]
    assert tensor.diagonal == pytest.approx(values, rel=1e-9)
    with pytest.raises(InvalidInputError, match="the condition is"):
        permeability_under(section, "open", "x")  # pyright: ignore[reportArgumentType]


def test_an_axis_along_which_too_few_windows_have_a_way_through_is_named_in_the_budget() -> None:
    windows = np.full((9, 3), 1e-13) * np.linspace(1, 2, 9)[:, None]
    windows[:5, 0] = 0.0
    source = window_source(Representativity((1e-13, 1e-13, 1e-12), (size_statistics(windows, 1e-5),), 9e-10))
    assert source.deviations[0] == 0.0
    assert min(source.deviations[1:]) > 0.0
    assert "along x too few have a way through" in source.basis
    warnings = Budget((1e-13, 1e-13, 1e-12), (source,)).warnings
    assert len(warnings) == 1
    assert "too narrow: too few windows have a way through along x" in warnings[0]
    assert Budget((1e-13, 1e-13, 1e-12), (pixel_source(0.01),)).warnings == ()


def test_a_medium_that_does_not_fit_into_memory_is_assessed_by_its_windows(
    section: Microstructure, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = TowOptions(tolerance=1e-3)
    whole = assess_tow(section, options)
    need = solve_bytes(section)
    monkeypatch.setattr("resinflow.tow.whole.machine_memory", lambda: need / 2)
    monkeypatch.setattr("resinflow.tow.assess.permeability_tensor", lambda *medium, **settings: pytest.fail("solved whole"))
    answer = assess_tow(section, options)
    assert least_windows(section) == 2
    assert [size.windows for size in answer.representativity.sizes] == [9, 4]
    assert "memory" in answer.tensor.warnings[0]
    source = answer.budget.sources[-1]
    assert source.name == "whole by its windows"
    assert max(source.deviations) > 0
    for place in range(3):
        assert answer.tensor.diagonal[place] == pytest.approx(whole.tensor.diagonal[place], rel=0.5)
    monkeypatch.setattr("resinflow.tow.whole.machine_memory", lambda: need / 8)
    with pytest.raises(InvalidInputError, match="do not fit into the memory"):
        assess_tow(section, TowOptions(window=EDGE / 2))
