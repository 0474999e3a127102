import functools
import importlib
import itertools
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from resinflow.flow.errors import InvalidInputError, MissingDependencyError
from resinflow.flow.field import FlowField
from resinflow.flow.microstructure import Axis, Microstructure
from resinflow.view.geometry import fibre_surface, speed_cuts, trace_streamlines
from resinflow.view.panels import draw_streamlines
from resinflow.view.render import _add_frame, open_plotter, render_flow


@pytest.fixture(scope="module")
def pyvista():
    return pytest.importorskip("pyvista")


@functools.cache
def can_render():
    # In a process of its own: without any GL library VTK may end the process instead of raising.
    code = "import pyvista as p; q = p.Plotter(off_screen=True, window_size=[32, 32]); q.add_mesh(p.Sphere()); q.screenshot()"
    return not subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=120, check=False).returncode


@pytest.fixture(scope="module")
def graphics(pyvista):
    if not can_render():
        pytest.skip("no off-screen graphics here")


def uniform_flow(shape=(4, 12, 16), axis: Axis = "x", with_distance=False, solid=True):
    """Plug flow past a fibre along z through the middle of the box (lines end where they meet it)."""
    nz, ny, nx = shape
    step = 1e-6
    y, x = np.mgrid[:ny, :nx] * step + step / 2
    distance = np.hypot(y - ny * step / 2, x - nx * step / 2) - 3e-6
    distance = np.broadcast_to(distance, shape).copy()
    fluid = distance > 0 if solid else np.ones(shape, dtype=bool)
    micro = Microstructure(fluid, (2e-6, step, step), distance if with_distance and solid else None)
    velocity = np.zeros((3, *shape))
    velocity["xyz".index(axis)] = 1e-3 * fluid
    return FlowField(micro, velocity, np.zeros(shape), axis, 1.0, 1.0)


def test_a_picture_of_a_bundle_is_written(graphics, tmp_path):
    from skimage.io import imread

    path = render_flow(uniform_flow(), tmp_path / "flow.png", streamlines=20, window=(240, 180))
    picture = imread(path)[..., :3]
    assert picture.shape == (180, 240, 3)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 50  # more than an empty background
    assert [file.name for file in tmp_path.iterdir()] == ["flow.png"]


@pytest.mark.parametrize("case", [{"shape": (1, 12, 16)}, {"solid": False}, {"axis": "z"}])
def test_a_single_slice_an_open_box_and_flow_along_z_are_drawn(graphics, tmp_path, case):
    assert render_flow(uniform_flow(**case), tmp_path / "flow.png", streamlines=5, window=(120, 90)).stat().st_size > 500


def test_a_medium_at_rest_is_drawn_without_streamlines(graphics, tmp_path):
    flow = uniform_flow()
    still = FlowField(flow.microstructure, 0 * flow.velocity, flow.pressure, "x", 1.0, 1.0)
    assert render_flow(still, tmp_path / "still.png", window=(120, 90)).exists()


@pytest.mark.parametrize("with_distance", [False, True])
def test_the_fibre_surface_is_closed_and_encloses_the_fibre(pyvista, with_distance):
    surface = fibre_surface(pyvista, uniform_flow(with_distance=with_distance)).triangulate().clean()
    surface = surface.compute_normals(consistent_normals=True, auto_orient_normals=True, split_vertices=False)
    assert surface.n_open_edges == 0
    assert surface.volume == pytest.approx(np.pi * 3.0**2 * 8.0, rel=0.06)  # cubic micrometres
    assert surface.bounds[4:] == pytest.approx((0.0, 8.0))


def test_without_fibres_there_is_no_surface(pyvista):
    assert fibre_surface(pyvista, uniform_flow(solid=False)).n_points == 0


