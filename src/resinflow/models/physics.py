"""Physics losses: what a velocity field owes to mass balance, no slip and smoothness, as differentiable numbers a sample.

All take velocities (B, 3, D, H, W), components (x, y, z), and a mask (B, 1, D, H, W), 1 in the fluid and 0 in the fibres, with
the flow along x; spacings are (B, 3), (dz, dy, dx). The units are the caller's: with velocities in units of a sample's own
speed and spacings in units of its own pixel (:func:`dimensionless`) every loss is a pure number of comparable size for every
medium and resin. Each loss is a mean square, so that it is zero where, and only where, its law holds on the grid.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

import torch
from torch import Tensor

PhysicsLoss = Literal["divergence", "flow_rate", "no_slip", "smoothness", "laplacian"]
LOSSES: tuple[PhysicsLoss, ...] = get_args(PhysicsLoss)
"""Names of the losses, the keys of :func:`physics_losses`."""

_AXES = {-3: 0, -2: 1, -1: 2}
"""Array axis -> place in the spacing."""
_ALONG = {0: -1, 1: -2, 2: -3}
"""Velocity component -> array axis that it points along."""


def dimensionless(velocity: Tensor, spacing: Tensor, speed: Tensor) -> tuple[Tensor, Tensor]:
    """Return velocities in units of ``speed`` (B,) and spacings in units of dx."""
    return velocity / speed.view(-1, 1, 1, 1, 1), spacing / spacing[:, 2:]


def rms_speed(velocity: Tensor, fluid: Tensor) -> Tensor:
    """Return the root mean square speed over the fluid (B,); at least the smallest normal number, so that it divides."""
    return _mean((velocity.square().sum(dim=1, keepdim=True)), fluid).sqrt().clamp_min(torch.finfo(velocity.dtype).tiny)


def interior(fluid: Tensor) -> Tensor:
    """Return where a voxel and all its neighbours along every axis are fluid voxels of the box, like ``fluid``, 0 or 1.

    An axis of one voxel has no neighbours and asks for none.
    """
    usable = fluid > 0.5
    for dim in _AXES:
        count = fluid.shape[dim]
        for by in (1, -1) if count > 1 else ():
            neighbour = torch.roll(fluid > 0.5, by, dim)
            neighbour.select(dim, 0 if by > 0 else count - 1).fill_(False)
            usable = usable & neighbour
    return usable.to(fluid.dtype)


def divergence(velocity: Tensor, spacing: Tensor) -> Tensor:
    """Return du/dx + dv/dy + dw/dz (B, 1, D, H, W) by central differences; it means something at :func:`interior` voxels."""
    total = torch.zeros_like(velocity[:, :1])
    for component, dim in _ALONG.items():
        values = velocity[:, component : component + 1]
        # what is rolled round the ends is read at no interior voxel
        total = total + (torch.roll(values, -1, dim) - torch.roll(values, 1, dim)) / (2 * _step(spacing, dim))
    return total


def divergence_loss(velocity: Tensor, fluid: Tensor, spacing: Tensor) -> Tensor:
    """Return the mean square of the divergence over interior voxels (B,).

    A solved flow does not reach zero: its divergence vanishes on the faces of the voxels, not by differences of the centres.
    """
    return _mean(divergence(velocity, spacing).square(), interior(fluid))


def flow_rate_loss(velocity: Tensor, fluid: Tensor) -> Tensor:
    """Return the variance over x of the mean of vx over every plane normal to x (B,): the flow rate must not depend on x."""
    rates = (velocity[:, 0] * fluid[:, 0]).mean(dim=(1, 2))
    return rates.var(dim=1, correction=0)


def no_slip_loss(velocity: Tensor, fluid: Tensor) -> Tensor:
    """Return the mean squared speed in the fibres (B,), of a field that no mask has touched; 0 without fibres."""
    return _mean(velocity.square().sum(dim=1, keepdim=True), 1 - fluid)


def smoothness_loss(velocity: Tensor, fluid: Tensor, spacing: Tensor) -> Tensor:
    """Return |grad u|^2, each derivative's mean over the pairs of neighbours in the fluid (B,).

    No flow past fibres is without gradients: the loss pulls towards slower and flatter fields, whatever the truth is.
    """
    total = torch.zeros_like(spacing[:, 0])
    for dim in _AXES:
        count = velocity.shape[dim]
        if count == 1:
            continue
        ends = [(field.narrow(dim, 0, count - 1), field.narrow(dim, 1, count - 1)) for field in (velocity, fluid)]
        (here, there), (fluid_here, fluid_there) = ends
        slope = (there - here) / _step(spacing, dim)
        total = total + _mean(slope.square().sum(dim=1, keepdim=True), fluid_here * fluid_there)
    return total


def laplacian_loss(velocity: Tensor, fluid: Tensor, spacing: Tensor) -> Tensor:
    """Return the mean over interior voxels of |laplacian u|^2 (B,).

    By Stokes' equation the laplacian is grad p / viscosity, not zero: as :func:`smoothness_loss` this is a penalty on detail.
    """
    total = torch.zeros_like(velocity)
    for dim in _AXES:
        if velocity.shape[dim] > 1:
            second = torch.roll(velocity, -1, dim) - 2 * velocity + torch.roll(velocity, 1, dim)
            total = total + second / _step(spacing, dim).square()
    return _mean(total.square().sum(dim=1, keepdim=True), interior(fluid))


def physics_losses(velocity: Tensor, fluid: Tensor, spacing: Tensor, names: Iterable[str] = LOSSES) -> dict[str, Tensor]:
    """Return the named losses, each (B,).

    Args:
        velocity: as the decoder gives it; all but ``no_slip`` look at the fluid alone.
        fluid: the mask.
        spacing: (B, 3).
        names: of :data:`LOSSES`.
    """
    masked = velocity * fluid
    computed = {
        "divergence": lambda: divergence_loss(masked, fluid, spacing),
        "flow_rate": lambda: flow_rate_loss(masked, fluid),
        "no_slip": lambda: no_slip_loss(velocity, fluid),
        "smoothness": lambda: smoothness_loss(masked, fluid, spacing),
        "laplacian": lambda: laplacian_loss(masked, fluid, spacing),
    }
    return {name: computed[name]() for name in names}


def _mean(values: Tensor, where: Tensor) -> Tensor:
    """Mean of (B, 1, D, H, W) over the voxels of a mask (B,); 0 where it is empty."""
    return (values * where).sum(dim=(1, 2, 3, 4)) / where.sum(dim=(1, 2, 3, 4)).clamp_min(1)


def _step(spacing: Tensor, dim: int) -> Tensor:
    return spacing[:, _AXES[dim]].view(-1, 1, 1, 1, 1)
