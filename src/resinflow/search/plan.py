"""The recipe of a search, and the plan that it makes over a training recipe."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from resinflow.flow import InvalidInputError, option, read_recipe, with_options
from resinflow.presets import STAGES, StageName, load_recipe
from resinflow.presets.training import stage_options
from resinflow.train import MACHINE_OPTIONS, BaseRecipe, Positive

_TITLE = "the training recipe"


class SearchAxis(BaseModel):
    """One searched option: a list of values, or a range of numbers.

    Attributes:
        values: what is tried; a value may be a list, such as the channels of a U-Net.
        low: lower end of a range, tried too. In a plan it is an int where the option is one.
        high: upper end.
        log: draw uniformly in the logarithm.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    values: tuple[Any, ...] | None = None
    low: float | None = None
    high: float | None = None
    log: bool = False

    @model_validator(mode="after")
    def _is_a_list_or_a_range(self) -> Self:
        if self.values is not None:
            if not self.values or self.low is not None or self.high is not None or self.log:
                raise ValueError("needed: a list of values that is not empty, or low and high, not both")
            return self
        if self.low is None or self.high is None or not -math.inf < self.low < self.high < math.inf:
            raise ValueError("needed: values, or low and high with low < high")
        if self.log and self.low <= 0:
            raise ValueError(f"a logarithmic range starts at {self.low:g}; needed: low > 0")
        return self

    @property
    def ends(self) -> tuple[float, float]:
        """The ends of a range.

        Raises:
            ValueError: the axis is a list.
        """
        if self.low is None or self.high is None:
            raise ValueError("a list of values has no ends")
        return self.low, self.high


