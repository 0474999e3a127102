"""One map of a slice: colours in the fluid, grey fibres, axes in micrometres."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import COMPONENTS, FlowField, InvalidInputError, Microstructure
from resinflow.view.placing import BAR, Side, bar_axes
from resinflow.view.scales import ColourScale

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import LineCollection
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage


FIBRE_GREY = "#9a9a9a"
FLUID_BLUE = "#e3eef7"
OUTLINE = "#ff7f0e"
MICROMETRE = 1e-6
_ARROWS = 5  # heads along an edge of a slice, at most
_TICKS = 4
_STEPS = (1, 2, 2.5, 5, 10)  # distances of ticks: 50 and 100, not 60 and 80
_LINES, _LINE_WIDTHS = 100.0, (0.25, 0.9)  # points times pixels, points: outlines of many small fibres leave them to be seen
_GREYS = (0.5, 99.5)  # percentiles of an image that are drawn black and white


def slice_fields(flow: FlowField, index: int | slice) -> dict[str, NDArray[np.float64]]:
    """Return speed, components and pressure of one or more slices by name ("|v|", "vx", ..., "p"), SI, NaN in the fibres."""
    fluid = flow.microstructure.fluid[index]
    fields = {"|v|": flow.speed[index]}
    fields |= {f"v{name}": flow.velocity[k, index] for k, name in enumerate(COMPONENTS)}
    fields["p"] = flow.pressure[index]
    return {name: in_fluid(values, fluid) for name, values in fields.items()}


def in_fluid(values: NDArray[np.floating], fluid: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return ``values`` with NaN in the fibres."""
    return np.where(fluid, np.asarray(values, dtype=np.float64), np.nan)


def spread_field(flow: FlowField, index: int) -> NDArray[np.float64]:
    """Return the length of the vector of standard deviations in a slice, m/s, NaN in the fibres."""
    deviation = np.asarray(flow.velocity_std, dtype=np.float64)[:, index]
    return in_fluid(np.sqrt((deviation**2).sum(axis=0)), flow.microstructure.fluid[index])


def draw_field(axes: Axes, field: NDArray[np.floating], scale: ColourScale, microstructure: Microstructure) -> AxesImage:
    """Draw one slice of a field (ny, nx; SI, NaN in the fibres) in the colours of ``scale``, fibres in grey."""
    from matplotlib import colormaps

    colours = colormaps[scale.colours].with_extremes(bad=FIBRE_GREY)
    if not np.nan_to_num(field).any():
        box = {"boxstyle": "round", "facecolor": "white", "edgecolor": "none", "alpha": 0.8}
        axes.text(0.5, 0.5, "zero everywhere", transform=axes.transAxes, ha="center", va="center", fontsize=8, bbox=box)
    return axes.imshow(
        np.ma.masked_invalid(field / scale.size),
        cmap=colours,
        vmin=scale.low,
        vmax=scale.high,
        extent=extent_of(microstructure),
        origin="upper",
        interpolation="nearest",
    )


def draw_microstructure(axes: Axes, microstructure: Microstructure, index: int, image: NDArray | None = None) -> None:
    """Draw fibres (grey) and fluid (pale blue) of slice ``index``, or the image with the outlines of the fibres upon it.

    Args:
        axes: the panel.
        microstructure: what is drawn.
        index: of the slice.
        image: greys (nz, ny, nx) or, of an extruded image, (1, ny, nx) from which the medium was segmented; None: not at hand.
    """
    from matplotlib.colors import ListedColormap

    if image is not None:
        greys = checked_image(image, microstructure)
        page = np.asarray(greys[index if len(greys) > 1 else 0], dtype=np.float64)
        low, high = np.percentile(page, _GREYS)  # dust and pores would take the contrast of all else
        axes.imshow(
            page,
            cmap="gray",
            vmin=low,
            vmax=high,
            extent=extent_of(microstructure),
            origin="upper",
            interpolation="nearest",
        )
        _draw_outlines(axes, microstructure, index)
        return
    axes.imshow(
        microstructure.fluid[index].astype(float),
        cmap=ListedColormap([FIBRE_GREY, FLUID_BLUE]),
        vmin=0,
        vmax=1,
        extent=extent_of(microstructure),
        origin="upper",
        interpolation="nearest",
    )


def checked_image(image: NDArray, microstructure: Microstructure) -> NDArray:
    """Return the greys of a medium, or raise InvalidInputError unless they have its slices (or one) and its pixels."""
    nz, ny, nx = microstructure.shape
    if image.ndim != 3 or image.shape[1:] != (ny, nx) or len(image) not in (1, nz):
        raise InvalidInputError(f"the image has shape {image.shape}; needed: that of the medium, {(nz, ny, nx)}, or one slice.")
    return image


