"""Microstructures: random fibre bundles, images and stacks, known media, and what is plausible for them."""

from resinflow.media.array_formulas import berdichevsky_cai_permeability, drummond_tahir_permeability
from resinflow.media.benchmark import BENCHMARK_SHAPE, BENCHMARK_TOW, BENCHMARK_VOXEL, benchmark_tow
from resinflow.media.bundle_shape import BundleShape, measure_bundle
from resinflow.media.bundles import BundleSettings, draw_fibres, fibre_bundle, packed_fibres, provenance_of
from resinflow.media.cases import (
    Arrangement,
    Direction,
    ReferenceCase,
    fibre_array,
    plane_channel,
    rectangular_duct,
    table_fractions,
)
from resinflow.media.fibre_fit import fitted_surfaces
from resinflow.media.fibres import BoxBoundary, Fibres, Wave
from resinflow.media.front_end import FibreSurfaces, FrontEnd
from resinflow.media.image_files import count_slices
from resinflow.media.images import EXTRUDED_SLICES, ImageOptions, from_image, read_part, read_stack
from resinflow.media.imaging import normalised_greys
from resinflow.media.medium import example_path, is_extruded, read_medium
from resinflow.media.micrograph import STACK_SUFFIXES, draw_micrograph, save_stack
from resinflow.media.plausibility import fibre_diameter_warning, gebart_permeability, gebart_warning, slice_spacing_warning
from resinflow.media.prior_draws import PriorEngine
from resinflow.media.scale import checked_sizes, scale_tag
from resinflow.media.sections import SectionMap, Sections, estimate_fibre_diameter, fibre_sections, section_map
from resinflow.media.segment import SMALLEST_IMAGE, Segmentation, SegmentationSettings, segment
from resinflow.media.serial_sections import SerialSections, lay_sections
from resinflow.media.slope_laws import PackedSlopes, SlopeLaw, Stand
from resinflow.media.specimens import Specimen, SpecimenRanges, draw_specimen
from resinflow.media.strokes import Stroke, load_strokes, painted, save_strokes
from resinflow.media.tilts import draw_bundle_slope
from resinflow.media.unseen import (
    BROAD_MISALIGNMENT,
    SliceEngine,
    SliceView,
    drawn_misalignment,
    provenance_of_draw,
    view_slices,
)
from resinflow.media.weaves import WeaveSettings, plain_weave

__all__ = [
    "BENCHMARK_SHAPE",
    "BENCHMARK_TOW",
    "BENCHMARK_VOXEL",
    "BROAD_MISALIGNMENT",
    "EXTRUDED_SLICES",
    "SMALLEST_IMAGE",
    "STACK_SUFFIXES",
    "Arrangement",
    "BoxBoundary",
    "BundleSettings",
    "BundleShape",
    "Direction",
    "FibreSurfaces",
    "Fibres",
    "FrontEnd",
    "ImageOptions",
    "PackedSlopes",
    "PriorEngine",
    "ReferenceCase",
    "SectionMap",
    "Sections",
    "Segmentation",
    "SegmentationSettings",
    "SerialSections",
    "SliceEngine",
    "SliceView",
    "SlopeLaw",
    "Specimen",
    "SpecimenRanges",
    "Stand",
    "Stroke",
    "Wave",
    "WeaveSettings",
    "benchmark_tow",
    "berdichevsky_cai_permeability",
    "checked_sizes",
    "count_slices",
    "draw_bundle_slope",
    "draw_fibres",
    "draw_micrograph",
    "draw_specimen",
    "drawn_misalignment",
    "drummond_tahir_permeability",
    "estimate_fibre_diameter",
    "example_path",
    "fibre_array",
    "fibre_bundle",
    "fibre_diameter_warning",
    "fibre_sections",
    "fitted_surfaces",
    "from_image",
    "gebart_permeability",
    "gebart_warning",
    "is_extruded",
    "lay_sections",
    "load_strokes",
    "measure_bundle",
    "normalised_greys",
    "packed_fibres",
    "painted",
    "plain_weave",
    "plane_channel",
    "provenance_of",
    "provenance_of_draw",
    "read_medium",
    "read_part",
    "read_stack",
    "rectangular_duct",
    "save_stack",
    "save_strokes",
    "scale_tag",
    "section_map",
    "segment",
    "slice_spacing_warning",
    "table_fractions",
    "view_slices",
]
