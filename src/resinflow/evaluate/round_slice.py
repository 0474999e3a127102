"""Predictions for one slice: media drawn round it, the predicted flow through each, and what they say together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Unpack

from resinflow.evaluate.drawn_flows import mix_flows
from resinflow.flow import Drive, DriveOptions, FlowField, InvalidInputError, Microstructure
from resinflow.media import is_extruded
from resinflow.models import Predictor, SampleWatch, Sampling, start_flows
from resinflow.presets.drawing import draw_media
from resinflow.stokes import rest_flow

__all__ = ["DEFAULT_DRAWS", "predict_medium", "predict_round"]

DEFAULT_DRAWS = 16
"""Media that are drawn where nobody says how many."""


def predict_medium(medium: Microstructure, predictor: Predictor, drive: Drive, sampling: Sampling) -> FlowField:
    """Return the predicted flow through a medium, at rest where nothing flows.

    Raises:
        InvalidInputError: what the model does not know.
    """
    start = start_flows(medium, drive, predictor.base)
    if start.base.permeability == 0:
        return rest_flow(medium, drive)
    return predictor.predict(medium, drive, sampling, start=start)


def predict_round(
    slice: Microstructure,
    predictor: Predictor,
    drive: Drive | None = None,
    *,
    misalignment: float | None = None,
    draws: int = DEFAULT_DRAWS,
    seed: int = 0,
    engine: str = "prior",
    watch: SampleWatch | None = None,
    **conditions: Unpack[DriveOptions],
) -> FlowField:
    """Return what flows through media drawn round a single image, predicted by a model: mean, spread and interval of K.

    It is what ``resinflow predict --misalignment`` computes.

    Args:
        slice: an extruded medium, whose slices are all alike.
        predictor: the model.
        drive: what drives the flow, along x or y.
        misalignment: largest tilt of the bundle from z, degrees; None: not known, drawn from 0 to 15 degrees.
        draws: how many media.
        seed: of the media and of the predictions.
        engine: what draws the media, as :func:`resinflow.draw_media` has it.
        watch: follows K of the media, m^2, as they come; called with all of them so far and their number in the end.
        conditions: single values of the drive, in the place of its own.

    Raises:
        InvalidInputError: a medium whose slices differ, a number out of range, or what the model does not know.
    """
    if not is_extruded(slice):
        raise InvalidInputError(f"the medium has {slice.shape[0]} slices, which show the tilts; needed: a single image.")
    drive = Drive.of(drive, **conditions)
    media = draw_media(
        slice,
        depth=slice.extent[0],
        misalignment=misalignment,
        samples=draws,
        seed=seed,
        slices=slice.shape[0],
        engine=engine,
    )

    def flows() -> Iterator[FlowField]:
        values: list[float] = []
        for medium in media:
            flow = predict_medium(medium, predictor, drive, Sampling(seed=seed))
            values.append(flow.permeability)
            if watch is not None:
                watch(values, draws)
            yield flow

    return mix_flows(flows(), seed=seed)
