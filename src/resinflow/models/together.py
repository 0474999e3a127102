"""Predictions of many media at once: what fails is its error, the others go on."""

from __future__ import annotations

import time
from collections.abc import Sequence

from resinflow.flow import Drive, FlowField, Microstructure, ResinflowError, check_medium
from resinflow.models.correction import check_axis
from resinflow.models.predictor import Predictor, Sampling
from resinflow.models.start import StartFlows, start_flows


def flows_or_errors(
    predictor: Predictor, media: Sequence[Microstructure], drive: Drive, sampling: Sampling
) -> list[FlowField | ResinflowError]:
    """Return the prediction for each medium, or the error in its place; the networks take media together where they can.

    Raises:
        InvalidInputError: an axis or a sampling that the model does not know.
    """
    check_axis(drive.axis)
    resolved = predictor.resolve(sampling)
    results: dict[int, FlowField | ResinflowError] = {}
    starts: dict[int, StartFlows] = {}
    for place, micro in enumerate(media):
        try:
            check_medium(micro)
            starts[place] = start_flows(micro, drive, predictor.base)
        except ResinflowError as error:
            results[place] = error
    started_at = time.perf_counter()
    try:
        members = predictor.draw_each(list(starts.values()), resolved)
    except ResinflowError:  # one of them has no prediction: each by itself tells which
        members = None
    seconds = (time.perf_counter() - started_at) / max(len(starts), 1)
    for number, (place, start) in enumerate(starts.items()):
        try:
            if members is None:
                results[place] = predictor.predict(start.planar.microstructure, sampling=sampling, start=start)
            else:
                own = predictor.reported(start, members[number], resolved, time.perf_counter() - seconds)
                results[place] = predictor.judged(own.flow, start)
        except ResinflowError as error:
            results[place] = error
    return [results[place] for place in range(len(media))]
