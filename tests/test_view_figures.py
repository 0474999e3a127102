import subprocess
import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest

from resinflow.flow.errors import InvalidInputError
from resinflow.flow.field import FlowField
from resinflow.flow.microstructure import Microstructure
from resinflow.view.comparison import compose_comparison
from resinflow.view.figures import comparison_figure, compose_flow, flow_figure
from resinflow.view.panels import slice_fields
from resinflow.view.scales import diverging, for_component, scales_of, sequential, unit_for

PNG = b"\x89PNG\r\n\x1a\n"


def flow(shape=(3, 16, 16), std=False, seed=0, solid="disc"):
    """A made-up flow past one fibre, a few mm/s fast."""
    nz, ny, nx = shape
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) if n > 1 else np.zeros(1) for n in shape), indexing="ij")
    fluid = {"disc": x**2 + y**2 > 0.2, "none": np.ones(shape, dtype=bool), "all": np.zeros(shape, dtype=bool)}[solid]
    micro = Microstructure(fluid, (4e-6, 1e-6, 1e-6))
    noise = np.random.default_rng(seed).normal(size=(3, *shape)) * 1e-5
    velocity = (np.stack([2e-3 * (1.2 - y**2), 8e-4 * x * y, 1e-4 * z * x]) + noise * (nz > 1)) * fluid
    if nz == 1:
        velocity[2] = 0.0
    pressure = 1e4 * (1 - x) / 2 * fluid
    return FlowField(micro, velocity, pressure, "x", 1e4, 0.1, velocity_std=np.abs(velocity) * 0.1 if std else None)


def bar_labels(figure):
    return [axes.get_xlabel() or axes.get_ylabel() for axes in figure.axes if axes.get_label() == "<colorbar>"]


def images(figure):
    return [axes.images[0] for axes in figure.axes if axes.images and axes.get_label() != "<colorbar>"]


def shown(image):
    array = image.get_array()
    assert array is not None
    return np.ma.masked_array(array)


def test_a_flow_is_drawn_with_its_units_and_its_permeability():
    medium = flow()
    figure = compose_flow(medium)
    assert bar_labels(figure) == ["|v| in mm/s", "vx in mm/s", "vy in µm/s", "vz in µm/s", "p in kPa"]
    assert f"{medium.permeability:.4g} m²" in figure.get_suptitle()
    assert "darcy" in figure.get_suptitle()
    assert "slice 1 (0 to 2), z = 6 µm" in figure.get_suptitle()


def test_the_spread_has_a_panel_where_the_flow_carries_one():
    assert bar_labels(compose_flow(flow(std=True)))[-1] == "spread in µm/s"


def test_no_colour_is_inside_a_fibre():
    medium = flow()
    solid = ~medium.microstructure.fluid[1]
    for image in images(compose_flow(medium))[1:]:
        np.testing.assert_array_equal(np.ma.getmaskarray(shown(image)), solid)


def test_streamlines_run_through_a_throat_that_is_one_voxel_wide():
    fluid = np.zeros((1, 15, 15), dtype=bool)
    fluid[:, :, :5] = fluid[:, :, 10:] = True
    fluid[:, 7] = True
    micro = Microstructure(fluid, (1e-6, 1e-6, 1e-6))
    velocity = np.zeros((3, *fluid.shape))
    velocity[0] = 1e-3 * fluid
    panel = compose_flow(FlowField(micro, velocity, np.ones(fluid.shape) * fluid, "x", 1.0, 0.1)).axes[1]
    points = np.concatenate([line for drawn in panel.collections for line in drawn.get_segments()])
    in_throat = points[(points[:, 0] > 6) & (points[:, 0] < 9)]
    assert len(in_throat)
    assert np.abs(in_throat[:, 1] - 7.5).max() < 1.5


def test_the_headline_of_the_microstructure_does_not_push_the_panels_apart():
    axes = compose_flow(flow()).axes[0]
    headline = next(text for text in axes.texts if "fibre fraction" in text.get_text())
    assert not headline.get_in_layout()


def test_axes_are_in_micrometres_and_keep_the_shape_of_the_medium():
    image = images(compose_flow(flow(shape=(2, 10, 30))))[1]
    assert image.get_extent() == pytest.approx((0, 30, 10, 0))
    assert image.axes.get_aspect() == 1.0


