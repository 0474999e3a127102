"""How far K is off when the fibre surfaces are read from micrographs or masks, by the network and by the classical way.

Media: random bundles whose surfaces are known exactly, 50 um wide, of no training seed; micrographs of them as
:func:`resinflow.evaluate.surfaces.photograph` draws them (blur of 4 to 10 % of the fibre diameter, noise, rims, uneven light,
dark and bright fibres). K is solved on the medium's own grid with walls at the surfaces: the exact ones, and those read.

    python benchmarks/surfaces.py                 # 64 pixels, 96 media, about four minutes on one core
    python benchmarks/surfaces.py --pixels 128 --media 16
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy import ndimage

from resinflow.evaluate.spread import gaussian_crps
from resinflow.evaluate.surfaces import read_surfaces
from resinflow.flow import FlowField, InvalidInputError, Microstructure
from resinflow.media import BundleSettings, FibreSurfaces, fibre_bundle
from resinflow.models.calibration import surface_spread
from resinflow.presets.surface.model import SurfaceModel, load_surface_model
from resinflow.stokes import grid_flow, wall_sensitivity

WIDTH, SLICES = 50e-6, 11
FRACTIONS = (0.35, 0.6)
BANDS = ((0.35, 0.45), (0.45, 0.55), (0.55, 0.61))
FIRST_SEED = 8000
LENGTHS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""Pixels over which errors of the surfaces are alike, in the baseline."""
Key = tuple[str, str]


class Recorded:
    """A front end that keeps the surfaces that it found last."""

    def __init__(self, model: SurfaceModel) -> None:
        self.model = model
        self.last: FibreSurfaces | None = None

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.model.name

    def dark_fibres(self, image: NDArray, *, mask: bool, step: float | None) -> float:
        """Return the evidence of the model."""
        return self.model.dark_fibres(image, mask=mask, step=step)

    def surfaces(self, image: NDArray, *, dark: bool, mask: bool, step: float | None) -> FibreSurfaces:
        """Return the surfaces of the model, and keep them."""
        self.last = self.model.surfaces(image, dark=dark, mask=mask, step=step)
        return self.last


def medium(place: int, media: int, pixels: int) -> Microstructure:
    """Return a random bundle; the fraction rises evenly over the media."""
    rng = np.random.default_rng([FIRST_SEED, place])
    fraction = FRACTIONS[0] + (FRACTIONS[1] - FRACTIONS[0]) * (place % 24) / 23
    settings = BundleSettings(
        volume_fraction=fraction,
        diameter=float(rng.uniform(8e-6, 15e-6)),
        diameter_scatter=float(rng.uniform(0, 0.1)),
        misalignment=float(rng.uniform(0, 15)),
    )
    return fibre_bundle((SLICES, pixels, pixels), (WIDTH, WIDTH, WIDTH), seed=FIRST_SEED + place, settings=settings)


