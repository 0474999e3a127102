"""The command `resinflow segment`: from an image to fibre surfaces, and how far K depends on where they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter
from rich.console import Console

from resinflow.cli.answer import AsJson, all_warnings, flow_answer, medium_answer, print_json
from resinflow.cli.console import make_console, print_medium, print_warnings, working
from resinflow.cli.options import FLAT, MediumOptions
from resinflow.cli.outputs import check_outputs
from resinflow.flow import (
    FIGURE_SUFFIXES,
    FLOW_SUFFIXES,
    Axis,
    Drive,
    InvalidInputError,
    Microstructure,
    ResinflowError,
    format_length,
    permeability_units,
)

if TYPE_CHECKING:
    from resinflow.media import SegmentationSettings
    from resinflow.stokes import SurfaceResponse

_STACKS = (".tif", ".tiff", ".npy")
"""Suffixes of images; media.STACK_SUFFIXES, which would load heavy libraries."""

Saved = Annotated[
    list[Path] | None,
    Parameter(
        name=["--output", "-o"],
        help="Save the surfaces: .tif or .npy (mask or distance), or a medium for solve and predict: .npz, .vti, .nc, .zarr; "
        "may be repeated.",
        negative="",
    ),
]


@dataclass(frozen=True)
class SegmentationOptions:
    """How fibres are told from the matrix in a grey image; what is left out has the library's default."""

    fibre_diameter: float | None = None
    """Typical diameter of the fibres in pixels; by default measured in the image."""

    level: float | None = None
    """Grey of the outline between the fibres' median (0) and the matrix's (1); by default 0.55."""

    rim_weight: float | None = None
    """How far a wide bright rim around the fibres lowers the level, 0 to 1; by default 0.5."""

    roundness: float | None = None
    """Radius, as a share of the section's, of the disc that fits everywhere inside an outline, 0 to 0.95; by default 0.75."""

    smallest: float | None = None
    """Radius, as a share of the typical one, below which an object is no fibre; by default 0.4."""

    @property
    def values(self) -> dict[str, float]:
        """The options that were set, by the names of the settings."""
        return {name: value for name, value in vars(self).items() if value is not None}

    def settings(self, path: Path) -> SegmentationSettings | None:
        """Return the settings; None where nothing was set.

        Raises:
            InvalidInputError: a value out of range, or a file that has nothing to segment.
        """
        if not self.values:
            return None
        if path.suffix.lower() in FLOW_SUFFIXES:
            raise self.idle(path)
        from resinflow.media import SegmentationSettings

        return replace(SegmentationSettings(), **self.values)

    def idle(self, path: Path) -> InvalidInputError:
        """Return the error that there is nothing to segment."""
        options = ", ".join(f"--{name.replace('_', '-')}" for name in self.values)
        return InvalidInputError(f"{path.name} holds a mask, which leaves nothing to segment; leave out {options}.")


def segment(
    medium: Path,
    /,
    *,
    image: Annotated[MediumOptions, FLAT] = MediumOptions(),
    options: Annotated[SegmentationOptions, FLAT] = SegmentationOptions(),
    axis: Axis = Drive.axis,
    no_solve: Annotated[bool, Parameter(negative="")] = False,
    what: Literal["mask", "distance"] | None = None,
    slice_index: Annotated[int | None, Parameter(name="--slice")] = None,
    output: Saved = None,
    figure: Path | None = None,
    as_json: AsJson = False,
) -> None:
    """Find the fibre surfaces in an image or a stack; show them, save them, and say how far K depends on where they are.

    Example: resinflow segment micrograph.tif --pixel-size 0.47e-6 --depth 50e-6 --figure outlines.png -o medium.npz

    Parameters
    ----------
    medium
        Grey image or stack (.tif, .png, .npy), or a medium or flow field saved before (.vti, .npz, .nc, .zarr).
    axis
        Direction of the flow whose K is given.
    no_solve
        Leave out K, and with it three solves.
    what
        What a .tif or .npy holds: mask (the resin white or True; by default) or distance (to the fibre surfaces in pixels,
        positive in the resin).
    slice_index
        Slice of the figure, counted from 0; the middle one by default.
    figure
        Save a figure (.png, .pdf, .svg) of the image with the outlines of the fibres.
    """
    outputs = output or []
    check_outputs(*((path, (*_STACKS, *FLOW_SUFFIXES)) for path in outputs), (figure, FIGURE_SUFFIXES))
    if what is not None and not any(path.suffix.lower() in _STACKS for path in outputs):
        raise InvalidInputError("--what goes with an image; needed: --output FILE.tif or FILE.npy, or leave --what out.")
    if slice_index is not None and figure is None:
        raise InvalidInputError("--slice goes with a figure; needed: --figure FILE.png, or leave --slice out.")
    image.check(medium)
    settings = options.settings(medium)
    console = make_console(as_json=as_json)
    with working(console, "reading and segmenting"):
        micro = image.read(medium, settings)
    if options.values and micro.provenance.get("segmentation", {}).get("method") == "mask":
        raise options.idle(medium)
    if slice_index is not None and not 0 <= slice_index < micro.shape[0]:
        raise InvalidInputError(f"slice {slice_index} does not exist; needed: 0 to {micro.shape[0] - 1}.")
    print_medium(console, micro, medium.name, Drive(axis))
    response, failure = (None, "") if no_solve else _respond(micro, axis, console)
    _print_table(micro, axis, response, console)
    if failure:
        console.print(f"no K: {failure}", style="yellow")
    if response is not None:
        print_warnings(console, {"solver": response.flow})
    _save(micro, outputs, what or "mask", console)
    if figure is not None:
        _draw(micro, figure, (image, medium), response, slice_index, console)
    if as_json:
        about = medium_answer(micro, str(medium))
        flow = None if response is None else _response_answer(response)
        warnings = about["warnings"] if flow is None else all_warnings(about, flow)
        result = {"flow": flow, "failure": failure or None, "warnings": warnings}
        print_json({"medium": about, "sections": _sections(micro), **result})


