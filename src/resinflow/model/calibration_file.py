"""``calibration.json`` of a model directory: how large its errors are, and which media it knows."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from resinflow.core import InvalidInputError
from resinflow.core.files import replacing
from resinflow.model.calibration import Calibration
from resinflow.model.directory import CALIBRATION, WEIGHTS
from resinflow.model.novelty import Novelty


class CalibrationDocument(BaseModel):
    """What ``resinflow model calibrate`` found.

    Attributes:
        schema_name: of this document.
        weights: sha256 of the weights that it belongs to.
        data: sha256 of the data set's media and splits.
        split: whose errors the calibration was fitted to.
        cases: number of its media.
        calibration: from the spread between samples to the error.
        novelty: distance to the media of the training split; None if that was not there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    schema_name: Annotated[Literal["resinflow-calibration-1"], Field(alias="schema")] = "resinflow-calibration-1"
    weights: str
    data: str
    split: str
    cases: Annotated[int, Field(ge=1)]
    calibration: Calibration
    novelty: Novelty | None = None


def save_calibration(directory: str | Path, document: CalibrationDocument) -> Path:
    """Write ``calibration.json`` into a model directory in one step and return its path.

    Raises:
        InvalidInputError: no model directory, or one that cannot be written.
    """
    directory = Path(directory)
    if not (directory / WEIGHTS).is_file():
        raise InvalidInputError(f"{directory} holds no {WEIGHTS}; needed: a model directory.")
    path = directory / CALIBRATION
    with replacing(path) as temporary:
        temporary.write_text(document.model_dump_json(indent=1, by_alias=True) + "\n", encoding="utf-8")
    return path


def load_calibration(directory: str | Path) -> CalibrationDocument | None:
    """Return what ``calibration.json`` of a model directory says; None where there is none.

    Raises:
        InvalidInputError: a damaged file, or one that belongs to other weights than those beside it.
    """
    path = Path(directory) / CALIBRATION
    if not path.is_file():
        return None
    again = "Remove it and run resinflow model calibrate."
    try:
        document = CalibrationDocument.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise InvalidInputError(f"{path} cannot be used ({where}: {first['msg']}). {again}") from None
    if document.weights != weights_fingerprint(directory):
        raise InvalidInputError(f"{path} belongs to other weights than {WEIGHTS} beside it. {again}")
    return document


def weights_fingerprint(directory: str | Path, name: str = WEIGHTS) -> str:
    """Return the sha256 of the weights of a model directory, or of another file ``name`` there.

    Raises:
        InvalidInputError: weights that cannot be read.
    """
    path = Path(directory) / name
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be read ({error.strerror}); needed: the weights of a model.") from None
