"""A study: one training recipe and variants of it, all trained on the same data and scored on the same samples.

    study.yaml:  name: ...
                 reference: {...}                       a training recipe
                 variants:
                   - {name: ..., title: ..., options: {model.width: 32, ...}, project: true}

Every variant has a folder of its own: a run directory and the scores of its model. Stages that a variant does not change are
the reference's, copied; a variant that changes the prediction alone has no training at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self, cast

from pydantic import BaseModel, ConfigDict, Field, model_validator

from resinflow.evaluate.options import Split
from resinflow.flow.config import read_config
from resinflow.flow.errors import InvalidInputError
from resinflow.presets.latent.recipe import ModelConfig, TrainingConfig
from resinflow.search.search_plan import with_options
from resinflow.train.stage import MACHINE_OPTIONS, STAGES, StageName

DENOISER_OPTIONS = frozenset({"denoiser_blocks", "denoiser_couples_slices", "process", "bridge_noise"})
"""Options of the model that the two stages of the VAE do not know."""
PREDICTION_OPTIONS = frozenset({"sampler_steps", "samples", "mirror_images"})
"""Options of the model that no stage knows."""


class Variant(BaseModel):
    """What is different in one model of a study.

    Attributes:
        name: of its folder.
        title: in tables.
        options: dotted keys of the training recipe with their values.
        project: whether predictions are made to conserve mass exactly.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")]
    title: str
    options: dict[str, Any] = {}
    project: bool = True


REFERENCE = Variant(name="reference", title="reference")
"""The recipe as it is."""


class Study(BaseModel):
    """A training recipe and its variants.

    Attributes:
        name: of the study.
        reference: the recipe that every variant changes in something.
        variants: in the order of the table.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    reference: TrainingConfig
    variants: tuple[Variant, ...]

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [variant.name for variant in self.all]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two variants are called {twice[0]}; needed: a name of its own for each")
        return self

    @property
    def all(self) -> tuple[Variant, ...]:
        """The reference and the variants."""
        return (REFERENCE, *self.variants)

    def recipe(self, variant: Variant) -> TrainingConfig:
        """Return the training recipe of a variant.

        Raises:
            InvalidInputError: an option that the training recipe does not have or does not accept.
        """
        try:
            return cast(TrainingConfig, with_options(self.reference, {**variant.options, "name": variant.name}))
        except InvalidInputError as error:
            raise InvalidInputError(f"variant {variant.name}: {error}") from None

    def first_stage(self, variant: Variant) -> StageName | None:
        """Return the first stage that a variant has to train; None if the reference's model serves."""
        if variant == REFERENCE:
            return STAGES[0]
        return first_changed_stage(self.reference, self.recipe(variant))

    def chosen(self, only: Sequence[str]) -> list[Variant]:
        """Return the variants called ``only`` (all without a name), the reference first where one of them needs it.

        Raises:
            InvalidInputError: a name that no variant has.
        """
        known = [variant.name for variant in self.all]
        unknown = [name for name in only if name not in known]
        if unknown:
            raise InvalidInputError(f"there is no variant {unknown[0]!r}; needed: one of {', '.join(known)}.")
        wanted = [variant for variant in self.all if not only or variant.name in only]
        needs_reference = any(self.first_stage(variant) != STAGES[0] for variant in wanted)
        return [REFERENCE, *wanted] if needs_reference and REFERENCE not in wanted else wanted


def load_study(path: str | Path) -> Study:
    """Return the study in the YAML file ``path``; the recipe of every variant is tried.

    Raises:
        InvalidInputError: a file that cannot be read, a variant whose options the recipe refuses, or one that changes nothing.
    """
    study = read_config(Path(path), Study)
    for variant in study.variants:
        changed = study.recipe(variant).model_copy(update={"name": study.reference.name})
        if changed == study.reference and variant.project:
            raise InvalidInputError(f"{path}: variant {variant.name} is the reference; needed: an option of another value.")
    return study


def first_changed_stage(reference: TrainingConfig, variant: TrainingConfig) -> StageName | None:
    """Return the first stage that trains otherwise in ``variant``; None if all train as in ``reference``.

    Options of the machine count as equal. An option of the model that is not known to concern the denoiser or the prediction
    alone concerns all stages.
    """
    model = {name for name in ModelConfig.model_fields if getattr(reference.model, name) != getattr(variant.model, name)}
    if (reference.seed, reference.samples) != (variant.seed, variant.samples) or model - DENOISER_OPTIONS - PREDICTION_OPTIONS:
        return STAGES[0]
    for stage in STAGES:
        before, after = (getattr(recipe, stage).model_dump(exclude=MACHINE_OPTIONS) for recipe in (reference, variant))
        if before != after or (stage == STAGES[-1] and model & DENOISER_OPTIONS):
            return stage
    return None


@dataclass(frozen=True)
class Setting:
    """What all variants of a study share.

    Attributes:
        data: the data set.
        out: folder of the study, with one folder a variant.
        split: whose samples are scored.
        limit: only its first samples.
    """

    data: Path
    out: Path
    split: Split = "test"
    limit: int | None = None

    def result(self, variant: Variant) -> Path:
        """Return the file of a variant's scores; a variant is finished when it is there."""
        words = [self.split, *([str(self.limit)] if self.limit else []), *([] if variant.project else ["unprojected"])]
        return self.out / variant.name / f"{'-'.join(words)}.json"
