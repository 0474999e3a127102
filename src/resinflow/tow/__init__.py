"""The permeability of a tow from its images: tables of many media, windows, conditions, and how sure K is."""

from resinflow.tow.assess import TowAnswer, TowOptions, assess_tow
from resinflow.tow.budget import Budget, Source
from resinflow.tow.conditions import CONDITIONS, RECOMMENDED, Condition, permeability_under, sides_of
from resinflow.tow.many import Entry, TableOptions, measure_media
from resinflow.tow.representativity import Representativity, SizeStatistics, size_statistics
from resinflow.tow.rows import COLUMNS, TABLE_SUFFIXES, gebart_values, tensor_rows
from resinflow.tow.upscale import upscaled_tensor
from resinflow.tow.window_map import MAP_SUFFIXES, WindowMap
from resinflow.tow.windows import WindowOptions, measure_windows, window_edges

__all__ = [
    "COLUMNS",
    "CONDITIONS",
    "MAP_SUFFIXES",
    "RECOMMENDED",
    "TABLE_SUFFIXES",
    "Budget",
    "Condition",
    "Entry",
    "Representativity",
    "SizeStatistics",
    "Source",
    "TableOptions",
    "TowAnswer",
    "TowOptions",
    "WindowMap",
    "WindowOptions",
    "assess_tow",
    "gebart_values",
    "measure_media",
    "measure_windows",
    "permeability_under",
    "sides_of",
    "size_statistics",
    "tensor_rows",
    "upscaled_tensor",
    "window_edges",
]
