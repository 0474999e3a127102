"""Which phase the fibres are is decided rightly, or not at all, whatever the blur, the fraction and the size."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from resinflow.flow.errors import InvalidInputError
from resinflow.media.bundles import BundleSettings, fibre_bundle
from resinflow.media.images import from_image
from resinflow.media.micrograph import draw_micrograph
from resinflow.media.polarity import Decision
from resinflow.media.segment import decide_mask, segment

PIXEL = 0.5e-6


def section(diameter: float, fraction: float, seed: int):
    side = int(np.clip(round(9 * diameter), 64, 260))
    settings = BundleSettings(fraction, diameter * PIXEL, 0.1, 0.0, 0.05 * diameter * PIXEL)
    extent = (40 * diameter * PIXEL, side * PIXEL, side * PIXEL)
    return fibre_bundle((1, side, side), extent, seed=seed, settings=settings)


def drawn(medium, diameter: float, blur: float, *, dark: bool, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    contrast = rng.uniform(30, 110) * (1 if dark else -1)
    options: dict[str, Any] = {
        "fibre_grey": 125 - contrast / 2,
        "matrix_grey": 125 + contrast / 2,
        "noise": rng.uniform(0.02, 0.25) * abs(contrast),
        "rim": rng.uniform(0, 0.5),
        "gradient": rng.uniform(0, 0.4),
    }
    image = draw_micrograph(medium, seed=seed, blur=blur * diameter, **options)
    if seed % 3:
        return image
    stream = io.BytesIO()
    Image.fromarray(image[0]).save(stream, "JPEG", quality=60)
    return np.asarray(Image.open(stream))[None]


def decisions(diameters, fractions, blurs) -> list[str]:
    """``right``, ``wrong`` or ``none`` for every micrograph of both polarities."""
    answers = []
    for index, diameter in enumerate(diameters):
        for number, fraction in enumerate(fractions):
            medium = section(diameter, fraction, seed=100 * index + number)
            for blur in blurs:
                for dark in (True, False):
                    seed = len(answers)
                    image = drawn(medium, diameter, blur, dark=dark, seed=seed)
                    try:
                        polarity = segment(image).polarity
                    except InvalidInputError:
                        answers.append("none")
                    else:
                        answers.append("right" if polarity == ("dark" if dark else "bright") else "wrong")
    return answers


def test_the_polarity_of_drawn_micrographs_is_right_or_not_decided():
    answers = decisions((6, 12, 25), (0.1, 0.35, 0.6), (0.03, 0.1, 0.17))
    assert answers.count("wrong") == 0
    assert answers.count("none") <= 2


@pytest.mark.slow
def test_the_polarity_of_many_drawn_micrographs_is_right_or_not_decided():
    answers = decisions((5, 7, 10, 16, 24, 36, 55), (0.05, 0.15, 0.3, 0.45, 0.55, 0.65), (0.03, 0.07, 0.12, 0.18))
    assert answers.count("wrong") <= 1
    assert answers.count("none") <= 0.03 * len(answers)


def test_inverted_greys_have_the_other_polarity_by_the_same_evidence():
    medium = section(15, 0.5, seed=3)
    mask = medium.fluid
    one, other = decide_mask(~mask), decide_mask(mask)
    assert (one.polarity, other.polarity) == ("dark", "bright")
    assert one.evidence == pytest.approx(-other.evidence, rel=1e-6)


@pytest.mark.parametrize("diameter", [5.0, 9.0, 20.0, 45.0])
@pytest.mark.parametrize("fraction", [0.05, 0.3, 0.65])
def test_the_fibres_of_masks_are_found_whatever_their_size_and_fraction(diameter, fraction):
    for seed in range(3):
        fluid = section(diameter, fraction, seed=seed).fluid
        assert decide_mask(~fluid).polarity == "dark"


def test_an_image_without_sections_is_refused_with_the_options_to_say_it():
    rng = np.random.default_rng(2)
    stripes = 120 + 40 * np.sign(np.sin(np.arange(120) / 6))[:, None] + 5 * rng.standard_normal((120, 120))
    with pytest.raises(InvalidInputError, match="--fibres dark or --fibres bright") as error:
        segment(stripes)
    assert "\n" not in str(error.value)
    assert segment(stripes, cues={"network": 4.0}).polarity == "dark"
    assert segment(stripes, cues={"network": -4.0}).polarity == "bright"


def test_little_evidence_is_no_decision():
    assert Decision(0.5, {}).polarity is None
    assert (Decision(3.0, {}).polarity, Decision(-3.0, {}).polarity) == ("dark", "bright")


def test_the_medium_says_what_was_decided_and_why():
    medium = section(15, 0.4, seed=3)
    image = drawn(medium, 15, 0.1, dark=False, seed=1)
    notes = from_image(image, pixel_size=PIXEL, depth=50e-6).provenance["notes"]
    assert "fibres: brighter than the matrix, by its sections (centres -" in notes[-1]
    asked = from_image(image, pixel_size=PIXEL, depth=50e-6, fibres="bright").provenance["notes"]
    assert asked[-1] == "fibres: brighter than the matrix, as asked"
