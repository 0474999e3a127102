"""A model directory: configuration, weights and log, written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from pydantic import BaseModel, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from resinflow.flow import InvalidInputError, ResinflowError, first_fault, replacing

WEIGHTS, CONFIG, LOG = "model.safetensors", "config.json", "log.json"
CALIBRATION = "calibration.json"
"""Measured after training, of the weights beside it."""
_REALS = ("F64", "F32", "F16", "BF16")
"""Kinds of weights, as the format names them."""
_LONGEST = 200
"""Characters of a library's message that one of ours repeats."""


def write_model(directory: str | Path, module: nn.Module, document: dict[str, Any], log: dict[str, Any]) -> Path:
    """Write the weights of ``module``, its configuration and its log to ``directory``, and return it.

    A calibration that stands there belongs to other weights and goes.
    """
    directory = Path(directory)
    with replacing(directory) as temporary:
        temporary.mkdir()
        save_weights(module, temporary / WEIGHTS)
        (temporary / CONFIG).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        (temporary / LOG).write_text(json.dumps(log, indent=1) + "\n", encoding="utf-8")
        (directory / CALIBRATION).unlink(missing_ok=True)
    return directory


def read_log(directory: Path) -> dict[str, Any]:
    """Return the log of a model directory, empty where it has none.

    Raises:
        InvalidInputError: a damaged file.
    """
    path = directory / LOG
    if not path.is_file():
        return {}
    try:
        log = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"{path} cannot be read ({str(error).splitlines()[0]}); copy it again.") from None
    if not isinstance(log, dict):
        raise InvalidInputError(f"{path} holds {type(log).__name__}; needed: a mapping; copy it again.")
    return log


Architecture = TypeVar("Architecture", bound=BaseModel)


def schema_of(directory: Path) -> str | None:
    """Return the schema of the model in ``directory``; None where there is none or its document is damaged."""
    try:
        document = json.loads((directory / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return document.get("schema") if isinstance(document, dict) else None


def read_document(directory: Path, schema: str, kind: type[Architecture]) -> tuple[str, Architecture, dict[str, Any]]:
    """Return the name, the configuration and the log of the model in ``directory``.

    Raises:
        InvalidInputError: not a model directory, one of another schema, or damaged files.
    """
    if not (directory / CONFIG).is_file():
        raise InvalidInputError(f"{directory} is no model; needed: a folder with {CONFIG}, {WEIGHTS} and {LOG}.")
    try:
        document = json.loads((directory / CONFIG).read_text(encoding="utf-8"))
        if document.get("schema") != schema:
            raise InvalidInputError(f"{directory} has schema {document.get('schema')!r}; needed: {schema!r}.")
        name, options = str(document["name"]), kind.model_validate(document["config"])
    except ValidationError as error:
        raise InvalidInputError(f"{directory}/{CONFIG} cannot be used ({first_fault(error, 'config', value=False)}).") from None
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, AttributeError, RecursionError) as error:
        raise InvalidInputError(f"{directory}/{CONFIG} cannot be read ({str(error).splitlines()[0]}).") from None
    return name, options, read_log(directory)


def save_weights(module: nn.Module, path: Path) -> None:
    """Write the state of ``module`` as safetensors, whole or not at all.

    Raises:
        InvalidInputError: weights that are not finite; nothing is written then.
    """
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()}
    broken = [name for name, tensor in state.items() if not tensor.isfinite().all()]
    if broken:
        raise InvalidInputError(
            f"{len(broken)} of {len(state)} weights are not finite ({broken[0]}, ...), so that they are not written to {path}; "
            "needed: a training that converges, e.g. with a lower learning_rate."
        )
    with replacing(path) as temporary:
        save_file(state, temporary)


Module = TypeVar("Module", bound=nn.Module)


def restored_networks(build: Callable[[], Module], path: Path) -> Module:
    """Return the networks that ``build`` makes, with the weights of a safetensors file.

    The names and shapes of a configuration are compared with the header of the file before memory is taken for either.

    Raises:
        InvalidInputError: missing, truncated or foreign file.
    """
    _check_header(networks_without_values(build, path), path)
    networks = build()
    load_weights(networks, path)
    return networks


def networks_without_values(build: Callable[[], Module], source: object) -> Module:
    """Return the networks that ``build`` makes, with names and shapes alone: they take neither memory nor random numbers.

    Raises:
        InvalidInputError: a configuration that no networks can have; ``source`` is where it stands.
    """
    try:
        with torch.device("meta"):
            return build()
    except ResinflowError:
        raise
    except (ValueError, TypeError, RuntimeError, ArithmeticError) as error:
        detail = " ".join(str(error).split())[:_LONGEST]
        raise InvalidInputError(f"{source}: no networks can have its configuration ({detail}); copy it again.") from None


def check_scales(source: object, **scales: Tensor) -> None:
    """Refuse scales, of any shape, that cannot divide.

    Raises:
        InvalidInputError: one that is not finite or not above zero.
    """
    for name, values in scales.items():
        if not (values.isfinite() & (values > 0)).all():
            raise InvalidInputError(f"{source}: {name} is {values.tolist()}; needed: finite numbers above zero; copy it again.")


def load_weights(module: nn.Module, path: Path) -> None:
    """Fill ``module`` from a safetensors file.

    Raises:
        InvalidInputError: missing, truncated or foreign file.
    """
    module.load_state_dict(read_weights(module, path))


def read_weights(module: nn.Module, path: Path) -> dict[str, Tensor]:
    """Return the weights of a safetensors file, of the names and shapes that ``module`` has; it may be one without values.

    Raises:
        InvalidInputError: missing, truncated or foreign file, or weights that are not finite.
    """
    _check_header(module, path)
    with _readable(path):
        state = load_file(path)
    check_finite(state, path)
    return state


def check_finite(state: Mapping[str, Tensor], source: object) -> None:
    """Refuse weights, of any shape, that are NaN or infinite.

    Raises:
        InvalidInputError: such a weight.
    """
    broken = next((name for name, value in state.items() if not value.isfinite().all()), None)
    if broken is not None:
        raise InvalidInputError(f"{source} holds NaN or infinity in {broken}; needed: finite weights, e.g. of another epoch.")


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    if not path.is_file():
        raise InvalidInputError(f"{path} does not exist; needed: the weights (safetensors) of a trained model.")
    try:
        yield
    except (SafetensorError, OSError) as error:
        raise InvalidInputError(
            f"{path} is no readable safetensors file ({str(error).splitlines()[0]}); copy it again."
        ) from None


def _check_header(module: nn.Module, path: Path) -> None:
    """Refuse tensors of other names, kinds or shapes than the module's before any is read.

    Raises:
        InvalidInputError: such a tensor.
    """
    needed = module.state_dict()
    with _readable(path), safe_open(path, framework="pt") as file:
        names = set(file.keys())
        for name in sorted(names & needed.keys()):
            entry = file.get_slice(name)
            shape, kind = tuple(entry.get_shape()), entry.get_dtype()
            if shape != tuple(needed[name].shape) or (kind not in _REALS) > needed[name].is_complex():
                raise InvalidInputError(
                    f"{path} does not fit the model's configuration: {name} is {kind} of shape {shape}; needed: reals of "
                    f"shape {tuple(needed[name].shape)}."
                )
    for verb, others in (("lacks", needed.keys() - names), ("has the further", names - needed.keys())):
        if others:
            count = f" and {len(others) - 1} more" if len(others) > 1 else ""
            raise InvalidInputError(f"{path} does not fit the model's configuration: it {verb} {min(others)}{count}.")
