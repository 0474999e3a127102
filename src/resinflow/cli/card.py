"""The data card: equations, recipe and statistics of a data set, as one page with its figure."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from resinflow.data import QUANTITIES, DataSummary, FlowSource, open_flows, summarise
from resinflow.evaluate import TextTable
from resinflow.flow import InvalidInputError, format_length, replacing
from resinflow.view import Histogram, histogram_figure

_PERCENTILES = (0, 10, 50, 90, 100)
_LENGTHS = {"width", "depth", "diameter", "minimum_gap", "wavelength"}
_UNITS = {
    "misalignment": "degrees",
    "waviness": "degrees",
    "pressure_drop": "Pa",
    "viscosity": "Pa s",
}
_PHYSICS = """\
Steady Stokes flow, `-grad p + mu lap v = 0` and `div v = 0`, driven along x through the whole box:

- `v = 0` on the fibres;
- `p = pressure drop` on the inlet face x = 0 and `p = 0` on the outlet face, with zero normal gradient of the velocity;
- symmetry on the other four faces: no flow through them, no shear stress.

Three flows are stored for every medium: the 3-D flow above; the planar flow, in which every slice is solved by itself (vz = 0);
and the response flow, an approximation that conserves mass at the price of one Poisson solve. Where the recipe asks for a
refinement, the 3-D flow is solved on a finer grid and averaged onto the stored one (means over the voxels, those that a fibre
surface cuts included), and the solver's flow on the stored grid is kept beside it. The permeability is
`K = mu U L / pressure drop` with the velocity U averaged over the whole box, fibres included. Stokes flow is linear: velocities
scale with pressure drop over viscosity, so that one choice of both stands for all.
"""


def write_card(data: Path, output: Path, figure: Path, watch: Callable[[int, int], None] | None = None) -> DataSummary:
    """Write the card of a data set and its figure, and return its numbers.

    Args:
        data: a store or a folder in the published layout; complete, with a split.
        output: the page (.md).
        figure: .png, .svg or .pdf.
        watch: called with the numbers of read and of all samples.

    Raises:
        InvalidInputError: an output that is no .md, a data set without a split or with missing samples.
    """
    if output.suffix != ".md":
        raise InvalidInputError(f"the card is to be {output.name}; needed: a name that ends in .md.")
    source = open_flows(data)
    summary = summarise(source, watch)
    histogram_figure(card_panels(summary), figure)
    link = os.path.relpath(figure.absolute(), output.absolute().parent).replace(os.sep, "/")
    with replacing(output) as temporary:
        temporary.write_text(card_text(source, summary, link), encoding="utf-8")
    return summary


def card_answer(summary: DataSummary) -> dict[str, Any]:
    """Return the parts of the split and percentiles of what came out, as plain JSON types; K in m^2, the others are ratios."""
    return {
        "splits": {part: len(indices) for part, indices in summary.parts.items()},
        "percentiles": list(_PERCENTILES),
        "quantities": {
            f"{name}_m2" if quantity.unit == "m^2" else name: np.percentile(summary.values[name], _PERCENTILES).tolist()
            for name, quantity in QUANTITIES.items()
        },
    }


def card_panels(summary: DataSummary) -> list[Histogram]:
    """Return one histogram a quantity, by part of the split."""
    return [
        Histogram(
            _with_unit(quantity.title, quantity.unit),
            {part: summary.values[name][indices] for part, indices in summary.parts.items()},
            quantity.logarithmic,
        )
        for name, quantity in QUANTITIES.items()
    ]


def card_text(source: FlowSource, summary: DataSummary, figure: str) -> str:
    """Return the page, in Markdown.

    Args:
        source: the data set.
        summary: its numbers.
        figure: link to the figure, relative to the page.
    """
    nz, ny, nx = source.shape
    name = Path(str(source.path)).name
    total = len(source)
    sections = [
        f"# Data card: {name}",
        f"{total} samples of {nx} x {ny} x {nz} voxels (x, y, z). Written by `resinflow data card`.",
        "## What is solved",
        _PHYSICS.rstrip(),
        "## What was asked",
        _asked(source.attributes),
        "## Split",
        "By the identity of the media: mirrored and rotated copies of one medium fall into one part. Statistics that\n"
        "scale the networks come from the training part alone.",
        TextTable(
            ("part", "samples", "share"),
            tuple((part, str(len(indices)), f"{len(indices) / total:.1%}") for part, indices in summary.parts.items()),
        ).markdown(),
        "## What came out",
        TextTable(
            ("quantity", "smallest", "10th percentile", "median", "90th percentile", "largest"),
            tuple(
                (_with_unit(quantity.title, quantity.unit), *_percentiles(summary.values[key]))
                for key, quantity in QUANTITIES.items()
            ),
        ).markdown(),
        f"![Histograms of these quantities by part of the split]({figure})",
    ]
    return "\n\n".join(sections) + "\n"


def _asked(attributes: Mapping[str, Any]) -> str:
    recipe = attributes.get("recipe", {})
    if "converted_from" in recipe:
        flows = ", ".join(f"{count} along {axis}" for axis, count in attributes["layout"]["cases"].items())
        rows = [("converted from the published layout", flows)]
        rows += [(_words(key), _value(key, attributes[key])) for key in ("pressure_drop", "viscosity")]
    else:
        rows = [(_words(key), _value(key, value)) for key, value in recipe.items()]
    table = TextTable(("option", "value"), tuple(rows), names=2).markdown()
    if "converted_from" in recipe:
        return table
    return (
        "Ranges are drawn from uniformly, once a sample. The tolerance bounds the relative error of the discrete K.\n\n" + table
    )


def _value(key: str, value: Any) -> str:
    if isinstance(value, (list, tuple)) and len(value) == 3:  # in array order, as shapes are
        return f"{' x '.join(str(count) for count in reversed(value))} (x, y, z)"
    if isinstance(value, (list, tuple)):
        low, high = (_value(key, end) for end in value)
        return low if low == high else f"{low} to {high}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if key in _LENGTHS:
        return format_length(value)
    return f"{value:g} {_UNITS.get(key, '')}".rstrip() if isinstance(value, (int, float)) else str(value)


def _with_unit(title: str, unit: str) -> str:
    return title if unit == "1" else f"{title}, {unit}"


def _words(key: str) -> str:
    return key.replace("_", " ")


def _percentiles(values: np.ndarray) -> list[str]:
    return [f"{value:.3g}" for value in np.percentile(values, _PERCENTILES)]
