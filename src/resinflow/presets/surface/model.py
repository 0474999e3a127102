"""The learned front end: from an image or a mask to the fibre surfaces, with the error that is expected of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from resinflow.media import FibreSurfaces, fitted_surfaces, normalised_greys
from resinflow.models import Device, TrainedModel, arithmetic
from resinflow.nn import SurfaceNetwork
from resinflow.presets.families import model_directory
from resinflow.presets.surface.recipe import NAME, SCHEMA, SurfaceArchitecture

__all__ = ["SurfaceModel", "load_surface_model", "network_of"]

Floats = NDArray[np.float32]

_TILE = 384
"""Pixels a side of what is computed at once, without its margins."""
_MARGIN = 72
"""Pixels beside a tile that the network sees as well: as far as it looks, so that tiles have no seams."""
_TILE_SLICES = 24
_SLICE_MARGIN = 14
"""Slices beside a tile, likewise."""
_BESIDE, _RELIABLE = 1.4, 5.0
"""Pixels from the nearest pixel of the other phase: beyond the first the distance is held to that to it, beyond the second
it is that."""
_STEEP, _ROUGH = 0.93, 0.7
"""Distance across a fibre tilted by 20 degrees over that in the slice, and how far distances between pixels are off at most."""
_LARGEST_DIAMETER = 48.0
"""Pixels. Images of thicker fibres are made smaller, since the network was trained on fibres up to about this size."""
_SAMPLES = ((16, 1_000_000), (4, 8_000_000))
"""Samples of images up to so many pixels; larger ones get none."""
_JUDGED_SLICES = 3
_JUDGED_PIXELS = 768
"""Slices and pixels a side from which the polarity is told; more tell no more."""


def network_of(architecture: SurfaceArchitecture) -> SurfaceNetwork:
    """Return the network of an architecture, with initial weights."""
    return SurfaceNetwork(architecture.width, architecture.sample_width)


class SurfaceModel(TrainedModel[SurfaceArchitecture, SurfaceNetwork]):
    """A trained front end."""

    schema = SCHEMA
    configuration = SurfaceArchitecture

    @staticmethod
    def networks_of(architecture: SurfaceArchitecture) -> SurfaceNetwork:
        """Return the networks of an architecture, with initial weights."""
        return network_of(architecture)

    def dark_fibres(self, image: NDArray, *, mask: bool, step: float | None) -> float:
        """Return the evidence that the fibres are the darker phase: log odds, from the middle of the image.

        Args:
            image: (nz, ny, nx), greys, or a mask of two values.
            mask: whether it is a mask.
            step: distance between slices in pixels; None for a single image.
        """
        part = _middle(prepared(image, mask=mask))
        with torch.inference_mode(), self._arithmetic():
            logits = [self._network(sign * part, mask, step).polarity.mean().item() for sign in (1.0, -1.0)]
        return logits[0] - logits[1]

    def surfaces(self, image: NDArray, *, dark: bool, mask: bool, step: float | None) -> FibreSurfaces:
        """Return where the fibre surfaces are, and samples of where they may be: displaced together over fibres and slices.

        What the network says of fibres that are nearly round is smoothed by :func:`resinflow.media.fitted_surfaces`.

        Args:
            image: (nz, ny, nx), greys, or a mask of two values.
            dark: whether the fibres are the darker phase.
            mask: whether the image is a mask.
            step: distance between slices in pixels; None for a single image.
        """
        whole = prepared(image, mask=mask) * (1.0 if dark else -1.0)
        fields = self._fields(whole, mask, step)
        scale = _binning(fields.distance)
        if scale > 1:
            fields = self._fields(_binned(whole, scale), mask, step := None if step is None else step / scale)
        fields = fitted_surfaces(fields, step)
        if scale > 1:
            parts = fields.distance, fields.error, fields.displacements
            fields = FibreSurfaces(*(_enlarged(field, whole.shape, scale) for field in parts))
        return replace(fields, distance=_continued(fields.distance))

    def _fields(self, whole: Floats, mask: bool, step: float | None) -> FibreSurfaces:
        """What the network says, tile by tile."""
        count = next((samples for samples, voxels in _SAMPLES if whole.size <= voxels), 0)
        distance, error = np.empty(whole.shape, np.float32), np.empty(whole.shape, np.float32)
        shifts = np.empty((count, *whole.shape), np.float16)
        noises = [self._noise(whole.shape, index) for index in range(count)]  # tiles have parts of one whole
        stacked = None if step is None else torch.ones(1, device=self.device)
        with torch.inference_mode(), self._arithmetic():
            for tile in _tiles(whole.shape):
                estimate = self._network(whole[tile.outer], mask, step)
                distance[tile.inner] = estimate.distance[0, 0].cpu().numpy()[tile.core]
                error[tile.inner] = estimate.log_scale[0, 0].clamp(-6, 3).exp().cpu().numpy()[tile.core]
                for index, noise in enumerate(noises):
                    shift = self.networks.displacement(estimate.features, noise[tile.places], stacked)[0, 0]
                    shifts[index, *tile.inner] = -shift.cpu().numpy()[tile.core]  # the network adds it to the distance
        return FibreSurfaces(distance, error, shifts if count else None)

    def _noise(self, shape: tuple[int, ...], index: int) -> Tensor:
        """The noise of sample ``index`` over a whole image (nz, ny, nx)."""
        nz, ny, nx = shape
        return self.networks.noise((1, 1, nz, (ny + 1) // 2, (nx + 1) // 2), torch.Generator().manual_seed(index))

    def _network(self, part: Floats, mask: bool, step: float | None) -> Any:
        """The estimate of a part of an image; an odd edge gets one more row or column."""
        _, ny, nx = part.shape
        padded = np.pad(part, ((0, 0), (0, ny % 2), (0, nx % 2)), mode="edge")
        image = torch.from_numpy(np.ascontiguousarray(padded, dtype=np.float32))[None, None].to(self.device)
        flag = torch.tensor([float(mask)], device=self.device)
        log_step = torch.tensor([0.0 if step is None else float(np.log(step))], device=self.device)
        stacked = None if step is None else torch.ones(1, device=self.device)
        estimate = self.networks(image, flag, log_step, stacked)
        return estimate._replace(distance=estimate.distance[..., :ny, :nx], log_scale=estimate.log_scale[..., :ny, :nx])

    def _arithmetic(self) -> Any:
        return arithmetic(self.device, self.architecture.precision)


def load_surface_model(name_or_directory: str | Path = NAME, device: Device = "auto") -> SurfaceModel:
    """Return a front end: the shipped one by name, or that of a model directory or a run.

    Raises:
        InvalidInputError: neither a shipped model nor a model directory, a run that is not finished, or damaged files.
    """
    return SurfaceModel.load(model_directory(name_or_directory), device)


def prepared(image: NDArray, *, mask: bool) -> Floats:
    """Return an image (nz, ny, nx) as the network sees it: greys normalised together, or a mask of -1 and 1."""
    stack = np.asarray(image)
    if mask:
        return np.where(stack == stack.max(), 1.0, -1.0).astype(np.float32)
    return normalised_greys(stack).astype(np.float32)


class _Tile(NamedTuple):
    """One part of an image.

    Attributes:
        outer: what the network sees.
        inner: what is taken of it, in the image.
        core: the same, in what the network sees.
    """

    outer: tuple[slice, slice, slice]
    inner: tuple[slice, slice, slice]
    core: tuple[slice, slice, slice]

    @property
    def places(self) -> tuple[slice, ...]:
        """What the network sees of noise (1, N, nz, ny / 2, nx / 2): it folds pixels in pairs, and tiles begin at even ones."""
        z, y, x = self.outer
        return (slice(None), slice(None), z, *(slice(span.start // 2, (span.stop + 1) // 2) for span in (y, x)))


def _tiles(shape: tuple[int, ...]) -> Iterator[_Tile]:
    """Parts that cover an image; edges in the plane are even, as the network folds pixels in pairs."""
    sizes = ((_TILE_SLICES, _SLICE_MARGIN), (_TILE, _MARGIN), (_TILE, _MARGIN))
    rows = [_spans(count, *size) for count, size in zip(shape, sizes, strict=True)]
    for spans in itertools.product(*rows):
        outer, inner, core = zip(*spans, strict=True)
        yield _Tile(outer, inner, core)


def _spans(count: int, size: int, margin: int) -> list[tuple[slice, slice, slice]]:
    """Outer, inner and core slices along one axis."""
    spans = []
    starts = range(0, count, size) if count > size + 2 * margin else [0]
    for start in starts:
        stop = min(start + size, count) if len(starts) > 1 else count
        low, high = max(start - margin, 0), min(stop + margin, count)
        spans.append((slice(low, high), slice(start, stop), slice(start - low, stop - low)))
    return spans


def _middle(image: Floats) -> Floats:
    """The middle of an image, as far as the polarity needs it."""
    sizes = (_JUDGED_SLICES, _JUDGED_PIXELS, _JUDGED_PIXELS)
    starts = [max(count - size, 0) // 2 for count, size in zip(image.shape, sizes, strict=True)]
    z, y, x = (slice(start, start + size) for start, size in zip(starts, sizes, strict=True))
    return image[z, y, x]


def _binning(distance: Floats) -> int:
    """By how much an image is to be made smaller: by the depth of its thickest fibres."""
    inside = np.concatenate([_depths(page) for page in (distance < 0)[:: max(len(distance) // 3, 1)]])
    diameter = 2 * float(np.percentile(inside, 95)) if inside.size else 0.0
    return int(np.ceil(diameter / _LARGEST_DIAMETER))  # 0 and 1: as it is


def _depths(fibre: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Depths in pixels at the ridges of the fibres of one slice."""
    if not fibre.any() or fibre.all():
        return np.empty(0)
    depth = np.asarray(ndimage.distance_transform_edt(fibre))
    ridge = fibre & (depth == ndimage.maximum_filter(depth, size=5))
    return depth[ridge]


