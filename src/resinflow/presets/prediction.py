"""The door to predictions of many media."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Unpack

from resinflow.flow import Drive, DriveOptions, FlowField, Microstructure, ResinflowError, check_whole
from resinflow.models import Device, Predictor, Sampling, flows_or_errors
from resinflow.presets.families import load_model

__all__ = ["predict_many"]

_BATCH = 16
"""Media whose start flows are held at a time."""


def predict_many(
    media: Iterable[Microstructure],
    model: str | Path | Predictor = "small",
    drive: Drive | None = None,
    sampling: Sampling | None = None,
    *,
    batch: int = _BATCH,
    device: Device = "auto",
    watch: Callable[[int], None] | None = None,
    **conditions: Unpack[DriveOptions],
) -> list[FlowField | ResinflowError]:
    """Return the predicted flow through each medium, in their order; in the place of one that fails stands its error.

    On a GPU the networks of the family ``latent`` take members of several media of one shape at once; on a CPU that gains
    nothing, and the flows are those of :meth:`resinflow.models.Predictor.predict`, bit for bit.

    Args:
        media: as many as you like; an iterator is read ``batch`` media at a time.
        model: a shipped model by name, a model directory, a run, or a loaded model.
        drive: what drives the flows, along x or y.
        sampling: how the members are sampled; each medium has the seeds that it has alone.
        batch: media whose start flows are held in memory at a time.
        device: where the networks of a model that is not loaded yet compute.
        watch: called with the number of media that are done.
        conditions: values of the drive, in the place of its own.

    Raises:
        InvalidInputError: a model, an axis or a sampling that cannot be had; what one medium lacks is a value of the list.

    Example:
        >>> import resinflow as rf
        >>> media = [rf.fibre_bundle((2, 32, 32), (8e-6, 40e-6, 40e-6), seed=k, volume_fraction=0.4) for k in range(2)]
        >>> flows = rf.predict_many(media, sampling=rf.Sampling(samples=1))
        >>> [flow.permeability > 0 for flow in flows if isinstance(flow, rf.FlowField)]
        [True, True]
    """
    check_whole("batch", batch, 1)
    predictor = model if isinstance(model, Predictor) else load_model(model, device)
    drive, sampling = Drive.of(drive, **conditions), sampling or Sampling()
    flows: list[FlowField | ResinflowError] = []
    for group in _batches(media, batch):
        flows += flows_or_errors(predictor, group, drive, sampling)
        if watch is not None:
            watch(len(flows))
    return flows


def _batches(media: Iterable[Microstructure], size: int) -> Iterator[list[Microstructure]]:
    rest = iter(media)
    while group := list(islice(rest, size)):
        yield group
