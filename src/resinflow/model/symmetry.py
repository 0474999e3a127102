"""The exact symmetries of the flow, acting on conditions and targets alike.

Mirroring a medium mirrors its flow. Mirroring along the flow axis also turns the drive round; since Stokes flow is
reversible, changing the sign of velocity and pressure turns it back.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from resinflow.model.conditioning import CHANNELS, TARGETS

Mirror = Literal["x", "y", "z"]
MIRRORS: tuple[Mirror, ...] = ("x", "y", "z")
_ARRAY_AXIS = {"z": -3, "y": -2, "x": -1}


def _changes_sign(name: str, mirror: Mirror) -> bool:
    component = name[-1] if name.startswith(("v", "planar_v", "base_v")) else None
    pressure = "pressure" in name or "step" in name
    if mirror == "x":  # the mirror changes vx, turning the drive back changes all velocities and pressures
        return component in ("y", "z") or pressure
    return component == mirror or (mirror == "z" and "step" in name)


def mirror_fields(fields: Tensor, names: tuple[str, ...], *mirrors: Mirror) -> Tensor:
    """Return ``fields`` (..., channels, nz, ny, nx), named ``names``, of the medium mirrored along each of ``mirrors``.

    The drive stays the same. Mirroring twice gives the fields back.
    """
    if not mirrors:
        return fields
    order = list(range(len(names)))
    if "z" in mirrors and "step_up" in names:  # what was the step up is now the step down
        up, down = names.index("step_up"), names.index("step_down")
        order[up], order[down] = down, up
    signs = fields.new_tensor([(-1.0) ** sum(_changes_sign(name, mirror) for mirror in mirrors) for name in names])
    flipped = fields.flip([_ARRAY_AXIS[mirror] for mirror in mirrors])
    return flipped[..., order, :, :, :].mul_(signs[:, None, None, None])


def mirror_pair(conditions: Tensor, target: Tensor, mirror: Mirror) -> tuple[Tensor, Tensor]:
    """Return conditions and target of the mirrored medium."""
    return mirror_fields(conditions, CHANNELS, mirror), mirror_fields(target, TARGETS, mirror)
