"""Claims about what comes in: names are never paths, sizes are bounded, and an image says what it holds before it is read."""

from __future__ import annotations

import asyncio
import struct
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from resinflow.app.uploads import MOST_VOXELS, Upload, check_pixels, place_uploads, receive, shown_name
from resinflow.app.work_folder import WorkFolder
from resinflow.flow import InvalidInputError
from tests.drawn_images import refusal

PNG = b"\x89PNG\r\n\x1a\n"


async def pieces(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 1000):
        yield data[start : start + 1000]


def send(folder: Path, name: str, data: bytes, number: int = 0, limit: int = 1 << 20) -> Upload:
    return asyncio.run(receive(pieces(data), name, folder, number, limit))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return WorkFolder(tmp_path / "work").new_session()


HOSTILE = [
    "../../../evil.png",
    "/etc/evil.png",
    "..\\..\\evil.png",
    "a/../../evil.png",
    "evil\n\x1b[31m.png",
    "x" * 300 + ".png",
    "~.png",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_never_used_as_a_path(folder: Path, name: str):
    before = {path for path in folder.parent.parent.rglob("*") if path.is_file()}
    arrival = place_uploads([send(folder, name, PNG + b"0" * 100)], folder)
    assert {path for path in folder.parent.parent.rglob("*") if path.is_file()} - before == {folder / "input" / "image-1.png"}
    assert arrival.image == "input/image-1.png"
    assert arrival.name.isprintable()
    assert "/" not in arrival.name
    assert "\\" not in arrival.name
    assert len(arrival.name) <= 80


def test_a_file_that_is_too_large_is_refused_and_nothing_of_it_is_left(folder: Path):
    with pytest.raises(InvalidInputError, match="larger than"):
        send(folder, "a.png", PNG + b"0" * 5000, limit=3000)
    assert list((folder / "input").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.exe", b"MZ", "suffix"),
        ("a.svg", b"<svg>", "suffix"),
        ("png", PNG, "suffix"),
        ("a.png", b"<html><script>", "does not begin as an image"),
        ("a.tif", b"", "is empty"),
        ("a.zip", b"PK\3\4", "suffix"),
    ],
)
def test_other_kinds_of_files_are_refused_in_one_line(folder: Path, name: str, data: bytes, words: str):
    assert words in refusal(send, folder, name, data)
    assert list((folder / "input").iterdir()) == []


def test_slices_stand_in_the_order_of_their_numbers(folder: Path):
    names = ["s10.png", "s9.png", "s100.png"]
    uploads = [send(folder, name, PNG + name.encode(), number) for number, name in enumerate(names)]
    arrival = place_uploads(uploads, folder)
    order = [path.read_bytes()[8:].decode() for path in sorted((folder / arrival.image).iterdir())]
    assert order == ["s9.png", "s10.png", "s100.png"] == list(arrival.slice_names)


def test_slices_of_different_kinds_and_no_slices_are_refused(folder: Path):
    mixed = [send(folder, "a.png", PNG, 0), send(folder, "b.tif", b"II*\0", 1)]
    assert "kinds" in refusal(place_uploads, mixed, folder)
    assert "nothing was uploaded" in refusal(place_uploads, [], folder)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def test_decompression_bombs_are_refused_by_their_headers(tmp_path: Path):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0))
    bomb = tmp_path / "image.png"
    bomb.write_bytes(PNG + header + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b""))
    assert "million pixels" in refusal(check_pixels, bomb)
    npy = tmp_path / "image.npy"
    with npy.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": (100000, 100000)})
    assert refusal(check_pixels, npy)


def test_many_pages_of_a_stack_count_together(tmp_path: Path):
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, shape=(MOST_VOXELS // (1024 * 1024) + 1, 1024, 1024), dtype=np.uint8)
    assert "million pixels" in refusal(check_pixels, path)


def test_an_image_of_usual_size_is_taken_and_a_damaged_one_refused(tmp_path: Path):
    good, bad = tmp_path / "good.png", tmp_path / "bad.tif"
    Image.fromarray(np.zeros((40, 50), dtype=np.uint8)).save(good)
    check_pixels(good)
    bad.write_bytes(b"II*\0" + b"\xff" * 50)
    assert "export it again" in refusal(check_pixels, bad)


def test_a_shown_name_keeps_its_end():
    assert shown_name("C:\\data\\slice 3.tif") == "slice 3.tif"
    assert shown_name("a" * 200 + ".tif").endswith("aaaaa.tif")


def test_a_second_image_leaves_the_first_one_to_its_answers(folder: Path):
    first = place_uploads([send(folder, "a.png", PNG + b"1")], folder).image
    second = place_uploads([send(folder, "a.tif", b"II*\0" + b"2" * 9)], folder).image
    assert (first, second) == ("input/image-1.png", "input/image-2.tif")
    assert (folder / first).read_bytes() == PNG + b"1"
