"""The embedded example: a tilted bundle and the micrographs that it is drawn as."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from resinflow.flow import Microstructure
from resinflow.media.bundles import BundleSettings, fibre_bundle
from resinflow.media.micrograph import draw_micrograph, save_stack

EXAMPLE = "tilted_bundle.tif"
_SEED = 11


def example_medium() -> Microstructure:
    """Return the medium behind the example: fibres of 11 um at a fraction of 0.45, tilted by up to 10 degrees."""
    settings = BundleSettings(volume_fraction=0.45, diameter=11e-6, diameter_scatter=0.06, misalignment=10.0)
    return fibre_bundle((11, 64, 64), (50e-6, 50e-6, 50e-6), seed=_SEED, settings=settings)


def draw_example(path: Path) -> Path:
    """Write the example as an 11-page TIFF of 64 x 64 pixels with blur, noise and a bright rim about the dark fibres."""
    return save_stack(path, draw_micrograph(example_medium(), seed=_SEED))


def example_path() -> Path:
    """Return where the package keeps the example."""
    return Path(str(files("resinflow"))) / "examples" / EXAMPLE