def test_streamlines_of_a_plug_flow_run_straight_from_face_to_face(pyvista):
    lines = trace_streamlines(pyvista, uniform_flow(solid=False), 12, seed=0)
    ends = [np.asarray(cell.points) for cell in (lines.get_cell(k) for k in range(lines.n_cells))]
    for points in ends:
        assert np.ptp(points[:, 1]) < 1e-3
        assert np.ptp(points[:, 2]) < 1e-3
    assert lines.bounds[:2] == pytest.approx((0.0, 16.0), abs=0.3)
    assert np.linalg.norm(lines["velocity"], axis=1) == pytest.approx(1e-3)


@pytest.mark.parametrize("case", [{}, {"shape": (1, 12, 16)}, {"solid": False}])
def test_the_cuts_through_the_speed_are_drawn(graphics, tmp_path, case):
    path = render_flow(uniform_flow(**case), tmp_path / "speed.png", kind="speed", window=(120, 90))
    assert path.stat().st_size > 500


def test_the_cuts_cover_three_whole_planes_and_tell_the_fibres_apart(pyvista):
    flow = uniform_flow()
    in_fluid, in_fibres = speed_cuts(pyvista, flow)
    fluid = flow.microstructure.fluid
    planes = [np.take(fluid, count // 2, axis=number) for number, count in enumerate(fluid.shape)]
    assert in_fluid.n_cells == sum(int(plane.sum()) for plane in planes)
    assert in_fibres.n_cells == sum(int((~plane).sum()) for plane in planes)
    assert in_fluid.area + in_fibres.area == pytest.approx(16 * 12 + 16 * 8 + 12 * 8)  # square micrometres
    np.testing.assert_allclose(in_fluid["speed"], 1e-3, rtol=1e-6)


def test_thinned_streamlines_keep_their_ends(pyvista):
    lines = trace_streamlines(pyvista, uniform_flow(solid=False), 5, seed=1)
    assert lines.n_points < 10 * lines.n_cells  # straight lines need no point between their ends
    assert lines.bounds[:2] == pytest.approx((0.0, 16.0), abs=0.3)


def test_an_unknown_kind_is_refused(tmp_path):
    with pytest.raises(InvalidInputError, match="needed: one of streamlines, speed"):
        render_flow(uniform_flow(), tmp_path / "flow.png", kind="smoke")  # pyright: ignore[reportArgumentType]


def test_an_unknown_suffix_is_refused(tmp_path):
    with pytest.raises(InvalidInputError, match="needed: one of .png, .jpg, .html"):
        render_flow(uniform_flow(), tmp_path / "flow.gif")


def test_without_pyvista_the_extra_is_named(tmp_path, monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(MissingDependencyError, match=r"pip install 'resinflow\[view\]'"):
        render_flow(uniform_flow(), tmp_path / "flow.png")


@pytest.mark.parametrize("shape", [(8, 16, 16), (2, 16, 16), (40, 12, 12)])
def test_the_box_makes_place_for_the_colour_bar_beside_it(graphics, pyvista, shape):
    width = 1100
    flow = uniform_flow(shape)
    with open_plotter(pyvista, (width, 760)) as plotter:
        _add_frame(plotter, pyvista, flow)
        plotter.render()
        places = []
        for corner in itertools.product(*((0.0, 1e6 * edge) for edge in reversed(flow.microstructure.extent))):
            plotter.renderer.SetWorldPoint(*corner, 1.0)
            plotter.renderer.WorldToDisplay()
            places.append(plotter.renderer.GetDisplayPoint()[0] / width)
    assert min(places) > 0.1
    assert max(places) < 0.77  # the labels of an axis reach a tenth of the width beyond it, the bar begins at 0.87


@pytest.mark.parametrize("pressure", [1e-300, 1e300])
def test_streamlines_of_any_speed_are_drawn(pressure):
    flow = uniform_flow()
    figure = Figure()
    axes = figure.add_subplot()
    draw_streamlines(axes, replace(flow, velocity=flow.velocity * pressure, pressure_drop=pressure), 0)
    assert axes.collections[0].get_segments()
