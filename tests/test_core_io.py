"""A flow field comes back from every format exactly as it was saved, or not at all."""

import json
import shutil
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray
import zarr

from resinflow.flow.errors import InvalidInputError
from resinflow.flow.field import FlowField
from resinflow.flow.files import FORMATS
from resinflow.flow.microstructure import Microstructure
from resinflow.flow.report import ModelReport, SolverReport

SUFFIXES = tuple(FORMATS)
SINGLE_FILES = tuple(suffix for suffix in SUFFIXES if suffix != ".zarr")
SHAPE = (3, 4, 5)
SOLVED = SolverReport("converged", 2, 1e-9, (1.0, 1e-9), 1e-7, 1e-13, 0.25, ("one voxel wide gaps",))
PREDICTED = ModelReport("small", "ddim", 20, 0, 3, 1.25)


def bare_field(kind=np.float64):
    rng = np.random.default_rng(7)
    medium = Microstructure(rng.random(SHAPE) > 0.4, (3e-6, 2e-6, 1e-6 / 3))
    velocity, pressure = rng.normal(size=(3, *SHAPE)).astype(kind), rng.random(SHAPE).astype(kind)
    return FlowField(medium, velocity, pressure, "y", 1e5 / 3, 0.1, boundary="periodic", lateral="no-slip")


def full_field(kind=np.float64):
    """A field with every optional part; one face array holds zeros only, which a store may leave out."""
    rng = np.random.default_rng(8)
    bare = bare_field(kind)
    medium = Microstructure(
        bare.microstructure.fluid,
        bare.microstructure.spacing,
        rng.normal(size=SHAPE).astype(np.float32),
        {"generator": "test", "seed": 3, "radii": [1.0, 2.5], "name": "Glasfaser \u00b5"},
    )
    faces = (rng.normal(size=(3, 4, 6)), np.zeros((3, 5, 5)), rng.normal(size=(4, 4, 5)))
    return replace(
        bare,
        microstructure=medium,
        face_velocity=tuple(face.astype(kind) for face in faces),
        velocity_std=rng.random((3, *SHAPE)).astype(kind),
        permeability_samples=rng.random(4),
        report=SOLVED,
    )


def assert_same(loaded: FlowField, saved: FlowField) -> None:
    def arrays(flow: FlowField) -> list[np.ndarray | None]:
        medium = flow.microstructure
        return [
            medium.fluid,
            medium.signed_distance,
            flow.velocity,
            flow.pressure,
            flow.velocity_std,
            flow.permeability_samples,
            *(flow.face_velocity or (None, None, None)),
        ]

    for ours, theirs in zip(arrays(loaded), arrays(saved), strict=True):
        if theirs is None:
            assert ours is None
        else:
            assert ours is not None
            assert ours.dtype == theirs.dtype
            assert np.array_equal(ours, theirs)
    for name in ("axis", "pressure_drop", "viscosity", "boundary", "lateral", "report", "permeability"):
        assert getattr(loaded, name) == getattr(saved, name), name
    assert loaded.microstructure.spacing == saved.microstructure.spacing
    assert loaded.microstructure.provenance == saved.microstructure.provenance
    assert loaded.microstructure.fingerprint == saved.microstructure.fingerprint


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kind", [np.float32, np.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("make", [bare_field, full_field])
def test_a_field_comes_back_exactly(make, kind, suffix, tmp_path):
    flow = make(kind)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = flow.save(tmp_path / f"flow{suffix}")
        assert_same(FlowField.load(path), flow)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_models_report_comes_back(suffix, tmp_path):
    flow = replace(bare_field(), report=PREDICTED)
    assert FlowField.load(flow.save(tmp_path / f"flow{suffix}")).report == PREDICTED


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_single_slice_comes_back(suffix, tmp_path):
    medium = Microstructure(np.ones((1, 2, 1), dtype=bool), (1e-6, 1e-6, 1e-6))
    flow = FlowField(medium, np.ones((3, 1, 2, 1)), np.ones((1, 2, 1)), "x", 1.0, 1.0)
    assert_same(FlowField.load(flow.save(tmp_path / f"flow{suffix}")), flow)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_numpy_numbers_and_paths_in_the_provenance_become_plain(suffix, tmp_path):
    origin = {"seed": np.int64(3), "radius": np.float32(0.5), "sizes": np.arange(3), "file": Path("a") / "b.tif"}
    bare = bare_field()
    medium = Microstructure(bare.microstructure.fluid, bare.microstructure.spacing, None, origin)
    path = replace(bare, microstructure=medium).save(tmp_path / f"flow{suffix}")
    plain = {"seed": 3, "radius": 0.5, "sizes": [0, 1, 2], "file": str(origin["file"])}
    assert FlowField.load(path).microstructure.provenance == plain


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_history_of_thousands_of_residuals_fits(suffix, tmp_path):
    report = replace(SOLVED, residual_history=tuple(np.random.default_rng(9).random(9000)))
    flow = replace(bare_field(), report=report)
    assert FlowField.load(flow.save(tmp_path / f"flow{suffix}")).report == report


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("later", [bare_field, full_field])
def test_saving_again_replaces_the_older_field(later, suffix, tmp_path):
    path = tmp_path / f"flow{suffix}"
    (full_field if later is bare_field else bare_field)().save(path)
    later().save(path)
    assert_same(FlowField.load(path), later())
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_the_suffix_may_be_in_capitals(tmp_path):
    flow = bare_field()
    assert_same(FlowField.load(flow.save(tmp_path / "FLOW.NPZ")), flow)


