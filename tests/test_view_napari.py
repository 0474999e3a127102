import importlib
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from resinflow.flow.errors import InvalidInputError, MissingDependencyError
from resinflow.flow.field import FlowField
from resinflow.flow.microstructure import Microstructure
from resinflow.view.napari_layers import napari_layers, open_in_napari


def sloped_flow(std=False, shape=(4, 30, 20)):
    """A uniform flow of 2 mm/s along (x, y, z) = (0.6, 0, 0.8) between two walls; voxels of 0.5 x 1 x 4 um."""
    fluid = np.ones(shape, dtype=bool)
    fluid[:, :3] = fluid[:, -3:] = False
    micro = Microstructure(fluid, (4e-6, 1e-6, 0.5e-6))
    velocity = 2e-3 * np.array([0.6, 0.0, 0.8])[:, None, None, None] * fluid
    spread = 0.1 * velocity if std else None
    return FlowField(micro, velocity, 3e3 * fluid, "x", 1e4, 0.1, velocity_std=spread)


def by_name(flow):
    return {options["name"]: (data, options, kind) for data, options, kind in napari_layers(flow)}


def test_the_layers_are_the_fields_in_the_units_of_their_names():
    flow = sloped_flow()
    layers = by_name(flow)
    assert list(layers) == ["pressure in kPa", "vx in mm/s", "vy in µm/s", "vz in mm/s", "speed in mm/s", "fibres", "velocity"]
    np.testing.assert_allclose(layers["speed in mm/s"][0].max(), 2.0, rtol=1e-6)
    np.testing.assert_allclose(layers["vz in mm/s"][0], 1e3 * flow.velocity[2], rtol=1e-6)
    np.testing.assert_allclose(layers["pressure in kPa"][0].max(), 3.0, rtol=1e-6)
    np.testing.assert_array_equal(layers["fibres"][0] == 1, ~flow.microstructure.fluid)


def test_every_layer_has_the_scale_of_the_voxels_in_micrometres():
    for _, options, _ in napari_layers(sloped_flow()):
        assert options["scale"] == pytest.approx((4.0, 1.0, 0.5))
        assert set(options["units"]) == {"um"}


def test_arrows_point_along_the_velocity_in_micrometres_and_start_in_the_fluid():
    flow = sloped_flow()
    arrows = by_name(flow)["velocity"][0]
    starts, displacements = arrows[:, 0].astype(int), arrows[:, 1] * np.array(flow.microstructure.spacing) * 1e6
    assert flow.microstructure.fluid[tuple(starts.T)].all()
    direction = displacements / np.linalg.norm(displacements, axis=1, keepdims=True)
    np.testing.assert_allclose(direction, np.tile([0.8, 0.0, 0.6], (len(direction), 1)), atol=1e-6)


def test_a_large_medium_gets_a_bounded_number_of_arrows():
    assert 500 < len(by_name(sloped_flow(shape=(4, 300, 300)))["velocity"][0]) < 6000


def test_the_spread_is_a_layer_where_the_flow_carries_one():
    name = "spread in µm/s"
    assert name not in by_name(sloped_flow())
    np.testing.assert_allclose(by_name(sloped_flow(std=True))[name][0].max(), 200.0, rtol=1e-6)


def test_media_at_rest_and_without_fluid_have_layers():
    flow = sloped_flow()
    still = replace(flow, velocity=0 * flow.velocity)
    assert not by_name(still)["velocity"][0][:, 1].any()
    solid = Microstructure(np.zeros(flow.microstructure.shape, dtype=bool), flow.microstructure.spacing)
    assert by_name(replace(still, microstructure=solid, pressure=0 * flow.pressure))["velocity"][0].shape == (0, 2, 3)


def test_building_the_layers_loads_no_napari():
    code = "import sys, resinflow.view.napari_layers; sys.exit('napari' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_napari_the_extra_is_named(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(MissingDependencyError, match=r"pip install 'resinflow\[napari\]'"):
        open_in_napari(sloped_flow(), "flow")


def test_the_library_that_is_missing_is_named(monkeypatch):
    def without(missing):
        def module(name):
            if name.partition(".")[0] == missing:
                raise ImportError(name)
            return SimpleNamespace(Layer=None)

        return module

    monkeypatch.setattr(importlib, "import_module", without("qtpy"))
    with pytest.raises(MissingDependencyError, match=r"needs Qt .*not installed"):
        open_in_napari(sloped_flow(), "flow")
    monkeypatch.setattr(importlib, "import_module", without("napari"))
    with pytest.raises(MissingDependencyError, match=r"needs napari, which is not installed"):
        open_in_napari(sloped_flow(), "flow")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is always a display")
def test_without_a_display_the_page_is_advised_and_no_window_is_tried(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(importlib, "import_module", lambda name: SimpleNamespace(Layer=None))
    with pytest.raises(InvalidInputError, match=r"no display.*--output flow\.html"):
        open_in_napari(sloped_flow(), "flow")


def test_the_window_gets_every_layer_and_starts_in_the_middle(monkeypatch):
    """With a stand-in for napari: the real one needs graphics to add layers to a window."""
    events = []

    class Viewer:
        def __init__(self, title):
            events.append(title)
            self.canvas = SimpleNamespace(overlays=SimpleNamespace(scale_bar=SimpleNamespace(visible=False)))
            self.dims = SimpleNamespace(set_point=lambda axis, place: events.append((axis, place)))

        def add_layer(self, layer):
            events.append(layer)

    napari = SimpleNamespace(
        Viewer=Viewer, run=lambda: events.append("run"), Layer=SimpleNamespace(create=lambda *data: data[2])
    )
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    monkeypatch.setattr(importlib, "import_module", lambda name: napari)
    open_in_napari(sloped_flow(), "bundle")
    assert events == ["bundle", *["image"] * 5, "labels", "vectors", (0, pytest.approx(8.0)), "run"]


@pytest.mark.parametrize("std", [False, True])
def test_napari_takes_the_layers_and_shows_the_box_in_its_true_size(std):
    pytest.importorskip("napari")
    from napari.components import ViewerModel  # needs no window and no graphics
    from napari.layers import Layer

    viewer = ViewerModel()
    for data in napari_layers(sloped_flow(std=std)):
        viewer.add_layer(Layer.create(*data))
    extent = viewer.layers["speed in mm/s"].extent
    size = extent.world[1] - extent.world[0] + np.array([4.0, 1.0, 0.5])  # napari measures from centre to centre
    np.testing.assert_allclose(size, [16.0, 30.0, 10.0])
    assert [layer.name for layer in viewer.layers if layer.visible] == ["speed in mm/s", "fibres", "velocity"]
    assert "micrometer" in str(viewer.layers["fibres"].units[0])