def _sections(micro: Microstructure) -> dict[str, Any]:
    """Number and diameters of the fibres' sections, and what the image is like."""
    import numpy as np

    from resinflow.media import fibre_sections

    how, sections = micro.provenance.get("segmentation", {}), fibre_sections(micro)
    whole = len(sections.diameters) > 0
    low, middle, high = np.percentile(sections.diameters, (10, 50, 90)) if whole else (None, None, None)
    return {
        "sections_by_slice": sections.counts.tolist(),
        "whole_sections": len(sections.diameters),
        "diameter_p10_m": low,
        "diameter_median_m": middle,
        "diameter_p90_m": high,
        "noise": how.get("noise"),
        "rim": how.get("rim"),
    }


def _response_answer(response: SurfaceResponse) -> dict[str, Any]:
    """K as it is and with the surfaces moved, and where the pressure drops."""
    from resinflow.stokes import gap_statistics

    share = gap_statistics(response.flow, surfaces=True).narrow_share if response.permeability > 0 else None
    return {
        **flow_answer(response.flow),
        "surface_step_m": response.step,
        **permeability_units("surfaces_into_fibres", response.thinner),
        **permeability_units("surfaces_out_of_fibres", response.thicker),
        "pressure_drop_in_narrow_gaps": share,
    }


def _respond(micro: Microstructure, axis: Axis, console: Console) -> tuple[SurfaceResponse | None, str]:
    """K and its response to the surfaces; or None and why there is none. All slices alike need to be solved only once."""
    from resinflow.media import is_extruded
    from resinflow.stokes import surface_response

    medium = micro.slice_at(0) if is_extruded(micro) and _alike(micro) else micro
    try:
        with working(console, "K, and K with the surfaces moved both ways"):
            return surface_response(medium, axis=axis), ""
    except ResinflowError as error:  # the surfaces are there, whatever the solver makes of them
        return None, str(error)


def _alike(micro: Microstructure) -> bool:
    """Whether the surfaces of all slices are alike, too."""
    distance = micro.signed_distance
    return distance is None or bool((distance == distance[:1]).all())


def _print_table(micro: Microstructure, axis: Axis, response: SurfaceResponse | None, console: Console) -> None:
    from resinflow.evaluate import TextTable

    rows = [*_fibre_rows(micro), *([] if response is None else _permeability_rows(response, axis))]
    console.print(TextTable(("fibres and surfaces", ""), tuple(rows), names=2).terminal(wrapped=False))


