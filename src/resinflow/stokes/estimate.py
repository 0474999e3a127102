"""How far the voxel grid itself is from the medium: gap statistics of a flow.

The iteration error of a solver is a known number; the discretisation error is usually larger and unknown. Where power is
dissipated tells where resolution matters: in gaps N voxels wide the error of K goes like ``1 / N`` on a voxel mask. So does,
where the walls are at fibre surfaces, the error of K for surfaces that an image tells to a tenth of a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import AXES, COMPONENTS, Faces, FlowField, Microstructure, SolverReport
from resinflow.stokes.algebra.pool import kernel
from resinflow.stokes.drag import face_drag

NARROW_GAP = 3
"""Voxels: gaps narrower than this are hardly resolved."""

_NARROW_SHARE = 0.2
_MASK_ERROR = 0.6
"""Relative error of K over the power-weighted mean of 1 / gap that two of three of 22 random planar bundles kept below (plain
walls, 24 to 64 voxels across, against the signed distance at three to four times the resolution)."""
_WALL_ERROR = 0.1
"""Voxels: what a grey image of good contrast tells the fibre surfaces to."""
_CUBIC = 6.0
"""d ln K by the displacement of both walls of a gap, in gap widths: K goes with the cube of the width."""


@dataclass(frozen=True)
class GapStatistics:
    """Where a flow dissipates its power, by the width of the gaps it passes.

    Attributes:
        narrow_share: share of the power dissipated in gaps narrower than :data:`NARROW_GAP` voxels.
        mean_gap: power-weighted harmonic mean of the gap width, voxels.
        permeability_error: relative error of K on a voxel mask that two of three media keep below; with walls at fibre
            surfaces, what K moves by where all of them are off by a tenth of a voxel.
        remedy: what the user of this flow can do about it, a sentence.
        cause: what makes K uncertain in narrow gaps.
    """

    narrow_share: float
    mean_gap: float
    permeability_error: float
    remedy: str = ""
    cause: str = "the voxel grid leaves K uncertain"

    @property
    def warning(self) -> str | None:
        """One line if narrow gaps carry the flow, else None."""
        if self.narrow_share <= _NARROW_SHARE:
            return None
        return (
            f"gaps below {NARROW_GAP} voxels take {self.narrow_share:.0%} of the pressure drop: {self.cause} by the order "
            f"of {self.permeability_error:.0%}. {self.remedy}"
        ).rstrip()


def gap_statistics(
    flow: FlowField, *, planar: bool = False, surfaces: bool | None = None, pixel: float | None = None
) -> GapStatistics:
    """Return where ``flow`` dissipates its power: fluxes through voxel faces times the pressure drop across them.

    A face belongs to the narrower of the two voxels beside it; a voxel's gap is its shortest run of fluid voxels between two
    walls along any axis. Between fibre surfaces the width is that between them, in pixels.
    A flow at rest has no statistics: share 0, infinite gap, error 0.

    Args:
        flow: a flow with pressure; its staggered velocities are used if present, else those at voxel centres.
        planar: every slice is a flow by itself: fibres above and below are no walls.
        surfaces: whether the walls are fibre surfaces; by default so where the flow passes voxels that the mask closes.
        pixel: edge of a pixel of the image that tells of the surfaces, m, where the flow's grid is a finer one.
    """
    if surfaces or (surfaces is None and (flow.open_voxels != flow.microstructure.fluid).any()):
        return _between_surfaces(flow, pixel)
    spacing = flow.microstructure.spacing
    gap = voxel_gaps(flow.microstructure.fluid, (1, 2) if planar else (0, 1, 2))
    faces = flow.faces or Faces.of_centres(flow.velocity, spacing, (False, False, False))
    sums = np.zeros(3)
    for component, name in enumerate(COMPONENTS):
        axis = AXES.index(name)
        area = float(np.prod([step for k, step in enumerate(spacing) if k != axis]))
        lines = (int(np.prod(gap.shape[:axis])), gap.shape[axis], -1)
        through = np.ascontiguousarray(faces.components[component]).reshape(lines[0], lines[1] + 1, -1)
        pressure = np.ascontiguousarray(flow.pressure).reshape(lines)
        sums += area * np.array(dissipation(through, pressure, gap.reshape(lines), NARROW_GAP))
    total, narrow, inverse = (float(value) for value in sums)
    if total == 0.0:
        return GapStatistics(0.0, float("inf"), 0.0)
    inverse /= total
    mean_gap = 1 / inverse if inverse > 0 else float("inf")
    return GapStatistics(narrow / total, mean_gap, _MASK_ERROR * inverse, _remedy(flow.microstructure, planar=planar))


def _between_surfaces(flow: FlowField, image_pixel: float | None) -> GapStatistics:
    """The statistics of a flow with walls at the fibre surfaces: widths between them, in the shorter edge of a pixel."""
    faces = face_drag(flow)
    if faces is None:
        return GapStatistics(0.0, float("inf"), 0.0)
    pixel = image_pixel or min(flow.microstructure.spacing[1:])
    total = narrow = inverse = 0.0
    for field in faces:
        counts = (field.power > 0) & (field.cut.width > 0)
        power, width = field.power[counts], field.cut.width[counts] / pixel
        total += float(power.sum())
        narrow += float(power[width < NARROW_GAP].sum())
        inverse += float((power / width).sum())
    if total == 0.0:
        return GapStatistics(0.0, float("inf"), 0.0)
    inverse /= total
    cause = f"fibre surfaces that are off by {_WALL_ERROR} voxels move K"
    error = _CUBIC * _WALL_ERROR * inverse
    return GapStatistics(
        narrow / total, 1 / inverse, error, _surface_remedy(flow.microstructure, finer=image_pixel is not None), cause
    )


def _surface_remedy(micro: Microstructure, *, finer: bool) -> str:
    """What the user of a flow with walls at surfaces that an image tells can do for a better K."""
    from_mask = str(micro.provenance.get("surface", "")).startswith("estimated")
    source = "the grey image of the mask" if from_mask else "an image with smaller pixels"
    grid = "" if finer else " --refine 1e-4 takes away the error of the grid, not that of the surfaces."
    return f"Take {source}; resinflow segment shows the surfaces and how K moves with them.{grid}"


def _remedy(micro: Microstructure, *, planar: bool) -> str:
    """What the user of a flow with walls on the voxel faces can do for a better K, on the command line and in Python alike."""
    if planar:
        return "This concerns the planar flow alone, whose walls are the faces of the voxels."
    if micro.signed_distance is not None:
        return "Take the walls at the fibre surfaces, which this medium knows (--wall-rule surface), or smaller voxels."
    return (
        "Take the fibre surfaces that the mask lets estimate, on a finer grid (resinflow solve --refine 1e-4), smaller voxels, "
        "or a grey image, which tells where the surfaces are between the voxels."
    )


def warn_of_narrow_gaps(
    flow: FlowField, *, planar: bool = False, surfaces: bool = False, pixel: float | None = None
) -> FlowField:
    """Return ``flow``, its solver's report with the warning of :class:`GapStatistics` if there is one to give."""
    warning = gap_statistics(flow, planar=planar, surfaces=surfaces, pixel=pixel).warning
    if warning is None or not isinstance(flow.report, SolverReport):
        return flow
    return replace(flow, report=replace(flow.report, warnings=(*flow.report.warnings, warning)))


