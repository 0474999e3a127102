"""Stacks in HDF5 and NeXus files by their address: the same medium as from a TIFF, read once, or one clear line."""

from __future__ import annotations

import builtins
import csv
import tracemalloc
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tifffile

from resinflow.flow import InvalidInputError, MissingDependencyError, address_of
from resinflow.media import count_slices, from_image, read_part, read_stack
from resinflow.media.hdf5_stacks import read_hdf5
from tests.commands import refusal, run
from tests.drawn_images import save_small_stack

SIZES = ("--pixel-size", "0.9375e-6", "--depth", "12e-6", "--front-end", "classical", "--tolerance", "1e-3")


@pytest.fixture(scope="module")
def tiff(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_stack(tmp_path_factory.mktemp("stack") / "stack.tif")


@pytest.fixture
def scan(tiff: Path, tmp_path: Path) -> Path:
    """A NeXus file with the stack, compressed in chunks, a dark field beside it, and no default."""
    path = tmp_path / "scan.nxs"
    with h5py.File(path, "w") as file:
        greys = tifffile.imread(tiff)
        file.create_dataset("entry/data", data=greys, chunks=(1, 16, 16), compression="gzip")
        file.create_dataset("entry/dark", data=greys[0])
        file.create_dataset("entry/angles", data=np.linspace(0, 180, 7))
        file["entry/title"] = "a scan"
    return path


def test_an_address_is_a_file_and_the_name_of_a_data_set(tmp_path: Path) -> None:
    assert address_of("a/scan.nxs::/entry/data") == (Path("a/scan.nxs"), "/entry/data")
    assert address_of(Path("scan.h5::entry/data/")) == (Path("scan.h5"), "/entry/data")
    assert address_of("scan.h5") == (Path("scan.h5"), None)
    assert address_of("odd::name.tif") == (Path("odd::name.tif"), None)
    own = tmp_path / "odd.h5::name.tif"
    own.write_bytes(b"")
    assert address_of(own) == (own, None)


def test_the_medium_is_that_of_the_same_images_as_a_tiff(scan: Path, tiff: Path) -> None:
    address = f"{scan}::/entry/data"
    np.testing.assert_array_equal(read_stack(address), tifffile.imread(tiff))
    mine, theirs = (from_image(path, pixel_size="0.9375um", depth="12um") for path in (address, tiff))
    np.testing.assert_array_equal(np.asarray(mine.signed_distance), np.asarray(theirs.signed_distance))
    assert mine.provenance["file"] == "scan.nxs::/entry/data"


def test_commands_take_addresses_and_a_table_continues(scan: Path, tiff: Path, tmp_path: Path) -> None:
    media = (tiff, Path(f"{scan}::/entry/data"))
    for _ in range(2):
        run("permeability", *media, *SIZES, "-o", tmp_path / "table.csv")
    with (tmp_path / "table.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["K_m2"] for row in rows[:3]] == [row["K_m2"] for row in rows[3:]]
    assert rows[0]["key"] != rows[3]["key"] != ""


def test_a_stack_is_read_slice_by_slice_and_counted_without_reading(scan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[Any] = []
    direct = h5py.Dataset.read_direct

    def counted(self: h5py.Dataset, target: Any, source: Any, place: Any) -> None:
        reads.append(source)
        direct(self, target, source, place)

    monkeypatch.setattr(h5py.Dataset, "read_direct", counted)
    assert count_slices(f"{scan}::/entry/data") == 3
    assert count_slices(f"{scan}::/entry/dark") == 1
    assert reads == []
    read_hdf5(f"{scan}::/entry/data")
    assert len(reads) == 3


def test_of_a_cropped_stack_no_more_is_read_than_the_part(scan: Path, tiff: Path, tmp_path: Path) -> None:
    crop = "4:30,2:28"
    mine, theirs = (from_image(path, pixel_size="0.9375um", depth="12um", crop=crop) for path in (f"{scan}::/entry/data", tiff))
    assert mine.fluid.tobytes() == theirs.fluid.tobytes()
    assert mine.provenance["region"] == theirs.provenance["region"] == [4, 30, 2, 28]
    assert len(mine.provenance["notes"]) == len(theirs.provenance["notes"])
    with h5py.File(tmp_path / "tall.h5", "w") as file:
        data = file.create_dataset("scan", (1000, 160, 160), np.uint8, chunks=(1, 32, 32), compression="gzip")
        data[500, 64:96, 64:96] = 7
    tracemalloc.start()
    part = read_hdf5(tmp_path / "tall.h5", slice(64, 96), slice(64, 96))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert part.values.shape == (1000, 32, 32)
    assert part.values[500].min() == 7
    assert peak < 0.1 * 1000 * 160 * 160  # bytes; the part is a 25th
    tracemalloc.start()
    page = read_part(tmp_path / "tall.h5", (64, 96, 64, 96), 500)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (page == part.values[500:501]).all()
    assert peak < 0.01 * 1000 * 160 * 160  # what a figure of one slice reads
    with pytest.raises(InvalidInputError, match=r"has 160 columns and 160 rows"):
        from_image(tmp_path / "tall.h5", pixel_size="1um", depth="1um", crop="0:200,0:10")


def test_parts_of_stacks_are_those_of_whole_ones_whatever_the_file(scan: Path, tiff: Path) -> None:
    whole = tifffile.imread(tiff)
    for path in (f"{scan}::/entry/data", tiff):
        assert (read_part(path) == whole).all()
        assert (read_part(path, (4, 30, 2, 28), 1) == whole[1:2, 2:28, 4:30]).all()
    assert (read_part(f"{scan}::/entry/dark", None, 2) == whole[:1]).all()  # a single image has no other slice


def test_the_default_of_nexus_or_the_only_stack_needs_no_name(scan: Path, tmp_path: Path) -> None:
    with h5py.File(scan, "a") as file:
        file.attrs["default"] = "entry"
        file["entry"].attrs["signal"] = "data"
    assert read_stack(scan).shape == (3, 32, 32)
    assert read_stack(f"{scan}::/entry").shape == (3, 32, 32)
    with h5py.File(tmp_path / "one.h5", "w") as file:
        file["greys"] = np.arange(64).reshape(8, 8)
    assert read_stack(tmp_path / "one.h5").shape == (1, 8, 8)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("", "holds /entry/dark (32 x 32), /entry/data (3 x 32 x 32); needed: the name of one"),
        ("::/entry/nothing", "has no data set /entry/nothing; it holds /entry/dark"),
        ("::/entry/angles", "has shape (7,)"),
        ("::/entry/title", "needed: greys"),
        ("::/", "no data set /"),
    ],
)
def test_what_is_no_stack_is_refused_with_what_there_is(scan: Path, address: str, words: str) -> None:
    with pytest.raises(InvalidInputError) as error:
        read_stack(f"{scan}{address}")
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_files_that_are_absent_or_damaged_end_in_one_line(
    scan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "does not exist" in refusal(capsys, "permeability", f"{tmp_path}/none.nxs::/entry/data", *SIZES)
    broken = tmp_path / "broken.h5"
    broken.write_bytes(scan.read_bytes()[:900])
    assert "damaged" in refusal(capsys, "permeability", f"{broken}::/entry/data", *SIZES)
    assert "pixel size is missing" in refusal(capsys, "permeability", f"{scan}::/entry/data")


def test_without_h5py_the_line_names_the_extra(scan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "h5py":
            raise ImportError(name)
        return load(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingDependencyError, match=r"pip install 'resinflow\[hdf5\]'"):
        read_stack(f"{scan}::/entry/data")


def test_a_default_that_leads_back_to_itself_ends_and_data_in_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "loop.nxs"
    with h5py.File(path, "w") as file:
        file.attrs["default"] = "."
        file.create_dataset("entry/data", data=np.zeros((2, 8, 8), dtype=np.uint8))
    assert read_hdf5(path).values.shape == (2, 8, 8)
    secret = tmp_path / "secret.txt"
    secret.write_bytes(bytes(64))
    with h5py.File(tmp_path / "outside.h5", "w") as file:
        file.create_dataset("data", (8, 8), np.uint8, external=[(str(secret), 0, 64)])
    with pytest.raises(InvalidInputError, match="lies in another file"):
        read_hdf5(tmp_path / "outside.h5")
