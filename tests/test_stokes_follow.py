"""Claims about K so far: what is told of it while the solver iterates ends at K of the result."""

from __future__ import annotations

import pytest

from resinflow.flow import Axis, Boundary, Drive, Lateral, Microstructure
from resinflow.media import fibre_bundle
from resinflow.stokes import permeability_tensor, solve, solve_finer

CONDITIONS: list[tuple[Axis, Boundary, Lateral]] = [
    ("x", "pressure", "symmetry"),
    ("y", "pressure", "no-slip"),
    ("z", "pressure", "symmetry"),
    ("x", "periodic", "periodic"),
    ("z", "periodic", "periodic"),
]


def bundle(slices: int) -> Microstructure:
    return fibre_bundle((slices, 20, 28), (slices * 3e-6, 30e-6, 42e-6), seed=3, volume_fraction=0.4)


class Moments:
    """Takes note of all that is told."""

    def __init__(self) -> None:
        self.values: list[tuple[float, float]] = []
        self.axes: list[Axis] = []

    def follow(self, permeability: float, error: float) -> None:
        self.values.append((permeability, error))

    def follow_axis(self, axis: Axis, permeability: float, error: float) -> None:
        self.axes.append(axis)
        self.follow(permeability, error)


@pytest.mark.parametrize("slices", [1, 4])
@pytest.mark.parametrize(("axis", "boundary", "lateral"), CONDITIONS)
def test_k_so_far_ends_at_k(axis: Axis, boundary: Boundary, lateral: Lateral, slices: int):
    moments = Moments()
    flow = solve(bundle(slices), Drive(axis, 1e5, 0.2, boundary, lateral), tolerance=1e-4, follow=moments.follow)
    last, error = moments.values[-1]
    assert last == pytest.approx(flow.permeability, rel=2e-3)
    assert 0 <= error < 2e-4
    assert error <= moments.values[0][1]


def test_what_is_told_changes_nothing():
    medium, moments = bundle(4), Moments()
    told = solve(medium, Drive("x"), follow=moments.follow)
    assert told.permeability == solve(medium, Drive("x")).permeability
    assert len(moments.values) > 1


def test_the_tensor_tells_k_axis_by_axis_and_a_finer_grid_tells_it_too():
    medium, moments = bundle(1), Moments()
    tensor = permeability_tensor(medium, follow=moments.follow_axis)
    assert list(dict.fromkeys(moments.axes)) == ["x", "y", "z"]
    assert moments.values[-1][0] == pytest.approx(tensor.diagonal[2], rel=2e-3)
    finer = Moments()
    flow = solve_finer(medium, Drive("y"), follow=finer.follow)
    assert finer.values[-1][0] == pytest.approx(flow.permeability, rel=2e-3)