def test_prediction_and_truth_share_the_scales_of_the_truth():
    truth = flow()
    figure = compose_comparison(replace(truth, velocity=2 * truth.velocity), truth)
    limits = [image.get_clim() for image in images(figure)]
    speeds = [limit for limit in limits if limit == limits[1]]
    assert len(speeds) >= 2
    high = np.nanpercentile(slice_fields(truth, 1)["|v|"], 99.8)
    assert limits[1] == pytest.approx((0.0, high * 1e3))
    labels = bar_labels(figure)
    assert labels[:5] == ["|v| in mm/s", "vx in mm/s", "vy in µm/s", "vz in µm/s", "p in kPa"]
    assert labels[5:] == [f"error of {name}" for name in ("|v| in mm/s", "vx in mm/s", "vy in µm/s", "vz in µm/s", "p in mPa")]


def test_the_comparison_tells_both_permeabilities_and_the_errors():
    truth = flow()
    figure = compose_comparison(
        replace(truth, velocity=1.1 * truth.velocity), truth, replace(truth, velocity=0.8 * truth.velocity)
    )
    title = figure.get_suptitle()
    assert all(name in title for name in ("truth: K", "prediction: K", "planar flow: K"))
    words = "\n".join(text.get_text() for axes in figure.axes for text in axes.texts)
    assert "K  +10.00 %" in words
    assert "K  -20.00 %" in words
    assert "prediction - truth" in words


def test_the_spread_stands_beside_the_size_of_the_error_on_one_scale():
    truth = flow()
    prediction = replace(flow(std=True), velocity=1.05 * truth.velocity)
    figure = compose_comparison(prediction, truth)
    assert bar_labels(figure)[-2:] == ["spread in µm/s", "size of the error in µm/s"]
    limits = [image.get_clim() for image in images(figure) if image.get_cmap().name == "magma"]
    assert len(limits) == 2
    assert limits[0] == limits[1]


def test_a_component_that_is_zero_is_said_to_be_zero():
    figure = compose_flow(flow(shape=(1, 12, 12)))
    words = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert words.count("zero everywhere") == 1


@pytest.mark.parametrize(("shape", "solid"), [((1, 12, 24), "disc"), ((2, 8, 4), "all"), ((1, 1, 5), "none")])
def test_every_shape_of_medium_can_be_drawn_without_a_warning(tmp_path, shape, solid):
    medium = flow(shape=shape, solid=solid)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = flow_figure(medium, tmp_path / "flow.png")
        compose_comparison(medium, medium)
    assert path.read_bytes().startswith(PNG)


def test_a_prediction_by_itself_can_be_written(tmp_path):
    path = comparison_figure(flow(std=True), path=tmp_path / "new" / "alone.png")
    assert path.read_bytes().startswith(PNG)


def test_a_full_comparison_is_written_and_replaces_the_older_file(tmp_path):
    target = tmp_path / "full.png"
    target.write_text("older")
    assert comparison_figure(flow(std=True), flow(seed=1), flow(seed=2), path=target) == target
    assert target.read_bytes().startswith(PNG)
    assert [path.name for path in tmp_path.iterdir()] == ["full.png"]


def test_an_unknown_suffix_is_refused_before_anything_is_drawn(tmp_path):
    for draw in (lambda p: flow_figure(flow(), p), lambda p: comparison_figure(flow(), flow(), path=p)):
        with pytest.raises(InvalidInputError, match=r"needed: one of \.png, \.pdf, \.svg"):
            draw(tmp_path / "flow.bmp")
    assert not list(tmp_path.iterdir())


def test_a_slice_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(InvalidInputError, match="needed: 0 to 2"):
        flow_figure(flow(), tmp_path / "flow.png", slice_index=3)


def test_flows_of_different_media_are_not_drawn_together(tmp_path):
    with pytest.raises(InvalidInputError, match="different media"):
        comparison_figure(flow(), flow(shape=(3, 16, 18)), path=tmp_path / "flow.png")


