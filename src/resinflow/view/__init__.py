"""Figures, 3-D scenes, pages."""

from resinflow.view.draw import draw_flow, picture_kind
from resinflow.view.drawn_media import drawn_media_figure
from resinflow.view.figures import comparison_figure, flow_figure
from resinflow.view.flow_report import write_flow_report
from resinflow.view.histograms import Histogram, histogram_figure
from resinflow.view.maps import FieldMap, field_maps
from resinflow.view.napari_layers import check_napari, napari_layers, open_in_napari
from resinflow.view.output import save_figure
from resinflow.view.overlay import segmentation_figure
from resinflow.view.page import check_folder, worse_line, write_report
from resinflow.view.panels import new_figure
from resinflow.view.reconstruction import reconstruction_figures
from resinflow.view.render import render_flow
from resinflow.view.slices import slices_figure
from resinflow.view.tow_report import write_tow_report
from resinflow.view.training_figure import training_figures
from resinflow.view.uncertainty import compose_novelty
from resinflow.view.window_figures import representativity_figure, window_map_figure

__all__ = [
    "FieldMap",
    "Histogram",
    "check_folder",
    "check_napari",
    "comparison_figure",
    "compose_novelty",
    "draw_flow",
    "drawn_media_figure",
    "field_maps",
    "flow_figure",
    "histogram_figure",
    "napari_layers",
    "new_figure",
    "open_in_napari",
    "picture_kind",
    "reconstruction_figures",
    "render_flow",
    "representativity_figure",
    "save_figure",
    "segmentation_figure",
    "slices_figure",
    "training_figures",
    "window_map_figure",
    "worse_line",
    "write_flow_report",
    "write_report",
    "write_tow_report",
]
