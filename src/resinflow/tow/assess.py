"""The whole answer for a tow: its tensor, the map of its windows, how sure K is, and why it is no surer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import (
    COMPONENTS,
    Axis,
    InvalidInputError,
    Microstructure,
    PermeabilityTensor,
    check_medium,
    format_length,
    permeability_units,
)
from resinflow.media import estimate_fibre_diameter
from resinflow.stokes import WallChoice, permeability_tensor
from resinflow.tow.budget import Budget, Source
from resinflow.tow.conditions import RECOMMENDED, Condition, sides_of
from resinflow.tow.representativity import Representativity, size_statistics
from resinflow.tow.sources import (
    Parts,
    condition_source,
    grid_source,
    parts_of,
    pixel_source,
    solver_source,
    surfaces_source,
    window_source,
)
from resinflow.tow.third_dimension import tilt_source
from resinflow.tow.upscale import upscaled_tensor
from resinflow.tow.whole import least_windows, tensor_of_windows, upscaling_source
from resinflow.tow.window_map import WindowMap
from resinflow.tow.windows import LEAST_FIBRES, WindowOptions, check_workers, measure_windows

_COUNTS = (3, 2)
"""Windows along the shorter edge of an image that tell how much its K scatters; the first of them is the map."""
_WINDOW_TOLERANCE = 1e-3
_BUDGET, _SOURCES = "sources of the budget", 7


@dataclass(frozen=True)
class TowOptions:
    """How a tow is assessed.

    Attributes:
        condition: on the sides of the image and of its windows.
        window: edge of the windows of the map, m; None: a third of the image's shorter edge.
        tolerance: relative error of K of the whole by the iteration; windows and parts, of which statistics are made, are
            solved to 1e-3 at best.
        wall_rule: as :func:`resinflow.solve`.
        pixel_deviation: standard deviation of the pixel size, relative.
        misalignment: largest tilt of the bundle of a single section, degrees, as :func:`resinflow.draw_media`; None: fibres are
            taken as straight.
    """

    condition: Condition = RECOMMENDED
    window: float | None = None
    tolerance: float = 1e-4
    wall_rule: WallChoice = "auto"
    pixel_deviation: float = 0.0
    misalignment: float | None = None


@dataclass(frozen=True, eq=False)
class TowAnswer:
    """What an image tells of the permeability of its tow.

    Attributes:
        tensor: of the whole image.
        windows: the map.
        upscaled: (3, 3), m^2, by a Darcy flow over the map.
        representativity: K against the size of the window, and the interval for the infinite tow.
        budget: the 90 % intervals of K along the axes and what they are made of.
    """

    tensor: PermeabilityTensor
    windows: WindowMap
    upscaled: NDArray[np.float64]
    representativity: Representativity
    budget: Budget

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the map as plain JSON types."""
        return {
            "tensor": self.tensor.to_dict(),
            "budget": self.budget.to_dict(),
            **permeability_units("upscaled", self.upscaled.tolist()),
            "integral_range_m2": list(self.representativity.integral_range),
            "sizes": [
                {
                    "size_m": size.size,
                    "windows": size.windows,
                    "blocked": list(size.blocked),
                    "mean_log_m2": list(size.mean),
                    "log_deviation": list(size.deviation),
                }
                for size in self.representativity.sizes
            ],
        }


