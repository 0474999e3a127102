"""Downloads of published records (Zenodo): file list and checksums from the record, resumable, verified, atomic."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from resinflow.data.archive import check_free_space, is_safe_name, unpack_zip
from resinflow.flow import InvalidInputError, ResinflowError

__all__ = [
    "BASE_URL",
    "DATA_RECORDS",
    "MODEL_RECORDS",
    "Download",
    "DownloadError",
    "Record",
    "download_record",
    "named_record",
]

BASE_URL = "https://zenodo.org"
_TIMEOUT = (10.0, 60.0)
"""Seconds to connect, and between two pieces of an answer."""
_ATTEMPTS = 5
_PAUSE = 1.0
"""Seconds between attempts."""
_PIECE = 1 << 16
_LONGEST_ANSWER = 8_000_000
"""Bytes of the list of files of a record."""
_LONGEST_NAME = 200
"""Bytes of the name of a file: the name it grows under is longer, and file systems allow 255."""
_PARTIAL = 206
_OUT_OF_RANGE = 416
_DIGESTS = ("md5", "sha1", "sha256", "sha512")
"""Kinds of checksums that a record may give."""

Watch = Callable[[int, int], None]
"""Called with the numbers of bytes that are there and of all bytes."""


class DownloadError(ResinflowError, OSError):
    """A download that failed for the network's or the server's reasons: the message says how to go on."""


@dataclass(frozen=True)
class Record:
    """A published record, and which of its files are downloaded.

    Attributes:
        number: of the record.
        include: pattern of the names of the files that are downloaded.
        exclude: pattern of names that are left out all the same.
        content: what the record holds, in a few words.
    """

    number: str
    include: str = "*"
    exclude: str = ""
    content: str = ""

    @property
    def doi(self) -> str:
        """Digital object identifier."""
        return f"10.5281/zenodo.{self.number}"

    def wants(self, name: str) -> bool:
        """Return whether the file ``name`` is to be downloaded."""
        return fnmatch(name, self.include) and not fnmatch(name, self.exclude)


DATA_RECORDS = {
    "fibres-3d": Record("18341260", include="dataset_3d.zip", content="3-D flows, 256 x 256 x 11 (2.1 GB)"),
    "fibres-2d": Record("16940478", content="flows of single slices"),
}
MODEL_RECORDS = {
    "published-3d": Record("18341260", exclude="dataset_3d.zip", content="autoencoders and diffusion model (3.9 GB)"),
    "published-2d": Record("17306446", content="velocity and pressure U-Nets of single slices"),
}


def named_record(records: Mapping[str, Record], name: str) -> Record:
    """Return a record by its name.

    Raises:
        InvalidInputError: another name; the message lists those that there are.
    """
    if name not in records:
        names = "; ".join(f"{other} ({record.content})" for other, record in records.items())
        raise InvalidInputError(f"{name!r} is no known record; known: {names}.")
    return records[name]


@dataclass(frozen=True)
class RemoteFile:
    """One file of a record: its name, bytes, checksum (``md5:...``) and address."""

    name: str
    size: int
    checksum: str
    url: str


@dataclass(frozen=True)
class Download:
    """What is on disk after a download.

    Attributes:
        files: the files of the record.
        folders: the folders that zip archives were unpacked to.
        verified: False if the record could not be reached, so that files put there by hand were taken without a check.
    """

    files: tuple[Path, ...]
    folders: tuple[Path, ...]
    verified: bool


def download_record(
    record: Record, folder: str | Path, *, base_url: str = BASE_URL, unpack: bool = True, watch: Watch | None = None
) -> Download:
    """Download files of a record into ``folder`` and unpack zip archives beside them.

    A file appears under its name only when it is whole and has the record's checksum. A file that is there already with this
    checksum stays. A broken connection is taken up again where it broke, within a call and by the next call.

    Raises:
        DownloadError: no connection, no such record, or a server that gives up; the message says where to put
            the files by hand.
        InvalidInputError: a file whose checksum is wrong, an archive that is not safe, or too little space on the disk.
    """
    folder = Path(folder)
    with _explained(record, folder, base_url):
        try:
            remote = list_files(record, base_url)
        except DownloadError:
            by_hand = _files_by_hand(record, folder)
            if not by_hand:
                raise
            return Download(by_hand, _unpacked(by_hand) if unpack else (), verified=False)
        total = sum(file.size for file in remote)
        check_free_space(folder, sum(_remaining(file, folder) for file in remote), f"download {record.doi}")
        files, before = [], 0
        for file in remote:
            files.append(_fetch(file, folder, lambda size, before=before: watch(before + size, total) if watch else None))
            before += file.size
            if watch:
                watch(before, total)
    return Download(tuple(files), _unpacked(files) if unpack else (), verified=True)


def list_files(record: Record, base_url: str = BASE_URL) -> list[RemoteFile]:
    """Return the files to download, ordered by name, as the record's server lists them.

    Raises:
        DownloadError: no connection, no such record, or an answer that is no file list.
        InvalidInputError: a file name that would leave the folder.
    """
    import requests

    url = f"{base_url}/api/records/{record.number}"
    try:
        with requests.get(url, timeout=_TIMEOUT, stream=True, headers=_headers(0)) as answer:
            answer.raise_for_status()
            _check_plain(answer)
            entries: list[dict[str, Any]] = json.loads(_bounded(answer))["files"]
        files = [
            RemoteFile(str(entry["key"]), int(entry["size"]), str(entry["checksum"]), str(entry["links"]["self"]))
            for entry in entries
        ]
    except requests.RequestException as error:
        raise DownloadError(f"{url}: {_reason(error)}") from None
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
        raise DownloadError(f"{url} does not answer with a list of files") from None
    files = sorted((file for file in files if record.wants(file.name)), key=lambda file: file.name)
    for file in files:
        if not is_safe_name(file.name) or "/" in file.name:
            raise InvalidInputError(f"{url} names a file {file.name!r}, which lies outside the folder; needed: plain names.")
        if file.name.startswith(".") or len(os.fsencode(file.name)) > _LONGEST_NAME:
            raise InvalidInputError(
                f"{url} names a file {file.name!r:.60}; needed: at most {_LONGEST_NAME} bytes that do not begin with a dot."
            )
        kind, _, digest = file.checksum.partition(":")
        if kind not in _DIGESTS or not digest:
            raise InvalidInputError(f"{url} gives no checksum for {file.name}; needed: one, to know what arrived.")
    if not files:
        raise DownloadError(f"{url} lists no file {record.include}")
    return files


def _check_plain(answer: Any) -> None:
    """Refuse a compressed answer, which was not asked for, before a byte of it is unpacked: it could unpack to anything."""
    encoding = answer.headers.get("Content-Encoding", "identity")
    if encoding.strip().lower() not in ("", "identity"):
        raise DownloadError(f"{answer.url} answers compressed ({encoding:.40}), which was not asked for")


def _bounded(answer: Any) -> bytes:
    """The body of an answer, which is never longer than a list of files."""
    body = b""
    for piece in answer.iter_content(_PIECE):
        body += piece
        if len(body) > _LONGEST_ANSWER:
            raise DownloadError(
                f"{answer.url} answers with more than {_LONGEST_ANSWER / 1e6:.0f} MB, which is no list of files"
            )
    return body


def _fetch(file: RemoteFile, folder: Path, watch: Callable[[int], None]) -> Path:
    """Bring one file to the folder, whole and with the record's checksum."""
    place, part = folder / file.name, _part(file, folder)
    if place.is_file() and _has_checksum(place, file.checksum):
        return place
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        _resume(file.url, part, file.size, watch)
        if not _has_checksum(part, file.checksum):
            part.unlink()
            raise InvalidInputError(
                f"{file.name} arrived damaged: its checksum is not the record's {file.checksum}; nothing was kept. "
                "Run the command again."
            )
        os.replace(part, place)
    finally:
        if part.exists() and part.stat().st_size == 0:
            part.unlink()
        if is_new and not any(folder.iterdir()):
            folder.rmdir()
    return place


