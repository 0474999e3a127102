"""The command `resinflow permeability`: the tensor of a medium, or a table of many."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from rich.console import Console

from resinflow.cli.answer import AsJson, print_json
from resinflow.cli.console import counting, make_console, print_medium_line, working
from resinflow.cli.options import FLAT, OUTPUT, MediumOptions
from resinflow.cli.outputs import check_outputs
from resinflow.flow import (
    FLOW_SUFFIXES,
    InvalidInputError,
    Microstructure,
    PermeabilityTensor,
    address_of,
    format_length,
    format_permeability,
)

if TYPE_CHECKING:
    from resinflow.tow import Entry

_TABLES = (".csv", ".json")
"""tow.TABLE_SUFFIXES, which would load heavy libraries."""


@dataclass(frozen=True)
class TensorOptions:
    """How a tensor is solved."""

    boundary: Literal["pressure", "periodic"] = "pressure"
    """Inlet and outlet pressure, or periodic in all directions with a mean pressure gradient, for media that repeat."""

    lateral: Literal["symmetry", "periodic", "no-slip"] | None = None
    """The other faces of a pressure-driven box; symmetry by default."""

    tolerance: float = 1e-6
    """Relative error of K at which the iteration stops."""

    max_iterations: int = 300
    """Most iterations along an axis before the solver gives up."""

    wall_rule: Literal["auto", "plain", "gap", "surface"] = "auto"
    """Where the walls are: surface (the fibre surfaces that a grey image tells), plain or gap (the faces of the voxels)."""

    def check(self) -> None:
        """Refuse sides that a periodic box does not have, and tolerances out of range."""
        if self.boundary == "periodic" and self.lateral not in (None, "periodic"):
            raise InvalidInputError(
                f"--lateral {self.lateral} goes with --boundary pressure; a periodic box is periodic on all sides. "
                "Leave --lateral out."
            )
        if not 0 < self.tolerance < 1:
            raise InvalidInputError(f"--tolerance is {self.tolerance:g}; needed: above 0 and below 1, e.g. 1e-6.")
        if self.max_iterations < 1:
            raise InvalidInputError(f"--max-iterations is {self.max_iterations}; needed: 1 or more.")

    def measure(self, micro: Microstructure) -> PermeabilityTensor:
        """Return the tensor of a medium."""
        from resinflow.stokes import permeability_tensor

        return permeability_tensor(
            micro,
            boundary=self.boundary,
            lateral=self.lateral or "symmetry",
            tolerance=self.tolerance,
            max_iterations=self.max_iterations,
            wall_rule=self.wall_rule,
        )


def permeability(
    *media: Path,
    image: Annotated[MediumOptions, FLAT] = MediumOptions(),
    options: Annotated[TensorOptions, FLAT] = TensorOptions(),
    output: Annotated[Path | None, OUTPUT] = None,
    as_json: AsJson = False,
) -> None:
    """Find the permeability tensor of a medium with its principal axes, or a table of many media.

    Of several media those that fail are rows with their reason; the others go on, and the status is 2. Running again continues.

    Example: resinflow permeability sections/*.tif --pixel-size 0.47um -o table.csv

    Parameters
    ----------
    media
        Grey images or stacks (.tif, .png, .npy), or media and flow fields saved before (.vti, .npz, .nc, .zarr). A single
        image needs no --depth: K does not depend on it.
    output
        Save a table (.csv or .json), one row a medium and axis.
    """
    from resinflow.tow import TableOptions, measure_media

    if not media:
        raise InvalidInputError("no medium is named; needed: an image, a stack or a saved medium, or several.")
    options.check()
    check_outputs((output, _TABLES))
    console = make_console(as_json=as_json)
    if len(media) == 1:
        sized(image, media[0]).check(media[0])
    elif image.pixel_size is None and all(path.suffix.lower() not in FLOW_SUFFIXES for path in media):
        sized(image, media[0]).check(media[0])  # what all lack is said before the work
    table = TableOptions(
        output,
        {"image": asdict(image), "options": asdict(options)},
        one_pixel_size=image.pixel_size == "tag",
    )

    def read(path: Path) -> Microstructure:
        micro = read_sized(image, path)
        if len(media) == 1:
            print_medium_line(console, micro, path.name)
        return micro

    with working(console, "solver") if len(media) == 1 else counting(console, "media") as count:
        watch = None if count is None else lambda entry, place, total: count(place, total)
        entries = measure_media(media, read, options.measure, table, watch=watch)
    if len(entries) == 1 and entries[0].tensor is not None:
        print_tensor(console, PermeabilityTensor.from_dict(entries[0].tensor))
    elif len(entries) > 1:
        _print_table(console, entries)
    if output is not None:
        console.print(f"wrote {output}")
    if as_json:
        print_json({"media": [_answer(entry) for entry in entries], "failures": sum(bool(entry.error) for entry in entries)})
    _end(entries)


def print_tensor(console: Console, tensor: PermeabilityTensor) -> None:
    """Print the tensor, its principal axes, K in all units with Gebart's values, and what a careful reader must know."""
    from resinflow.evaluate import TextTable
    from resinflow.tow import gebart_values

    rows = tensor.in_unit("um^2")
    cells = tuple((axis, *(f"{value:.4g}" for value in row)) for axis, row in zip("xyz", rows, strict=True))
    console.print(TextTable(("K, um^2", "x", "y", "z"), cells, tensor.conditions).terminal())
    for place, axis in enumerate("xyz"):
        console.print(f"K{axis}{axis} = {format_permeability(tensor.diagonal[place])}")
    ways = tensor.principal_directions.round(3) + 0.0  # no -0
    for number, (value, way) in enumerate(zip(tensor.principal_values, ways, strict=True), 1):
        console.print(f"K{number} = {value * 1e12:.4g} um^2 along ({way[0]:.3f}, {way[1]:.3f}, {way[2]:.3f})")
    console.print(tensor.statement)
    gebart = gebart_values(tensor)
    if gebart is not None and tensor.fibre_diameter is not None:
        console.print(
            f"Gebart, for fibres of {format_length(tensor.fibre_diameter)} along z (hexagonal array of the same fraction): "
            f"across {gebart[0] * 1e12:.4g} um^2, along {gebart[2] * 1e12:.4g} um^2 (about twice the K of the exact array)"
        )
    for warning in tensor.warnings:
        console.print(f"note: {warning}", style="yellow")
    console.print(f"{tensor.wall_time:.1f} s; estimated errors of K by the iteration {max(tensor.errors):.1e}")


def _print_table(console: Console, entries: list[Entry]) -> None:
    from resinflow.evaluate import TextTable

    cells = []
    for entry in entries:
        values = [f"{float(row['K_um2']):.4g}" for row in entry.rows] if not entry.error else ["-"] * 3
        fraction = "-" if entry.error else f"{float(entry.rows[0]['fibre_fraction']):.3f}"
        cells.append((Path(entry.medium).name, *values, fraction, entry.error))
    table = TextTable(("medium", "Kxx, um^2", "Kyy, um^2", "Kzz, um^2", "fibre fraction", "error"), tuple(cells))
    console.print(table.terminal())


def _answer(entry: Entry) -> dict[str, Any]:
    """What a table holds of a medium; of one that an earlier run solved, its rows."""
    return {"medium": entry.medium, "error": entry.error or None, "tensor": entry.tensor, "rows": list(entry.rows)}


def _end(entries: list[Entry]) -> None:
    """Raise InvalidInputError where media failed."""
    failures = [entry for entry in entries if entry.error]
    if not failures:
        return
    if len(entries) == 1:
        raise InvalidInputError(failures[0].error)
    raise InvalidInputError(
        f"{len(failures)} of {len(entries)} media failed; the first is {Path(failures[0].medium).name}: {failures[0].error}"
    )


def read_sized(image: MediumOptions, path: Path) -> Microstructure:
    """Return the medium in a file, a single image as one slice."""
    options = sized(image, path)
    options.check(path)
    return options.read(path)


def sized(image: MediumOptions, path: Path) -> MediumOptions:
    """Return the options with a depth and one slice for a single image, whose K does not depend on them."""
    if image.depth is not None or path.suffix.lower() in FLOW_SUFFIXES or not address_of(path)[0].exists():
        return image
    if image.pixel_size is None or path.is_dir():
        return replace(image, depth=image.depth if path.is_dir() else "1um")
    from resinflow.media import count_slices

    if count_slices(path) > 1:
        return image
    return replace(image, depth="1um" if image.pixel_size == "tag" else image.pixel_size, slices=image.slices or 1)