def test_the_chosen_slice_is_drawn():
    medium = flow()
    speed = shown(images(compose_flow(medium, 2))[1])
    np.testing.assert_allclose(speed.filled(np.nan), slice_fields(medium, 2)["|v|"] * 1e3)


def test_drawing_leaves_no_figure_in_pyplot():
    code = (
        "import sys, resinflow.view; assert 'matplotlib' not in sys.modules; "
        "from resinflow.view.panels import new_figure; new_figure((2, 2)).savefig(sys.stdout.buffer, format='png'); "
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout.startswith(PNG)


@pytest.mark.parametrize(
    ("value", "unit"), [(2.0, "m/s"), (3e-3, "mm/s"), (1e-6, "µm/s"), (9.9e-7, "nm/s"), (0.0, "nm/s"), (1e-13, "nm/s")]
)
def test_the_unit_is_the_largest_in_which_the_value_is_at_least_one(value, unit):
    assert unit_for(value)[0] == unit


def test_a_component_of_one_sign_is_sequential_and_of_two_signs_symmetric():
    one_way = for_component(np.linspace(-0.01, 1.0, 1000), 1.0)
    two_ways = for_component(np.linspace(-0.5, 1.0, 1000), 1.0)
    assert one_way.low == pytest.approx(-0.01 * one_way.high, abs=0.01 * one_way.high)
    assert two_ways.low == -two_ways.high
    assert one_way.colours != two_ways.colours


def test_vz_is_always_symmetric():
    fields = slice_fields(flow(), 1)
    fields["vz"] = np.abs(fields["vz"])
    scale = scales_of(fields)["vz"]
    assert scale.low == -scale.high


def test_a_few_extreme_voxels_do_not_set_the_scale_but_show_as_an_arrow():
    field = np.full(2000, 1e-3)
    field[0] = 1.0
    scale = sequential(field)
    assert scale.high * scale.size == pytest.approx(1e-3)
    assert scale.extend([field]) == "max"
    assert scale.extend([field[1:]]) == "neither"
    assert diverging(field).extend([field, -field]) == "both"


def test_a_slice_stands_as_its_image_does():
    panel = images(compose_flow(flow(shape=(2, 10, 30))))[1].axes
    top_left = panel.transData.transform((0.5, 0.5))  # the first pixel of the first row
    bottom_left = panel.transData.transform((0.5, 9.5))
    assert top_left[1] > bottom_left[1]
    drawn = shown(images(compose_flow(flow()))[1])
    assert images(compose_flow(flow()))[1].origin == "upper"
    np.testing.assert_array_equal(np.ma.getmaskarray(drawn), ~flow().microstructure.fluid[1])


def test_no_streamline_runs_inside_a_fibre():
    medium = flow(shape=(1, 24, 24))
    through = replace(medium, velocity=np.stack([np.full(medium.speed.shape, v) for v in (1e-3, 2e-4, 0.0)]))
    panel = compose_flow(through).axes[1]
    pieces = [piece for drawn in panel.collections for piece in drawn.get_segments()]
    assert len(pieces) > 100
    points = np.concatenate([np.linspace(piece[0], piece[-1], 5) for piece in pieces])
    columns, rows = np.minimum(points.astype(int), 23).T
    assert medium.microstructure.fluid[0][rows, columns].all()


@pytest.mark.parametrize("slices", [1, 3])
def test_the_image_is_shown_under_the_outlines_of_the_fibres(slices):
    medium = flow()
    greys = np.random.default_rng(0).integers(0, 255, (slices, 16, 16), dtype=np.uint8)
    for figure in (compose_flow(medium, 1, greys), compose_comparison(medium, medium, slice_index=1, image=greys)):
        panel = figure.axes[0]
        np.testing.assert_array_equal(shown(panel.images[0]), greys[1 if slices > 1 else 0])
        outline = np.concatenate([path.vertices for path in panel.collections[0].get_paths()])
        radius = np.hypot(*(outline - 8.0).T) / 7.5
        assert 0.35 < radius.min() <= radius.max() < 0.55  # the fibre's is 0.45


def test_an_image_of_another_medium_is_refused():
    with pytest.raises(InvalidInputError, match=r"image has shape \(3, 8, 8\)"):
        compose_flow(flow(), image=np.zeros((3, 8, 8)))
