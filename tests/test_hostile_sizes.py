"""Small files that unpack to more than a machine holds are refused before they are unpacked."""

from __future__ import annotations

import base64
import gzip
import json
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr

from resinflow.data import FlowStore
from resinflow.flow import FlowField, InvalidInputError
from resinflow.media import fibre_bundle
from resinflow.stokes import solve

GIGABYTE = 10**9
MEASURED = """
import resource, sys
from resinflow.data import FlowStore
from resinflow.flow import FlowField, InvalidInputError

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

for number, path in enumerate(sys.argv[1:]):
    try:
        FlowStore.open(path).read("velocity", 0) if path.endswith("set.zarr") else FlowField.load(path)
        print("read")
    except InvalidInputError as error:
        print(error)
    before = peak() if number < 3 else before
print(peak() - before)
"""
"""Reads flows and data sets, the first three of which are sound, and says how many MiB the others took."""


def read_in_one_process(*paths: Path) -> tuple[list[str], int]:
    """What is said of every path, and the memory (MiB) that those after the third have taken."""
    command = [sys.executable, "-c", MEASURED, *map(str, paths)]
    process = subprocess.run(command, capture_output=True, text=True, check=True)
    assert process.stderr == ""
    *lines, memory = process.stdout.splitlines()
    assert lines[:3] == ["read"] * 3
    return lines[3:], int(memory)


@pytest.fixture(scope="session")
def flow() -> FlowField:
    return solve(fibre_bundle((3, 16, 16), (12e-6, 25e-6, 25e-6), seed=1, volume_fraction=0.4))


def pack(array: Path, codec: dict[str, Any] | None, chunk: bytes) -> None:
    """Let an array say that its chunks are compressed by ``codec``, and write its first one."""
    values = json.loads((array / "zarr.json").read_text())
    values["codecs"] = [codec for codec in values["codecs"] if codec["name"] == "bytes"] + ([codec] if codec else [])
    (array / "zarr.json").write_text(json.dumps(values))
    first = next(path for path in sorted(array.rglob("*")) if path.is_file() and path.name != "zarr.json")
    first.write_bytes(chunk)


GZIP = {"name": "gzip", "configuration": {"level": 9}}
ZSTD = {"name": "zstd", "configuration": {"level": 0, "checksum": False}}
BLOSC = {
    "name": "blosc",
    "configuration": {"typesize": 8, "cname": "zstd", "clevel": 5, "shuffle": "noshuffle", "blocksize": 0},
}