def _has_checksum(path: Path, checksum: str) -> bool:
    kind, _, digest = checksum.partition(":")
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest() == digest.lower()


def _resume(url: str, part: Path, size: int, watch: Callable[[int], None]) -> None:
    """Append to ``part`` what it lacks of ``size`` bytes; broken connections are tried again from where they broke."""
    import requests

    reason = ""
    for attempt in range(_ATTEMPTS):
        time.sleep(_PAUSE if attempt else 0)
        part.touch()
        there = part.stat().st_size
        if there == size:
            return
        if there > size:
            part.unlink()
            there = 0
        try:
            with requests.get(url, stream=True, timeout=_TIMEOUT, headers=_headers(there)) as answer:
                if answer.status_code == _OUT_OF_RANGE:
                    part.unlink()
                    continue
                answer.raise_for_status()
                _check_plain(answer)
                _append(answer, part, there if answer.status_code == _PARTIAL else 0, size, watch)
            reason = "the connection broke"
        except requests.HTTPError as error:
            raise DownloadError(f"{url}: {_reason(error)}") from None
        except requests.RequestException as error:
            reason = _reason(error)
    if part.exists() and part.stat().st_size == size:
        return
    raise DownloadError(f"{url}: {reason}, {_ATTEMPTS} times; what arrived is kept and the same command goes on from there")