def assess_tow(
    micro: Microstructure,
    options: TowOptions = TowOptions(),
    *,
    folder: Path | None = None,
    workers: int = 1,
    scheduler: str | None = None,
    watch: Callable[[str, int, int], None] | None = None,
) -> TowAnswer:
    """Return the tensor of an image with its 90 % intervals and their budget.

    K of the whole is solved where that fits into the machine's memory, else by a Darcy flow over its windows, with a warning.

    Args:
        micro: the medium.
        options: how it is assessed.
        folder: where the results of windows are kept, so that running again continues; a folder in it for each size.
        workers: as :func:`resinflow.tow.measure_windows`.
        scheduler: as there.
        watch: called with what is done, how much of it, and how much there is: windows of each size, axes of the whole image,
            sources of the budget.

    Raises:
        InvalidInputError: an image narrower than two windows, options out of range, or as :func:`resinflow.solve`.
        ConvergenceError: the tolerance was not met.

    Example:
        >>> import resinflow as rf
        >>> micro = rf.fibre_bundle((1, 66, 66), (1e-6, 66e-6, 66e-6), seed=8, volume_fraction=0.4)
        >>> answer = rf.assess_tow(micro)
        >>> len(answer.budget.intervals)
        3
    """
    check_medium(micro)
    _check(options)
    if scheduler is not None:
        check_workers(scheduler, folder)
    boundary, lateral = sides_of(options.condition)
    least = least_windows(micro, workers)
    counts = _counts(micro, options.window, least)
    show = _nobody if watch is None else watch

    def along(axis: Axis, iteration: int, residual: float) -> None:
        show("axes of the whole image", COMPONENTS.index(axis), len(COMPONENTS))

    how = WindowOptions(boundary, lateral, max(options.tolerance, _WINDOW_TOLERANCE), options.wall_rule)
    maps = []
    for count in counts:

        def counted(done: int, total: int, count: int = count) -> None:
            show(f"windows, {count} along the edge", done, total)

        place = None if folder is None else folder / f"windows-{count}"
        size = min(micro.extent[1:]) / count
        maps.append(measure_windows(micro, size, how, folder=place, workers=workers, scheduler=scheduler, watch=counted))
    if least == 1:
        tensor = permeability_tensor(
            micro, boundary=boundary, lateral=lateral, tolerance=options.tolerance, wall_rule=options.wall_rule, watch=along
        )
        show("axes of the whole image", len(COMPONENTS), len(COMPONENTS))
    else:
        tensor = tensor_of_windows(micro, max(maps, key=lambda each: each.window[0]), how.tolerance)
    sizes = tuple(size_statistics(each.tensors.diagonal(axis1=-2, axis2=-1), float(np.mean(each.window))) for each in maps)
    representativity = Representativity(tensor.diagonal, sizes, micro.extent[1] * micro.extent[2])
    show(_BUDGET, 0, _SOURCES)
    parts = parts_of(micro, options.condition, options.wall_rule, how.tolerance)
    sources = []
    for source in _sources(micro, parts, options, how.tolerance, tensor, representativity):
        sources.append(source)
        show(_BUDGET, len(sources), _SOURCES)
    if least > 1:
        sources.append(upscaling_source(maps))
    budget = Budget(tensor.diagonal, tuple(sources))
    return TowAnswer(tensor, maps[0], upscaled_tensor(maps[0]), representativity, budget)


def _sources(
    micro: Microstructure,
    parts: Parts,
    options: TowOptions,
    tolerance: float,
    tensor: PermeabilityTensor,
    representativity: Representativity,
) -> Iterator[Source]:
    """Measure the sources of the budget, one after the other."""
    yield window_source(representativity)
    yield surfaces_source(micro, parts, options.condition)
    yield grid_source(parts, options.condition, options.wall_rule, tolerance)
    yield condition_source(parts, micro, options.condition, options.wall_rule, tolerance)
    yield pixel_source(options.pixel_deviation)
    yield tilt_source(tensor, parts, options.misalignment, options.wall_rule, tolerance)
    yield solver_source(tensor)


def _nobody(what: str, done: int, total: int) -> None:
    """Take note of nothing."""


def _check(options: TowOptions) -> None:
    if not 0 <= options.pixel_deviation < 0.5:
        raise InvalidInputError(
            f"the pixel size is known to +-{options.pixel_deviation:.0%}; needed: 0 to 50 %, e.g. --pixel-size 0.47um+-1%."
        )
    if options.misalignment is not None and not 0 <= options.misalignment <= 30:
        raise InvalidInputError(f"the misalignment is {options.misalignment:g} degrees; needed: 0 to 30.")


def _counts(micro: Microstructure, window: float | None, least: int) -> tuple[int, ...]:
    """Windows along the shorter edge of the image: of the map, and of the others that tell the scatter; ``least`` or more."""
    edge = min(micro.extent[1:])
    diameter = estimate_fibre_diameter(micro.slice_at(micro.shape[0] // 2))
    usual = tuple(max(count, least + place) for count, place in zip(_COUNTS, (1, 0), strict=True))
    most = usual[0] if diameter is None else int(edge / (LEAST_FIBRES * diameter))
    asked = () if window is None else (round(edge / window),)
    if asked and asked[0] < least:
        raise InvalidInputError(
            f"windows of {format_length(edge / asked[0])} do not fit into the memory of this machine; needed: --window "
            f"{format_length(edge / least)} or less."
        )
    counts = tuple(dict.fromkeys((*asked, *(count for count in usual if count <= most))))
    if max(counts, default=0) < 2:
        raise InvalidInputError(
            "the image is too narrow to tell how sure its K is; needed: two windows of three fibres or more along its edge. "
            "Take a larger image, or resinflow permeability for its K alone."
        )
    return counts
