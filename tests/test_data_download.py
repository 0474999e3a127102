"""Claims about downloads, against a server on this machine that speaks the record API."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import stat
import threading
import tracemalloc
import zipfile
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from resinflow.data import archive as archives
from resinflow.data import download
from resinflow.data.archive import unpack_zip
from resinflow.data.download import DATA_RECORDS, MODEL_RECORDS, DownloadError, Record, download_record
from resinflow.flow.errors import InvalidInputError

RECORD = Record("42")
CONTENT = bytes(range(256)) * 8192  # 2 MiB


class RecordServer(ThreadingHTTPServer):
    """Serves one record; counts bytes, and cuts, corrupts or redirects where a test asks for it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.checksums: dict[str, str] = {}
        self.sent: dict[str, bytes] = {}
        self.cuts: list[int] = []
        self.redirect = False
        self.body = b""
        self.encodings: dict[str, str] = {}
        self.ranges = True
        self.requests: list[tuple[str, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def record(self) -> dict:
        return {
            "id": 42,
            "files": [
                {
                    "key": name,
                    "size": len(content),
                    "checksum": self.checksums.get(name, "md5:" + hashlib.md5(content).hexdigest()),
                    "links": {"self": f"{self.url}/api/records/42/files/{number}/content"},
                }
                for number, (name, content) in enumerate(self.files.items())
            ],
        }


class Handler(BaseHTTPRequestHandler):
    server: RecordServer

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        server = self.server
        asked = self.headers.get("Range")
        server.requests.append((self.path, asked))
        if self.path == "/api/records/42":
            return self.answer(200, server.body or json.dumps(server.record()).encode())
        place = self.path.removeprefix("/api/records/42/files/").removeprefix("/elsewhere/").removesuffix("/content")
        if not place.isdigit():
            return self.answer(404, b"{}")
        if server.redirect and not self.path.startswith("/elsewhere/"):
            self.send_response(302)
            self.send_header("Location", f"/elsewhere/{place}")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        name = list(server.files)[int(place)]
        content = server.sent.get(name, server.files[name])
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and server.ranges else 0
        return self.answer(206 if start else 200, content[start:], cut=server.cuts.pop(0) if server.cuts else None)

    def answer(self, status: int, body: bytes, cut: int | None = None) -> None:
        self.send_response(status)
        for part, encoding in self.server.encodings.items():
            if self.path.endswith(part):
                self.send_header("Content-Encoding", encoding)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:cut])
        if cut is not None:
            self.close_connection = True


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[RecordServer]:
    monkeypatch.setattr(download, "_PAUSE", 0.0)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with RecordServer() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


def fetch(server: RecordServer, folder: Path, **options) -> download.Download:
    return download_record(RECORD, folder, base_url=server.url, **options)


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_files_arrive_whole_and_archives_are_unpacked_beside_them(server: RecordServer, tmp_path: Path) -> None:
    server.files = {"VAE's.zip": zipped({"a/b.pt": b"weights", "log.json": b"{}"}), "model.pt": CONTENT}
    seen: list[tuple[int, int]] = []
    found = fetch(server, tmp_path / "new" / "folder", watch=lambda done, total: seen.append((done, total)))
    assert names(tmp_path / "new" / "folder") == ["VAE's.zip", "VAE's/a/b.pt", "VAE's/log.json", "model.pt"]
    assert (tmp_path / "new/folder/model.pt").read_bytes() == CONTENT
    assert found.verified
    assert [path.name for path in found.folders] == ["VAE's"]
    total = sum(len(content) for content in server.files.values())
    assert seen[-1] == (total, total)
    assert seen == sorted(seen)


def test_a_second_call_fetches_nothing_that_is_there(server: RecordServer, tmp_path: Path) -> None:
    server.files = {"model.pt": CONTENT}
    fetch(server, tmp_path)
    server.requests.clear()
    fetch(server, tmp_path)
    assert [path for path, _ in server.requests] == ["/api/records/42"]


def test_a_cut_connection_is_taken_up_where_it_broke(server: RecordServer, tmp_path: Path) -> None:
    server.files, server.cuts = {"model.pt": CONTENT}, [1_500_000, 300_000]
    fetch(server, tmp_path)
    assert (tmp_path / "model.pt").read_bytes() == CONTENT
    ranges = [asked for path, asked in server.requests if path != "/api/records/42"]
    assert ranges[0] is None
    assert len(ranges) == 3
    starts = [int(asked.removeprefix("bytes=").removesuffix("-")) for asked in ranges[1:]]
    assert 0 < starts[0] < starts[1] < len(CONTENT)
    assert names(tmp_path) == ["model.pt"]


def test_a_download_that_gave_up_goes_on_with_the_next_call(server: RecordServer, tmp_path: Path) -> None:
    server.files, server.cuts = {"model.pt": CONTENT}, [1_400_000, 0, 0, 0, 0]
    with pytest.raises(DownloadError, match="goes on from there"):
        fetch(server, tmp_path)
    assert not (tmp_path / "model.pt").exists()
    server.requests.clear()
    fetch(server, tmp_path)
    assert (tmp_path / "model.pt").read_bytes() == CONTENT
    assert server.requests[1][1] is not None  # it asked for the rest alone


