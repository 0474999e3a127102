"""Figures, 3-D scenes, pages."""

from resinflow.view.draw import Kind, draw_flow, picture_kind
from resinflow.view.evaluation_figure import write_figure
from resinflow.view.figures import comparison_figure, flow_figure
from resinflow.view.histograms import Histogram, histogram_figure
from resinflow.view.napari_layers import napari_layers, open_in_napari
from resinflow.view.output import FIGURE_SUFFIXES, checked_target, save_figure
from resinflow.view.page import check_folder, worse_line, write_report
from resinflow.view.panels import new_figure
from resinflow.view.reconstruction import (
    compose_diagnosis,
    compose_latents,
    compose_reconstruction,
    compose_slices,
    reconstruction_figures,
)
from resinflow.view.render import SCENE_SUFFIXES, render_flow
from resinflow.view.slices import Field, slices_figure
from resinflow.view.training_figure import compose_training, training_figures
from resinflow.view.training_log import TrainingLog, read_training_log
from resinflow.view.uncertainty import compose_novelty

__all__ = [
    "FIGURE_SUFFIXES",
    "SCENE_SUFFIXES",
    "Field",
    "Histogram",
    "Kind",
    "TrainingLog",
    "check_folder",
    "checked_target",
    "comparison_figure",
    "compose_diagnosis",
    "compose_latents",
    "compose_novelty",
    "compose_reconstruction",
    "compose_slices",
    "compose_training",
    "draw_flow",
    "flow_figure",
    "histogram_figure",
    "napari_layers",
    "new_figure",
    "open_in_napari",
    "picture_kind",
    "read_training_log",
    "reconstruction_figures",
    "render_flow",
    "save_figure",
    "slices_figure",
    "training_figures",
    "worse_line",
    "write_figure",
    "write_report",
]