def _binned(image: Floats, scale: int) -> Floats:
    nz, ny, nx = image.shape
    padded = np.pad(image, ((0, 0), (0, -ny % scale), (0, -nx % scale)), mode="edge")
    return padded.reshape(nz, -(-ny // scale), scale, -(-nx // scale), scale).mean(axis=(2, 4), dtype=np.float32)


def _enlarged(field: Any, shape: tuple[int, ...], scale: int) -> Any:
    """Lengths (..., ny, nx) in pixels of the smaller image, at the pixels of the whole one and in these; None for None.

    By cubic splines in the plane.
    """
    if field is None:
        return None
    _, ny, nx = shape
    y, x = ((np.arange(count) + 0.5) / scale - 0.5 for count in (ny, nx))
    places = np.meshgrid(y, x, indexing="ij")
    pages = np.asarray(field, dtype=np.float32).reshape(-1, *field.shape[-2:])
    larger = np.stack([scale * ndimage.map_coordinates(page, places, order=3, mode="nearest") for page in pages])
    return larger.reshape(*field.shape[:-2], ny, nx).astype(field.dtype)


def _continued(distance: Floats) -> Floats:
    """The distance with that of pixels away from the surface held to the distance to the nearest pixel of the other phase.

    The network learns little about them: in the middle of wide pores it may give a pixel or less, where the solver would see a
    wall nearby.
    """
    result = distance.copy()
    fluid = distance > 0
    for phase, sign in ((fluid, 1.0), (~fluid, -1.0)):
        # a fibre that leaves the image is near where the slices above and below still show it
        shared = np.asarray(ndimage.minimum_filter(phase, (3, 1, 1), mode="nearest"), dtype=bool)
        for page, values, alone, common in zip(result, distance, phase, shared, strict=True):
            if not alone.any():
                continue
            depth, least = _depth(alone), _depth(common)
            held = np.clip(np.abs(values), _STEEP * least - _ROUGH, depth + _ROUGH)
            inner = np.where(least > _RELIABLE, depth, np.where(depth > _BESIDE, held, np.abs(values)))
            page[alone] = sign * inner[alone]
    return result


def _depth(phase: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Distance (pixels) of a slice's pixels of one phase to the surface, as the pixels of the other one tell it."""
    if phase.all():
        return np.full(phase.shape, float(max(phase.shape)))
    return np.asarray(ndimage.distance_transform_edt(phase)) - 0.5
