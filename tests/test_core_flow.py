"""Flow fields refuse what does not fit their medium, and define the permeability."""

import numpy as np
import pytest

from resinflow.flow.errors import InvalidInputError
from resinflow.flow.field import FlowField
from resinflow.flow.microstructure import Microstructure

SHAPE = (2, 3, 4)
FACES = ((2, 3, 5), (2, 4, 4), (3, 3, 4))


def field(**changes):
    rng = np.random.default_rng(3)
    values = {
        "microstructure": Microstructure(rng.random(SHAPE) > 0.3, (3e-6, 2e-6, 1e-6)),
        "velocity": rng.normal(size=(3, *SHAPE)),
        "pressure": rng.random(SHAPE),
        "axis": "x",
        "pressure_drop": 1e5,
        "viscosity": 0.1,
    }
    return FlowField(**{**values, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"velocity": np.zeros(SHAPE)}, r"velocity has shape \(2, 3, 4\); needed: \(3, 2, 3, 4\)"),
        ({"velocity": np.full((3, *SHAPE), np.nan)}, "velocity holds NaN"),
        ({"velocity": np.zeros((3, *SHAPE), dtype=complex)}, "velocity holds values of type complex128; needed: real"),
        ({"pressure": np.zeros((4, 3, 2))}, r"pressure has shape \(4, 3, 2\); needed: \(2, 3, 4\)"),
        ({"pressure": np.full(SHAPE, np.inf)}, "pressure holds NaN or infinite"),
        ({"velocity_std": np.zeros((1, *SHAPE))}, "velocity_std has shape"),
        ({"permeability_samples": np.zeros((2, 2))}, r"permeability_samples has shape \(2, 2\); needed: \(4,\)"),
        ({"permeability_samples": [np.nan]}, "permeability_samples holds NaN"),
        ({"face_velocity": (np.zeros(FACES[0]), np.zeros(FACES[1]))}, "holds 2 arrays; needed: three"),
        ({"face_velocity": tuple(np.zeros(SHAPE) for _ in range(3))}, r"on the x faces has shape.*needed: \(2, 3, 5\)"),
        ({"face_velocity": tuple(np.full(shape, np.nan) for shape in FACES)}, "on the x faces holds NaN"),
        ({"axis": "w"}, "axis is 'w'; needed: one of x, y, z"),
        ({"viscosity": 0.0}, "viscosity is 0.0; needed: a positive number in Pa s"),
        ({"viscosity": "thick"}, "viscosity is 'thick'; needed: a positive number in Pa s"),
        ({"viscosity": None}, "viscosity is None"),
        ({"pressure_drop": -1e5}, "pressure_drop is -100000.0; needed: a positive number in Pa"),
        ({"pressure_drop": np.nan}, "pressure_drop is nan"),
        ({"boundary": "velocity"}, "boundary is 'velocity'; needed: one of pressure, periodic"),
        ({"lateral": "slip"}, "lateral is 'slip'; needed: one of symmetry, periodic, no-slip"),
    ],
)
def test_a_field_that_does_not_fit_is_refused(changes, message):
    with pytest.raises(InvalidInputError, match=message) as raised:
        field(**changes)
    assert "\n" not in str(raised.value)


def test_a_field_cannot_be_changed_and_the_callers_array_still_can():
    velocity = np.ones((3, *SHAPE))
    flow = field(velocity=velocity)
    for array in (flow.velocity, flow.pressure, flow.speed):
        with pytest.raises(ValueError, match="read-only"):
            array[:] = 0
    velocity[:] = 2
    with pytest.raises(AttributeError):
        flow.viscosity = 1.0  # pyright: ignore[reportAttributeAccessIssue]


def test_large_fields_are_not_copied():
    velocity = np.ones((3, *SHAPE), dtype=np.float32)
    assert np.shares_memory(field(velocity=velocity).velocity, velocity)


def test_numbers_and_arrays_of_other_types_become_floats():
    flow = field(viscosity=np.float32(0.5), pressure_drop=10, velocity=np.ones((3, *SHAPE), dtype=np.int16))
    assert type(flow.viscosity) is type(flow.pressure_drop) is float
    assert flow.velocity.dtype == np.float64