def correlated_spreads(flow: FlowField, error: NDArray) -> NDArray[np.float64]:
    """Return the deviation of ln K for each of ``LENGTHS``, were the errors of the surfaces a Gaussian field of that length.

    The covariance of two places r apart is the product of their expected ``errors`` (pixels) times exp(-r^2 / (2 length^2)).
    """
    spacing = np.array(flow.microstructure.spacing)
    weighted = wall_sensitivity(flow) * spacing[2] * error
    point = np.zeros(weighted.shape)
    point[tuple(count // 2 for count in point.shape)] = 1.0
    deviations = []
    for length in LENGTHS:
        sigma = length / np.sqrt(2) * spacing[2] / spacing
        smooth, kernel = (ndimage.gaussian_filter(field, sigma, mode="constant") for field in (weighted, point))
        deviations.append(np.sqrt((smooth**2).sum() / (kernel**2).sum()))
    return np.array(deviations)


def errors_of(
    micro: Microstructure, seed: int, front_end: Recorded
) -> tuple[dict[Key, float], dict[str, tuple[float, ...]], dict[str, float]]:
    """Return ln K of what is read over ln K of the truth by source and way, deviations of it, and seconds.

    Deviations are those that the samples give, and then those of :func:`correlated_spreads`.
    """
    truth = grid_flow(micro).permeability
    errors: dict[Key, float] = {}
    spreads: dict[str, tuple[float, ...]] = {}
    seconds: dict[str, float] = {}
    for source in ("grey", "mask"):
        for way, reader in (("network", front_end), ("classical", None)):
            started_at = time.perf_counter()
            try:
                read, _ = read_surfaces(micro, source, seed, reader)
                seconds[f"{source}, {way}"] = time.perf_counter() - started_at
                flow = grid_flow(read)
            except InvalidInputError:  # no fibres, no decision or no way through
                errors[source, way] = float("inf")
                continue
            errors[source, way] = float(np.log(flow.permeability / truth))
            if reader is not None and reader.last is not None:
                spreads[source] = (surface_spread(flow), *correlated_spreads(flow, reader.last.error))
    return errors, spreads, seconds


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="K from surfaces that are read from micrographs and masks")
    parser.add_argument("--media", type=int, default=96)
    parser.add_argument("--pixels", type=int, default=64)
    parser.add_argument("--front-end", default="surface", help="model directory, or the shipped one")
    options = parser.parse_args()
    front_end, console = Recorded(load_surface_model(options.front_end, device="cpu")), Console()
    errors: dict[Key, list[float]] = defaultdict(list)
    spreads: dict[str, list[tuple[float, ...]]] = defaultdict(list)
    seconds: dict[str, list[float]] = defaultdict(list)
    fractions = []
    for place in range(options.media):
        micro = medium(place, options.media, options.pixels)
        fractions.append(micro.fibre_fraction)
        for store, values in zip((errors, spreads, seconds), errors_of(micro, place, front_end), strict=True):
            for key, value in values.items():
                store[key].append(value)  # pyright: ignore[reportArgumentType]
    console.print(error_table(errors, np.array(fractions), options))
    console.print(spread_table(errors, spreads))
    console.print("seconds to read, median: " + ", ".join(f"{key} {np.median(each):.2f}" for key, each in seconds.items()))


def error_table(errors: dict[Key, list[float]], fractions: np.ndarray, options: argparse.Namespace) -> Table:
    """Return |K error| by source, way and band of the fibre fraction."""
    table = Table(title=f"K against the exact surfaces, {options.media} bundles of {options.pixels} pixels to 50 um")
    for name in ("surfaces from", "by", "median", "mean", "p90", "bias (median)", "refused", *(f"{a}-{b}" for a, b in BANDS)):
        table.add_column(name)
    for (source, way), values in errors.items():
        ratios = np.exp(np.array(values)) - 1
        known = np.isfinite(ratios)
        sizes = np.abs(ratios[known])
        bands = [np.abs(ratios[known & (fractions >= a) & (fractions < b)]) for a, b in BANDS]
        numbers = (np.median(sizes), sizes.mean(), np.quantile(sizes, 0.9))
        cells = [f"{100 * number:.1f} %" for number in numbers]
        bias = f"{100 * np.median(ratios[known]):+.1f} %"
        table.add_row(
            source,
            way,
            *cells,
            bias,
            str(int((~known).sum())),
            *(f"{100 * np.median(band):.1f} %" if band.size else "-" for band in bands),
        )
    return table


def spread_table(errors: dict[Key, list[float]], spreads: dict[str, list[tuple[float, ...]]]) -> Table:
    """Return how well deviations know the error of ln K: of samples, of correlated errors, and one number for all media.

    Length and scale of the correlated errors are the best for these very media, and so is the scale of the samples below them.
    """
    table = Table(title="ln K: what is known of its error")
    for name in ("surfaces from", "deviation of ln K from", "CRPS", "in 90 %", "spread/error"):
        table.add_column(name)
    for source, values in spreads.items():
        error = np.array([value for value in errors[source, "network"] if np.isfinite(value)])
        drawn, *correlated = np.array(values).T
        best = min(range(len(LENGTHS)), key=lambda place: gaussian_crps(scaled(correlated[place], error), error).mean())
        for way, deviation in (
            ("samples as drawn", drawn),
            ("samples, the best scale", scaled(drawn, error)),
            (f"correlated errors, {LENGTHS[best]:g} pixels and scale the best", scaled(correlated[best], error)),
            ("one number, the best", scaled(np.ones(len(error)), error)),
        ):
            crps = gaussian_crps(deviation, error).mean()
            inside = (np.abs(error) <= 1.645 * deviation).mean()
            ratio = np.sqrt((deviation**2).mean() / (error**2).mean())
            table.add_row(source, way, f"{100 * crps:.2f} %", f"{100 * inside:.0f} %", f"{ratio:.2f}")
    return table


def scaled(deviation: NDArray[np.float64], error: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the deviations times the factor of the lowest mean CRPS."""
    factors = np.sqrt((error**2).mean() / (deviation**2).mean()) * np.geomspace(0.2, 5.0, 81)
    return deviation * min(factors, key=lambda factor: gaussian_crps(factor * deviation, error).mean())


if __name__ == "__main__":
    main()
