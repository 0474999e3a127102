"""A search recipe resolved against the training recipe whose options it varies."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from resinflow.flow import InvalidInputError
from resinflow.presets.training import Recipe, load_recipe, stage_options
from resinflow.search.search_config import AxisConfig, SearchConfig, load_search_config
from resinflow.train import MACHINE_OPTIONS, STAGES


@dataclass(frozen=True)
class Axis:
    """One searched option whose values the training recipe accepts.

    Attributes:
        key: dotted key of the training recipe.
        values: what is tried, as the training recipe reads it; empty for a range.
        low: lower end of a range; an int where the option is one.
        high: upper end.
        log: drawn in the logarithm.
    """

    key: str
    values: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False


@dataclass(frozen=True)
class SearchPlan:
    """A search recipe beside its training recipe.

    Attributes:
        config: the search recipe.
        base: the training recipe with the fixed options and the epochs of a trial.
        axes: the space, in the order of the recipe.
        folder: where relative paths of the recipe start.
    """

    config: SearchConfig
    base: Recipe
    axes: tuple[Axis, ...]
    folder: Path

    @cached_property
    def points(self) -> tuple[dict[str, Any], ...]:
        """All combinations of a grid, the last option varying fastest; none for ``tpe``."""
        if self.config.mode != "grid":
            return ()
        return tuple(
            dict(zip((axis.key for axis in self.axes), point, strict=True))
            for point in itertools.product(*(axis.values for axis in self.axes))
        )

    @property
    def size(self) -> int:
        """Trials of the whole search."""
        return len(self.points) if self.config.trials is None else self.config.trials

    @property
    def start(self) -> Path | None:
        """Run directory of the earlier stages."""
        return None if self.config.start is None else self.folder / self.config.start

    def training(self, values: Mapping[str, Any]) -> Recipe:
        """Return the training recipe of a trial.

        Raises:
            InvalidInputError: the training recipe does not accept the combination.
        """
        return with_options(self.base, values)


def load_search(path: str | Path) -> SearchPlan:
    """Return the plan of the search recipe in the YAML file ``path`` over the training recipe that it names.

    Raises:
        InvalidInputError: either recipe cannot be read, or one does not fit the other.
    """
    folder = Path(path).parent
    config = load_search_config(path)
    return plan_search(config, load_recipe(folder / config.base), folder)


def plan_search(config: SearchConfig, base: Recipe, folder: Path = Path()) -> SearchPlan:
    """Return the plan of a search over the training recipe ``base``.

    Every key and every value is tried on the training recipe, so that a mistake shows before the first trial.

    Raises:
        InvalidInputError: a key that the training recipe does not have, a value that it does not accept, or a key
            without an effect on the searched stage.
    """
    _check_effects(config)
    fixed = dict(config.fixed)
    if config.epochs is not None:
        if f"{config.stage}.epochs" in {*fixed, *config.space}:
            raise InvalidInputError(f"epochs and {config.stage}.epochs are both given; needed: one of them; remove the other.")
        fixed[f"{config.stage}.epochs"] = config.epochs
    both = sorted(set(config.fixed) & set(config.space))
    if both:
        raise InvalidInputError(f"{both[0]} is both fixed and searched; needed: one of them; remove the other.")
    base = with_options(base, fixed)
    for stage in STAGES:
        options = stage_options(base, stage)
        if options.devices > 1:
            raise InvalidInputError(
                f"{stage}.devices is {options.devices}; needed: 1 in a search; set it under fixed, and share GPUs with --jobs."
            )
    axes = tuple(_resolve(base, key, axis) for key, axis in config.space.items())
    return SearchPlan(config, base, axes, folder)


def with_options(recipe: Recipe, options: Mapping[str, Any]) -> Recipe:
    """Return ``recipe`` with the dotted keys of ``options`` set.

    Raises:
        InvalidInputError: an unknown key, or a value that the recipe does not accept.
    """
    values = recipe.model_dump(mode="json")
    for key, value in options.items():
        _check_key(recipe, key)
        *parents, last = key.split(".")
        place = values
        for parent in parents:
            place = place[parent]
        place[last] = value
    try:
        return type(recipe).model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or ", ".join(options)
        raise InvalidInputError(f"{where}: {first['msg']} (found {first['input']!r}).") from None


def option(recipe: BaseModel, key: str) -> Any:
    """Return the value at a dotted key of ``recipe``, as JSON has it: tuples are lists."""
    value: Any = recipe.model_dump(mode="json")
    for part in key.split("."):
        value = value[part]
    return value


def _check_key(recipe: BaseModel, key: str) -> None:
    """Refuse a key that leads to no option, with those that are known where the way ends."""
    place: Any = recipe
    parts = key.split(".")
    for depth, part in enumerate(parts):
        if not isinstance(place, BaseModel) or part not in type(place).model_fields:
            known = ", ".join(_options(place)) if isinstance(place, BaseModel) else "none"
            under = ".".join(parts[:depth]) or "the training recipe"
            raise InvalidInputError(
                f"{key} is no option of the training recipe; needed: one of those known under {under}: {known}."
            )
        place = getattr(place, part)
    if isinstance(place, BaseModel):
        raise InvalidInputError(
            f"{key} is a group of options; needed: one of {', '.join(f'{key}.{name}' for name in _options(place))}."
        )


def _options(recipe: BaseModel) -> Iterator[str]:
    for name in type(recipe).model_fields:
        yield f"{name}.*" if isinstance(getattr(recipe, name), BaseModel) else name


def _check_effects(config: SearchConfig) -> None:
    """Refuse keys that cannot change the loss: of stages that the trials do not train, and of the machine."""
    place = STAGES.index(config.stage)
    idle: dict[str, str] = {stage: "comes after the searched stage" for stage in STAGES[place + 1 :]}
    if config.start is not None:
        idle |= {stage: f"is taken from {config.start} as it is" for stage in STAGES[:place]}
    for key in config.space:
        stage = key.split(".")[0]
        if stage in idle:
            raise InvalidInputError(
                f"{key} has no effect: {stage} {idle[stage]}; needed: options of {config.stage}; remove the key."
            )
        if key.split(".")[-1] in MACHINE_OPTIONS:
            raise InvalidInputError(
                f"{key} changes the speed, not the loss; needed: options that are learned with; remove the key."
            )


def _resolve(base: Recipe, key: str, axis: AxisConfig) -> Axis:
    """Return the axis with its values as the training recipe reads them ("1e-4", text in YAML, is a number there)."""
    given = axis.values if axis.values is not None else (axis.low, axis.high)
    read = tuple(option(with_options(base, {key: value}), key) for value in given)
    if axis.values is None:
        low, high = read
        if isinstance(low, bool) or not isinstance(low, int | float):
            raise InvalidInputError(f"{key} is no number and has no range; needed: values for it.")
        return Axis(key, low=low, high=high, log=axis.log)
    if len({json.dumps(value) for value in read}) < len(read):
        raise InvalidInputError(f"{key} names a value twice ({list(read)}); needed: each once; remove the repetition.")
    return Axis(key, read)
