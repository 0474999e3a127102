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
from rich.console import Console
from rich.table import Table

from resinflow.evaluate.spread import gaussian_crps
from resinflow.evaluate.surfaces import read_surfaces
from resinflow.flow import InvalidInputError, Microstructure
from resinflow.media import BundleSettings, fibre_bundle
from resinflow.models.calibration import surface_spread
from resinflow.presets.surface.model import SurfaceModel, load_surface_model
from resinflow.stokes import grid_flow

WIDTH, SLICES = 50e-6, 11
FRACTIONS = (0.35, 0.6)
BANDS = ((0.35, 0.45), (0.45, 0.55), (0.55, 0.61))
FIRST_SEED = 8000
Key = tuple[str, str]


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


def errors_of(
    micro: Microstructure, seed: int, model: SurfaceModel
) -> tuple[dict[Key, float], dict[str, float], dict[str, float]]:
    """Return ln K of what is read over ln K of the truth by source and way, the spread that samples give, and seconds."""
    truth = grid_flow(micro).permeability
    errors: dict[Key, float] = {}
    spreads: dict[str, float] = {}
    seconds: dict[str, float] = {}
    for source in ("grey", "mask"):
        for way, front_end in (("network", model), ("classical", None)):
            started_at = time.perf_counter()
            try:
                read, _ = read_surfaces(micro, source, seed, front_end)
                seconds[f"{source}, {way}"] = time.perf_counter() - started_at
                flow = grid_flow(read)
            except InvalidInputError:  # no fibres, no decision or no way through
                errors[source, way] = float("inf")
                continue
            errors[source, way] = float(np.log(flow.permeability / truth))
            if front_end is not None:
                spreads[source] = surface_spread(flow)
    return errors, spreads, seconds


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="K from surfaces that are read from micrographs and masks")
    parser.add_argument("--media", type=int, default=96)
    parser.add_argument("--pixels", type=int, default=64)
    options = parser.parse_args()
    model, console = load_surface_model(device="cpu"), Console()
    errors: dict[Key, list[float]] = defaultdict(list)
    spreads: dict[str, list[float]] = defaultdict(list)
    seconds: dict[str, list[float]] = defaultdict(list)
    fractions = []
    for place in range(options.media):
        micro = medium(place, options.media, options.pixels)
        fractions.append(micro.fibre_fraction)
        for store, values in zip((errors, spreads, seconds), errors_of(micro, place, model), strict=True):
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
        bands = [np.median(np.abs(ratios[known & (fractions >= a) & (fractions < b)])) for a, b in BANDS]
        numbers = (np.median(sizes), sizes.mean(), np.quantile(sizes, 0.9))
        cells = [f"{100 * number:.1f} %" for number in numbers]
        bias = f"{100 * np.median(ratios[known]):+.1f} %"
        table.add_row(source, way, *cells, bias, str(int((~known).sum())), *(f"{100 * band:.1f} %" for band in bands))
    return table


def spread_table(errors: dict[Key, list[float]], spreads: dict[str, list[float]]) -> Table:
    """Return how well the samples of the surfaces know the error of ln K, beside one deviation for all media."""
    table = Table(title="ln K: what the samples of the surfaces say of its error")
    for name in ("surfaces from", "deviation of ln K from", "CRPS", "in 90 %", "spread/error"):
        table.add_column(name)
    for source, values in spreads.items():
        error = np.array([value for value in errors[source, "network"] if np.isfinite(value)])
        drawn = np.array(values)
        for way, deviation in (("samples as drawn", drawn), ("one number, the best", np.full(len(error), error.std()))):
            crps = gaussian_crps(deviation, error).mean()
            inside = (np.abs(error) <= 1.645 * deviation).mean()
            ratio = np.sqrt((deviation**2).mean() / (error**2).mean())
            table.add_row(source, way, f"{100 * crps:.2f} %", f"{100 * inside:.0f} %", f"{ratio:.2f}")
    return table


if __name__ == "__main__":
    main()
