from dataclasses import replace

import numpy as np
import pytest

from resinflow.flow.errors import InvalidInputError
from resinflow.flow.field import FlowField
from resinflow.flow.microstructure import Microstructure
from resinflow.view.slices import compose_slices, slices_figure


def channel(slices=5, shape=(12, 18)):
    """A made-up flow past a wall, faster from slice to slice."""
    fluid = np.ones((slices, *shape), dtype=bool)
    fluid[:, :3] = False
    micro = Microstructure(fluid, (2e-6, 1e-6, 1e-6))
    velocity = np.zeros((3, *fluid.shape))
    velocity[0] = 1e-3 * (1 + np.arange(slices))[:, None, None] * fluid
    return FlowField(micro, velocity, 50.0 * fluid, "x", 100.0, 0.1)


def maps(figure):
    return [axes.images[0] for axes in figure.axes if axes.images and axes.get_label() != "<colorbar>"]


def test_every_slice_is_drawn_at_its_height():
    figure = compose_slices(channel())
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles[0] == "slice 0, z = 1 µm"
    assert titles[-1] == "slice 4, z = 9 µm"
    for number, image in enumerate(maps(figure)):
        assert np.ma.masked_array(image.get_array()).max() == pytest.approx(number + 1.0)  # mm/s


def test_all_slices_share_one_scale_and_one_colour_bar():
    figure = compose_slices(channel(), "vx")
    assert {image.get_clim() for image in maps(figure)} == {(0.0, 5.0)}
    bars = [axes for axes in figure.axes if axes.get_label() == "<colorbar>"]
    assert [bar.get_ylabel() for bar in bars] == ["vx in mm/s"]


def test_of_many_slices_24_are_drawn_from_bottom_to_top():
    figure = compose_slices(channel(slices=70))
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert len(titles) == 24
    assert titles[0].startswith("slice 0,")
    assert titles[-1].startswith("slice 69,")
    assert "24 of 70 slices" in figure.get_suptitle()


@pytest.mark.parametrize("field", ["speed", "vx", "vy", "vz", "pressure"])
def test_every_field_can_be_written(tmp_path, field):
    path = slices_figure(channel(slices=2), tmp_path / "slices.svg", field=field)
    assert b"<svg" in path.read_bytes()[:1000]


def test_a_medium_without_fluid_can_be_drawn(tmp_path):
    flow = channel(slices=1)
    solid = Microstructure(np.zeros(flow.microstructure.shape, dtype=bool), flow.microstructure.spacing)
    still = replace(flow, microstructure=solid, velocity=0 * flow.velocity, pressure=0 * flow.pressure)
    assert slices_figure(still, tmp_path / "solid.png").stat().st_size > 1000


def test_an_unknown_field_or_suffix_is_refused(tmp_path):
    with pytest.raises(InvalidInputError, match="needed: one of speed, vx"):
        compose_slices(channel(), "vorticity")  # pyright: ignore[reportArgumentType]
    with pytest.raises(InvalidInputError, match=r"needed: one of \.png, \.pdf, \.svg"):
        slices_figure(channel(), tmp_path / "slices.gif")
