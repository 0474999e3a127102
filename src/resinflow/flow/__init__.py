"""The physical values that every room speaks: microstructures, drives, flow fields, reports, and their files."""

from resinflow.flow.atomic import replacing
from resinflow.flow.drive import Boundary, Drive, DriveOptions, Lateral
from resinflow.flow.errors import (
    BlockedMediumError,
    ConvergenceError,
    InvalidInputError,
    MissingDependencyError,
    ResinflowError,
    Terminated,
)
from resinflow.flow.field import Base, FlowField, check_flow
from resinflow.flow.files import FLOW_SUFFIXES, check_flow_target
from resinflow.flow.grid import COMPONENTS, Faces, Factors, Spacing, blocks, recover_faces, turned, turned_vectors
from resinflow.flow.medium_file import load_medium, save_medium
from resinflow.flow.microstructure import AXES, Axis, Microstructure, check_medium
from resinflow.flow.numbers import (
    DARCY,
    check_image_sizes,
    check_positive,
    check_type,
    check_whole,
    format_length,
    format_permeability,
    ratio,
    rms,
)
from resinflow.flow.permeability import PermeabilityTensor
from resinflow.flow.recipe_file import (
    first_fault,
    option,
    read_recipe,
    read_titles,
    read_values,
    read_variants,
    split_variant,
    with_options,
)
from resinflow.flow.report import LEVEL, REACH, Certificate, ModelReport, RelativeSpread, SolverReport, Spread
from resinflow.flow.sizes import check_npy, check_npz, check_size
from resinflow.flow.surface import (
    SURFACES,
    SurfaceSource,
    interpolation_places,
    refined_medium,
    surface_distance,
    surface_source,
    with_surface,
)

__all__ = [
    "AXES",
    "COMPONENTS",
    "DARCY",
    "FLOW_SUFFIXES",
    "LEVEL",
    "REACH",
    "SURFACES",
    "Axis",
    "Base",
    "BlockedMediumError",
    "Boundary",
    "Certificate",
    "ConvergenceError",
    "Drive",
    "DriveOptions",
    "Faces",
    "Factors",
    "FlowField",
    "InvalidInputError",
    "Lateral",
    "Microstructure",
    "MissingDependencyError",
    "ModelReport",
    "PermeabilityTensor",
    "RelativeSpread",
    "ResinflowError",
    "SolverReport",
    "Spacing",
    "Spread",
    "SurfaceSource",
    "Terminated",
    "blocks",
    "check_flow",
    "check_flow_target",
    "check_image_sizes",
    "check_medium",
    "check_npy",
    "check_npz",
    "check_positive",
    "check_size",
    "check_type",
    "check_whole",
    "first_fault",
    "format_length",
    "format_permeability",
    "interpolation_places",
    "load_medium",
    "option",
    "ratio",
    "read_recipe",
    "read_titles",
    "read_values",
    "read_variants",
    "recover_faces",
    "refined_medium",
    "replacing",
    "rms",
    "save_medium",
    "split_variant",
    "surface_distance",
    "surface_source",
    "turned",
    "turned_vectors",
    "with_options",
    "with_surface",
]
