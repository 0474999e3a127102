"""The faults of one sample. The cause of a fault is recognised by the trace that it leaves in the field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from resinflow.data.info import DataInfo
from resinflow.flow import Microstructure, recover_faces

Values = Mapping[str, NDArray[Any]]
Faults = list[tuple[str, str]]
"""Cause and detail of every fault."""

_ROUNDING = 5e-5
"""Of the largest divergence or velocity: the 1500 flows of recipes/data-stored.yaml have 2.5e-6 at most in float32,
the first 60 of recipes/data-small.yaml, averages of solves that end at 1e-5 of the flow rate, 1.7e-5."""
_K_ROUNDING = 1e-5
_REACH_ROOM = 1.2
"""Surfaces bend within a voxel."""
_LOOSE_DIVERGENCE = 0.5
"""RMS divergence of central differences over the RMS of its three terms; 1 for independent terms."""
_LOOSE_FLUX = 0.05
_PRESSURE_LEVEL = {True: 0.03, False: 0.15}
"""Offset of the pressure at inlet and outlet, in pressure drops, that extrapolation from voxel centres leaves open: 0.006
at most in the 1500 flows of recipes/data-stored.yaml; more on coarser grids."""
_REFINED_PRESSURE_LEVEL = 0.06
"""The same for means over finer voxels, in rows whose resin reaches the end of the box: 0.059 at most in 320 flows of
32 x 32 x 5 voxels in a box of 25 um. Added to it is half of what the pressure of such a row changes by from voxel to voxel: the
mean over the fluid part of a voxel belongs to the middle of that part, which lies up to half a voxel off the voxel's centre."""

_FLOWS = {"velocity": "", "planar_velocity": "planar ", "response_velocity": "response ", "grid_velocity": "grid "}
_PERMEABILITIES = {
    "permeability": "velocity",
    "planar_permeability": "planar_velocity",
    "response_permeability": "response_velocity",
    "grid_permeability": "grid_velocity",
}
_FLIPS = {"wrong sign of vx": 0, "wrong sign of vy": 1, "wrong sign of vz": 2}


def check_medium(values: Values, micro: Microstructure, info: DataInfo) -> Faults:
    """Return the faults of mask and spacing against the fingerprint, the recipe's box, and the signed distance."""
    distance = values.get("signed_distance")
    apart = 0 if distance is None else int(((distance > 0) != micro.fluid).sum())
    box = _box_faults(micro, info)
    faults: Faults = [("changed medium", f"mask and signed distance disagree in {apart} voxels")] if apart else []
    faults += [("wrong spacing", detail) for detail in box]
    if not faults and values["fingerprint"].tobytes().hex() != micro.fingerprint:
        # the spacing is at fault where the distance fits the mask, or where K is not that of the field
        spacing = distance is not None or _permeability_faults(values, micro, info)
        edges = ", ".join(f"{edge:.4g}" for edge in micro.spacing)
        detail = f"mask and voxel edges (dz, dy, dx) = ({edges}) m are not those of its fingerprint"
        faults.append(("wrong spacing" if spacing else "changed medium", detail))
    return faults


def _box_faults(micro: Microstructure, info: DataInfo) -> list[str]:
    """Edges of the box that are not the recipe's."""
    recipe = info.recipe or {}
    if "width" not in recipe:
        return []
    depth, height, width = micro.extent
    low, high = recipe["depth"]
    faults = [
        f"the box is {edge:.4g} m along {axis}; the recipe says {recipe['width']:.4g}"
        for axis, edge in (("x", width), ("y", height))
        if abs(edge / recipe["width"] - 1) > 1e-9
    ]
    if not low * (1 - 1e-9) <= depth <= high * (1 + 1e-9):
        faults.append(f"the box is {depth:.4g} m deep; the recipe says {low:.4g} to {high:.4g}")
    return faults


def check_flows(values: Values, micro: Microstructure, info: DataInfo, *, geometry_holds: bool) -> Faults:
    """Return the faults of the flows of one sample; without a sound geometry those that do not depend on the voxel size."""
    broken = [name for name, value in values.items() if value.dtype.kind == "f" and not np.isfinite(value).all()]
    faults: Faults = [("not finite", _where_not_finite(name, values[name])) for name in broken]
    exact = not info.converted
    passable: dict[str, NDArray[np.bool_]] = {}
    if "grid_velocity" in values:
        passable["velocity"] = passable["grid_velocity"] = passable_voxels(micro)
    sound = set()
    for name, title in _FLOWS.items():
        if name not in values or name in broken:
            continue
        velocity = values[name].astype(np.float64)
        if name == "planar_velocity":
            velocity = np.concatenate([velocity, np.zeros_like(velocity[:1])])
        slips = (
            _velocity_faults(velocity, micro, passable.get(name, micro.fluid), exact=exact)
            if geometry_holds
            else _no_slip_faults(velocity, passable.get(name, micro.fluid))
        )
        faults += [(cause, f"{title}flow: {detail}") for cause, detail in slips]
        if not slips:
            sound.add(name)
    if geometry_holds:
        faults += _permeability_faults(
            {name: value for name, value in values.items() if name not in set(_FLOWS) - sound}, micro, info
        )
    if "pressure" not in broken:
        faults += _pressure_faults(values, micro, info, exact=exact)
    return faults