@pytest.mark.parametrize("name", ["flow", "flow.txt", "flow.h5"])
def test_an_unknown_suffix_is_refused_on_both_ways(name, tmp_path):
    with pytest.raises(InvalidInputError, match=r"needed: one of .zarr, .nc, .npz, .vti"):
        bare_field().save(tmp_path / name)
    with pytest.raises(InvalidInputError, match="needed: one of"):
        FlowField.load(tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_missing_file_is_named(suffix, tmp_path):
    with pytest.raises(InvalidInputError, match=f"nothing{suffix} does not exist"):
        FlowField.load(tmp_path / f"nothing{suffix}")


def refused(path: Path) -> str:
    with pytest.raises(InvalidInputError) as raised:
        FlowField.load(path)
    message = str(raised.value)
    assert "\n" not in message
    assert path.name in message
    return message


@pytest.mark.parametrize("suffix", SINGLE_FILES)
@pytest.mark.parametrize("kept", [0.0, 0.2, 0.6, 0.99])
def test_a_truncated_file_ends_in_one_error_and_in_silence(kept, suffix, tmp_path, capfd):
    path = full_field().save(tmp_path / f"flow{suffix}")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    refused(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_foreign_file_ends_in_one_error(suffix, tmp_path):
    path = tmp_path / f"flow{suffix}"
    path.write_text("this is a letter, not a flow\n" * 40)
    refused(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_empty_folder_ends_in_one_error(suffix, tmp_path):
    path = tmp_path / f"flow{suffix}"
    path.mkdir()
    refused(path)


@pytest.mark.parametrize("name", ["velocity", "face_velocity_y", "permeability_samples"])
def test_an_array_lost_from_a_store_is_found(name, tmp_path):
    path = full_field().save(tmp_path / "flow.zarr")
    shutil.rmtree(path / name)
    refused(path)


def test_a_chunk_lost_from_a_store_is_found(tmp_path):
    """Zarr itself reads a lost chunk as zeros."""
    path = full_field().save(tmp_path / "flow.zarr")
    chunk = next(entry for entry in (path / "velocity" / "c").rglob("*") if entry.is_file())
    chunk.unlink()
    assert "not what was saved" in refused(path)


def test_a_truncated_chunk_is_found(tmp_path):
    path = full_field().save(tmp_path / "flow.zarr")
    chunk = next(entry for entry in (path / "pressure" / "c").rglob("*") if entry.is_file())
    chunk.write_bytes(chunk.read_bytes()[:-5])
    refused(path)


def test_truncated_metadata_of_a_store_are_found(tmp_path):
    path = full_field().save(tmp_path / "flow.zarr")
    (path / "zarr.json").write_text((path / "zarr.json").read_text()[:-20])
    refused(path)


def test_one_changed_number_in_an_uncompressed_file_is_found(tmp_path):
    flow = full_field()
    path = flow.save(tmp_path / "flow.nc")
    content = path.read_bytes()
    number = flow.velocity[0, 0, 0, 0].tobytes()
    assert content.count(number) == 1
    path.write_bytes(content.replace(number, np.float64(0.5).tobytes()))
    assert "not what was saved" in refused(path)


def test_a_changed_viscosity_is_found(tmp_path):
    path = full_field().save(tmp_path / "flow.zarr")
    header = json.loads((path / "zarr.json").read_text())
    header["attributes"]["viscosity"] = 0.2
    (path / "zarr.json").write_text(json.dumps(header))
    assert "not what was saved" in refused(path)


def test_another_schema_is_refused_with_the_one_that_is_needed(tmp_path):
    dataset = bare_field().to_xarray()
    dataset.attrs["schema"] = "resinflow-flow-0"
    dataset.to_netcdf(tmp_path / "flow.nc", engine="h5netcdf")
    assert "schema is 'resinflow-flow-0'; needed: 'resinflow-flow-1'" in refused(tmp_path / "flow.nc")


def test_what_a_dataset_lacks_is_named():
    dataset = bare_field().to_xarray().drop_vars("pressure")
    del dataset.attrs["viscosity"]
    with pytest.raises(InvalidInputError, match="pressure, viscosity missing"):
        FlowField.from_xarray(dataset)


def test_a_dataset_changed_in_memory_is_a_field_again():
    flow = full_field()
    dataset = flow.to_xarray()
    dataset["velocity"] = dataset["velocity"] * 2
    assert np.array_equal(FlowField.from_xarray(dataset).velocity, flow.velocity * 2)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("interruption", [KeyboardInterrupt, MemoryError])
def test_an_interrupted_save_leaves_the_older_file_whole(interruption, suffix, tmp_path, monkeypatch):
    older = full_field()
    path = older.save(tmp_path / f"flow{suffix}")
    chosen = FORMATS[suffix]

    def write_and_stop(dataset, target):
        chosen.write(dataset, target)
        raise interruption

    monkeypatch.setitem(FORMATS, suffix, replace(chosen, write=write_and_stop))
    with pytest.raises(interruption):
        bare_field().save(path)
    assert_same(FlowField.load(path), older)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_a_full_disk_is_told_in_one_line(tmp_path, monkeypatch):
    def write(dataset, target):
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(FORMATS, ".npz", replace(FORMATS[".npz"], write=write))
    with pytest.raises(InvalidInputError, match=r"cannot write .*flow.npz: No space left on device; choose a place"):
        bare_field().save(tmp_path / "flow.npz")
    assert not list(tmp_path.iterdir())


def test_paraview_sees_cell_data_with_vectors_last_and_x_fastest(tmp_path):
    pyvista = pytest.importorskip("pyvista")
    flow = full_field()
    image = pyvista.read(flow.save(tmp_path / "flow.vti"))
    assert image.dimensions == (6, 5, 4)
    assert image.spacing == pytest.approx((1e-6 / 3, 2e-6, 3e-6))
    cell = image.find_closest_cell((2.5e-6 / 3, 5e-6, 1.5e-6))
    assert np.array_equal(image.cell_data["velocity"][cell], flow.velocity[:, 0, 2, 2])
    assert image.cell_data["pressure"][cell] == flow.pressure[0, 2, 2]


@pytest.mark.parametrize("suffix", [".npz", ".vti"])
def test_saving_loads_neither_xarray_nor_pyvista(suffix, tmp_path):
    code = (
        "import sys; import numpy as np; from resinflow.flow import FlowField, Microstructure\n"
        "one = np.ones((1, 1, 1)); medium = Microstructure(one, (1e-6,) * 3)\n"
        f"FlowField(medium, np.ones((3, 1, 1, 1)), one, 'x', 1, 1).save({str(tmp_path / f'flow{suffix}')!r})\n"
        "print([name for name in ('xarray', 'pandas', 'dask', 'pyvista') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "[]", done.stderr


def test_a_missing_pyvista_names_the_extra_to_install(tmp_path):
    code = (
        "import sys; sys.modules['vtkmodules'] = None\n"
        "import numpy as np; from resinflow.flow import FlowField, Microstructure, MissingDependencyError\n"
        "one = np.ones((1, 1, 1)); medium = Microstructure(one, (1e-6,) * 3)\n"
        "flow = FlowField(medium, np.ones((3, 1, 1, 1)), one, 'x', 1, 1)\n"
        f"path = {str(tmp_path / 'flow.vti')!r}\n"
        "try: flow.save(path)\nexcept MissingDependencyError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert "pip install 'resinflow[view]'" in done.stdout, done.stderr
    assert not list(tmp_path.iterdir())


def foreign_files(folder: Path) -> list[Path]:
    """Files with suffixes of flow fields that other programs wrote, and one of text under each suffix."""
    np.savez(folder / "other.npz", values=np.zeros(3))
    dataset = xarray.Dataset({"values": ("place", np.zeros(3))})
    dataset.to_netcdf(folder / "other.nc", engine="h5netcdf")
    dataset.to_zarr(folder / "other.zarr", zarr_format=3, consolidated=False)
    zarr.open_array(str(folder / "array.zarr"), mode="w", shape=(3,), dtype="f4")
    (folder / "folder.zarr").mkdir()
    texts = [folder / f"text{suffix}" for suffix in (".npz", ".nc", ".vti")]
    for path in texts:
        path.write_text("no flow")
    return [*(folder / name for name in ("other.npz", "other.nc", "other.zarr", "array.zarr", "folder.zarr")), *texts]


def test_a_file_of_another_program_is_called_so_and_the_message_says_what_to_give(tmp_path):
    for path in foreign_files(tmp_path):
        message = refused(path)
        if path.stem == "other":
            assert "resinflow did not write it; needed: a flow field that resinflow saved, or the image itself" in message
        assert "that resinflow saved" in message
        assert not any(word in message for word in ("header", "pickle", "store", "Errno", "signature", "group", "line 1"))


def test_an_image_of_another_program_in_the_format_of_paraview_is_called_foreign(tmp_path):
    pyvista = pytest.importorskip("pyvista")
    pyvista.ImageData(dimensions=(3, 3, 3)).save(tmp_path / "other.vti")
    assert "resinflow did not write it" in refused(tmp_path / "other.vti")


def test_a_saved_store_opens_in_xarray_without_a_warning_and_is_written_without_one(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = bare_field().save(tmp_path / "flow.zarr")
        with xarray.open_zarr(path) as dataset:
            np.testing.assert_array_equal(dataset["velocity"].values, bare_field().velocity)