def test_a_plane_channel_has_the_permeability_of_the_cubic_law():
    """u(y) = dp/L (h y - y^2) / 2 mu between plates h apart: K = h^2/12, times h/H for a channel in a box of height H."""
    cells, walls, step = 200, 50, 1e-7
    height = cells * step
    y = (np.arange(cells) + 0.5) * step
    length, pressure_drop, viscosity = 3e-6, 2e5, 0.05
    mask = np.zeros((2, cells + walls, 3), dtype=bool)
    mask[:, :cells] = True
    velocity = np.zeros((3, *mask.shape))
    velocity[0, :, :cells] = (pressure_drop / length * (height * y - y**2) / (2 * viscosity))[:, None]
    medium = Microstructure(mask, (5e-6, step, length / 3))
    flow = FlowField(medium, velocity, np.zeros(mask.shape), "x", pressure_drop, viscosity)
    exact = height**2 / 12 * cells / (cells + walls)
    assert flow.length == pytest.approx(length)
    assert flow.permeability == pytest.approx(exact, rel=1.0 / cells**2)  # the midpoint rule is off by 1/(2 cells^2)


@pytest.mark.parametrize(("axis", "component", "length"), [("x", 0, 4e-6), ("y", 1, 6e-6), ("z", 2, 6e-6)])
def test_the_permeability_takes_component_and_length_of_the_flow_axis(axis, component, length):
    velocity = np.zeros((3, *SHAPE))
    velocity[component] = 1e-3
    flow = field(velocity=velocity, axis=axis, pressure_drop=10.0, viscosity=0.2)
    assert flow.permeability == pytest.approx(0.2 * 1e-3 * length / 10.0)


def test_the_mean_of_float32_velocities_is_taken_in_double():
    rng = np.random.default_rng(5)
    mask = np.ones((20, 100, 100), dtype=bool)
    velocity = (1e-3 + 1e-7 * rng.random((3, *mask.shape))).astype(np.float32)
    flow = FlowField(Microstructure(mask, (1e-6,) * 3), velocity, np.zeros(mask.shape), "x", 1.0, 1.0)
    assert flow.permeability == pytest.approx(velocity[0].astype(float).mean() * 100e-6, rel=1e-13)


def test_a_field_shows_itself_in_one_line():
    text = repr(field(velocity=np.full((3, *SHAPE), 1e-3), pressure_drop=10.0, viscosity=0.2))
    assert "along x, K = 8e-11 m^2 = 80 um^2" in text
    assert "4 x 3 x 2 voxels" in text
    assert "\n" not in text


def test_the_speed_is_the_length_of_the_velocity():
    velocity = np.zeros((3, *SHAPE))
    velocity[0], velocity[1], velocity[2] = 2, 3, 6
    assert np.all(field(velocity=velocity).speed == 7)


def test_the_dataset_names_dimensions_coordinates_and_units():
    flow = field(
        face_velocity=tuple(np.zeros(shape) for shape in FACES),
        velocity_std=np.zeros((3, *SHAPE)),
        permeability_samples=np.array([1e-12, 2e-12]),
    )
    dataset = flow.to_xarray()
    assert dataset["velocity"].dims == dataset["velocity_std"].dims == ("component", "z", "y", "x")
    assert dataset["pressure"].dims == dataset["fluid"].dims == ("z", "y", "x")
    assert dataset["face_velocity_y"].dims == ("z", "y_face", "x")
    assert dataset["permeability_samples"].dims == ("sample",)
    assert list(dataset["component"].values) == ["x", "y", "z"]
    assert np.allclose(dataset["x"], [0.5e-6, 1.5e-6, 2.5e-6, 3.5e-6])
    assert np.allclose(dataset["z"], [1.5e-6, 4.5e-6])
    units = {name: variable.attrs["units"] for name, variable in dataset.variables.items() if name != "component"}
    assert units["velocity"] == units["velocity_std"] == units["face_velocity_z"] == "m s-1"
    assert units["pressure"] == "Pa"
    assert units["permeability_samples"] == "m2"
    assert units["x"] == units["y"] == units["z"] == "m"
    assert dataset.attrs["permeability"] == flow.permeability
    assert np.array_equal(dataset["velocity"].sel(component="y"), flow.velocity[1])
