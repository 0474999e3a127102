"""Lengths and permeabilities read in the units that engineers use."""

import pytest

from resinflow.flow.numbers import DARCY, format_length, format_permeability


def test_one_darcy_follows_from_its_definition():
    """1 darcy: 1 cm/s of a fluid of 1 cP under 1 atm/cm."""
    assert pytest.approx(1e-3 * 1e-2 / (101325 / 1e-2), rel=1e-7) == DARCY


def test_a_permeability_is_given_in_three_units():
    assert format_permeability(1.234e-12) == "1.234e-12 m^2 = 1.234 um^2 = 1.25 darcy"


@pytest.mark.parametrize(
    ("length", "text"),
    [(0.47e-6, "0.47 um"), (50e-6, "50 um"), (47e-9, "47 nm"), (1.5e-3, "1.5 mm"), (2.0, "2 m"), (0.0, "0 nm")],
)
def test_a_length_is_given_in_the_unit_in_which_it_reads_best(length, text):
    assert format_length(length) == text
