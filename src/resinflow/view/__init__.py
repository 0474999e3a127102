"""Pictures of a flow: maps of slices by matplotlib, 3-D pictures and pages by pyvista, layers for napari; training curves."""

from resinflow.view.figures import comparison_figure, flow_figure
from resinflow.view.napari_layers import napari_layers
from resinflow.view.render import render_flow
from resinflow.view.slices import slices_figure

__all__ = ["comparison_figure", "flow_figure", "napari_layers", "render_flow", "slices_figure"]
