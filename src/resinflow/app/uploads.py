"""What comes in from a browser: files of few kinds and bounded sizes, stored under names of our own."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from resinflow.app.work_folder import INPUT, new_image
from resinflow.flow import InvalidInputError, check_npy

__all__ = ["MOST_BYTES", "MOST_VOXELS", "Upload", "check_pixels", "place_uploads", "receive"]

KINDS = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp", ".npy")
MOST_BYTES = 1 << 30
"""Bytes of all files of one upload, unless the command says otherwise."""
MOST_VOXELS = 1 << 27
"""Pixels of all slices of an image: 512 slices of 512 x 512."""
MOST_FILES = 2000
_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"\x89PNG", b"\xff\xd8\xff", b"BM", b"\x93NUMPY")
"""First bytes of the kinds of files that are taken."""
_LONGEST_NAME = 80


@dataclass(frozen=True)
class Upload:
    """One file that has come in.

    Attributes:
        path: where it waits, under a name of our own.
        name: what its user calls it; never used as a path.
    """

    path: Path
    name: str


@dataclass(frozen=True)
class Arrival:
    """An image that has come in.

    Attributes:
        image: its path, or that of the folder of its slices, in the session's folder.
        name: what its user calls it.
        slice_names: what its user calls the files of its slices; empty where it is one file.
    """

    image: str
    name: str
    slice_names: tuple[str, ...] = ()


def kind_of(name: str) -> str:
    """Return the suffix of a name.

    Raises:
        InvalidInputError: no kind of image that can be read.
    """
    suffix = Path(name.replace("\\", "/")).suffix.lower()
    if suffix not in KINDS:
        raise InvalidInputError(f"the suffix of {shown_name(name)} is {suffix!r}; needed: one of {', '.join(KINDS)}.")
    return suffix


def shown_name(name: str) -> str:
    """Return a name as it may be shown: its last part, without control characters, shortened."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    clean = "".join(letter if letter.isprintable() else "?" for letter in last) or "image"
    return clean if len(clean) <= _LONGEST_NAME else f"{clean[: _LONGEST_NAME - 12]}...{clean[-9:]}"


async def receive(body: AsyncIterator[bytes], name: str, folder: Path, number: int, limit: int) -> Upload:
    """Write the body of a request to a waiting file and return it.

    Args:
        body: its bytes, piece by piece.
        name: of the file on its user's machine.
        folder: of the session.
        number: of the file in its upload.
        limit: most bytes.

    Raises:
        InvalidInputError: a kind of file that is not taken, an empty file, one that is not what its suffix says, or too many
            bytes; nothing is left of it.
    """
    kind = kind_of(name)
    if not 0 <= number < MOST_FILES:
        raise InvalidInputError(f"the upload has more than {MOST_FILES} files; needed: at most {MOST_FILES}, or one stack.")
    waiting = folder / INPUT / f"waiting-{number:04d}{kind}"
    size, head = 0, b""
    try:
        with waiting.open("wb") as file:
            async for piece in body:
                size += len(piece)
                if size > limit:
                    raise InvalidInputError(
                        f"{shown_name(name)} is larger than {limit / 1e6:.0f} MB; needed: a smaller file, or a larger "
                        "--upload-limit of the app."
                    )
                head += piece[: 8 - len(head)] if len(head) < 8 else b""
                file.write(piece)
        if not head.startswith(_SIGNATURES):
            raise InvalidInputError(
                f"{shown_name(name)} {'is empty' if not size else 'does not begin as an image'}; needed: an image that was "
                "exported as .tif, .png, .jpg, .bmp or .npy."
            )
    except BaseException:
        waiting.unlink(missing_ok=True)
        raise
    return Upload(waiting, shown_name(name))


def place_uploads(uploads: Sequence[Upload], folder: Path) -> Arrival:
    """Move the files of one upload to their places and return what they are.

    Several files are the slices of one stack, in the order of the numbers in their names.

    Raises:
        InvalidInputError: no file, or several of different kinds.
    """
    if not uploads:
        raise InvalidInputError("nothing was uploaded; needed: an image, or the slices of a stack.")
    target, stem = folder / INPUT, new_image(folder)
    if len(uploads) == 1:
        place = target / f"{stem}{uploads[0].path.suffix}"
        uploads[0].path.replace(place)
        return Arrival(f"{INPUT}/{place.name}", uploads[0].name)
    kinds = {upload.path.suffix for upload in uploads}
    if ".npy" in kinds or (len(kinds) > 1 and not kinds <= {".tif", ".tiff"} and not kinds <= {".jpg", ".jpeg"}):
        raise InvalidInputError(f"the files are of the kinds {', '.join(sorted(kinds))}; needed: slices of one kind of image.")
    slices = target / stem
    slices.mkdir()
    ordered = sorted(uploads, key=lambda each: _order(each.name))
    for number, upload in enumerate(ordered):
        upload.path.replace(slices / f"slice-{number:04d}{upload.path.suffix}")
    names = tuple(each.name for each in ordered)
    return Arrival(f"{INPUT}/{slices.name}", f"{names[0]} and {len(names) - 1} more", names)


def _order(name: str) -> list[tuple[int, int, str]]:
    """A key that puts slice 9 before slice 10."""
    parts = re.split(r"(\d+)", name.lower())
    return [(0, int(part[:18]), "") if part.isdigit() else (1, 0, part) for part in parts]


def check_pixels(path: Path) -> None:
    """Refuse an image, or a folder of slices, that says it holds more than can be worked with; only headers are read.

    Raises:
        InvalidInputError: too many pixels or none, or a file whose header cannot be read.
    """
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    count = sum(_pixels(file) for file in files)
    if count == 0:
        raise InvalidInputError("the image holds no pixels; it is damaged: export it again.")
    if count > MOST_VOXELS:
        raise InvalidInputError(
            f"the image holds {count / 1e6:.0f} million pixels; needed: at most {MOST_VOXELS / 1e6:.0f} million. Crop it, or "
            "take fewer slices."
        )


def _pixels(path: Path) -> int:
    """Pixels of all pages that the header of a file tells."""
    from PIL import Image

    if path.suffix == ".npy":
        import numpy as np

        check_npy(path)
        return int(np.load(path, mmap_mode="r", allow_pickle=False).size)
    try:
        if path.suffix in (".tif", ".tiff"):
            import tifffile

            with tifffile.TiffFile(path) as file:
                return sum(series.size for series in file.series)
        with Image.open(path) as image:
            return image.width * image.height
    except Image.DecompressionBombError:
        return MOST_VOXELS + 1
    except Exception as error:  # every reader has its own errors for a damaged header
        reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        raise InvalidInputError(f"the image cannot be read ({reason}); it is damaged: export it again.") from None
