"""Claims about the embedded example: it is what its generator draws, and its segmentation finds the fibres."""

from __future__ import annotations

from pathlib import Path

import pytest
import tifffile

from resinflow.cli.demo import EXAMPLE_OPTIONS
from resinflow.flow import Microstructure
from resinflow.media import BundleSettings, draw_micrograph, example_path, fibre_bundle, is_extruded, save_stack
from tests.measures import dice

SEED = 11


def example_medium() -> Microstructure:
    """The medium behind the example: fibres of 11 um at a fraction of 0.45, tilted by up to 10 degrees."""
    settings = BundleSettings(volume_fraction=0.45, diameter=11e-6, diameter_scatter=0.06, misalignment=10.0)
    return fibre_bundle((11, 64, 64), (50e-6, 50e-6, 50e-6), seed=SEED, settings=settings)


def draw_example(path: Path) -> Path:
    """Write the example: blur, noise and a bright rim about the dark fibres."""
    return save_stack(path, draw_micrograph(example_medium(), seed=SEED))


def test_the_embedded_stack_is_what_the_generator_draws(tmp_path: Path) -> None:
    drawn, kept = (tifffile.imread(path) for path in (draw_example(tmp_path / "again.tif"), example_path()))
    assert kept.shape == (11, 64, 64)
    assert abs(drawn.astype(int) - kept.astype(int)).max() <= 1  # a grey level of rounding between platforms


def test_segmentation_of_the_embedded_stack_finds_its_fibres() -> None:
    truth, found = example_medium(), EXAMPLE_OPTIONS.read(example_path())
    assert dice(~truth.fluid, ~found.fluid) > 0.95
    assert found.fibre_fraction == pytest.approx(truth.fibre_fraction, abs=0.02)
    assert not is_extruded(found)