class SearchRecipe(BaseModel):
    """The recipe of a search.

    Attributes:
        name: of the study in the storage; all processes of one search share it.
        base: the training recipe that the trials vary, a path beside this recipe.
        stage: the stage that is trained and judged by its validation loss.
        mode: ``grid`` (every combination of the values once) or ``tpe`` (tree-structured Parzen estimator).
        space: dotted keys of the training recipe, e.g. ``diffusion.learning_rate``, and what is tried for each.
        fixed: dotted keys that all trials set to one value.
        trials: number of trials; for ``tpe`` only.
        epochs: of the searched stage in a trial; by default the training recipe's.
        folds: more than one: a trial's value is the mean over the folds of a k-fold cross-validation.
        seed: of the suggestions of ``tpe``.
        pruner: ``median`` stops a trial whose loss is above the median of the earlier ones at the same epoch.
        pruner_trials: finished trials before the first one is stopped.
        pruner_epochs: epochs of every trial in which none is stopped.
        start: run directory, beside this recipe, with the finished earlier stages; by default every trial trains them.
        keep_weights: keep the weights of all trials.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=200)]
    base: str
    stage: StageName
    mode: Literal["grid", "tpe"]
    space: Annotated[dict[str, SearchAxis], Field(min_length=1)]
    fixed: dict[str, Any] = {}
    trials: Positive | None = None
    epochs: Positive | None = None
    folds: Positive = 1
    seed: Annotated[int, Field(ge=0)] = 2024
    pruner: Literal["median", "none"] = "none"
    pruner_trials: Annotated[int, Field(ge=0)] = 5
    pruner_epochs: Annotated[int, Field(ge=0)] = 1
    start: str | None = None
    keep_weights: bool = False

    @model_validator(mode="after")
    def _fits_its_mode(self) -> Self:
        ranges = [key for key, axis in self.space.items() if axis.values is None]
        if self.mode == "grid" and ranges:
            raise ValueError(f"a grid has no ranges ({', '.join(ranges)}); needed: values, or mode: tpe")
        if (self.mode == "tpe") != (self.trials is not None):
            raise ValueError("needed: trials for mode tpe, and none for mode grid, which tries every combination")
        return self


@dataclass(frozen=True)
class SearchPlan:
    """A search recipe with its training recipe.

    Attributes:
        recipe: of the search.
        base: the training recipe with the fixed options and the epochs of a trial.
        axes: the space, with the values as the training recipe reads them.
        folder: where relative paths of the search recipe start.
    """

    recipe: SearchRecipe
    base: BaseRecipe
    axes: Mapping[str, SearchAxis]
    folder: Path = Path()

    @cached_property
    def points(self) -> tuple[dict[str, Any], ...]:
        """All combinations of a grid, the last option varying fastest; none for ``tpe``."""
        if self.recipe.mode != "grid":
            return ()
        combinations = itertools.product(*(axis.values or () for axis in self.axes.values()))
        return tuple(dict(zip(self.axes, values, strict=True)) for values in combinations)

    @property
    def size(self) -> int:
        """Trials of the whole search."""
        return len(self.points) if self.recipe.trials is None else self.recipe.trials

    @property
    def start(self) -> Path | None:
        """Run directory of the earlier stages."""
        return None if self.recipe.start is None else self.folder / self.recipe.start

    def training(self, values: Mapping[str, Any]) -> BaseRecipe:
        """Return the training recipe of a trial.

        Raises:
            InvalidInputError: the training recipe does not accept the combination.
        """
        return with_options(self.base, values, _TITLE)

    def place(self, point: int) -> str:
        """Return the folder of a point inside that of the results."""
        return f"trials/{point:04d}"


def load_search(path: str | Path) -> SearchPlan:
    """Return the plan of the search recipe in the YAML file ``path`` over the training recipe that it names.

    Raises:
        InvalidInputError: either recipe cannot be read, or one does not fit the other.
    """
    recipe = read_recipe(Path(path), SearchRecipe)
    return plan_search(recipe, load_recipe(Path(path).parent / recipe.base), Path(path).parent)


def plan_search(recipe: SearchRecipe, base: BaseRecipe, folder: Path = Path()) -> SearchPlan:
    """Return the plan of a search over the training recipe ``base``.

    Every key and every value is tried on the training recipe, so that a mistake shows before the first trial.

    Raises:
        InvalidInputError: a key that the training recipe does not have, a value that it does not accept, or a key
            without an effect on the searched stage.
    """
    _check_effects(recipe)
    fixed, epochs = dict(recipe.fixed), f"{recipe.stage}.epochs"
    if recipe.epochs is not None:
        if epochs in {*fixed, *recipe.space}:
            raise InvalidInputError(f"epochs and {epochs} are both given; needed: one of them; remove the other.")
        fixed[epochs] = recipe.epochs
    for key in recipe.fixed.keys() & recipe.space.keys():
        raise InvalidInputError(f"{key} is both fixed and searched; needed: one of them; remove the other.")
    base = with_options(base, fixed, _TITLE)
    for stage in STAGES:
        devices = stage_options(base, stage).devices
        if devices > 1:
            raise InvalidInputError(
                f"{stage}.devices is {devices}; needed: 1 in a search; set it under fixed, and share GPUs with --jobs."
            )
    return SearchPlan(recipe, base, {key: _resolved(base, key, axis) for key, axis in recipe.space.items()}, folder)


def _check_effects(recipe: SearchRecipe) -> None:
    """Refuse keys that cannot change the loss: of stages that the trials do not train, and of the machine."""
    place = STAGES.index(recipe.stage)
    idle: dict[str, str] = {stage: "comes after the searched stage" for stage in STAGES[place + 1 :]}
    if recipe.start is not None:
        idle |= {stage: f"is taken from {recipe.start} as it is" for stage in STAGES[:place]}
    for key in recipe.space:
        stage = key.split(".")[0]
        if stage in idle:
            raise InvalidInputError(
                f"{key} has no effect: {stage} {idle[stage]}; needed: options of {recipe.stage}; remove the key."
            )
        if key.split(".")[-1] in MACHINE_OPTIONS:
            raise InvalidInputError(
                f"{key} changes the speed, not the loss; needed: options that are learned with; remove the key."
            )


def _resolved(base: BaseRecipe, key: str, axis: SearchAxis) -> SearchAxis:
    """Return the axis with its values as the training recipe reads them ("1e-4", text in YAML, is a number there)."""
    values = tuple(option(with_options(base, {key: value}, _TITLE), key) for value in (axis.values or axis.ends))
    if axis.values is not None:
        if len({json.dumps(value) for value in values}) < len(values):
            raise InvalidInputError(f"{key} names a value twice ({list(values)}); needed: each once; remove the repetition.")
        return axis.model_copy(update={"values": values})
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in values):
        raise InvalidInputError(f"{key} is no number and has no range; needed: values for it.")
    return axis.model_copy(update={"low": values[0], "high": values[1]})