def _draw_outlines(axes: Axes, microstructure: Microstructure, index: int) -> None:
    """Draw the outlines of the fibres of a slice, between the pixels where the medium knows its surfaces."""
    distance = microstructure.signed_distance
    values = np.where(microstructure.fluid[index], 0.5, -0.5) if distance is None else distance[index]
    if min(values.shape) > 1 and values.min() < 0 < values.max():
        x, y = pixel_centres(microstructure)
        width = float(np.clip(_LINES / max(values.shape), *_LINE_WIDTHS))
        axes.contour(x, y, values, levels=[0.0], colors=[OUTLINE], linewidths=width)


def pixel_centres(microstructure: Microstructure) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Return x (nx,) and y (ny,) of the voxel centres of a slice, micrometres."""
    _, ny, nx = microstructure.shape
    _, dy, dx = microstructure.spacing
    return (np.arange(nx) + 0.5) * dx / MICROMETRE, (np.arange(ny) + 0.5) * dy / MICROMETRE


def draw_streamlines(axes: Axes, flow: FlowField, index: int) -> None:
    """Draw thin white streamlines of the in-plane velocity of slice ``index``; none where nothing flows in the plane.

    Lines end at the fibres. They are traced through all voxels, since a hole in the data would end them a voxel off the wall
    and in narrow throats for good; the parts in fibre voxels are then left out.
    """
    _, ny, nx = flow.microstructure.shape
    along_x, along_y = (np.asarray(flow.velocity[component, index], dtype=np.float64) for component in (0, 1))
    fastest = max(float(np.abs(along_x).max()), float(np.abs(along_y).max()))
    if min(ny, nx) < 3 or fastest == 0:
        return
    x, y = pixel_centres(flow.microstructure)
    stream = axes.streamplot(
        x,
        y,
        along_x / fastest,
        along_y / fastest,
        color="white",
        linewidth=0.5,
        density=1.1,
        arrowstyle="-",
        broken_streamlines=False,
    )
    for patch in list(axes.patches):  # its arrow heads, some of which lie in fibres
        patch.remove()
    extent = extent_of(flow.microstructure)
    axes.set_xlim(*extent[:2])
    axes.set_ylim(*extent[2:])
    _keep_to_fluid(axes, stream.lines, flow.microstructure, index)


def _in_fluid_voxels(points: NDArray[np.float64], microstructure: Microstructure, index: int) -> NDArray[np.bool_]:
    """Return which points (n, 2), as (x, y) in micrometres, lie in fluid voxels of a slice."""
    fluid = microstructure.fluid[index]
    step = np.array(microstructure.spacing[:0:-1]) / MICROMETRE
    columns, rows = np.clip((points / step).astype(int), 0, np.array(fluid.shape[::-1]) - 1).T
    return fluid[rows, columns]


def _keep_to_fluid(axes: Axes, lines: LineCollection, microstructure: Microstructure, index: int) -> None:
    """Leave out the pieces of lines in fibre voxels, and draw an arrow head in every part of the slice that a line crosses."""
    from matplotlib.patches import FancyArrowPatch
    from scipy import ndimage

    segments = [np.stack([line[:-1], line[1:]], axis=1) for line in map(np.asarray, lines.get_segments())]
    if not segments:
        return
    pieces = np.concatenate(segments)
    middles = pieces.mean(axis=1)
    fluid = microstructure.fluid[index]
    inside = np.logical_and.reduce([_values_at(fluid, points, microstructure) for points in (*pieces.swapaxes(0, 1), middles)])
    lines.set_segments(list(pieces[inside]))
    wide = np.asarray(ndimage.binary_erosion(fluid, np.ones((3, 3)), border_value=1), dtype=bool)  # heads fit there
    places = np.flatnonzero(_values_at(wide, middles, microstructure))
    size = np.array(microstructure.extent[:0:-1]) / MICROMETRE
    parts = (_ARROWS * middles[places] / size).astype(int) @ (1, _ARROWS)
    for place in places[np.unique(parts, return_index=True)[1]]:
        tail, head = pieces[place]
        axes.add_patch(FancyArrowPatch(tail, head, arrowstyle="-|>", mutation_scale=6.0, color="white", linewidth=0.5))


def _values_at(mask: NDArray[np.bool_], points: NDArray[np.float64], microstructure: Microstructure) -> NDArray[np.bool_]:
    """Return the values of a slice's mask (ny, nx) at points (n, 2), as (x, y) in micrometres."""
    step = np.array(microstructure.spacing[:0:-1]) / MICROMETRE
    columns, rows = np.clip((points / step).astype(int), 0, np.array(mask.shape[::-1]) - 1).T
    return mask[rows, columns]


