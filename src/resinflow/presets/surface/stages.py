"""The one stage of the preset surface, and the specimens that it learns from."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from resinflow.media import Specimen, draw_specimen, normalised_greys
from resinflow.nn import SurfaceNetwork
from resinflow.presets.surface.recipe import SurfaceOptions, SurfaceRecipe
from resinflow.train.data import Place
from resinflow.train.seeds import Stream, derive_seed
from resinflow.train.stage import Part, Stage

SurfaceBatch = tuple[Tensor, Tensor, Tensor]
"""Images (B, 1, D, H, W), distances (B, 1, D, H, W) in pixels, and (B, 4): whether it is a mask, logarithm of the distance of
slices in pixels, whether the slices are those of one stack, and the sign of the image."""
REACH = 8.0
"""Pixels beyond which distances are all the same to the network."""
_STACKS = 0.7
_INVERTED = 0.2
"""Share of the specimens that are shown with the wrong polarity, for the network to learn to tell."""
_WALL = 1.0
"""Pixels from the surface within which an error counts fully; beyond, its weight falls by e with every pixel."""
_FAR = 0.05
_CELL = 8
"""Pixels a side of the cells over which errors are averaged."""


class DrawnSpecimens:
    """Random specimens as the network sees them, by epoch and position; none is kept.

    Args:
        recipe: of the run.
        part: training specimens are others in every epoch.
    """

    def __init__(self, recipe: SurfaceRecipe, part: Part) -> None:
        self._options = recipe.surface
        self._part: Part = part
        self._seed = recipe.seed_of(recipe.stages[0])

    def __len__(self) -> int:
        return self._options.specimens if self._part == "train" else self._options.validation

    def __getitem__(self, place: Place) -> SurfaceBatch:
        epoch, position = place
        stream = Stream.AUGMENTATION if self._part == "train" else Stream.NOISE
        rng = np.random.default_rng(derive_seed(stream, self._seed, epoch, position))
        shape = self._options.shapes[epoch % len(self._options.shapes)]
        stacked = bool(rng.random() < _STACKS)
        specimen = draw_specimen(shape, rng, stacked=stacked)
        sign = -1.0 if rng.random() < _INVERTED else 1.0
        image = sign * network_image(specimen)
        step = np.log(specimen.step) if stacked else 0.0
        flags = (float(specimen.kind == "mask"), float(step), float(stacked), sign)
        distance = np.clip(specimen.distance, -REACH, REACH)
        fields = torch.as_tensor(image[None], dtype=torch.float32), torch.as_tensor(distance[None], dtype=torch.float32)
        return *fields, torch.tensor(flags, dtype=torch.float32)


def network_image(specimen: Specimen) -> np.ndarray:
    """Return the image (D, H, W) of a specimen as the network sees it: single images are normalised each by itself."""
    if specimen.kind == "mask":
        return specimen.image
    if specimen.stacked:
        return normalised_greys(specimen.image)
    return np.stack([normalised_greys(page) for page in specimen.image])


class SurfaceStage(Stage[SurfaceNetwork, SurfaceOptions, SurfaceBatch]):
    """The network learns the distance beside the surfaces, how far off it is, samples of it, and the polarity."""

    def __init__(self, networks: SurfaceNetwork, options: SurfaceOptions) -> None:
        super().__init__(networks, [networks], options)

    def losses(self, batch: SurfaceBatch, part: Part, place: int) -> dict[str, Tensor]:
        """Return the error beside the surfaces (pixels), its means over cells and slices, and the scores of the rest.

        The energy score is that of two samples (Gneiting & Raftery, J. Am. Stat. Assoc. 102, 2007, eq. 20), of single pixels
        and of the means over cells and slices: only samples whose surfaces shift together where the true ones do score well.
        """
        image, distance, flags = batch
        mask, log_step, stacked, sign = flags.unbind(dim=1)
        networks, options = self.networks, self.options
        estimate = networks(image, mask, log_step, stacked)
        right = (sign > 0).float().view(-1, 1, 1, 1, 1)
        weight = torch.exp(-(distance.abs() - _WALL).clamp_min(0)) * right
        error = estimate.distance - distance
        scales = _means(error, weight)
        wall, cell, page = (_mean(scale.values.abs(), scale.weight) for scale in scales)
        log_scale = estimate.log_scale.clamp(-6, 3)
        likelihood = _mean(error.detach().abs() * torch.exp(-log_scale) + log_scale, weight)
        label = (sign > 0).float()[:, None].expand_as(estimate.polarity)
        polarity = nn.functional.binary_cross_entropy_with_logits(estimate.polarity, label)
        first, second = (
            _means(
                error.detach() + networks.displacement(estimate.features, networks.noise(estimate.features.shape), stacked),
                weight,
            )
            for _ in range(2)
        )
        score = sum((_energy(*pair) for pair in zip(first, second, strict=True)), torch.zeros(()))
        loss = wall + cell + page + _FAR * (error.abs() * right).mean()
        loss = loss + options.scale_weight * likelihood + options.polarity_weight * polarity + options.sample_weight * score
        terms = {"wall": wall, "cell": cell, "slice": page, "likelihood": likelihood, "polarity": polarity, "score": score}
        return {"loss": loss, **terms}

    def configure_optimizers(self) -> Any:
        """Return Muon with one cycle of the learning rate over the whole stage."""
        return self.muon()


class _Scale(NamedTuple):
    """Errors averaged over parts of an image, and the weight of every part."""

    values: Tensor
    weight: Tensor


def _means(error: Tensor, weight: Tensor) -> tuple[_Scale, _Scale, _Scale]:
    """Errors of pixels, of cells and of slices."""
    pages, weights = (each.flatten(0, 2)[:, None] for each in (error * weight, weight))
    cell_weight = nn.functional.avg_pool2d(weights, _CELL)
    cells = nn.functional.avg_pool2d(pages, _CELL) / (cell_weight + 1e-3)
    slice_weight = weight.sum(dim=(3, 4))
    slices = (error * weight).sum(dim=(3, 4)) / (slice_weight + 1)
    return _Scale(error, weight), _Scale(cells, cell_weight), _Scale(slices, (slice_weight > 1).to(error.dtype))


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    """A weighted mean; about zero where there is next to no weight, as in a batch without a single surface."""
    return (values * weight).sum() / (weight.sum() + 1)


def _energy(first: _Scale, second: _Scale) -> Tensor:
    spread = _mean((first.values - second.values).abs(), first.weight)
    return 0.5 * (_mean(first.values.abs(), first.weight) + _mean(second.values.abs(), second.weight) - spread)
