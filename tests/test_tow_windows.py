"""Windows of a medium: local K, the same at any number of workers, resumable, and upscaled by a Darcy flow."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from resinflow.flow import InvalidInputError, Microstructure
from resinflow.media import BundleSettings, fibre_bundle
from resinflow.stokes import permeability_tensor
from resinflow.tow import WindowMap, WindowOptions, measure_windows, upscaled_tensor, window_edges
from resinflow.tow.windows import _measure_and_write
from tests.dask_cluster import Cluster

OPTIONS = WindowOptions(boundary="pressure", tolerance=1e-4)


@pytest.fixture(scope="module")
def section() -> Microstructure:
    settings = BundleSettings(0.4, 7e-6, 0.1, 0.0, 0.9e-6)
    return fibre_bundle((1, 72, 108), (1e-6, 72e-6, 108e-6), seed=3, settings=settings)


@pytest.fixture(scope="module")
def windows(section: Microstructure) -> WindowMap:
    return measure_windows(section, 36e-6, OPTIONS)


def test_a_window_has_the_tensor_of_its_part_of_the_medium(section: Microstructure, windows: WindowMap) -> None:
    assert windows.shape == (2, 3)
    assert section.signed_distance is not None
    part = (slice(None), slice(36, 72), slice(72, 108))
    alone = Microstructure(section.fluid[part], section.spacing, section.signed_distance[part])
    expected = permeability_tensor(alone, boundary="pressure", tolerance=1e-4)
    assert (windows.tensors[1, 2] == expected.values).all()
    assert windows.fractions[1, 2] == alone.fibre_fraction


def test_windows_are_the_same_at_any_number_of_workers(section: Microstructure, windows: WindowMap) -> None:
    again = measure_windows(section, 36e-6, OPTIONS, workers=2)
    assert again.tensors.tobytes() == windows.tensors.tobytes()


@pytest.mark.slow
def test_the_workers_of_a_scheduler_give_the_same_bits(
    section: Microstructure, windows: WindowMap, scheduler: Cluster, tmp_path: Path
) -> None:
    address, _ = scheduler
    again = measure_windows(section, 36e-6, OPTIONS, folder=tmp_path / "windows", scheduler=address)
    assert again.tensors.tobytes() == windows.tensors.tobytes()
    assert again.reasons == windows.reasons
    assert len(list((tmp_path / "windows").glob("window-*.json"))) == 6


@pytest.mark.slow
def test_windows_whose_worker_ends_are_solved_by_another(
    section: Microstructure, windows: WindowMap, scheduler: Cluster, tmp_path: Path
) -> None:
    address, workers = scheduler

    def end_one(done: int, total: int) -> None:
        if done == 1:
            workers[0].kill()

    again = measure_windows(section, 36e-6, OPTIONS, folder=tmp_path / "windows", scheduler=address, watch=end_one)
    assert again.tensors.tobytes() == windows.tensors.tobytes()


def test_a_worker_that_does_not_see_the_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="the same to all workers"):
        _measure_and_write(tmp_path / "elsewhere", 0)


def test_running_again_goes_on_where_it_was_ended(section: Microstructure, windows: WindowMap, tmp_path: Path) -> None:
    measure_windows(section, 36e-6, OPTIONS, folder=tmp_path)
    kept, lost = tmp_path / "window-000001.json", tmp_path / "window-000004.json"
    marked = {**json.loads(kept.read_text()), "fraction": 0.123}
    kept.write_text(json.dumps(marked))
    lost.unlink()
    counts: list[tuple[int, int]] = []
    again = measure_windows(section, 36e-6, OPTIONS, folder=tmp_path, watch=lambda done, total: counts.append((done, total)))
    assert counts == [(6, 6)]  # one was missing
    assert again.fractions[0, 1] == 0.123
    assert (again.tensors == windows.tensors).all()
    with pytest.raises(InvalidInputError, match="another medium or other options"):
        measure_windows(section, 50e-6, OPTIONS, folder=tmp_path)


def test_windows_that_cannot_be_are_refused_in_a_line(section: Microstructure) -> None:
    with pytest.raises(InvalidInputError, match="needed: 3 diameters or more"):
        window_edges(section, 15e-6)
    with pytest.raises(InvalidInputError, match="no wider than the medium"):
        window_edges(section, 90e-6)
    with pytest.raises(InvalidInputError, match="needs a folder"):
        measure_windows(section, 36e-6, scheduler="tcp://nowhere:1")


def test_a_window_without_a_way_through_counts_as_zero_and_says_so() -> None:
    fluid = np.ones((1, 40, 80), dtype=bool)
    fluid[:, 18:22, :40] = False  # a wall along x through the left window
    fluid[:, 10:14, 55:59] = False
    windows = measure_windows(Microstructure(fluid, (1e-6,) * 3), 40e-6, WindowOptions(boundary="pressure", lateral="symmetry"))
    assert windows.component(1, 1)[0, 0] == 0
    assert windows.component(0, 0)[0, 0] > 0
    assert windows.reasons == ((0, 0, "no way through along y: K = 0"),)
    assert windows.blocked == 1
    assert upscaled_tensor(windows)[1, 1] == pytest.approx(0.5 * windows.component(1, 1)[0, 1], rel=0.02)


def map_of(tensors: np.ndarray, boundary: str) -> WindowMap:
    """A map of given tensors of the slice plane, windows of 10 um."""
    rows, columns = tensors.shape[:2]
    whole = np.zeros((rows, columns, 3, 3))
    whole[..., :2, :2], whole[..., 2, 2] = tensors, 1e-12
    edges = [1e-5 * np.arange(count + 1) for count in (rows, columns)]
    return WindowMap(whole, np.zeros((rows, columns)), (), edges[0], edges[1], 1e-6, boundary, "symmetry")


@pytest.mark.parametrize("boundary", ["periodic", "pressure"])
def test_upscaling_gives_the_known_answers(boundary: str) -> None:
    layers = np.zeros((4, 6, 2, 2))
    layers[..., 0, 0] = layers[..., 1, 1] = np.where(np.arange(6) % 2, 1e-13, 4e-13)
    across, along = 1.6e-13, 2.5e-13  # harmonic and arithmetic mean
    assert np.diag(upscaled_tensor(map_of(layers, boundary)))[:2] == pytest.approx([across, along], rel=1e-9)
    oblique = np.array([[3e-13, 1e-13], [1e-13, 2e-13]])
    same = upscaled_tensor(map_of(np.broadcast_to(oblique, (3, 5, 2, 2)), boundary))
    assert same[:2, :2] == pytest.approx(oblique, rel=1e-9)
    board = np.zeros((6, 6, 2, 2))
    board[..., 0, 0] = board[..., 1, 1] = np.where(np.indices((6, 6)).sum(axis=0) % 2, 1e-13, 4e-13)
    # a chequerboard has the geometric mean (Keller); elements that are conforming come from above
    assert np.diag(upscaled_tensor(map_of(board, boundary)))[:2] == pytest.approx([2e-13, 2e-13], rel=0.08)


def test_upscaled_windows_are_near_the_direct_solve(section: Microstructure, windows: WindowMap) -> None:
    direct = permeability_tensor(section, boundary="pressure", tolerance=1e-4)
    upscaled = upscaled_tensor(windows)
    for place in range(3):
        assert upscaled[place, place] == pytest.approx(direct.diagonal[place], rel=0.6)


def test_a_map_is_saved_in_every_format(windows: WindowMap, tmp_path: Path) -> None:
    import pyvista
    import xarray

    with windows.save(tmp_path / "map.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["Kxy_m2"]) for row in rows] == list(windows.component(0, 1).ravel())
    dataset = xarray.open_zarr(windows.save(tmp_path / "map.zarr"))
    assert (dataset["permeability"].values == windows.tensors).all()
    grid = pyvista.read(windows.save(tmp_path / "map.vti"))
    assert (grid.cell_data["Kxx"] == windows.component(0, 0).ravel()).all()
    with pytest.raises(InvalidInputError, match="suffix"):
        windows.save(tmp_path / "map.txt")