def _headers(there: int) -> dict[str, str]:
    """Ask for the bytes as they are: a compressed answer could not be bounded, nor taken up again."""
    return {"Accept-Encoding": "identity", **({"Range": f"bytes={there}-"} if there else {})}


def _append(answer: Any, part: Path, there: int, size: int, watch: Callable[[int], None]) -> None:
    with part.open("r+b" if part.exists() else "wb") as sink:
        sink.seek(there)
        sink.truncate()
        for piece in answer.iter_content(_PIECE):
            there += len(piece)
            if there > size:
                raise DownloadError(f"{answer.url} sends more than the {size} bytes of the record")
            sink.write(piece)
            watch(there)


def _part(file: RemoteFile, folder: Path) -> Path:
    """Where a file grows; named by its checksum, so that another version of it never goes on in it."""
    return folder / f".{file.name}.{file.checksum.partition(':')[2][:12]}.part"


def _remaining(file: RemoteFile, folder: Path) -> int:
    if (folder / file.name).is_file():
        return 0
    part = _part(file, folder)
    return max(file.size - part.stat().st_size, 0) if part.exists() else file.size


def _files_by_hand(record: Record, folder: Path) -> tuple[Path, ...]:
    if not folder.is_dir():
        return ()
    return tuple(
        sorted(path for path in folder.iterdir() if path.is_file() and path.name[0] != "." and record.wants(path.name))
    )


def _unpacked(files: list[Path] | tuple[Path, ...]) -> tuple[Path, ...]:
    folders = []
    for file in files:
        target = file.with_suffix("")
        if file.suffix == ".zip":
            folders.append(target if target.is_dir() else unpack_zip(file, target))
    return tuple(folders)


def _reason(error: Exception) -> str:
    """One short line of what went wrong."""
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answers {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    return "the connection broke" if isinstance(error, requests.exceptions.ChunkedEncodingError) else "no connection"


@contextmanager
def _explained(record: Record, folder: Path, base_url: str) -> Iterator[None]:
    """Add to the error of a failed download where the files can be put by hand."""
    files = f"all files but {record.exclude}" if record.exclude else record.include
    try:
        yield
    except DownloadError as error:
        raise DownloadError(
            f"{error}. Without network: fetch {files if files != '*' else 'its files'} of {base_url}/records/{record.number} "
            f"(doi {record.doi}) elsewhere, put them into {folder.absolute()} and run the same command again."
        ) from None
