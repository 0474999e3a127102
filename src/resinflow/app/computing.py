"""What a worker computes: it looks at an image, reads it as a medium, and finds the flow through it."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from resinflow.app.outlines import write_outlines
from resinflow.app.uploads import check_pixels
from resinflow.app.user_choices import Choices
from resinflow.app.work_folder import FIBRES, MEDIUM, VIEW
from resinflow.flow import (
    BlockedMediumError,
    FlowField,
    Microstructure,
    format_length,
    load_medium,
    save_medium,
)

if TYPE_CHECKING:
    from resinflow.media import SegmentationSettings
    from resinflow.models import Predictor

_GREYS = (0.5, 99.5)
"""Percentiles of an image that are shown black and white."""


class Progress(Protocol):
    """Where a computation says how far it is."""

    def stage(self, text: str) -> None:
        """Say what is being done now."""
        ...

    def count(self, text: str, done: int, total: int) -> None:
        """Say what is being done now, and how much of it is done."""
        ...

    def follow(self, permeability: float, error: float | None) -> None:
        """Take note of K so far, m^2, and about its relative error; None: not known."""
        ...

    def draws(self, text: str, values: Sequence[float], total: int) -> None:
        """Say what is being drawn now, and K, m^2, of the draws so far, of which there will be ``total``."""
        ...

    def watch(self, iteration: int, residual: float) -> None:
        """Report an iteration of the solver."""
        ...

    def part(self, **values: Any) -> None:
        """Give a part of the result before the rest."""
        ...


def look(folder: Path, choices: Choices) -> dict[str, Any]:
    """Write the slices of an image as pictures and return its size and what its scale tag says."""
    from PIL import Image

    from resinflow.media import read_stack

    check_pixels(folder / choices.image)
    stack = read_stack(Path(choices.image))
    view = _emptied(folder / VIEW)
    sample = stack[:, :: max(1, stack.shape[1] // 512), :: max(1, stack.shape[2] // 512)].astype(np.float64)
    low, high = (float(value) for value in np.percentile(sample, _GREYS))
    if high <= low:
        low, high = float(stack.min()), float(max(stack.max(), stack.min() + 1))
    for number, page in enumerate(stack):
        grey = np.clip(255 * (page.astype(np.float64) - low) / (high - low), 0, 255)
        Image.fromarray(np.rint(grey).astype(np.uint8)).save(view / f"slice-{number:04d}.png", compress_level=1)
    return {"slices": len(stack), "height": stack.shape[1], "width": stack.shape[2], "tag": _tag(choices.image)}


def _tag(image: str) -> str | None:
    """The pixel size of an image's resolution tag as a text with its unit; None without one."""
    from resinflow.media import scale_tag

    pixel = scale_tag(image)
    return None if pixel is None else format_length(pixel).replace(" ", "")


def read(folder: Path, choices: Choices, progress: Progress) -> dict[str, Any]:
    """Find the fibres of an image, save the medium and its outlines, and return what there is to say about it."""
    from resinflow.media import estimate_fibre_diameter, fibre_sections, is_extruded, painted

    progress.stage("finding the fibres")
    micro = painted(_found_medium(folder, choices), choices.strokes)
    save_medium(micro, folder / FIBRES / MEDIUM)
    write_outlines(micro, folder / FIBRES)
    sections = fibre_sections(micro)
    how = micro.provenance.get("segmentation", {})
    pixel = float(np.sqrt(micro.spacing[1] * micro.spacing[2]))
    return {
        "fraction": micro.fibre_fraction,
        "sections": float(sections.counts.mean()),
        "diameters": [float(value) for value in np.percentile(sections.diameters, (10, 50, 90))]
        if len(sections.diameters)
        else None,
        "pixel": pixel,
        "diameter": estimate_fibre_diameter(micro),
        "shape": list(micro.shape),
        "spacing": list(micro.spacing),
        "extruded": is_extruded(micro),
        "region": micro.provenance.get("region"),
        "polarity": how.get("polarity"),
        "level": how.get("settings", {}).get("level"),
        "surface": str(micro.provenance.get("surface", "estimated from the mask")),
        "notes": list(micro.provenance.get("notes", ())),
        "warnings": list(micro.provenance.get("warnings", ())),
        "percolates": {axis: micro.percolates(axis) for axis in ("x", "y", "z")},
    }


def pick(folder: Path, choices: Choices, x: float, y: float, index: int) -> dict[str, Any]:
    """Return what is known of the fibre at a place of the whole image: its diameter, or that there is none.

    Args:
        folder: of the session.
        choices: by which the medium was read.
        x: pixels from the left of the image.
        y: pixels from its top.
        index: of the slice, counted from 0.
    """
    from resinflow.media import section_map

    micro = load_medium(folder / FIBRES / MEDIUM)
    x0, _, y0, _ = micro.provenance.get("region", (0, 0, 0, 0))
    row, column = int(np.floor(y - y0)), int(np.floor(x - x0))
    _, ny, nx = micro.shape
    if not (0 <= row < ny and 0 <= column < nx):
        return {"line": "This place is outside of the part that is used."}
    sections = section_map(micro, index if index < micro.shape[0] else 0)
    label = int(sections.labels[row, column])
    if label == 0:
        return {"line": f"Resin at x {x:.0f}, y {y:.0f}."}
    rows, columns = np.nonzero(sections.labels == label)
    diameter, pixel = float(sections.diameters[label - 1]), float(np.sqrt(micro.spacing[1] * micro.spacing[2]))
    whole = "" if sections.whole[label - 1] else ", cut by the border or not round"
    place = [float(columns.mean() + 0.5 + x0), float(rows.mean() + 0.5 + y0), diameter / pixel / 2]
    length = format_length(diameter).replace("um", "µm")
    return {"line": f"This fibre is {length} thick, {diameter / pixel:.1f} pixels{whole}.", "mark": place, "slice": index}


