"""Fibres out of greyscale micrographs and CT slices.

Nothing here is an absolute length: the fibre radius is measured in the image (blob scale space, then the distance transform
of a first threshold), and denoising, hole filling and outline smoothing follow from it. Every slice is processed in its
plane; polarity, radius and threshold are decided on the whole stack.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from resinflow.flow import InvalidInputError
from resinflow.media.polarity import Decision, Polarity, decide_polarity, inner_discs, sample_parts, undecided_error
from resinflow.media.sections import on_border, opening, page_depth, page_opening, split_objects, without_small_holes

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

SMALLEST_IMAGE = 16  # pixels
LEVELS = (0.1, 0.9)
"""Range of the grey of an outline, from that of the fibres (0) to that of the matrix (1)."""
_SMALLEST_RADIUS = 2.0  # pixels: below, a fibre section is a handful of pixels
_FINEST_SCALE, _SCALE_STEP = 1.0, 1.1  # pixels: the scales of packed discs are finer than their radii
_CUT = 0.25
"""What a border cuts off a fibre may be smaller by this factor than a whole object: a cap of few pixels closes a gap."""
_SURFACE_ROUNDS = 4
_SMALLEST_HOLE = 0.2  # of a fibre section: smaller enclosed bright spots are fringes of the fibre's own centre
_NOISE_AFTER = 0.1  # of the contrast: denoising goes no further, since it eats thin gaps
_BLUR_RANGE = (0.1, 0.2)  # of the radius
_SPECK = 0.35  # of the radius
_LARGE = 1024  # pixels a side: illumination and typical radius of larger images are measured on a part of their pixels


@dataclass(frozen=True)
class SegmentationSettings:
    """How fibres are told from the matrix; the defaults suit round sections of one nominal diameter.

    Attributes:
        fibres: whether fibres are darker or brighter than the matrix; ``auto`` takes the phase of disc-like sections.
        fibre_diameter: in pixels; None measures it in the image.
        level: grey of the outline between the fibres' median (0) and the matrix's (1). Blur pulls the half-way grey into a
            convex section: at the edge of a disc of radius r blurred by sigma it is 0.5 + 0.2 sigma / r.
        rim_weight: how far a wide bright rim lowers the level, per unit of its measured overshoot. The half-way grey
            lies on the flank of such a rim, while an observer draws the outline at its foot; 0 keeps ``level``.
        roundness: radius of the disc, as a share of each section's own, that must fit everywhere inside an outline:
            cuts off bridges and spurs; 0 leaves outlines as thresholded.
        smallest: radius, as a share of the typical one, below which an object is not a fibre; a quarter of it where a border
            cuts the object.
    """

    fibres: Literal["auto", "dark", "bright"] = "auto"
    fibre_diameter: float | None = None
    level: float = 0.55
    rim_weight: float = 0.5
    roundness: float = 0.75
    smallest: float = 0.4

    def __post_init__(self) -> None:
        if self.fibres not in ("auto", "dark", "bright"):
            raise InvalidInputError(f"fibres is {self.fibres!r}; needed: auto, dark or bright.")
        if self.fibre_diameter is not None and not 2 * _SMALLEST_RADIUS <= self.fibre_diameter < np.inf:
            raise InvalidInputError(
                f"fibre_diameter is {self.fibre_diameter!r}; needed: at least {2 * _SMALLEST_RADIUS:g} pixels, or None."
            )
        for name, low, high in (("level", *LEVELS), ("rim_weight", 0, 1), ("roundness", 0, 0.95), ("smallest", 0, 0.9)):
            if not low <= getattr(self, name) <= high:
                raise InvalidInputError(f"{name} is {getattr(self, name)!r}; needed: {low} to {high}.")


@dataclass(frozen=True, eq=False)
class Segmentation:
    """What :func:`segment` found.

    Attributes:
        fibre: bool (nz, ny, nx), True in the fibres.
        excess: (nz, ny, nx), grey beyond that of the outline, positive outside of the fibres (but where holes were filled and
            bridges cut): illumination levelled, noise smoothed.
        polarity: whether fibres are ``dark`` or ``bright``.
        reason: why.
        threshold: grey of the outline after the illumination was levelled.
        fibre_diameter: typical, in pixels.
        rim: overshoot of a wide fringe around the fibres as a share of the contrast; 0 where there is none.
        noise: standard deviation of the white noise as a share of the contrast.
    """

    fibre: Mask
    excess: Floats
    polarity: Polarity
    reason: str
    threshold: float
    fibre_diameter: float
    rim: float
    noise: float


@dataclass(frozen=True, eq=False)
class _Levelled:
    """A stack without its illumination and drift, and the median greys of its dark and bright phase."""

    grey: Floats
    dark: Mask
    low: float
    high: float

    def at(self, level: float) -> float:
        return self.low + level * (self.high - self.low)


def segment(
    grey: NDArray, settings: SegmentationSettings | None = None, cues: Mapping[str, float] | None = None
) -> Segmentation:
    """Return the fibres of a greyscale stack (nz, ny, nx), or of one image (ny, nx).

    Dark fibres with bright phase-contrast rims, uneven illumination, noise, and fibres cut by the borders are handled. The
    result follows from the image alone, and does not change when its greys are scaled or shifted.

    Args:
        grey: the stack.
        settings: how it is segmented.
        cues: what else is known of the polarity, by names, as logarithms of the odds for dark fibres.

    Raises:
        InvalidInputError: an image that is too small, has no contrast or no structure, does not tell which phase the fibres
            are, or in which no fibre is left.
    """
    settings = settings or SegmentationSettings()
    signal = _clipped(check_greys(grey))
    coarse, first = _first_look(signal, settings.fibre_diameter)
    polarity, reason = settings.fibres, "as asked"
    if polarity == "auto":
        decision = decide_polarity(signal, first.dark, coarse, cues)
        if decision.polarity is None:
            raise undecided_error("the image", decision)
        polarity, reason = decision.polarity, f"by its sections ({decision.reason})"
    sign = 1.0 if polarity == "dark" else -1.0
    signal, dark = sign * signal, first.dark if polarity == "dark" else ~first.dark
    radius = settings.fibre_diameter / 2 if settings.fibre_diameter else _typical_disc(dark, coarse)

    noise = _white_noise(signal) / (first.high - first.low)
    smoothing = np.clip(noise / (2 * np.sqrt(np.pi) * _NOISE_AFTER), _BLUR_RANGE[0] * radius, _BLUR_RANGE[1] * radius)
    levelled = _levelled(_blurred(signal, float(smoothing)), dark)
    fibre = _cleaned(levelled.grey < levelled.at(settings.level), radius, settings)
    rim = _wide_rim(levelled, fibre, radius)
    threshold = levelled.at(settings.level - settings.rim_weight * rim)
    if rim > 0:
        fibre = _cleaned(levelled.grey < threshold, radius, settings)
    if not fibre.any():
        raise InvalidInputError(
            f"no object of the image reaches {settings.smallest} of the fibre radius ({radius:.1f} pixels); "
            "say whether the fibres are dark or bright, or take an image with more pixels a fibre."
        )
    excess = levelled.grey - threshold
    return Segmentation(fibre, excess, polarity, reason, float(sign * threshold), 2 * float(radius), float(rim), float(noise))


def decide_greys(grey: NDArray, settings: SegmentationSettings, cues: Mapping[str, float] | None = None) -> Decision:
    """Return which phase of a greyscale stack the fibres are, without segmenting it.

    Args:
        grey: as in :func:`segment`.
        settings: as there.
        cues: as there.

    Raises:
        InvalidInputError: an image that is too small, or has no contrast or no structure.
    """
    signal = _clipped(check_greys(grey))
    coarse, first = _first_look(signal, settings.fibre_diameter)
    return decide_polarity(signal, first.dark, coarse, cues)


def decide_mask(dark: Mask, cues: Mapping[str, float] | None = None) -> Decision:
    """Return which phase of a mask (nz, ny, nx) the fibres are; no decision where it does not tell.

    Args:
        dark: True where the mask is dark.
        cues: what else is known of the polarity, by names, as logarithms of the odds for dark fibres.
    """
    radius = None if min(dark.shape[1:]) < SMALLEST_IMAGE else _blob_radius(dark.astype(np.float64), strong=1.0)
    if radius is None:
        return Decision(sum((cues or {}).values()), dict(cues or {}))
    return decide_polarity(np.where(dark, -1.0, 1.0), dark, radius, cues)


def check_greys(grey: NDArray) -> Floats:
    """Return greys as numbers (nz, ny, nx).

    Raises:
        InvalidInputError: an image that is too small, has one grey only, or NaN.
    """
    stack = np.asarray(grey)
    if stack.ndim not in (2, 3) or min(stack.shape[-2:], default=0) < SMALLEST_IMAGE or 0 in stack.shape:
        raise InvalidInputError(
            f"the image has shape {stack.shape}; needed: (ny, nx) or (nz, ny, nx) with at least {SMALLEST_IMAGE} pixels a side."
        )
    stack = stack.reshape(-1, *stack.shape[-2:]).astype(np.float64)
    if not np.isfinite(stack).all():
        raise InvalidInputError("the image holds NaN or infinite greys; needed: finite numbers.")
    if np.ptp(stack) == 0:
        raise InvalidInputError(f"every pixel has grey {stack.flat[0]:g}; needed: an image with two phases.")
    return stack


def _clipped(stack: Floats) -> Floats:
    """Pores and dust have greys far from both phases: bring them to the range of the rest."""
    low, high = np.percentile(stack, (2, 98))
    margin = 0.25 * (high - low)
    return np.clip(stack, low - margin, high + margin) if margin > 0 else stack


def _blurred(stack: Floats, sigma: float) -> Floats:
    return ndimage.gaussian_filter(stack, (0.0, sigma, sigma))


def _first_look(signal: Floats, diameter: float | None) -> tuple[float, _Levelled]:
    """A coarse fibre radius (pixels) and a first parting into two phases.

    Bright rims are a scale of their own, finer than the fibres. So the scale is measured twice: in the greys, where the
    coarsest of the strong scales counts, and in the mask found with it, which has no rims.
    """

    def parted(radius: float) -> _Levelled:
        soft = _blurred(signal, 0.2 * radius)
        return _levelled(soft, soft < _blurred(soft, 2.5 * radius))

    if diameter is not None:
        return diameter / 2, parted(diameter / 2)
    radius = _blob_radius(signal, strong=0.85)
    if radius is None:
        raise InvalidInputError(
            "the image shows no structure of one size between the pixel and 0.4 of its width; needed: "
            "several fibres, each several pixels thick. Crop the image to its fibres, or take one with more pixels."
        )
    radius = _blob_radius(parted(radius).dark.astype(np.float64), strong=1.0) or radius
    return radius, parted(radius)


def _blob_radius(stack: Floats, strong: float) -> float | None:
    """Radius (pixels) of the typical blob: where the scale-normalised Laplacian of Gaussian has most energy.

    A disc of radius R answers most at sigma = R / sqrt(2) (Lindeberg, IJCV 30, 1998); packed discs at 0.6 to 0.95 of it. The
    energies of all scales come from one cosine transform (Parseval). The coarsest of the scales with ``strong`` times the
    largest energy is returned, or None where no scale stands out.
    """
    ny, nx = stack.shape[1:]
    surface = _surface(ny, nx)
    flat = np.stack([page - (surface @ _fit(surface, page)).reshape(ny, nx) for page in stack])
    power = (np.asarray(fft.dctn(flat, axes=(1, 2), norm="ortho")) ** 2).sum(axis=0)
    frequency = (np.pi * np.arange(ny) / ny)[:, None] ** 2 + (np.pi * np.arange(nx) / nx)[None, :] ** 2
    bins = np.floor(np.sqrt(frequency) * 2 / np.pi * max(ny, nx)).astype(int)
    counts = np.maximum(np.bincount(bins.ravel()), 1)
    mean_frequency = np.bincount(bins.ravel(), frequency.ravel()) / counts
    white = len(stack) * _white_noise(stack) ** 2  # the same in every coefficient
    binned = np.maximum(np.bincount(bins.ravel(), power.ravel()) - white * counts, 0.0)
    radii = _FINEST_SCALE * _SCALE_STEP ** np.arange(200)
    radii = radii[radii <= 0.4 * min(ny, nx)]
    scaled = radii[:, None] ** 2 / 2 * mean_frequency  # (sigma q)^2
    energy = np.sqrt((binned * scaled**2 * np.exp(-scaled)).sum(axis=1))
    inner = energy[1:-1]
    peaks = 1 + np.flatnonzero((inner > energy[:-2]) & (inner >= energy[2:]))
    return float(radii[peaks[energy[peaks] >= strong * energy[peaks].max()][-1]]) if peaks.size else None


def _surface(ny: int, nx: int) -> Floats:
    """Terms of a quadratic surface over a slice, (ny * nx, 6), the constant first and the others of mean near 0."""
    y, x = np.linspace(-1, 1, ny)[:, None], np.linspace(-1, 1, nx)[None, :]
    terms = (np.ones(1), y, x, y * x, y**2 - 1 / 3, x**2 - 1 / 3)
    return np.stack([np.broadcast_to(term, (ny, nx)).ravel() for term in terms], axis=1)


def _fit(columns: Floats, page: Floats) -> Floats:
    """Least squares of one slice; the few well-scaled columns allow the normal equations, in which a column may be missing."""
    return np.asarray(np.linalg.lstsq(columns.T @ columns, columns.T @ page.ravel(), rcond=None)[0], dtype=np.float64)


def _levelled(stack: Floats, dark: Mask) -> _Levelled:
    """Fit every slice as quadratic illumination plus a step between two phases, in turns with the phases; drop the former.

    Fitting both at once keeps an uneven distribution of fibres from being taken for illumination.
    """
    thin = slice(None, None, 1 + max(stack.shape[1:]) // _LARGE)
    few, surface = stack[:, thin, thin], _surface(*stack.shape[1:])
    few_terms = surface.reshape(*stack.shape[1:], -1)[thin, thin].reshape(-1, surface.shape[1])
    light, low, high = np.zeros((len(stack), surface.shape[1])), 0.0, 0.0
    few_dark = dark[:, thin, thin]
    for _ in range(_SURFACE_ROUNDS):
        if few_dark.all() or not few_dark.any():
            low = high
            break
        fits = [_fit(np.column_stack([few_terms, phase.ravel()]), page) for page, phase in zip(few, few_dark, strict=True)]
        light = np.array([fit[:-1] for fit in fits])
        light[:, 0] -= np.median(light[:, 0])
        grey = few - np.reshape(light @ few_terms.T, few.shape)
        low, high = float(np.median(grey[few_dark])), float(np.median(grey[~few_dark]))
        few_dark = grey < (low + high) / 2
    if not low < high:
        raise InvalidInputError("the image does not part into two phases; needed: fibres and matrix of different grey.")
    grey = np.stack([page - np.reshape(surface @ terms, page.shape) for page, terms in zip(stack, light, strict=True)])
    return _Levelled(grey, grey < (low + high) / 2, low, high)


def _typical_disc(mask: Mask, radius: float) -> float:
    """Median radius (pixels) of the largest discs in the objects that no border cuts, weighted by the objects' area.

    Objects without a disc of a third of ``radius`` are specks and do not count.
    """
    large = max(mask.shape[1:]) > _LARGE  # then parts of it tell as much
    pages = [mask[index][rows, columns] for index, rows, columns in sample_parts(mask.shape)] if large else list(mask)
    discs, areas = inner_discs(pages, radius)
    big = discs > _SPECK * radius
    if not big.any():
        return radius
    order = np.argsort(discs[big])
    shares = np.cumsum(areas[big][order])
    return float(discs[big][order][np.searchsorted(shares, shares[-1] / 2)])


def _cleaned(mask: Mask, radius: float, settings: SegmentationSettings) -> Mask:
    """Fill fringes inside the fibres, cut bridges between them, round their outlines, and drop what is too small."""
    cleaned = np.zeros_like(mask)
    for page, target in zip(mask, cleaned, strict=True):
        filled = without_small_holes(page, _SMALLEST_HOLE * np.pi * radius**2)
        opened = page_opening(filled, 0.3 * radius) if settings.roundness else filled
        labels, depth = split_objects(opened, radius)
        margin = int(2 * radius) + 2
        padded = np.pad(labels, margin, mode="edge")
        rounded = np.zeros(padded.shape, dtype=bool)
        deepest = np.asarray(ndimage.maximum(depth, labels, np.arange(labels.max() + 1)))
        needed = np.full(deepest.shape, settings.smallest * radius)
        needed[on_border(labels)] *= _CUT
        for number, box in enumerate(ndimage.find_objects(padded), start=1):
            if box is not None and deepest[number] >= needed[number]:
                section = np.pad(padded[box] == number, 1)
                disc = settings.roundness * min(deepest[number], 1.3 * radius)
                rounded[box] |= (opening(section, disc) if disc else section)[1:-1, 1:-1]
        target[:] = rounded[margin:-margin, margin:-margin]
    return cleaned


def _wide_rim(levelled: _Levelled, fibre: Mask, radius: float) -> float:
    """Overshoot of the matrix a third to three quarters of a radius off the fibres over the matrix beyond, per contrast.

    Narrower rims leave the half-way grey at the edge; a packing without matrix far from fibres has nothing to compare with.
    """
    distance = np.stack([page_depth(~page, 2 * radius) for page in fibre])
    needed = 0.01 * np.count_nonzero(distance)
    far = levelled.grey[distance > 0.85 * radius]
    if far.size < needed:
        return 0.0
    peak = base = float(np.median(far))
    for start in np.arange(max(0.35 * radius, 3.0), 0.8 * radius, 0.1 * radius):
        ring = levelled.grey[(distance > start) & (distance <= start + 0.15 * radius)]
        if ring.size > needed:
            peak = max(peak, float(np.median(ring)))
    return min((peak - base) / (levelled.high - levelled.low), 0.5)


def _white_noise(stack: Floats) -> float:
    """Standard deviation of pixel noise from second differences both ways (Immerkaer, CVIU 64, 1996), robust to edges."""
    kernel = np.outer([1.0, -2.0, 1.0], [1.0, -2.0, 1.0]) / 6
    return 1.4826 * float(np.median(np.abs(ndimage.correlate(stack, kernel[None]))))
