"""A bundle, its micrograph, and how a library call is refused: what the tests of images share."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from resinflow.flow.errors import InvalidInputError
from resinflow.flow.microstructure import Microstructure
from resinflow.media.bundles import BundleSettings, fibre_bundle
from resinflow.media.micrograph import draw_micrograph, save_stack

PIXEL = 50e-6 / 64
SIZES: dict[str, Any] = {"pixel_size": PIXEL, "depth": 50e-6}


@cache
def drawn_bundle() -> Microstructure:
    """Five slices of 64 x 64 pixels."""
    return fibre_bundle((5, 64, 64), (50e-6, 50e-6, 50e-6), seed=4, volume_fraction=0.45)


@cache
def drawn_greys() -> NDArray[np.uint8]:
    """Its micrograph."""
    return draw_micrograph(drawn_bundle(), seed=1)


def save_small_stack(path: Path) -> Path:
    """Save a grey stack of three slices of 32 x 32 pixels."""
    settings = BundleSettings(volume_fraction=0.4, diameter=10e-6, misalignment=8)
    micro = fibre_bundle((3, 32, 32), (12e-6, 30e-6, 30e-6), seed=6, settings=settings)
    return save_stack(path, draw_micrograph(micro, seed=1))


def refusal(call: Callable[..., Any], *args: Any, **options: Any) -> str:
    """Call what must refuse its arguments, and return its one line."""
    with pytest.raises(InvalidInputError) as error:
        call(*args, **options)
    assert "\n" not in str(error.value)
    return str(error.value)
