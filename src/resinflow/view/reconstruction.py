"""Figures of a reconstruction: fields with their error, vz from slice to slice, its diagnosis, and the latent channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from resinflow.evaluate import Diagnosis, check_comparable, mean_spectrum
from resinflow.flow import COMPONENTS, Axis, FlowField
from resinflow.view.panels import (
    add_colour_bar,
    add_grid,
    checked_slice,
    draw_field,
    in_fluid,
    new_figure,
    panel_size,
    slice_fields,
    style_axes,
)
from resinflow.view.scales import ERROR, ColourScale, diverging, scales_of, unit_for
from resinflow.view.wording import describe_problem

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_SIDE = 2.2  # inches: a square panel
_SMALL_SIDE = 1.3
_MOST_SLICES = 11
_NAMES = ("original", "reconstruction")
_LABEL = 9  # points


def reconstruction_figures(
    reconstruction: FlowField, original: FlowField, diagnosis: Diagnosis, latents: Mapping[str, NDArray[np.floating]]
) -> dict[str, Figure]:
    """Return all figures of a reconstruction by their names.

    Args:
        reconstruction: what the VAE makes of ``original``.
        original: the flow of the data set.
        diagnosis: of the component that the figures show from slice to slice.
        latents: (C, nz, h, w), dimensionless, by the name of the encoder.
    """
    component = diagnosis.component
    return {
        "fields": compose_reconstruction(reconstruction, original),
        f"v{component}-slices": compose_slices(reconstruction, original, component),
        f"v{component}-diagnosis": compose_diagnosis(reconstruction, original, diagnosis),
        "latents": compose_latents(latents),
    }


def compose_reconstruction(reconstruction: FlowField, original: FlowField, slice_index: int | None = None) -> Figure:
    """Return original, reconstruction and error of |v| and the components in one slice, on the scales of the original.

    Raises:
        InvalidInputError: flows of different problems or a slice that does not exist.
    """
    check_comparable(reconstruction, original)
    index = checked_slice(original, slice_index)
    micro = original.microstructure
    fields = {name: slice_fields(flow, index) for name, flow in zip(_NAMES, (original, reconstruction), strict=True)}
    scales = {name: scale for name, scale in scales_of(fields["original"]).items() if name != "p"}
    panel = panel_size(micro, _SIDE)
    figure = new_figure((len(scales) * (panel[0] + 0.2) + 0.9, 3 * (panel[1] + 0.2) + 1.6))
    grid = figure.subplots(3, len(scales), squeeze=False)
    for column, (name, scale) in enumerate(scales.items()):
        pair = [fields[row][name] for row in _NAMES]
        images = [draw_field(axes, field, scale, micro) for axes, field in zip(grid[:2, column], pair, strict=True)]
        add_colour_bar(figure, images[0], list(grid[:2, column]), scale, name, pair, panel)
        error = pair[1] - pair[0]
        error_scale = diverging(error, colours=ERROR)
        image = draw_field(grid[2, column], error, error_scale, micro)
        add_colour_bar(figure, image, [grid[2, column]], error_scale, f"error of {name}", [error], panel, "bottom")
    _name_rows(grid, (*_NAMES, "error"))
    figure.suptitle(describe_problem(original, index), fontsize=10)
    return figure


def compose_slices(reconstruction: FlowField, original: FlowField, component: Axis = "z") -> Figure:
    """Return a component in every slice (at most eleven, evenly spaced): original, reconstruction and error on one scale.

    Raises:
        InvalidInputError: flows of different problems.
    """
    check_comparable(reconstruction, original)
    micro, number = original.microstructure, COMPONENTS.index(component)
    indices = np.unique(np.linspace(0, micro.shape[0] - 1, min(micro.shape[0], _MOST_SLICES)).round().astype(int))
    flows = (original, reconstruction)
    rows = [np.stack([in_fluid(flow.velocity[number, k], micro.fluid[k]) for k in indices]) for flow in flows]
    rows.append(rows[1] - rows[0])
    scale = diverging(rows[0])
    panel = panel_size(micro, _SMALL_SIDE)
    figure = new_figure((len(indices) * (panel[0] + 0.1) + 1.6, 3 * (panel[1] + 0.1) + 0.9))
    grid = figure.subplots(3, len(indices), squeeze=False)
    images = []
    for row, fields in enumerate(rows):
        for axes, field, index in zip(grid[row], fields, indices, strict=True):
            images.append(draw_field(axes, field, scale, micro))
            if row == 0:
                axes.set_title(f"slice {index}", fontsize=8)
    bar_panel = (panel[0], 3 * panel[1])
    add_colour_bar(figure, images[0], list(grid.ravel()), scale, f"v{component}", rows, bar_panel, "right")
    _name_rows(grid, (*_NAMES, "error"))
    return figure


def compose_diagnosis(reconstruction: FlowField, original: FlowField, diagnosis: Diagnosis) -> Figure:
    """Return RMS, amplitude ratio and correlation of a component by slice, and its power spectrum, with the verdict above."""
    figure = new_figure((12.5, 3.9))
    amplitude, agreement, spectrum = figure.subplots(1, 3)
    slices = np.array([part.slice for part in diagnosis.slices])
    true = np.array([part.true_rms for part in diagnosis.slices])
    reconstruction_rms = np.array([part.found_rms for part in diagnosis.slices])
    unit, size = unit_for(float(max(true.max(initial=0.0), reconstruction_rms.max(initial=0.0))))
    name = f"v{diagnosis.component}"
    for values, label in zip((true, reconstruction_rms), _NAMES, strict=True):
        amplitude.plot(slices, values / size, "o-", ms=4, label=label)
    amplitude.set_ylabel(f"RMS {name}, {unit}", fontsize=_LABEL)
    amplitude.set_ylim(bottom=0.0)
    curves = {
        "amplitude ratio": [part.amplitude_ratio for part in diagnosis.slices],
        "correlation": [part.correlation for part in diagnosis.slices],
        "part of the original": [part.shrinkage for part in diagnosis.slices],
    }
    for number, (label, values) in enumerate(curves.items(), start=2):
        agreement.plot(slices, values, "o-", ms=4, color=f"C{number}", label=label)
    agreement.axhline(1.0, color="black", lw=0.8, zorder=0)
    agreement.axhline(0.0, color="black", lw=0.8, ls=":", zorder=0)
    _draw_spectra(spectrum, (original, reconstruction), diagnosis.component)
    for axes in (amplitude, agreement):
        axes.set_xlabel("slice", fontsize=_LABEL)
        axes.xaxis.get_major_locator().set_params(integer=True)
    for axes in (amplitude, agreement, spectrum):
        add_grid(axes)
        axes.legend(fontsize=8, frameon=False)
    figure.suptitle(f"Does the model collapse {name} to zero? {diagnosis.verdict}", fontsize=10)
    return figure


def compose_latents(latents: Mapping[str, NDArray[np.floating]], slice_index: int | None = None) -> Figure:
    """Return the channels of latents (C, D, h, w) in one slice, a row a latent; with two latents also their difference.

    Channels share one scale, so that a channel that carries nothing looks empty.

    Args:
        latents: by the name of the encoder, at least one.
        slice_index: the middle one by default.
    """
    rows = dict(latents)
    if len(rows) == 2:
        first, second = rows
        rows[f"{second} - {first}"] = rows[second] - rows[first]
    channels, depth = next(iter(rows.values())).shape[:2]
    index = depth // 2 if slice_index is None else slice_index
    limit = float(max(np.percentile(np.abs(latent[:, index]), 99.5) for latent in rows.values())) or 1.0
    figure = new_figure((channels * (_SMALL_SIDE + 0.1) + 1.4, len(rows) * (_SMALL_SIDE + 0.15) + 0.7))
    grid = figure.subplots(len(rows), channels, squeeze=False)
    images = []
    for row, (name, latent) in enumerate(rows.items()):
        for channel, axes in enumerate(grid[row]):
            field = latent[channel, index]
            images.append(axes.imshow(field, cmap="RdBu_r", vmin=-limit, vmax=limit, origin="upper", interpolation="nearest"))
            axes.set(xticks=[], yticks=[])
            axes.set_xlabel(f"RMS {np.sqrt((field**2).mean()):.2g}", fontsize=7)
            if row == 0:
                axes.set_title(f"channel {channel}", fontsize=8)
        grid[row, 0].set_ylabel(name, fontsize=9, fontweight="bold")
    scale = ColourScale("RdBu_r", -limit, limit, "units of the latent", 1.0)
    panel = (_SMALL_SIDE, len(rows) * _SMALL_SIDE)
    fields = [latent[:, index] for latent in rows.values()]
    add_colour_bar(figure, images[0], list(grid.ravel()), scale, f"slice {index},", fields, panel, "right")
    return figure


def _draw_spectra(axes: Axes, flows: Sequence[FlowField], component: Axis) -> None:
    for flow, label in zip(flows, _NAMES, strict=True):
        power = mean_spectrum(flow, component)
        waves = np.arange(len(power))
        mask = (waves > 0) & (power > 0)
        if mask.any():
            axes.loglog(waves[mask], power[mask], "o-", ms=3, label=label)
    axes.set_xlabel("waves over the edge of the slice", fontsize=_LABEL)
    axes.set_ylabel(f"power of v{component}, m²/s²", fontsize=_LABEL)


def _name_rows(grid: NDArray[np.object_], names: Sequence[str]) -> None:
    for row, name in enumerate(names):
        for column, axes in enumerate(grid[row]):
            style_axes(axes, label_x=row == len(names) - 1, label_y=column == 0)
        grid[row, 0].set_ylabel(f"{name}\ny in µm", fontsize=8)
