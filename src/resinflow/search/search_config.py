"""What a search is asked to try: the recipe of a search."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from resinflow.flow import read_config
from resinflow.train import Positive, StageName


class AxisConfig(BaseModel):
    """One searched option: a list of values, or a range of numbers.

    Attributes:
        values: what is tried; a value may be a list, such as the channels of a U-Net.
        low: lower end of a range, tried too.
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


class SearchConfig(BaseModel):
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
    space: Annotated[dict[str, AxisConfig], Field(min_length=1)]
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


def load_search_config(path: str | Path) -> SearchConfig:
    """Return the search recipe in the YAML file ``path``.

    Raises:
        InvalidInputError: no such file, an unknown key or a value out of range.
    """
    return read_config(Path(path), SearchConfig)
