"""Models by name: where their weights are, and what solves the flows that they start from."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from resinflow.flow import InvalidInputError
from resinflow.models import FlowSolvers, solve_start_flows
from resinflow.presets.direct.predictor import VoxelPredictor, is_voxel_model
from resinflow.presets.latent.predictor import FlowPredictor
from resinflow.presets.paper.predictor import PaperPredictor, is_paper_model
from resinflow.stokes import planar_flow, project

PROJECTION_TOLERANCE = 1e-8
"""Largest difference of the flow rate between two planes that a correction may leave; the base flow's own are 1e-5 at most."""
_SHIPPED = Path(__file__).parent / "weights"


def load_model(name_or_directory: str | Path = "small") -> FlowPredictor | PaperPredictor | VoxelPredictor:
    """Return a model that predicts from a microstructure alone: a shipped one by name, or a model directory.

    A directory that ``resinflow model convert`` wrote gives the published model.

    Raises:
        InvalidInputError: neither a shipped model nor a model directory, or damaged files.

    Example:
        >>> import resinflow as rf
        >>> model = rf.load_model("runs/small/model")
        >>> micro = rf.fibre_bundle((3, 16, 16), (12e-6, 25e-6, 25e-6), seed=1, volume_fraction=0.4)
        >>> flow = model.predict(micro, axis="x", samples=2, seed=0)
        >>> flow.permeability_samples.shape
        (2,)
    """
    solvers = FlowSolvers(solve_start_flows, partial(project, tolerance=PROJECTION_TOLERANCE))
    directory = model_directory(name_or_directory)
    if is_voxel_model(directory):
        return VoxelPredictor.load(directory, solvers)
    if is_paper_model(directory):
        return PaperPredictor.load(directory, planar_flow)
    return FlowPredictor.load(directory, solvers)


def model_directory(name_or_directory: str | Path) -> Path:
    """Return where a model is: a shipped one by name, or a model directory.

    Raises:
        InvalidInputError: neither a shipped model nor a directory.
    """
    shipped = sorted(path.name for path in _SHIPPED.iterdir() if path.is_dir()) if _SHIPPED.is_dir() else []
    if str(name_or_directory) in shipped:
        return _SHIPPED / str(name_or_directory)
    if not Path(name_or_directory).is_dir():
        raise InvalidInputError(
            f"there is no model {str(name_or_directory)!r}; needed: a shipped one ({', '.join(shipped) or 'none here'}) "
            "or a model directory."
        )
    return Path(name_or_directory)


def load_branched_model(name_or_directory: str | Path = "small") -> FlowPredictor | PaperPredictor:
    """Return a model that has a dual-branch VAE.

    Raises:
        InvalidInputError: as :func:`load_model`, or a deterministic model.
    """
    model = load_model(name_or_directory)
    if isinstance(model, VoxelPredictor):
        raise InvalidInputError(
            f"{model.name} is deterministic and has no dual-branch VAE; needed: a model with one. Give it to resinflow "
            "evaluate as --baseline NAME=DIRECTORY."
        )
    return model
