"""Pictures of a flow: maps of a slice by matplotlib, and a 3-D view by pyvista."""

from resinflow.view.figures import comparison_figure, flow_figure
from resinflow.view.render import render_flow

__all__ = ["comparison_figure", "flow_figure", "render_flow"]
