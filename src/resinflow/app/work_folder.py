"""The folder that holds all that the app is given and makes: one folder a session, with names of our own."""

from __future__ import annotations

import secrets
import shutil
import time
from itertools import count
from pathlib import Path

from resinflow.flow import InvalidInputError

__all__ = ["WorkFolder", "default_folder"]

INPUT, VIEW, FIBRES = "input", "view", "fibres"
"""Folders of a session: what came in, pictures for the page, the medium."""
MEDIUM = "medium.npz"
"""The medium, as the command line reads it."""


def new_image(folder: Path) -> str:
    """Return the name, without suffix, of the next image of a session: those before stay, since answers are theirs."""
    taken = {path.stem for path in (folder / INPUT).glob("image-*")}
    return next(name for number in count(1) if (name := f"image-{number}") not in taken)


SO_FAR = "so-far.npz"
"""The field of an answer that a solver left which gave up at its last iteration."""


def keep_medium(folder: Path, run: str, before: str | None = None) -> None:
    """Give the folder of an answer its medium, whatever is read after it.

    Args:
        folder: of the session.
        run: folder of the answer.
        before: the answer that it goes on from, whose medium and field it gets; None: it gets the medium that was read last.

    Raises:
        InvalidInputError: the answer before has left no field.
    """
    target = folder / run
    if before is not None and not (folder / before / SO_FAR).is_file():
        raise InvalidInputError(f"{before} has left no field to go on from; needed: ask again by Compute.")
    target.mkdir(exist_ok=True)
    if before is not None:
        _share(folder / before / SO_FAR, target / SO_FAR)
    _share(folder / FIBRES / MEDIUM if before is None else folder / before / f".{MEDIUM}", target / f".{MEDIUM}")


def _share(source: Path, place: Path) -> None:
    """Give a file, if it is there, a second place; neither is ever written in place."""
    place.unlink(missing_ok=True)
    if not source.is_file():
        return
    try:
        place.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, place)


def default_folder() -> Path:
    """Return the folder that is used where none is named: ``resinflow`` in the user's home."""
    return Path.home() / "resinflow"


class WorkFolder:
    """The folder of all sessions; it is made where it is not there.

    Raises:
        InvalidInputError: a place that cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            probe = self.path / f".probe-{secrets.token_hex(4)}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise InvalidInputError(
                f"the work folder {self.path} cannot be written ({error.strerror}); needed: another one, --folder."
            ) from None

    @property
    def log(self) -> Path:
        """The file that the processes of the app write faults to."""
        return self.path / "app.log"

    def new_session(self) -> Path:
        """Make the folder of a session, named by the time and a random end, and return it."""
        while True:
            folder = self.path / f"{time.strftime('%Y-%m-%d_%H%M%S')}_{secrets.token_hex(2)}"
            try:
                folder.mkdir()
            except FileExistsError:
                continue
            for name in (INPUT, VIEW, FIBRES):
                (folder / name).mkdir()
            return folder

    def sessions(self) -> list[Path]:
        """Return the folders of all sessions that were saved."""
        return sorted(path.parent for path in self.path.glob("*/session.json"))
