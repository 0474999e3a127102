"""How a flow field is laid out in a dataset: names, dimensions and units of its arrays, and its attributes."""

SCHEMA = "resinflow-flow-1"
GRID = ("z", "y", "x")
VECTOR = ("component", *GRID)

DIMENSIONS = {
    "fluid": GRID,
    "velocity": VECTOR,
    "pressure": GRID,
    "signed_distance": GRID,
    "velocity_std": VECTOR,
    "pressure_std": GRID,
    "permeability_samples": ("sample",),
    "face_velocity_x": ("z", "y", "x_face"),
    "face_velocity_y": ("z", "y_face", "x"),
    "face_velocity_z": ("z_face", "y", "x"),
}
UNITS = {
    "fluid": "1",
    "velocity": "m s-1",
    "pressure": "Pa",
    "signed_distance": "m",
    "velocity_std": "m s-1",
    "pressure_std": "Pa",
    "permeability_samples": "m2",
    "face_velocity_x": "m s-1",
    "face_velocity_y": "m s-1",
    "face_velocity_z": "m s-1",
}
REQUIRED_VARIABLES = ("fluid", "velocity", "pressure")
REQUIRED_ATTRIBUTES = (
    "spacing",
    "axis",
    "pressure_drop",
    "viscosity",
    "boundary",
    "lateral",
    "provenance",
    "report",
)