def test_a_server_without_ranges_starts_the_file_again(server: RecordServer, tmp_path: Path) -> None:
    server.files, server.cuts, server.ranges = {"model.pt": CONTENT}, [1_500_000], False
    fetch(server, tmp_path)
    assert (tmp_path / "model.pt").read_bytes() == CONTENT


def test_a_corrupted_file_is_refused_and_not_kept(server: RecordServer, tmp_path: Path) -> None:
    server.files = {"model.pt": CONTENT}
    server.sent = {"model.pt": CONTENT[:-1] + b"!"}
    with pytest.raises(InvalidInputError, match=r"model\.pt arrived damaged") as caught:
        fetch(server, tmp_path)
    assert "\n" not in str(caught.value)
    assert names(tmp_path) == []
    server.sent = {}
    fetch(server, tmp_path)
    assert (tmp_path / "model.pt").read_bytes() == CONTENT


def test_a_damaged_file_on_disk_is_fetched_again(server: RecordServer, tmp_path: Path) -> None:
    server.files = {"model.pt": CONTENT}
    (tmp_path / "model.pt").write_bytes(b"half")
    fetch(server, tmp_path)
    assert (tmp_path / "model.pt").read_bytes() == CONTENT


def test_a_file_longer_than_the_record_says_is_cut_off(server: RecordServer, tmp_path: Path) -> None:
    server.files, server.sent = {"model.pt": b"short"}, {"model.pt": CONTENT}
    with pytest.raises(DownloadError, match="more than the 5 bytes"):
        fetch(server, tmp_path)


def test_a_redirect_is_followed(server: RecordServer, tmp_path: Path) -> None:
    server.files, server.redirect, server.cuts = {"model.pt": CONTENT}, True, [1_500_000]
    fetch(server, tmp_path)
    assert (tmp_path / "model.pt").read_bytes() == CONTENT
    assert any(path.startswith("/elsewhere/") for path, _ in server.requests)


def test_a_record_that_is_not_there_says_where_to_put_the_files(server: RecordServer, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"404.*10\.5281/zenodo\.7") as caught:
        download_record(Record("7"), tmp_path, base_url=server.url)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_network_the_message_says_where_to_put_the_files(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="no connection.*dataset_3d.zip.*put them into") as caught:
        download_record(DATA_RECORDS["fibres-3d"], tmp_path, base_url="http://127.0.0.1:9")
    assert str(tmp_path) in str(caught.value)


def test_without_network_files_put_there_by_hand_are_taken_and_said_to_be_unverified(tmp_path: Path) -> None:
    (tmp_path / "dataset_3d.zip").write_bytes(zipped({"x/domain.pt": b"1"}))
    (tmp_path / "notes.txt").write_text("mine")
    found = download_record(DATA_RECORDS["fibres-3d"], tmp_path, base_url="http://127.0.0.1:9")
    assert not found.verified
    assert names(tmp_path / "dataset_3d") == ["x/domain.pt"]
    assert [path.name for path in found.files] == ["dataset_3d.zip"]


def test_only_the_wanted_files_of_a_record_are_fetched(server: RecordServer, tmp_path: Path) -> None:
    server.files = {"dataset_3d.zip": zipped({"x/a": b"1"}), "model.pt": b"2"}
    data, model = (
        Record("42", include=one.include, exclude=one.exclude)
        for one in (DATA_RECORDS["fibres-3d"], MODEL_RECORDS["published-3d"])
    )
    download_record(data, tmp_path / "data", base_url=server.url, unpack=False)
    download_record(model, tmp_path / "model", base_url=server.url)
    assert names(tmp_path / "data") == ["dataset_3d.zip"]
    assert names(tmp_path / "model") == ["model.pt"]


def test_too_little_space_is_refused_before_anything_is_fetched(
    server: RecordServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files = {"model.pt": CONTENT}
    usage = archives.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda _: usage._replace(free=1_000_000))
    with pytest.raises(InvalidInputError, match=r"0\.00 GB are free"):
        fetch(server, tmp_path)
    assert len(server.requests) == 1


@pytest.mark.parametrize("name", ["../evil.pt", "/etc/evil", "a/../../evil", "C:evil", "..\\evil"])
def test_a_record_cannot_name_a_file_outside_the_folder(server: RecordServer, tmp_path: Path, name: str) -> None:
    server.files = {name: b"evil"}
    with pytest.raises(InvalidInputError, match="outside the folder"):
        fetch(server, tmp_path / "in")
    assert names(tmp_path) == []


def test_an_answer_that_is_no_record_is_refused(server: RecordServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "record", lambda: {"message": "down for maintenance"})
    with pytest.raises(DownloadError, match="list of files"):
        fetch(server, tmp_path)