def _where_not_finite(name: str, value: NDArray[Any]) -> str:
    places = np.argwhere(~np.isfinite(value))
    return f"{name} holds {len(places)} values that are NaN or infinite, the first at {tuple(places[0].tolist())}"


def passable_voxels(micro: Microstructure) -> NDArray[np.bool_]:
    """Return the voxels (nz, ny, nx) that are not wholly solid: resin passes them where walls stand at the fibre surfaces.

    A voxel reaches ``(|n_x| dx + |n_y| dy + |n_z| dz) / 2`` from its centre along the surface's normal n, the gradient of the
    signed distance. Without a distance the surface is within two pixels of the mask.
    """
    distance = micro.signed_distance
    if distance is None:
        return np.asarray(ndimage.binary_dilation(micro.fluid, np.ones((1, 3, 3), dtype=bool), iterations=2), dtype=bool)
    reach = np.zeros(micro.shape)
    for axis, edge in enumerate(micro.spacing):
        if micro.shape[axis] > 1:
            rise = np.abs(np.gradient(distance.astype(np.float64), axis=axis))
            reach += 0.5 * np.minimum(ndimage.maximum_filter(rise, 3), edge)
    return micro.fluid | (distance > -_REACH_ROOM * reach)


def _no_slip_faults(velocity: NDArray[np.float64], passable: NDArray[np.bool_]) -> Faults:
    speed = np.sqrt((velocity**2).sum(axis=0))
    inside = np.where(passable, 0.0, speed)
    largest = float(speed.max(initial=0.0))
    if inside.max(initial=0.0) <= 1e-12 * largest:
        return []
    place = tuple(int(number) for number in np.unravel_index(inside.argmax(), inside.shape))
    count = int((inside > 0).sum())
    return [("flow in a fibre", f"speed {inside.max():.3g} m/s in the fibre voxel (z, y, x) = {place}, {count} such voxels")]


def _velocity_faults(
    velocity: NDArray[np.float64], micro: Microstructure, passable: NDArray[np.bool_], *, exact: bool
) -> Faults:
    """Faults of no-slip, divergence, direction and flux; one cause where a single error explains them all."""
    if not velocity.any():
        return []
    slip = _no_slip_faults(velocity, passable)
    defect = 1.0 if slip else _defect(velocity, micro, passable, exact=exact)
    limit = _ROUNDING if exact else _LOOSE_DIVERGENCE
    if slip or defect > limit or not exact:
        cause = _cause(velocity, micro, passable, defect, exact=exact)
        if cause:
            return [(cause, "the field fits the medium and conserves mass once this is put right")]
    if slip:
        return slip
    if defect > limit:
        return [("divergence", f"{defect:.2g} of the largest velocity over a voxel; needed: at most {limit:g}")]
    if velocity[0].mean() < 0:
        return [("wrong sign of the flow", "the mean velocity runs against the pressure drop")]
    rates = velocity[0].sum(axis=(0, 1))
    spread = float(np.ptp(rates) / abs(rates.mean()))
    allowed = 10 * _ROUNDING if exact else _LOOSE_FLUX
    return (
        [("flux", f"the flow rate varies by {spread:.2g} between planes; needed: at most {allowed:g}")]
        if spread > allowed
        else []
    )


def _defect(velocity: NDArray[np.float64], micro: Microstructure, passable: NDArray[np.bool_], *, exact: bool) -> float:
    """How far a field is from conserving mass, relative to its own size."""
    if not exact:
        return _central_divergence(velocity, micro)
    faces = recover_faces(velocity, passable & (velocity != 0).any(axis=0), micro.spacing)
    size = max(float(np.abs(values).max()) for values in faces.components)
    leak = max(float(np.abs(faces.y[:, -1]).max()), float(np.abs(faces.z[-1]).max())) / size
    rates = [np.abs(values).max() / edge for values, edge in zip(faces.components, reversed(micro.spacing), strict=True)]
    return max(leak, float(np.abs(faces.divergence()).max() / max(rates)))


def _central_divergence(velocity: NDArray[np.float64], micro: Microstructure) -> float:
    """RMS divergence over the RMS of its terms, by central differences in voxels whose neighbours are all fluid."""
    inner = tuple(slice(1, -1) if count > 2 else slice(None) for count in micro.shape)
    inside = micro.fluid[inner].copy()
    terms = []
    for axis, (count, edge) in enumerate(zip(micro.shape, micro.spacing, strict=True)):
        if count <= 2:
            continue
        moved = [tuple(part if k == axis else inner[k] for k in range(3)) for part in (slice(2, None), slice(None, -2))]
        inside &= micro.fluid[moved[0]] & micro.fluid[moved[1]]
        terms.append((velocity[2 - axis][moved[0]] - velocity[2 - axis][moved[1]]) / (2 * edge))
    if not inside.any() or not terms:
        return 0.0
    size = float(np.sqrt(sum((term[inside] ** 2).mean() for term in terms)))
    return float(np.sqrt((np.sum(terms, axis=0)[inside] ** 2).mean())) / size if size > 0 else 0.0