def zeros_by_gzip(size: int) -> bytes:
    packer, piece = zlib.compressobj(9, wbits=31), bytes(10**7)
    return b"".join([packer.compress(piece) for _ in range(size // len(piece))] + [packer.flush()])


@pytest.fixture(scope="session")
def bombs() -> dict[str, tuple[dict[str, Any] | None, bytes]]:
    """Chunks of a few megabytes at most, each with its compression, that unpack to a gigabyte and more."""
    zeros, one = zeros_by_gzip(GIGABYTE), bytes(10**8)
    zstd, blosc = numcodecs.Zstd().encode(one), numcodecs.Blosc().encode(one)
    return {
        "gzip": (GZIP, zeros),
        "gzip of several members": (GZIP, gzip.compress(bytes(100)) + zeros),
        "zstd": (ZSTD, zstd),
        "zstd that claims a terabyte": (ZSTD, b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", 10**12) + zstd[13:]),
        "zstd that claims nothing": (ZSTD, b"\x28\xb5\x2f\xfd\x00\x58" + b"\x02\x00\x10\x00" * 10_000 + b"\x03\x00\x10\x00"),
        "blosc": (BLOSC, blosc),
        "plain": (None, bytes(10**8)),
    }


KINDS = ("gzip", "gzip of several members", "zstd", "zstd that claims a terabyte", "zstd that claims nothing", "blosc", "plain")


@pytest.mark.parametrize("kind", KINDS)
def test_a_chunk_that_unpacks_to_more_than_its_array_says_is_refused(kind, bombs, tiny_store, flow, tmp_path):
    copy = Path(shutil.copytree(tiny_store.path, tmp_path / "set.zarr"))
    pack(copy / "velocity", *bombs[kind])
    with pytest.raises(InvalidInputError, match="velocity of sample 0 cannot be read .*holds more than the"):
        FlowStore.open(copy).read("velocity", 0)
    saved = flow.save(tmp_path / "flow.zarr")
    pack(saved / "velocity", *bombs[kind])
    with pytest.raises(InvalidInputError, match="holds more than the"):
        FlowField.load(saved)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted otherwise elsewhere")
def test_bombs_in_chunks_are_refused_without_the_memory_that_they_want(bombs, tiny_store, flow, tmp_path):
    places = [flow.save(tmp_path / "flow.vti"), flow.save(tmp_path / "flow.zarr")]
    places.append(Path(shutil.copytree(tiny_store.path, tmp_path / "set.zarr")))
    for kind in KINDS:
        (tmp_path / kind).mkdir()
        copy = Path(shutil.copytree(tiny_store.path, tmp_path / kind / "set.zarr"))
        pack(copy / "velocity", *bombs[kind])
        saved = flow.save(tmp_path / kind / "flow.zarr")
        pack(saved / "velocity", *bombs[kind])
        places += [copy, saved]
    lines, memory = read_in_one_process(*places)
    assert len(lines) == 2 * len(KINDS)
    assert all("holds more than the" in line for line in lines)
    assert memory < 50


PACKERS: dict[str, Callable[[bytes], tuple[dict[str, Any] | None, bytes]]] = {
    "gzip": lambda content: (GZIP, gzip.compress(content)),
    "zstd": lambda content: (ZSTD, numcodecs.Zstd().encode(content)),
    "blosc": lambda content: (BLOSC, numcodecs.Blosc().encode(content)),
    "plain": lambda content: (None, content),
}


@pytest.mark.parametrize("kind", PACKERS)
def test_sound_chunks_of_every_compression_are_read(kind, tiny_store, tmp_path):
    copy = Path(shutil.copytree(tiny_store.path, tmp_path / "set.zarr"))
    for index, values in enumerate((tiny_store.read("velocity", 0), np.random.default_rng(0).random((3, 3, 16, 16)))):
        dtype = np.dtype(zarr.open_array(copy / "velocity", mode="r").dtype)
        content = np.ascontiguousarray(values, dtype=dtype)
        pack(copy / "velocity", *PACKERS[kind](content.tobytes()))
        assert np.array_equal(FlowStore.open(copy).read("velocity", 0), content), index


@pytest.mark.parametrize("codecs", [[GZIP, GZIP], [{"name": "numcodecs.bz2", "configuration": {"level": 1}}], [ZSTD, GZIP]])
@pytest.mark.filterwarnings("ignore")
def test_compressions_whose_size_cannot_be_told_before_are_refused(codecs, tiny_store, flow, tmp_path):
    copy = Path(shutil.copytree(tiny_store.path, tmp_path / "set.zarr"))
    saved = flow.save(tmp_path / "flow.zarr")
    for array in (copy / "velocity", saved / "velocity"):
        values = json.loads((array / "zarr.json").read_text())
        values["codecs"] = values["codecs"][:1] + codecs
        (array / "zarr.json").write_text(json.dumps(values))
    with pytest.raises(InvalidInputError, match=r"set.zarr: (velocity is stored by|the metadata of velocity)"):
        FlowStore.open(copy)
    with pytest.raises(InvalidInputError, match=r"flow.zarr"):
        FlowField.load(saved)


def words(*values: int) -> str:
    return base64.b64encode(struct.pack(f"<{len(values)}I", *values)).decode()


BLOCKS: dict[str, Callable[[list[int]], list[int]]] = {
    "blocks without end": lambda header: [2**32 - 1, *header[1:]],
    "more blocks than bytes": lambda header: [10**6, *header[1:]],
    "blocks of gigabytes": lambda header: [header[0], 2**32 - 1, *header[2:]],
    "a last block of gigabytes": lambda header: [*header[:2], 2**32 - 1, *header[3:]],
    "a packed block of gigabytes": lambda header: [*header[:3], 2**32 - 1, *header[4:]],
    "no block": lambda header: [0, *header[1:]],
    "blocks of other sizes": lambda header: [header[0], header[1], header[2] + 8, *header[3:]],
}


@pytest.mark.parametrize("name", ["velocity", "pressure", "face_velocity_x"])
@pytest.mark.parametrize("kind", BLOCKS)
def test_a_header_of_blocks_that_claims_what_is_not_there_is_refused_before_vtk_reads_it(kind, name, flow, tmp_path, capfd):
    path = flow.save(tmp_path / "flow.vti")
    text = path.read_text()
    place = text.index(">", text.index(f'Name="{name}"')) + 1
    start = place + len(text[place:]) - len(text[place:].lstrip())
    count = struct.unpack("<I", base64.b64decode(text[start : start + 8])[:4])[0]
    length = 4 * -(-(3 + count) * 4 // 3)
    header = [*struct.unpack(f"<{3 + count}I", base64.b64decode(text[start : start + length]))]
    path.write_text(text[:start] + words(*BLOCKS[kind](header)) + text[start + length :])
    with pytest.raises(InvalidInputError, match=r"flow.vti cannot be used as a flow field: .*block"):
        FlowField.load(path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('header_type="UInt32"', 'header_type="UInt64"'),
        ('header_type="UInt32"', 'header_type="Int8"'),
        (' compressor="vtkZLibDataCompressor"', ""),
        (' compressor="vtkZLibDataCompressor"', ' compressor="vtkLZMADataCompressor"'),
        ('format="binary"', 'format="appended" offset="0"'),
        ('byte_order="LittleEndian"', 'byte_order="BigEndian"'),
        ('type="Float64"', 'type="Int8"'),
        ('type="Float64"', 'type="Unknown"'),
        ("AQAAA", "!!!!!"),
    ],
)
def test_a_vti_that_says_otherwise_how_its_arrays_are_written_is_refused(before, after, flow, tmp_path, capfd):
    path = flow.save(tmp_path / "flow.vti")
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))
    with pytest.raises(InvalidInputError, match=r"flow.vti"):
        FlowField.load(path)
    assert capfd.readouterr().err == ""