NO_GAP = np.iinfo(np.uint16).max
"""Gap of a voxel that no run between two walls contains; wider gaps than this do not occur."""


def voxel_gaps(fluid: NDArray[np.bool_], axes: tuple[int, ...] = (0, 1, 2)) -> NDArray[np.uint16]:
    """Return for every fluid voxel its shortest run of fluid between two walls along any of ``axes``, in voxels.

    0 in the fibres, NO_GAP where no run has two walls (the sides of the box are none).
    """
    shortest = np.where(fluid, np.uint16(NO_GAP), np.uint16(0))
    for axis in axes:
        count = fluid.shape[axis]
        lines = (int(np.prod(fluid.shape[:axis])), count, int(np.prod(fluid.shape[axis + 1 :])))
        _shorten(np.ascontiguousarray(fluid).reshape(lines), shortest.reshape(lines))
    return shortest


@kernel
def _shorten(fluid, shortest):
    """Lower ``shortest`` (outer, along, inner) to the length of every run along the middle axis that has two walls."""
    outer, length, inner = fluid.shape
    starts = np.empty(inner, dtype=np.int64)
    for o in range(outer):
        starts[:] = -1  # the run that holds the first voxel has no wall before it
        for k in range(length):
            for i in range(inner):
                if not fluid[o, k, i]:
                    start = starts[i]
                    size = k - start
                    if start >= 0:
                        for j in range(start, k):
                            if size < shortest[o, j, i]:
                                shortest[o, j, i] = size
                    starts[i] = k + 1


@kernel
def dissipation(through, pressure, gap, narrow):
    """Return the power dissipated across faces normal to the middle axis: all, that in narrow gaps, and the sum of power / gap.

    A face belongs to the narrower of the two voxels beside it. All arrays are (outer, along, inner); ``through``, the velocity
    on the faces, has one place more along the axis than the voxels; its ends are left out.
    """
    outer, length, inner = pressure.shape
    total = in_narrow = inverse = 0.0
    for o in range(outer):
        for k in range(1, length):
            for i in range(inner):
                width = min(gap[o, k - 1, i], gap[o, k, i])
                if width > 0:
                    power = through[o, k, i] * (pressure[o, k - 1, i] - pressure[o, k, i])
                    if power > 0:
                        total += power
                        in_narrow += power if width < narrow else 0.0
                        inverse += power / width if width < NO_GAP else 0.0
    return total, in_narrow, inverse
