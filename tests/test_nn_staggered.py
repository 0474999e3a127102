"""Claims about velocities between voxel centres and faces."""

from __future__ import annotations

import torch

from resinflow.nn.staggered import as_staggered, to_centres, to_faces


def medium() -> torch.Tensor:
    torch.manual_seed(0)
    return (torch.rand(2, 1, 4, 6, 8) > 0.3).float()


def test_nothing_crosses_a_face_of_a_fibre_voxel_or_a_symmetry_plane() -> None:
    fluid = medium()
    u, v, w = to_faces(torch.randn(2, 3, 4, 6, 8), fluid)
    solid = fluid[:, 0] == 0
    assert u[..., 1:][solid].abs().max() == u[..., :-1][solid].abs().max() == 0
    assert v[:, :, 1:][solid].abs().max() == v[:, :, :-1][solid].abs().max() == 0
    assert w[:, 1:][solid].abs().max() == w[:, :-1][solid].abs().max() == 0
    assert v[:, :, [0, -1]].abs().max() == w[:, [0, -1]].abs().max() == 0


def test_an_even_flow_through_open_resin_stays_as_it_is() -> None:
    velocity = torch.zeros(1, 3, 3, 4, 8)
    velocity[:, 0] = 2.0
    centres = to_centres(to_faces(velocity, torch.ones(1, 1, 3, 4, 8)))
    assert torch.equal(centres, velocity)


def test_the_pressure_is_not_touched() -> None:
    fields = torch.randn(2, 4, 4, 6, 8)
    assert torch.equal(as_staggered(fields, medium())[:, 3], fields[:, 3])
