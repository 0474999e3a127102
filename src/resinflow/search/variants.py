"""Variants of a training recipe: each is trained from the first stage that it changes, and scored, in a folder of its own.

Every variant has a run directory, ``NAME`` or ``NAME/seed-SEED``, with the scores of its model in it. A variant
whose scores are there is finished, and one that was interrupted goes on: the variants are the points of a search,
and these folders are its memory.
"""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from resinflow.data import open_flows
from resinflow.flow import InvalidInputError, replacing, with_options
from resinflow.presets import STAGES, LatentArchitecture, LatentRecipe, StageName
from resinflow.presets.training import adopt_model, adopt_stage, train
from resinflow.search.objective import Objective, TrialSetup, check_start, logged
from resinflow.search.plan import SearchAxis, SearchPlan, SearchRecipe
from resinflow.search.results import TrialRow
from resinflow.search.trials import RowWatch, Search
from resinflow.train import MACHINE_OPTIONS, BaseRecipe
from resinflow.train.record import record_run, result_of, weights_of
from resinflow.train.run_directory import MODEL

REFERENCE = "reference"
"""The variant without changes. The others adopt its stages that they do not change."""
DENOISER_OPTIONS = frozenset({"denoiser_blocks", "denoiser_couples_slices", "process", "bridge_noise"})
"""Options of the model that the two stages of the VAE do not know."""
PREDICTION_OPTIONS = frozenset({"sampler_steps", "samples", "mirror_images"})
"""Options of the model that no stage knows."""
_SECONDS = "cpu-seconds.json"
"""CPU seconds of every stage, in the folder of a variant; those of a copied stage are the reference's."""

TableRow = Mapping[str, Any]
"""Numbers of one variant by name; None where there is none."""


@dataclass(frozen=True)
class VariantPlan(SearchPlan):
    """A grid of variants and, where there are several, seeds.

    Attributes:
        variants: dotted options by the name of the variant.
    """

    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def training(self, values: Mapping[str, Any]) -> BaseRecipe:
        """Return the training recipe of a variant, with the variant's name.

        Raises:
            InvalidInputError: an option that the training recipe does not have or does not accept.
        """
        name = values["variant"]
        seed = {"seed": values["seed"]} if "seed" in values else {}
        try:
            return with_options(self.base, {**self.variants[name], **seed, "name": name})
        except InvalidInputError as error:
            raise InvalidInputError(f"variant {name}: {error}") from None

    def place(self, point: int) -> str:
        """Return the folder of a variant inside that of all."""
        return variant_place(**self.points[point])


def variant_place(variant: str, seed: int | None = None) -> str:
    """Return the folder of a variant inside that of all."""
    return variant if seed is None else f"{variant}/seed-{seed}"


def plan_variants(base: LatentRecipe, variants: Mapping[str, Mapping[str, Any]], seeds: Sequence[int] = ()) -> VariantPlan:
    """Return the plan of variants of ``base``; the recipe of every one is tried.

    Args:
        base: the training recipe that the variants change.
        variants: dotted options by name, as :func:`resinflow.flow.recipe_file.read_variants` returns them.
        seeds: every variant is trained with each; by default once, with the seed of its recipe.

    Raises:
        InvalidInputError: an option that the training recipe does not have or does not accept.
    """
    space = {"variant": SearchAxis(values=tuple(variants)), **({"seed": SearchAxis(values=tuple(seeds))} if seeds else {})}
    recipe = SearchRecipe(name=base.name, base="", stage=STAGES[-1], mode="grid", space=space)
    plan = VariantPlan(recipe, base, space, variants=variants)
    for point in plan.points:
        plan.training(point)
    return plan


def run_variants(
    plan: VariantPlan, objective: Objective, folder: Path, *, jobs: int = 1, watch: RowWatch | None = None
) -> list[TrialRow]:
    """Ask the objective for every variant of a plan, and return one row for each.

    One that fails does not keep the others from theirs. The next call asks for all of them again: the objective sees from the
    folder of a variant whether it is finished.

    Args:
        plan: the variants.
        objective: returns the value of a variant, e.g. a :class:`VariantObjective`.
        folder: of all variants.
        jobs: processes on this machine.
        watch: sees the rows after every variant.

    Raises:
        InvalidInputError: a process ended early.
        KeyboardInterrupt: on Ctrl-C or SIGTERM.
    """
    with TemporaryDirectory() as place:
        storage = f"sqlite:///{place}/variants.db"
        return Search(plan, objective, folder, storage, write=None).run(jobs=jobs, watch=watch)


