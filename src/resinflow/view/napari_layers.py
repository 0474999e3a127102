"""A flow as layers of napari, the viewer of n-dimensional images; napari itself is loaded only to open a window."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resinflow.flow import COMPONENTS, FlowField, InvalidInputError, MissingDependencyError
from resinflow.view.panels import FIBRE_GREY, MICROMETRE, slice_fields
from resinflow.view.scales import SPREAD, ColourScale, scales_of, sequential

LayerData = tuple[Any, dict[str, Any], str]
"""Data, options and type of a layer, as napari's ``Layer.create`` takes them."""

_DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
_ARROWS = 3000  # drawn at most; more are one thicket
_LONGEST = 3.0  # distances between two arrows: length of the arrow of the fastest voxel


def napari_layers(flow: FlowField) -> list[LayerData]:
    """Return the layers of a flow, bottom to top: pressure, velocity components, spread if known, speed, fibres, arrows.

    Coordinates are micrometres in the order (z, y, x); all layers share the scale of the voxels. Speed, fibres and arrows are
    shown, the rest waits hidden. Values are in the unit that the layer's name tells, zero in the fibres.
    """
    micro = flow.microstructure
    place = {"scale": tuple(step / MICROMETRE for step in micro.spacing), "units": ("um",) * 3, "axis_labels": ("z", "y", "x")}
    scales = scales_of(slice_fields(flow, slice(None)))
    layers = [_image("pressure", flow.pressure, scales["p"], place)]
    layers += [_image(f"v{name}", flow.velocity[k], scales[f"v{name}"], place) for k, name in enumerate(COMPONENTS)]
    if flow.velocity_std is not None:
        spread = np.linalg.norm(flow.velocity_std, axis=0)
        layers.append(_image("spread", spread, sequential(spread[micro.fluid], colours=SPREAD), place))
    layers.append(_image("speed", flow.speed, scales["|v|"], {**place, "visible": True}))
    fibres = {"name": "fibres", "colormap": {1: FIBRE_GREY, None: "transparent"}, "opacity": 1.0}
    layers.append(((~micro.fluid).astype(np.uint8), {**fibres, **place}, "labels"))
    arrows = {"name": "velocity", "edge_width": 0.4, "vector_style": "arrow", "edge_color": "white"}
    layers.append((_arrows(flow), {**arrows, **place}, "vectors"))
    return layers


def check_napari() -> None:
    """Refuse to open a window where one is not possible.

    Raises:
        MissingDependencyError: napari, or a Qt binding for its window, is not installed.
        InvalidInputError: there is no display.
    """
    _module("napari", "napari")
    _module("qtpy", "Qt (PyQt6, say)")  # fails without a Qt binding, where napari itself would make a viewer without a window
    if sys.platform == "linux" and not any(os.environ.get(name) for name in _DISPLAYS):
        # Qt would end the process
        raise InvalidInputError(
            "napari opens a window, and there is no display (DISPLAY is not set); needed: a desktop session. "
            "A page for any browser needs none: --output flow.html."
        )


def open_in_napari(flow: FlowField, title: str) -> None:
    """Open a window of napari with the flow, and return when it is closed.

    Raises:
        MissingDependencyError, InvalidInputError: as :func:`check_napari`.
    """
    check_napari()
    napari, layer = importlib.import_module("napari"), importlib.import_module("napari.layers").Layer
    viewer = napari.Viewer(title=title)
    for data in napari_layers(flow):
        viewer.add_layer(layer.create(*data))
    viewer.dims.set_point(0, flow.microstructure.extent[0] / MICROMETRE / 2)
    viewer.canvas.overlays.scale_bar.visible = True
    napari.run()


def _module(name: str, library: str) -> None:
    try:
        importlib.import_module(name)
    except ImportError:
        raise MissingDependencyError(
            f"the window of napari needs {library}, which is not installed; run: pip install 'resinflow[napari]'."
        ) from None


def _image(name: str, values: NDArray[np.floating], scale: ColourScale, place: dict[str, Any]) -> LayerData:
    options = {
        "name": f"{name} in {scale.unit}",
        "colormap": scale.colours,
        "contrast_limits": (scale.low, scale.high),
        "visible": False,
        **place,
    }
    return (values / scale.size).astype(np.float32), options, "image"


def _arrows(flow: FlowField) -> NDArray[np.float32]:
    """Return arrows (n, 2, 3) in voxels: start and displacement, each (z, y, x), at even distances in the fluid.

    A displacement points along the velocity in micrometres: it is divided by the voxels' edges, by which the layer's scale
    multiplies it.
    """
    micro = flow.microstructure
    stride = max(1, round((int(micro.fluid.sum()) / _ARROWS) ** 0.5))
    keep = np.zeros(micro.shape, dtype=bool)
    keep[:, stride // 2 :: stride, stride // 2 :: stride] = True
    points = np.argwhere(keep & micro.fluid)
    fastest = float(flow.speed.max()) or 1.0
    velocity = np.moveaxis(flow.velocity[::-1], 0, -1)[tuple(points.T)]  # (n, 3) as (z, y, x)
    length = _LONGEST * stride * min(micro.spacing[1:])
    displacement = velocity / fastest * length / np.array(micro.spacing)
    return np.stack([points, displacement], axis=1).astype(np.float32)
