"""Claims about the embedded example: it is what its generator draws, and its segmentation finds the fibres."""

from __future__ import annotations

from pathlib import Path

import pytest
import tifffile

from resinflow.cli.demo import EXAMPLE_OPTIONS
from resinflow.media.example import draw_example, example_medium, example_path
from resinflow.media.medium import is_extruded
from resinflow.media.segment import dice


def test_the_embedded_stack_is_what_the_generator_draws(tmp_path: Path) -> None:
    drawn, kept = (tifffile.imread(path) for path in (draw_example(tmp_path / "again.tif"), example_path()))
    assert kept.shape == (11, 64, 64)
    assert abs(drawn.astype(int) - kept.astype(int)).max() <= 1  # a grey level of rounding between platforms


def test_segmentation_of_the_embedded_stack_finds_its_fibres() -> None:
    truth, found = example_medium(), EXAMPLE_OPTIONS.read(example_path())
    assert dice(~truth.fluid, ~found.fluid) > 0.95
    assert found.fibre_fraction == pytest.approx(truth.fibre_fraction, abs=0.02)
    assert not is_extruded(found)
