"""Zip archives that strangers made, unpacked inside one folder, whole or not at all."""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from resinflow.flow import InvalidInputError, replacing


def unpack_zip(archive: Path, target: Path) -> Path:
    """Unpack a zip archive into the folder ``target``, whole or not at all, and return the folder.

    The checksum of every member is verified.

    Raises:
        InvalidInputError: no zip archive, a damaged one, one whose members would land outside the folder or are links, one
            that does not fit on the disk, or a folder of other things at ``target``.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [member for member in opened.infolist() if not member.filename.endswith("/")]
            _check_members(archive, members)
            check_free_space(target, sum(member.file_size for member in members), f"unpack {archive.name}")
            with replacing(target) as folder:
                folder.mkdir(parents=True)
                for member in members:
                    place = folder / PurePosixPath(member.filename)
                    place.parent.mkdir(parents=True, exist_ok=True)
                    with opened.open(member) as source, place.open("wb") as sink:
                        shutil.copyfileobj(source, sink, 1 << 20)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, zlib.error) as error:
        raise InvalidInputError(f"{archive} cannot be unpacked ({error}); remove it and download it again.") from None
    return target


def check_free_space(target: Path, needed: int, what: str) -> None:
    """Raise InvalidInputError unless the disk of ``target`` has room for ``needed`` bytes."""
    place = target.absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < needed:
        raise InvalidInputError(
            f"{free / 1e9:.2f} GB are free at {place}; needed: {needed / 1e9:.2f} GB to {what}. "
            "Free some, or choose another place."
        )


def _check_members(archive: Path, members: list[zipfile.ZipInfo]) -> None:
    names: set[str] = set()
    for member in members:
        name = member.filename
        if not is_safe_name(name):
            raise InvalidInputError(f"{archive} holds {name!r}, which lies outside its folder; needed: plain relative names.")
        if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
            raise InvalidInputError(f"{archive} holds {name!r}, a link or device; needed: plain files.")
        if name in names:
            raise InvalidInputError(f"{archive} holds {name!r} twice; needed: every name once.")
        names.add(name)


def is_safe_name(name: str) -> bool:
    """Return whether a name stays inside the folder that it is joined to, on any operating system."""
    parts = name.split("/")
    return bool(name) and not any(part in ("", ".", "..") or set(part) & set("\\:\0") for part in parts)
