"""Claims about the front end that comes with the package."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from resinflow.evaluate.surfaces import photograph, read_surfaces
from resinflow.flow.microstructure import Microstructure
from resinflow.flow.report import ModelReport
from resinflow.media.bundles import BundleSettings, fibre_bundle
from resinflow.media.image_files import read_picture
from resinflow.media.imaging import draw_imaging, image_of
from resinflow.media.specimens import SpecimenRanges, draw_specimen
from resinflow.models.calibration import surface_spread
from resinflow.presets.families import load_model
from resinflow.presets.surface.model import SurfaceModel, load_surface_model
from resinflow.presets.surface.reading import from_image
from resinflow.stokes.stored import grid_flow

REAL = Path(__file__).parents[2] / "shared" / "real"
SHAPE, EXTENT = (11, 64, 64), (50e-6, 50e-6, 50e-6)
PIXEL = EXTENT[1] / SHAPE[1]


@pytest.fixture(scope="module")
def model() -> SurfaceModel:
    return load_surface_model()


def bundle(seed: int, fraction: float, diameter: float = 11e-6) -> Microstructure:
    settings = BundleSettings(volume_fraction=fraction, diameter=diameter, misalignment=8)
    return fibre_bundle(SHAPE, EXTENT, seed=seed, settings=settings)


def test_the_polarity_of_drawn_images_is_told_right(model: SurfaceModel) -> None:
    """Diameters of 6 to 40 pixels, blur of 0.03 to 0.18 diameters, seeds of no training; either sign of the greys."""
    ranges = SpecimenRanges(diameter=(6.0, 40.0), volume_fraction=(0.1, 0.65), masks=0.0)
    right = []
    for seed in range(60):
        rng = np.random.default_rng([31, seed])
        specimen = draw_specimen((3, 96, 96), rng, ranges)
        sign = 1.0 if seed % 2 else -1.0
        evidence = model.dark_fibres(sign * specimen.image, mask=False, step=specimen.step)
        right.append(np.sign(evidence) == sign)
    assert np.mean(right) >= 0.95


def test_surfaces_of_micrographs_and_masks_lie_within_seven_hundredths_of_a_pixel(model: SurfaceModel) -> None:
    errors: dict[str, list[float]] = {"grey": [], "mask": []}
    for seed in range(6):
        micro = bundle(7000 + seed, 0.35 + 0.05 * seed)
        assert micro.signed_distance is not None
        exact = np.asarray(micro.signed_distance) / PIXEL
        near = np.abs(exact) < 1
        for kind in ("grey", "mask"):
            read, _ = read_surfaces(micro, kind, seed, model)
            assert read.signed_distance is not None
            errors[kind].append(float(np.abs(np.asarray(read.signed_distance) / PIXEL - exact)[near].mean()))
    assert np.mean(errors["grey"]) < 0.07
    assert np.mean(errors["mask"]) < 0.07


def test_permeability_from_micrographs_and_masks_is_nearer_than_without_the_network(model: SurfaceModel) -> None:
    """Against the exact surfaces of the same bundles on the same grid; means of ``|ln K|`` over six bundles."""
    errors: dict[tuple[str, bool], list[float]] = {}
    for seed in range(6):
        micro = bundle(7100 + seed, 0.36 + 0.04 * seed)
        truth = grid_flow(micro).permeability
        for kind in ("grey", "mask"):
            for front_end in (model, None):
                read, _ = read_surfaces(micro, kind, seed, front_end)
                error = abs(np.log(grid_flow(read).permeability / truth))
                errors.setdefault((kind, front_end is None), []).append(float(error))
    means = {key: float(np.mean(values)) for key, values in errors.items()}
    assert means["grey", False] < 0.035
    assert means["mask", False] < 0.035
    assert means["grey", False] < 0.5 * means["grey", True]
    assert means["mask", False] < means["mask", True]


def test_samples_of_the_surfaces_spread_permeability_more_where_the_image_is_worse(model: SurfaceModel) -> None:
    micro = bundle(7200, 0.5)
    spreads = []
    for blur, noise in ((0.6, 2.0), (2.5, 25.0)):
        assert micro.signed_distance is not None
        distance = np.asarray(micro.signed_distance, dtype=np.float64) / PIXEL
        rng = np.random.default_rng(3)
        imaging = replace(draw_imaging(rng, 14.0), blur=blur, noise=noise / 55, light=0, rings=0, voids=0, hollow=0, texture=0)
        image = image_of(distance, 1, imaging, rng)
        read = from_image(image, pixel_size=PIXEL, depth=EXTENT[0])
        spreads.append(surface_spread(grid_flow(read)))
    assert 0.002 < spreads[0] < spreads[1] < 1


def test_a_micrograph_is_dark_or_bright_and_blurred_by_its_diameter() -> None:
    micro = bundle(7300, 0.45)
    traits = [photograph(micro, seed)[1] for seed in range(12)]
    parts = [one["blur"] / one["diameter_pixels"] for one in traits]
    assert min(parts) >= 0.04
    assert max(parts) <= 0.10
    greys = [photograph(micro, seed)[0][~micro.fluid].mean() for seed in range(12)]
    assert min(greys) < 110 < 130 < max(greys)


@pytest.mark.parametrize(
    ("name", "dice"), [("ud_composite_ct_slice.tif", 0.89), ("fcn_crop.png", 0.89), ("carbon0103_inner.png", None)]
)
def test_real_slices_are_read_without_options(name: str, dice: float | None) -> None:
    if not REAL.is_dir():
        pytest.skip("the real slices are not here")
    micro = from_image(REAL / name, pixel_size="1um", depth="10um", slices=1)
    how = micro.provenance["segmentation"]
    assert how["polarity"] == ("dark" if name.startswith("ud") else "bright")
    if dice is None:
        return
    mask = read_picture(REAL / f"{Path(name).stem}_mask.png").values
    fibre = (mask.reshape(*mask.shape[:3], -1).max(axis=-1) if mask.ndim == 4 else mask)[0] > 0
    found = ~micro.fluid[0]
    assert 2 * (found & fibre).sum() / (found.sum() + fibre.sum()) >= dice


def test_a_real_slice_of_half_the_resolution_has_the_same_fibres_and_permeability() -> None:
    if not REAL.is_dir():
        pytest.skip("the real slices are not here")
    page = read_picture(REAL / "ud_composite_ct_slice.tif").values[0]
    half = np.rint(page.reshape(150, 2, 75, 2).mean(axis=(1, 3))).astype(np.uint8)
    whole, smaller = (
        from_image(greys, pixel_size=pixel, depth="10um", slices=1) for greys, pixel in ((page, 0.47e-6), (half, 0.94e-6))
    )
    for medium in (whole, smaller):
        assert medium.provenance["surface"] == "read from the greys by the classical segmentation"
    assert smaller.fibre_fraction == pytest.approx(whole.fibre_fraction, abs=0.02)
    assert grid_flow(smaller).permeability == pytest.approx(grid_flow(whole).permeability, rel=0.2)


def test_surfaces_by_thresholds_have_the_interval_of_their_errors() -> None:
    """A third off is usual for them, which the law of exact surfaces would not know."""
    micro = bundle(7305, 0.5)
    greys, _ = photograph(micro, 1)
    predictor = load_model("small", device="cpu")
    read, classical = (
        predictor.predict(from_image(greys, pixel_size=PIXEL, depth=EXTENT[0], front_end=name))
        for name in ("learned", "classical")
    )
    widths = []
    for flow in (read, classical):
        assert isinstance(flow.report, ModelReport)
        assert flow.report.permeability_parts is not None
        assert flow.report.permeability_parts["fibre surfaces"] > flow.report.permeability_parts["model"]
        low, high = flow.permeability_interval or (0.0, 0.0)
        widths.append((high - low) / flow.permeability)
    assert widths[1] > 0.4 > widths[0]
