"""Claims about the words of the page: options of the command line have the names that the page gives them."""

from __future__ import annotations

import pytest

from resinflow.app.page_words import in_page_words
from resinflow.app.resins import RESINS


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("say it by --fibres dark or --fibres bright", "say it by dark fibres or bright fibres"),
        ("used as --crop 0:64,0:64", "used as the part of the image 0:64,0:64"),
        ("--pixel-size tag takes it", "the file's own pixel size takes it"),
        ("--depth-of-field is no option", "--depth-of-field is no option"),
        ("K = 1e-12 m^2", "K = 1e-12 m^2"),
    ],
)
def test_options_become_names_of_the_page(line: str, words: str):
    assert in_page_words(line) == words


def test_every_resin_has_a_positive_viscosity_a_condition_and_a_source():
    assert len({resin.name for resin in RESINS}) == len(RESINS)
    assert all(resin.viscosity > 0 and resin.condition and resin.source for resin in RESINS)
