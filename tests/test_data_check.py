"""Claims about the validator: a clean set passes, and every planted fault is found with its sample and its cause."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resinflow.data.check import check_store
from resinflow.data.division import canonical_fingerprint, draw_division
from resinflow.data.generate import make_sample
from resinflow.data.published.read import import_published
from resinflow.data.published.write import export_published
from resinflow.data.recipe import DataRecipe
from resinflow.data.schema import FIELDS, GRID_FIELDS
from resinflow.data.store import FlowStore
from resinflow.flow import recover_faces
from resinflow.flow.microstructure import Microstructure
from resinflow.media.bundles import BundleSettings, fibre_bundle
from resinflow.stokes.solve import solve
from tests.tamper import group, tamper, without_attribute

SAMPLE = 3


@pytest.fixture
def copy(tiny_store: FlowStore, tmp_path: Path) -> FlowStore:
    shutil.copytree(tiny_store.path, tmp_path / "copy.zarr")
    return FlowStore.open(tmp_path / "copy.zarr", writable=True)


def change(name: str, edit: Callable[[np.ndarray], np.ndarray]) -> Callable[[FlowStore], None]:
    return lambda store: tamper(store, name, SAMPLE, edit(store.read(name, SAMPLE).copy()))


def with_nan(values: np.ndarray) -> np.ndarray:
    values[0, 1, 2, 3] = np.nan
    return values


def plant_flow_in_a_fibre(store: FlowStore) -> None:
    velocity, fluid = store.read("velocity", SAMPLE), store.read("fluid", SAMPLE)
    velocity[0][tuple(np.argwhere(fluid == 0)[5])] = 1e-3 * velocity.max()
    tamper(store, "velocity", SAMPLE, velocity)


def plant_divergence(store: FlowStore) -> None:
    velocity, fluid = store.read("velocity", SAMPLE), store.read("fluid", SAMPLE)
    velocity[1][tuple(np.argwhere(fluid == 1)[40])] += 1e-3 * velocity.max()
    tamper(store, "velocity", SAMPLE, velocity)


def plant_pressure_offset(store: FlowStore) -> None:
    fluid = store.read("fluid", SAMPLE)
    tamper(store, "pressure", SAMPLE, store.read("pressure", SAMPLE) + 0.1 * store.attributes["pressure_drop"] * fluid)


def plant_truncated_chunk(store: FlowStore) -> None:
    chunk = next(file for file in (store.path / "pressure" / "c" / str(SAMPLE)).rglob("*") if file.is_file())
    chunk.write_bytes(chunk.read_bytes()[:40])


def plant_duplicate(store: FlowStore) -> None:
    """The mirror image (about z) of sample 0, with its flow, so that the copy as such is without fault."""
    for name in store.fields:
        value = store.read(name, 0)
        if value.ndim >= 3:
            value = np.flip(value, -3).copy()
            if name in ("velocity", "response_velocity"):
                value[2] *= -1
        tamper(store, name, SAMPLE, value)
    fluid, spacing = store.read("fluid", SAMPLE), store.read("spacing", SAMPLE)
    print_ = Microstructure(fluid, tuple(spacing)).fingerprint
    tamper(store, "fingerprint", SAMPLE, np.frombuffer(bytes.fromhex(print_), dtype=np.uint8))
    without_attribute(store, "splits")


def plant_leaked_split(store: FlowStore) -> None:
    splits = store.attributes["splits"]
    for name in ("train", "validation", "test"):
        if SAMPLE not in splits["indices"][name]:
            splits["indices"][name].append(SAMPLE)
            break
    store.set_attribute("splits", splits)


def plant_moved_sample(store: FlowStore) -> None:
    splits = store.attributes["splits"]
    home = next(name for name, part in splits["indices"].items() if SAMPLE in part)
    away = "test" if home != "test" else "train"
    splits["indices"][home].remove(SAMPLE)
    splits["indices"][away].append(SAMPLE)
    store.set_attribute("splits", splits)


def flip(component: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda v: v * np.array([-1.0 if k == component else 1.0 for k in range(3)])[:, None, None, None]


FAULTS: dict[str, tuple[Callable[[FlowStore], None], str]] = {
    "NaN": (change("velocity", with_nan), "not finite"),
    "flow in a fibre": (plant_flow_in_a_fibre, "flow in a fibre"),
    "sign of vx": (change("velocity", flip(0)), "wrong sign of vx"),
    "sign of vy": (change("velocity", flip(1)), "wrong sign of vy"),
    "sign of vz": (change("velocity", flip(2)), "wrong sign of vz"),
    "arrays transposed": (change("velocity", lambda v: np.swapaxes(v, 2, 3)), "swapped axes"),
    "components swapped": (change("velocity", lambda v: v[[1, 0, 2]]), "swapped axes"),
    "all transposed": (change("velocity", lambda v: np.swapaxes(v, 2, 3)[[1, 0, 2]]), "swapped axes"),
    "truncated chunk": (plant_truncated_chunk, "unreadable"),
    "duplicate": (plant_duplicate, "duplicate"),
    "pressure offset": (plant_pressure_offset, "pressure offset"),
    "pressure offset everywhere": (change("pressure", lambda p: p + 10.0), "pressure offset"),
    "pressure not scaled": (change("pressure", lambda p: p / 1250.0), "pressure drop"),
    "spacing in um": (change("spacing", lambda s: s * 1e3), "wrong spacing"),
    "dz wrong": (change("spacing", lambda s: s * [1.01, 1, 1]), "wrong spacing"),
    "spacing in another order": (change("spacing", lambda s: s[::-1]), "wrong spacing"),
    "divergence": (plant_divergence, "divergence"),
    "leaked split": (plant_leaked_split, "leaked split"),
    "moved sample": (plant_moved_sample, "leaked split"),
    "mask changed": (change("fluid", lambda f: np.roll(f, 1, 1)), "changed medium"),
    "K changed": (change("permeability", lambda k: k * 1.001), "permeability"),
    "never finished": (change("complete", lambda c: c * 0), "missing"),
    "sign of planar vy": (
        change("planar_velocity", lambda v: v * np.array([1.0, -1.0])[:, None, None, None]),
        "wrong sign of vy",
    ),
    "scaled in one half": (change("velocity", lambda v: v * np.where(np.arange(16) < 8, 1.0, 1.1)), "divergence"),
}


def test_a_generated_data_set_has_no_fault(tiny_store: FlowStore) -> None:
    assert check_store(tiny_store) == []


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found_with_its_sample_and_cause(copy: FlowStore, name: str) -> None:
    plant, cause = FAULTS[name]
    plant(copy)
    faults = check_store(FlowStore.open(copy.path))
    assert (SAMPLE, cause) in [(fault.sample, fault.cause) for fault in faults], [str(fault) for fault in faults]
    assert {fault.sample for fault in faults} <= {SAMPLE, None}


def test_a_copy_in_another_split_is_a_leak(copy: FlowStore) -> None:
    splits = copy.attributes["splits"]
    plant_duplicate(copy)
    parts = {index: name for name, indices in splits["indices"].items() for index in indices}
    for index, name in ((0, "train"), (SAMPLE, "test")):
        splits["indices"][parts[index]].remove(index)
        splits["indices"][name].append(index)
    copy.set_attribute("splits", splits)
    assert any(fault.cause == "leaked split" and fault.sample == SAMPLE for fault in check_store(copy))


def test_a_missing_array_and_a_wrong_type_are_faults_of_the_schema(copy: FlowStore) -> None:
    shutil.rmtree(copy.path / "planar_pressure")
    faults = check_store(FlowStore.open(copy.path))
    assert [(fault.sample, fault.cause, fault.detail) for fault in faults] == [(None, "schema", "no planar_pressure")]


def test_an_array_of_another_type_is_a_fault_of_the_schema(copy: FlowStore) -> None:
    group(copy).create_array(
        "pressure", shape=(8, 3, 16, 16), dtype="float64", dimension_names=("sample", "z", "y", "x"), overwrite=True
    )
    assert any("pressure is float64" in str(fault) for fault in check_store(FlowStore.open(copy.path)))


def test_statistics_of_another_training_split_are_a_fault(copy: FlowStore) -> None:
    copy.set_attribute("statistics", {**copy.attributes["statistics"], "samples": 1})
    assert [fault.cause for fault in check_store(copy)] == ["statistics"]


def test_a_converted_set_is_checked_too(tiny_store: FlowStore, tmp_path: Path) -> None:
    folder = export_published(tiny_store, tmp_path / "published", plain=True)
    store = import_published(folder, tmp_path / "set.zarr", pressure_drop=1e5, viscosity=0.1)
    assert check_store(store) == []
    tamper(store, "velocity", SAMPLE, flip(1)(store.read("velocity", SAMPLE)))
    assert [(fault.sample, fault.cause) for fault in check_store(store)] == [(SAMPLE, "wrong sign of vy")]


def test_a_forgotten_density_shows_as_a_wrong_pressure_drop(tiny_store: FlowStore, tmp_path: Path) -> None:
    folder = export_published(tiny_store, tmp_path / "published", plain=True)
    store = import_published(folder, tmp_path / "set.zarr", pressure_drop=1250 * 1e5, viscosity=125.0)
    assert {fault.cause for fault in check_store(store)} <= {"pressure drop", "pressure offset"}
    assert {fault.sample for fault in check_store(store)} == set(range(8))


@pytest.mark.parametrize("fibres", [True, False])
def test_faces_recovered_from_centres_are_those_that_the_solver_found(fibres: bool) -> None:
    if fibres:
        settings_ = BundleSettings(volume_fraction=0.4, diameter=8e-6, misalignment=10.0)
        micro = fibre_bundle((3, 16, 16), (12e-6, 25e-6, 25e-6), seed=1, settings=settings_)
    else:  # rows along x that meet no fibre at all
        fluid = np.ones((3, 9, 12), dtype=bool)
        fluid[:, :2] = False
        fluid[1, 4:6, 4:7] = False
        micro = Microstructure(fluid, (2e-6, 1e-6, 1e-6))
    flow = solve(micro, tolerance=1e-10, wall_rule="plain")
    faces = recover_faces(flow.velocity, micro.fluid, micro.spacing)
    assert flow.face_velocity is not None
    size = np.abs(flow.velocity).max()
    for found, solved in zip(faces.components, flow.face_velocity, strict=True):
        assert np.abs(found - solved).max() < 1e-4 * size
    assert np.abs(faces.divergence()).max() < 1e-4 * size / min(micro.spacing)


MEDIA = st.lists(st.integers(0, 2**12 - 1), min_size=1, max_size=12)
COPIES = st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.booleans(), st.booleans()), min_size=12, max_size=12)


@settings(max_examples=60, deadline=None)
@given(media=MEDIA, copies=COPIES, order=st.randoms())
def test_no_medium_nor_mirrored_nor_rotated_copy_stands_in_two_splits(media, copies, order) -> None:
    samples = []
    for number, (turns, flip_z, flip_y, flip_x) in zip(media, copies, strict=False):
        fluid = np.array([(number >> bit) & 1 for bit in range(12)], dtype=bool).reshape(2, 2, 3)
        spacing = (3e-6, 1e-6, 2e-6)
        copy = np.rot90(fluid, turns, axes=(1, 2))
        copy = copy[::-1] if flip_z else copy
        copy = copy[:, ::-1] if flip_y else copy
        copy = copy[..., ::-1] if flip_x else copy
        turned = spacing if turns % 2 == 0 else (spacing[0], spacing[2], spacing[1])
        samples += [(number, Microstructure(fluid, spacing)), (number, Microstructure(copy, turned))]
    order.shuffle(samples)
    parts = draw_division([canonical_fingerprint(micro) for _, micro in samples]).parts()
    assert sorted(index for part in parts.values() for index in part) == list(range(len(samples)))
    homes: dict[str, set[str]] = {}
    for name, indices in parts.items():
        for index in indices:
            micro = samples[index][1]
            for key in (f"number {samples[index][0]}", micro.fingerprint):
                homes.setdefault(key, set()).add(name)
    assert all(len(names) == 1 for names in homes.values())


def test_pressure_behind_a_surface_at_the_inlet_is_no_fault_and_an_offset_is(tmp_path: Path) -> None:
    recipe = DataRecipe(
        samples=1,
        seed=5,
        shape=(5, 32, 32),
        width=25e-6,
        depth=(20e-6, 40e-6),
        volume_fraction=(0.3, 0.6),
        diameter=(8e-6, 12e-6),
        refinement=(2, 2, 2),
        wall_rule="surface",
        tolerance=1e-4,
    )
    attributes = {"recipe": recipe.model_dump(mode="json"), "pressure_drop": 1e5, "viscosity": 0.1}
    fields = (*FIELDS, *GRID_FIELDS)
    store = FlowStore.create(tmp_path / "one.zarr", 1, recipe.shape, attributes, fields=fields)
    store.write_sample(0, make_sample(recipe, 70))
    assert check_store(store) == []
    fluid = store.read("fluid", 0)
    tamper(store, "pressure", 0, store.read("pressure", 0) + 0.15e5 * fluid)
    assert [fault.cause for fault in check_store(store)] == ["pressure offset"]