@dataclass(frozen=True)
class VariantObjective:
    """Trains what a variant changes, scores its model, and returns the score.

    What training prints goes to ``log.txt`` in the variant's folder.

    Attributes:
        data: the data set.
        base: the recipe of the reference.
        folder: of all variants.
        result: name of the file of scores in a variant's folder.
        score: writes the scores of the model in a directory to a file.
        value: reads from such a file the number that the variant is judged by.
    """

    data: str
    base: LatentRecipe
    folder: Path
    result: str
    score: Callable[[Path, Path], object]
    value: Callable[[Path], float]

    def __call__(self, setup: TrialSetup) -> float:
        """Return the value of a variant.

        Raises:
            InvalidInputError: the variant's folder belongs to another recipe or data set, or the reference is not finished.
        """
        record_run(setup.folder, setup.recipe, open_flows(self.data))
        result = setup.folder / self.result
        if not result.is_file():
            with logged(setup.folder / "log.txt"):
                self._train(setup.folder, setup.recipe)
                self.score(setup.folder / MODEL, result)
        return self.value(result)

    def _train(self, run: Path, recipe: BaseRecipe) -> None:
        if not isinstance(recipe, LatentRecipe):
            raise InvalidInputError(f"the recipe has preset {recipe.preset!r}; needed: a recipe without preset for variants.")
        variant, *seed = run.relative_to(self.folder).parts
        reference = self.base.model_copy(update={"seed": recipe.seed}) if seed else self.base
        first = STAGES[0] if variant == REFERENCE else first_changed_stage(reference, recipe)
        start = self.folder.joinpath(REFERENCE, *seed)
        if first is None:
            adopt_model(start, run, recipe)
            _write_seconds(run, read_seconds(start))
            return
        for stage in STAGES[: STAGES.index(first)]:
            check_start(start, stage)
            if not weights_of(run, stage).is_file():
                _write_seconds(run, {**read_seconds(run), stage: read_seconds(start).get(stage, math.nan)})
                adopt_stage(start, run, stage, open_flows(self.data), recipe)
        for stage in STAGES:
            if not result_of(run, stage, STAGES).exists():
                with _counted_seconds(run, stage):
                    train(stage, self.data, run, recipe)


def first_changed_stage(reference: LatentRecipe, variant: LatentRecipe) -> StageName | None:
    """Return the first stage that trains otherwise in ``variant``; None if all train as in ``reference``.

    Options of the machine count as equal. An option of the model that is not listed as one of the denoiser or the prediction
    alone concerns all stages.
    """
    model = {name for name in LatentArchitecture.model_fields if getattr(reference.model, name) != getattr(variant.model, name)}
    if (reference.seed, reference.samples) != (variant.seed, variant.samples) or model - DENOISER_OPTIONS - PREDICTION_OPTIONS:
        return STAGES[0]
    for stage in STAGES:
        before, after = (recipe.options(stage).model_dump(exclude=set(MACHINE_OPTIONS)) for recipe in (reference, variant))
        if before != after or (stage == STAGES[-1] and model & DENOISER_OPTIONS):
            return stage
    return None


def read_seconds(run: Path) -> dict[str, float]:
    """Return the CPU seconds that every stage of a run has taken so far, interrupted attempts included."""
    path = run / _SECONDS
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def write_table(rows: Sequence[TableRow], columns: Mapping[str, str], cell: Callable[[str, TableRow], str], path: Path) -> str:
    """Write a table as CSV with all numbers and as Markdown, each in one step, and return the latter.

    Args:
        rows: one a variant.
        columns: heads of the Markdown table and the names of their numbers; the first column is text.
        cell: the text of a number of a row.
        path: of the CSV file; the Markdown file is beside it.
    """
    names = list(dict.fromkeys(name for row in rows for name in row)) or list(columns.values())
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows({name: "" if _is_missing(value) else value for name, value in row.items()} for row in rows)
    lines = [list(columns), ["---", *["---:"] * (len(columns) - 1)]]
    lines += [["-" if _is_missing(row.get(name)) else cell(name, row) for name in columns.values()] for row in rows]
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    with replacing(path.with_suffix(".md")) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    return text


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _write_seconds(run: Path, seconds: Mapping[str, float]) -> None:
    with replacing(run / _SECONDS) as temporary:
        temporary.write_text(json.dumps(dict(seconds), indent=1) + "\n", encoding="utf-8")


@contextmanager
def _counted_seconds(run: Path, stage: StageName) -> Iterator[None]:
    """Add the CPU time of a block, of this process and of those that it waited for, to the stage's."""
    before = sum(os.times()[:4])
    try:
        yield
    finally:
        seconds = read_seconds(run)
        _write_seconds(run, {**seconds, stage: seconds.get(stage, 0.0) + sum(os.times()[:4]) - before})
