"""The trained model as an engine that draws media through one slice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from resinflow.flow import Drive, InvalidInputError, Microstructure
from resinflow.media import SliceView, provenance_of_draw
from resinflow.presets.oneslice.model import DrawnVolume, SliceModel
from resinflow.presets.oneslice.recipe import NAME

__all__ = ["OneSliceEngine"]


class OneSliceEngine:
    """Draws media, and the flow through them, by a model of the preset oneslice.

    Args:
        model: trained.
        expected: whether every draw is the one of the expected latent: a regression, which has no spread.
    """

    def __init__(self, model: SliceModel, *, expected: bool = False) -> None:
        self._model = model
        self._expected = expected

    @property
    def name(self) -> str:
        """``oneslice``, or ``regression``."""
        return "regression" if self._expected else NAME

    def draw(self, view: SliceView, samples: int, seed: int) -> tuple[Microstructure, ...]:
        """Return media through the one slice of a view.

        Raises:
            InvalidInputError: several slices.
        """
        return tuple(volume.medium for volume in self.volumes(view, samples, seed))

    def volumes(self, view: SliceView, samples: int, seed: int, drive: Drive | None = None) -> Iterator[DrawnVolume]:
        """Yield media with the flow through them, as the networks draw both.

        Args:
            view: of one slice.
            samples: how many.
            seed: draw k depends on (seed, k) alone.
            drive: of the flow, along x or y.

        Raises:
            InvalidInputError: several slices.
        """
        section, *others = view.slices
        if others:
            raise InvalidInputError(
                f"{len(view.slices)} slices are known; needed: one for the engine {self.name}. The engine prior takes several."
            )
        heights = (np.arange(view.shape[0]) - view.places[0]) * view.spacing[0]
        drawn = self._model.draw(
            section,
            heights,
            misalignment=view.misalignment,
            samples=samples,
            seed=seed,
            drive=drive,
            expected=self._expected,
        )
        for index, volume in enumerate(drawn):
            said = provenance_of_draw(view, self.name, seed, index, model=self._model.name)
            medium = replace(volume.medium, provenance=said)
            yield DrawnVolume(medium, replace(volume.flow, microstructure=medium))