def _found_medium(folder: Path, choices: Choices) -> Microstructure:
    """Return the medium of an image before any stroke; that which was found last where it was found by the same choices."""
    key = hashlib.sha256(repr(choices.unpainted.reading_key).encode()).hexdigest()
    note, place = folder / FIBRES / "found.txt", folder / FIBRES / "found.npz"
    if note.is_file() and note.read_text() == key:
        return load_medium(place)
    micro = medium_of(choices)
    _emptied(folder / FIBRES)
    save_medium(micro, place)
    note.write_text(key)
    return micro


def medium_of(choices: Choices) -> Microstructure:
    """Return the medium of an image without strokes, as the command line reads it."""
    from resinflow.presets.surface.reading import read_medium

    return read_medium(Path(choices.image), segmentation=_settings(choices), **choices.reading)


def _settings(choices: Choices) -> SegmentationSettings | None:
    from resinflow.media import SegmentationSettings

    return replace(SegmentationSettings(), **choices.settings) if choices.settings else None


def kept_medium(folder: Path, run: str) -> Microstructure:
    """Return the medium that an answer was asked of, bit for bit."""
    return load_medium(folder / run / f".{MEDIUM}")


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def greys_of(choices: Choices, micro: Microstructure) -> NDArray | None:
    """Return the image (nz or 1, ny, nx) that a medium was read from; None where its pixels are others."""
    from resinflow.media import read_stack

    stack = read_stack(Path(choices.image))
    if "region" in micro.provenance:
        x0, x1, y0, y1 = micro.provenance["region"]
        stack = stack[:, y0:y1, x0:x1]
    return stack if stack.shape[1:] == micro.shape[1:] and len(stack) in (1, micro.shape[0]) else None


def flow_of(micro: Microstructure, choices: Choices, state: Path, progress: Progress) -> FlowField:
    """Return the flow that is asked for, as the command line computes it; at rest where nothing flows.

    Args:
        micro: the medium.
        choices: the question.
        state: the field that the solver goes on from, if it is there, and leaves where it gives up.
        progress: where it is said how far it is.
    """
    from resinflow.stokes import rest_flow, solve, solve_finer

    drive = choices.drive
    try:
        if choices.task == "predict":
            return _predicted(micro, choices, progress)
        if choices.finer:
            progress.stage("solving the flow on a grid twice as fine")
            return solve_finer(
                micro,
                drive,
                tolerance=choices.accuracy,
                max_iterations=choices.iterations,
                watch=progress.watch,
                follow=progress.follow,
                state=state,
            )
    except BlockedMediumError:
        return rest_flow(micro, drive)
    progress.stage("solving the flow")
    return solve(
        micro,
        drive,
        tolerance=choices.accuracy,
        max_iterations=choices.iterations,
        wall_rule=choices.walls,
        watch=progress.watch,
        follow=progress.follow,
        state=state,
    )


def _predicted(micro: Microstructure, choices: Choices, progress: Progress) -> FlowField:
    from resinflow.models import BASE_NAMES, Sampling, start_flows
    from resinflow.presets import load_model

    progress.stage("loading the model")
    predictor = load_model("small")
    if choices.draws:
        return _predicted_round(micro, choices, predictor, progress)
    base = BASE_NAMES[predictor.base or "planar"]
    progress.stage("solving the planar flow" if base == "planar" else f"solving the planar and the {base} flow")
    start = start_flows(micro, choices.drive, predictor.base)
    if start.base.permeability == 0:
        raise BlockedMediumError(f"nothing flows through the medium along {choices.axis}: K = 0.")
    progress.stage(f"predicting the flow of a finer grid in {predictor.defaults.samples} samples")
    progress.follow(start.base.permeability, None)

    def watch(values: Sequence[float], total: int) -> None:
        progress.draws("predicting the flow of a finer grid: sample", values, total)

    return predictor.predict(micro, choices.drive, Sampling(), start=start, watch=watch)


def _predicted_round(micro: Microstructure, choices: Choices, predictor: Predictor, progress: Progress) -> FlowField:
    """Return the predicted flow through media drawn round a single image."""
    from resinflow.evaluate.round_slice import predict_round

    def watch(values: Sequence[float], total: int) -> None:
        progress.draws("predicting the flow round the image: medium", values, total)

    progress.stage("drawing media round the image")
    return predict_round(micro, predictor, choices.drive, misalignment=choices.misalignment, watch=watch)
