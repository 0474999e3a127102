"""Units at the public edge: SI throughout, permeability also in the units that engineers quote."""

DARCY = 9.869233e-13
"""One darcy in m^2 (cP cm/s per atm/cm, exact to seven digits)."""

_UNITS = (("nm", 1e-9, 1e-7), ("um", 1e-6, 1e-3), ("mm", 1e-3, 1.0))
"""Name, metres in one, and the length (m) below which it reads best: half a micrometre is 0.5 um, not 500 nm."""


def format_permeability(permeability: float) -> str:
    """Return a permeability (m^2) in m^2, um^2 and darcy, e.g. ``1.234e-12 m^2 = 1.234 um^2 = 1.25 darcy``."""
    return f"{permeability:.4g} m^2 = {permeability * 1e12:.4g} um^2 = {permeability / DARCY:.4g} darcy"


def format_length(length: float) -> str:
    """Return a length (m) in the unit in which it reads best, e.g. ``0.47 um``."""
    for name, metres, limit in _UNITS:
        if abs(length) < limit:
            return f"{length / metres:.4g} {name}"
    return f"{length:.4g} m"