def _fibre_rows(micro: Microstructure) -> list[tuple[str, str]]:
    """What was found: polarity, fraction, sections and diameters."""
    import numpy as np

    from resinflow.media import fibre_sections

    how = micro.provenance.get("segmentation", {})
    rows = []
    if "polarity" in how:
        asked = how.get("settings", {}).get("fibres", "auto") != "auto"
        reason = how.get("reason", "as asked" if asked else "decided from the image")
        rows.append(("fibres", f"{'darker' if how['polarity'] == 'dark' else 'brighter'} than the matrix, {reason}"))
    rows.append(("surfaces", _source(micro)))
    rows.append(("fibre fraction", f"{micro.fibre_fraction:.3f}"))
    sections = fibre_sections(micro)
    counts = sections.counts
    spread = "" if counts.min() == counts.max() else f" ({counts.min()} to {counts.max()})"
    rows.append(("sections a slice", f"{counts.mean():.0f}{spread}, {len(sections.diameters)} of {counts.sum()} whole"))
    if len(sections.diameters):
        low, middle, high = np.percentile(sections.diameters, (10, 50, 90))
        pixel = (micro.spacing[1] * micro.spacing[2]) ** 0.5
        rows.append(("diameter: median (p10 to p90)", f"{middle / pixel:.1f} pixels ({low / pixel:.1f} to {high / pixel:.1f})"))
        rows.append(("", f"{format_length(middle)} ({format_length(low)} to {format_length(high)})"))
    if "noise" in how:
        rows.append(("noise, rim", f"{100 * how['noise']:.1f} %, {100 * how['rim']:.0f} % of the contrast"))
    return rows


def _source(micro: Microstructure) -> str:
    """Where the surfaces come from."""
    if micro.signed_distance is None:
        return "estimated from the mask"
    return str(micro.provenance.get("surface", "known between the voxels"))


def _permeability_rows(response: SurfaceResponse, axis: Axis) -> list[tuple[str, str]]:
    """K as it is and with the surfaces moved, and where the pressure drops."""
    from resinflow.stokes import gap_statistics

    name, permeability = f"K{axis}{axis}", response.permeability
    moved = f"{response.step / response.pixel:g} pixels"
    rows = [(f"{name}, walls at the surfaces", f"{permeability:.4g} m^2")]
    for way, value in (("into", response.thinner), ("out of", response.thicker)):
        change = f" ({100 * (value / permeability - 1):+.1f} %)" if permeability > 0 else ""
        rows.append((f"  surfaces {moved} {way} the fibres", f"{value:.4g} m^2{change}"))
    if permeability > 0:
        share = gap_statistics(response.flow, surfaces=True).narrow_share
        rows.append(("pressure drop in gaps below 3 pixels", f"{100 * share:.0f} %"))
    return rows


def _save(micro: Microstructure, paths: Sequence[Path], what: Literal["mask", "distance"], console: Console) -> None:
    """Save the surfaces to every path and say so, and how to read a mask back."""
    import numpy as np

    from resinflow.flow import save_medium, surface_distance
    from resinflow.media import is_extruded, save_stack

    for path in paths:
        if path.suffix.lower() in FLOW_SUFFIXES:
            console.print(f"wrote {save_medium(micro, path)}")
            continue
        pixel = min(micro.spacing[1:])
        stack = micro.fluid if what == "mask" else (surface_distance(micro) / pixel).astype(np.float32)
        pages = stack[:1] if micro.provenance.get("extruded") and is_extruded(micro) else stack
        console.print(f"wrote {save_stack(path, pages)}")
    if what == "mask" and any(path.suffix.lower() in _STACKS for path in paths):
        console.print(
            "A mask is read back with --fibres dark; it has lost the surfaces between the pixels, which .npz, .vti, .nc and "
            ".zarr keep."
        )


def _draw(
    micro: Microstructure,
    path: Path,
    source: tuple[MediumOptions, Path],
    response: SurfaceResponse | None,
    slice_index: int | None,
    console: Console,
) -> None:
    """Save the figure: the outlines on the image, and the walls by their weight for K where that was solved."""
    from resinflow.stokes import wall_sensitivity
    from resinflow.view import segmentation_figure

    options, medium = source
    weights = None if response is None or response.permeability == 0 else wall_sensitivity(response.flow, response=response)
    title = f"{medium.name}: fibre fraction {micro.fibre_fraction:.3f}, surfaces {_source(micro)}"
    if response is not None:
        title += f"\nK = {response.permeability:.4g} m²"
        if response.permeability > 0:
            change = 100 * (response.thicker / response.permeability - 1)
            title += f", {change:+.0f} % with the surfaces {response.step / response.pixel:g} pixels out of the fibres"
    greys = options.greys(medium, micro)
    written = segmentation_figure(micro, path, image=greys, weights=weights, slice_index=slice_index, title=title)
    console.print(f"wrote {written}")
