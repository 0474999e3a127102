"""The permeability of a tow from its images: tables of many media."""

from resinflow.tow.many import Entry, TableOptions, measure_media
from resinflow.tow.rows import COLUMNS, TABLE_SUFFIXES, gebart_values, tensor_rows

__all__ = [
    "COLUMNS",
    "TABLE_SUFFIXES",
    "Entry",
    "TableOptions",
    "gebart_values",
    "measure_media",
    "tensor_rows",
]