def _cause(
    velocity: NDArray[np.float64], micro: Microstructure, passable: NDArray[np.bool_], defect: float, *, exact: bool
) -> str | None:
    """The one error whose correction leaves a field without fault; None if there is none."""
    candidates = [(name, _flipped(velocity, component)) for name, component in _FLIPS.items()]
    if micro.shape[1] == micro.shape[2]:
        turned = np.swapaxes(velocity, 2, 3)
        candidates += [("swapped axes", turned), ("swapped axes", turned[[1, 0, 2]])]
    candidates.append(("swapped axes", velocity[[1, 0, 2]]))
    limit = _ROUNDING if exact else 0.5 * defect
    for name, candidate in candidates:
        forward = candidate[0].mean() > 0  # a flipped vx is a flip of both others and of the flow
        if not forward or _no_slip_faults(candidate, passable):
            continue
        if _defect(candidate, micro, passable, exact=exact) < limit:
            return name
    return None


def _flipped(velocity: NDArray[np.float64], component: int) -> NDArray[np.float64]:
    flipped = velocity.copy()
    flipped[component] *= -1
    return flipped


def _permeability_faults(values: Values, micro: Microstructure, info: DataInfo) -> Faults:
    """Stored K against that of the stored field."""
    faults: Faults = []
    for name, field in _PERMEABILITIES.items():
        if name not in values or field not in values:
            continue
        mean = float(values[field][0].mean(dtype=np.float64))
        computed = info.viscosity * mean * micro.extent[2] / info.pressure_drop
        stored = float(values[name])
        if np.isfinite([computed, stored]).all() and abs(computed - stored) > _K_ROUNDING * max(abs(computed), abs(stored)):
            faults.append(("permeability", f"{name} is {stored:.6g} m^2, that of its field {computed:.6g} m^2"))
    return faults


def _pressure_faults(values: Values, micro: Microstructure, info: DataInfo, *, exact: bool) -> Faults:
    """Level of the pressure: it must extrapolate to the pressure drop at the inlet and to zero at the outlet."""
    faults: Faults = []
    drop = info.pressure_drop
    refined = "grid_pressure" in values
    for name in ("pressure", "planar_pressure", "response_pressure", "grid_pressure"):
        if name not in values or not np.isfinite(values[name]).all():
            continue
        pressure = values[name] * (info.pressure_unit if name == "pressure" else 1.0) / drop
        inside = float(np.abs(pressure[~micro.fluid]).max(initial=0.0))
        on_surfaces = refined and name in ("pressure", "grid_pressure")
        ends = [_end_pressure(pressure, micro, end, on_surfaces=on_surfaces) for end in _ENDS]
        (inlet, inlet_change), (outlet, outlet_change) = ends
        offset, loss = (inlet - 1 + outlet) / 2, inlet - outlet
        limit = _PRESSURE_LEVEL[exact and name == "pressure"]
        if refined and name == "pressure":
            limit = _REFINED_PRESSURE_LEVEL + (inlet_change + outlet_change) / 4
        if exact and inside > 0:
            faults.append(("pressure offset", f"{name} is {inside * drop:.4g} Pa in the fibres; needed: 0"))
        elif abs(loss - 1) > 2 * limit:
            faults.append(("pressure drop", f"{name} falls by {loss * drop:.4g} Pa from inlet to outlet; needed: {drop:.4g}"))
        elif abs(offset) > limit:
            faults.append(("pressure offset", f"{name} is {offset * drop:.4g} Pa too high at inlet and outlet"))
    return faults


_ENDS = ((0, 1), (-1, -2))
"""Outermost voxel along x and its neighbour, at the inlet and at the outlet."""


def _end_pressure(
    pressure: NDArray[np.floating], micro: Microstructure, end: tuple[int, int], *, on_surfaces: bool
) -> tuple[float, float]:
    """Mean pressure on an end face, extrapolated along rows whose two outermost voxels are fluid, and their mean change.

    ``on_surfaces``: the walls stand at the fibre surfaces. A surface may then close the face of a row whose outermost centre
    is fluid; such a pocket does not know the pressure outside, and is left out.
    """
    last, next_ = end if pressure.shape[2] > 1 else (end[0], end[0])
    rows = micro.fluid[..., last] & micro.fluid[..., next_]
    distance = micro.signed_distance
    if on_surfaces and distance is not None:
        rows = rows & (1.5 * distance[..., last] - 0.5 * distance[..., next_] > 0)
    if not rows.any():
        return float(last == 0), 0.0
    outer, inner = (pressure[..., place][rows].astype(np.float64) for place in (last, next_))
    return float((1.5 * outer - 0.5 * inner).mean()), float(np.abs(outer - inner).mean())