@pytest.mark.parametrize(
    "body",
    [b"[" * 100_000, b'{"files": ' + b"[" * 100_000, b" " * 9_000_000, b'{"files": [[]]}', b'{"files": {"a": 1}}', b"\xff"],
)
def test_an_answer_that_is_too_long_or_nested_is_refused_and_leaves_no_folder(
    server: RecordServer, tmp_path: Path, body: bytes
) -> None:
    server.body = body
    with pytest.raises(DownloadError, match="list of files"):
        fetch(server, tmp_path / "in")
    assert not (tmp_path / "in").exists()


def packed_zeros(times: int) -> bytes:
    """A hundred megabytes of zeros, compressed by gzip one time or more."""
    packer, piece = zlib.compressobj(9, wbits=31), bytes(10**6)
    body = b"".join([packer.compress(piece) for _ in range(100)] + [packer.flush()])
    for _ in range(times - 1):
        body = gzip.compress(body)
    return body


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("part", ["records/42", "content"])
def test_a_compressed_answer_is_refused_before_it_is_unpacked(
    server: RecordServer, tmp_path: Path, part: str, times: int
) -> None:
    body = packed_zeros(times)
    server.files = {"model.pt": CONTENT}
    server.encodings = {part: ", ".join(["gzip"] * times)}
    if part == "content":
        server.sent = {"model.pt": body}
    else:
        server.body = body
    tracemalloc.start()
    try:
        with pytest.raises(DownloadError, match=r"answers compressed \(gzip"):
            fetch(server, tmp_path / "in")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000
    assert not (tmp_path / "in").exists()


@pytest.mark.parametrize("encoding", ["identity", " Identity"])
def test_an_answer_that_says_it_is_not_compressed_is_taken(server: RecordServer, tmp_path: Path, encoding: str) -> None:
    server.files = {"model.pt": CONTENT}
    server.encodings = {"": encoding}
    assert fetch(server, tmp_path).files[0].read_bytes() == CONTENT


@pytest.mark.parametrize("name", [".bashrc", "n" * 240, "\u00e9" * 120])
def test_hidden_and_long_names_are_refused(server: RecordServer, tmp_path: Path, name: str) -> None:
    server.files = {name: b"evil"}
    with pytest.raises(InvalidInputError, match="do not begin with a dot"):
        fetch(server, tmp_path / "in")
    assert not (tmp_path / "in").exists()


def test_a_refused_file_leaves_no_empty_folder(server: RecordServer, tmp_path: Path) -> None:
    server.files = {"model.pt": CONTENT}
    server.checksums = {"model.pt": "md5:" + "0" * 32}
    with pytest.raises(InvalidInputError, match="arrived damaged"):
        fetch(server, tmp_path / "in")
    assert not (tmp_path / "in").exists()


def test_a_member_without_a_name_is_refused(server: RecordServer, tmp_path: Path) -> None:
    server.files = {"set.zip": zipped({"": b"evil"})}
    with pytest.raises(InvalidInputError, match="outside its folder|cannot be unpacked"):
        fetch(server, tmp_path)
    assert names(tmp_path) == ["set.zip"]


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", "a\\..\\..\\evil", "C:/evil", "./evil"])
def test_a_hostile_archive_writes_nothing(server: RecordServer, tmp_path: Path, name: str) -> None:
    server.files = {"set.zip": zipped({"good": b"1", name: b"evil"})}
    with pytest.raises(InvalidInputError, match="outside its folder"):
        fetch(server, tmp_path / "in")
    assert names(tmp_path) == ["in/set.zip"]
    assert not (tmp_path / "in" / "set").exists()


def test_a_link_in_an_archive_is_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("out")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr(link, "/etc")
        archive.writestr("out/passwd", "evil")
    with pytest.raises(InvalidInputError, match="a link"):
        unpack_zip(tmp_path / "set.zip", tmp_path / "set")
    assert not (tmp_path / "set").exists()


def test_an_archive_larger_than_the_disk_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", b"0" * 100_000)
    content = (tmp_path / "bomb.zip").read_bytes()
    huge = (2**32 - 2).to_bytes(4, "little")
    with zipfile.ZipFile(tmp_path / "bomb.zip") as archive:
        directory = archive.start_dir
    (tmp_path / "bomb.zip").write_bytes(content[: directory + 24] + huge + content[directory + 28 :])
    usage = archives.shutil.disk_usage(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(archives.shutil, "disk_usage", lambda _: usage._replace(free=4_000_000_000))
        with pytest.raises(InvalidInputError, match=r"4\.00 GB are free.*4\.29 GB to unpack bomb\.zip"):
            unpack_zip(tmp_path / "bomb.zip", tmp_path / "bomb")


def test_a_damaged_archive_leaves_no_folder(tmp_path: Path) -> None:
    content = zipped({"a": b"x" * 1000, "b": b"y" * 1000})
    place = content.index(b"y" * 100)
    (tmp_path / "set.zip").write_bytes(content[:place] + b"!" + content[place + 1 :])
    with pytest.raises(InvalidInputError, match="cannot be unpacked.*download it again"):
        unpack_zip(tmp_path / "set.zip", tmp_path / "set")
    assert names(tmp_path) == ["set.zip"]