def add_headline(axes: Axes, text: str) -> None:
    """Write ``text`` above ``axes``, into the room that the colour bars of its neighbours take anyway."""
    headline = axes.annotate(
        text, (0.5, 1.0), xycoords="axes fraction", xytext=(0, 4), textcoords="offset points", ha="center", fontsize=8
    )
    headline.set_in_layout(False)


def style_axes(axes: Axes, *, label_x: bool, label_y: bool) -> None:
    """Set the ticks (micrometres) of a panel, and label those of its axes that stand at the edge of the figure."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(_TICKS, steps=_STEPS))
    axes.yaxis.set_major_locator(MaxNLocator(_TICKS, steps=_STEPS))
    axes.tick_params(labelsize=7, length=2.5, width=0.6, labelleft=label_y, labelbottom=label_x)
    for spine in axes.spines.values():
        spine.set_linewidth(0.6)
    if label_y:
        axes.set_ylabel("y in µm", fontsize=8)
    if label_x:
        axes.set_xlabel("x in µm", fontsize=8)


def add_colour_bar(
    figure: Figure,
    image: AxesImage,
    axes: Sequence[Axes],
    scale: ColourScale,
    label: str,
    fields: Sequence[NDArray[np.floating]],
    panel: tuple[float, float],
    location: Side = "top",
) -> None:
    """Add a colour bar labelled ``label in unit`` beside ``axes``, with arrow ends where ``fields`` leave the scale.

    Args:
        figure: that holds the axes.
        image: whose colours are explained.
        axes: the panels that share the bar, one below the other.
        scale: of the image.
        label: name of the field.
        fields: all fields drawn with this scale, SI.
        panel: width and height of one panel, inches; every bar is as thick, whatever the panel's shape.
        location: side of the panels.
    """
    from matplotlib.ticker import MaxNLocator

    width, height = panel
    length, across = (height, width) if location == "right" else (width, height * len(axes))
    place: dict[str, Any] = {"ax": list(axes), "location": location, "aspect": length / BAR, "fraction": BAR / across}
    place |= {"shrink": 0.95, "pad": 0.03}
    if figure.get_layout_engine() is None:
        place = {"cax": bar_axes(figure, axes, location), "orientation": "vertical" if location == "right" else "horizontal"}
        place |= {"ticklocation": location}
    bar = figure.colorbar(image, extend=scale.extend(fields), ticks=MaxNLocator(4, min_n_ticks=3, steps=_STEPS), **place)
    bar.set_label(f"{label} in {scale.unit}", fontsize=9)
    bar.ax.tick_params(labelsize=7, length=2, width=0.6)
    bar.outline.set_linewidth(0.6)  # pyright: ignore[reportCallIssue]


def extent_of(microstructure: Microstructure) -> tuple[float, float, float, float]:
    """Return left, right, bottom and top of a slice in micrometres: y runs downwards, as the rows of an image do."""
    _, height, width = microstructure.extent
    return 0.0, width / MICROMETRE, height / MICROMETRE, 0.0


def panel_size(microstructure: Microstructure, side: float) -> tuple[float, float]:
    """Return width and height (inches) of a panel of the slice's shape with the area of a square of ``side``."""
    _, height, width = microstructure.extent
    ratio = float(np.clip(height / width, 1 / 3, 3.0))
    return side / ratio**0.5, side * ratio**0.5


def checked_slice(flow: FlowField, index: int | None) -> int:
    """Return ``index``, or the middle slice for None; raise InvalidInputError if there is no such slice."""
    count = flow.microstructure.shape[0]
    if index is None:
        return count // 2
    if not 0 <= index < count:
        raise InvalidInputError(f"slice {index} does not exist; needed: 0 to {count - 1}.")
    return index


def add_grid(axes: Axes) -> None:
    """Draw a thin grid behind the data of a plot, with small tick labels."""
    axes.tick_params(labelsize=8)
    axes.grid(True, which="major", lw=0.4, alpha=0.6)
    axes.set_axisbelow(True)


def new_figure(size: tuple[float, float]) -> Figure:
    """Return an empty figure of ``size`` (inches) that belongs to no window and no global state."""
    from matplotlib.figure import Figure

    return Figure(figsize=size, layout="compressed")
