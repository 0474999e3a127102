"""Studies of variants: a training recipe and its variants, all trained on the same data and scored on the same samples.

The variants of a recipe file stand under its key ``variants``; :mod:`resinflow.search.variants` trains them. Here is how they
are scored, and the table of what came out.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
import torch

from resinflow.evaluate.choices import EvaluationOptions, SourceOptions, Split
from resinflow.evaluate.evaluation import chosen_samples, evaluate_model, open_source
from resinflow.evaluate.methods import CEILING, CROSS, DIFFUSION, GRID, draw
from resinflow.evaluate.metrics import compare
from resinflow.evaluate.records import save_scores
from resinflow.evaluate.scores import PLANAR, Score
from resinflow.flow.errors import InvalidInputError
from resinflow.flow.recipe_file import read_titles, read_variants
from resinflow.presets.latent.networks import LatentDiffusion
from resinflow.presets.latent.recipe import STAGES, LatentRecipe
from resinflow.presets.load import load_model
from resinflow.presets.recipes import load_recipe
from resinflow.search.results import TrialRow
from resinflow.search.variants import (
    REFERENCE,
    VariantObjective,
    first_changed_stage,
    plan_variants,
    read_seconds,
    run_variants,
    variant_place,
    write_table,
)

ROOT = Path(__file__).parents[1]
RECIPE = ROOT / "recipes" / "ablation.yaml"
UNPROJECTED = "no-projection"
"""The variant whose model is the reference's and whose predictions are not made to conserve mass: no option of a recipe."""
STARTS = (PLANAR, "response flow", GRID)
"""Flows that need no model; the rows before the reference."""
_ERRORS = {
    "velocity": ("relative_l2", "mean"),
    "vz": ("relative_l2_z", "mean"),
    "pressure": ("pressure_error", "mean"),
    "K_mean": ("permeability_error", "mean"),
    "K_p90": ("permeability_error", "p90"),
    "seconds": ("seconds", "mean"),
}
_COLUMNS = {
    "variant": "title",
    "velocity, %": "velocity",
    "vz, %": "vz",
    "pressure, %": "pressure",
    "K mean, %": "K_mean",
    "K p90, %": "K_p90",
    "velocity / reference": "to_reference",
    "without diffusion, %": "cross_velocity",
    "ceiling, %": "ceiling_velocity",
    "CPU minutes": "cpu_minutes",
    "parameters": "parameters",
    "s / prediction": "seconds",
}
Row = dict[str, Any]


@dataclass(frozen=True)
class Study:
    """A training recipe, its variants, and where they are trained and scored.

    Attributes:
        name: of the table.
        reference: the recipe that every variant changes in something.
        variants: dotted options by name, the reference among them.
        titles: what the table calls them.
        data: the data set.
        out: folder of the study, with one folder a variant.
        seeds: every variant is trained with each; none: once, with the seed of its recipe.
        split: whose samples are scored.
        limit: only its first samples.
    """

    name: str
    reference: LatentRecipe
    variants: Mapping[str, Mapping[str, Any]]
    titles: Mapping[str, str] = field(default_factory=dict)
    data: Path = Path()
    out: Path = Path()
    seeds: tuple[int, ...] = ()
    split: Split = "test"
    limit: int | None = None

    def recipe(self, name: str) -> LatentRecipe:
        """Return the training recipe of a variant."""
        return cast("LatentRecipe", plan_variants(self.reference, {name: self.variants[name]}).training({"variant": name}))

    def first_stage(self, name: str) -> str | None:
        """Return the first stage that a variant has to train; None if the reference's model serves."""
        return STAGES[0] if name == REFERENCE else first_changed_stage(self.reference, self.recipe(name))

    def result(self, name: str) -> str:
        """Return the name of the file of a variant's scores."""
        limit = [str(self.limit)] if self.limit else []
        return "-".join([self.split, *limit, *(["unprojected"] if name == UNPROJECTED else [])]) + ".json"

    def select(self, only: Sequence[str]) -> list[str]:
        """Return the variants called ``only`` (all without a name), the reference first where one of them needs it.

        Raises:
            InvalidInputError: a name that no variant has.
        """
        for name in only:
            if name not in self.variants:
                raise InvalidInputError(f"there is no variant {name!r}; needed: one of {', '.join(self.variants)}.")
        names = [name for name in self.variants if not only or name in only]
        needs_reference = any(self.first_stage(name) != STAGES[0] for name in names)
        return [REFERENCE, *names] if needs_reference and REFERENCE not in names else names

    def runs(self, name: str) -> list[Path]:
        """Return the run directories of a variant that is finished, one a seed."""
        runs = [self.out / variant_place(name, seed) for seed in self.seeds or (None,)]
        return [run for run in runs if (run / self.result(name)).is_file()]


def load_study(path: str | Path, **options: Any) -> Study:
    """Return the study of a recipe file and its variants, with the ``options`` of :class:`Study`.

    Raises:
        InvalidInputError: a file that cannot be read, a variant whose options the recipe refuses, or one that changes nothing.
    """
    reference, variants = load_recipe(path), read_variants(path)
    for name in (REFERENCE, UNPROJECTED):
        if name in variants:
            raise InvalidInputError(f"{path}: two variants are called {name}; needed: a name of its own for each.")
    titles = {REFERENCE: REFERENCE, **read_titles(path), UNPROJECTED: "not projected on conserved mass"}
    study = Study(reference.name, reference, {REFERENCE: {}, **variants, UNPROJECTED: {}}, titles, **options)
    for name in variants:
        if study.recipe(name).model_copy(update={"name": reference.name}) == reference:
            raise InvalidInputError(f"{path}: variant {name} is the reference; needed: an option of another value.")
    return study


def run_study(study: Study, *, only: Sequence[str] = (), jobs: int = 1) -> list[str]:
    """Train and score all variants, or those called ``only``, and return the names of those that failed.

    What is finished is left as it is, what was interrupted goes on. The reference comes first: without it the others fail.

    Raises:
        InvalidInputError: a name that no variant has.
    """
    names = study.select(only)
    failures: list[str] = []
    others = [name for name in names if name not in (REFERENCE, UNPROJECTED)]
    for group in ([REFERENCE], others, [UNPROJECTED]):
        group = [name for name in group if name in names]
        if not group or failures[:1] == [REFERENCE]:
            continue
        project = group != [UNPROJECTED]
        objective = VariantObjective(
            data=str(study.data),
            base=study.reference,
            folder=study.out,
            result=study.result(group[0]),
            score=partial(score_model, data=study.data, split=study.split, limit=study.limit, project=project),
            value=velocity_error,
        )
        plan = plan_variants(study.reference, {name: study.variants[name] for name in group}, study.seeds)
        rows = run_variants(plan, objective, study.out, jobs=min(jobs, len(plan.points)), watch=_print_new(set()))
        failures += [row.parameters["variant"] for row in rows if row.state != "complete"]
    return failures


def score_model(model: Path, target: Path, *, data: Path, split: Split, limit: int | None, project: bool) -> None:
    """Write the scores of every method on every sample of a split; unprojected, of the model alone."""
    source_options = SourceOptions(data=data, limit=limit)
    if project:
        save_scores(evaluate_model(source_options, EvaluationOptions(model=str(model), split=split))[0].scores, target)
        return
    predictor, source = load_model(model), open_source(source_options)
    samples = (source.sample(index) for index in chosen_samples(source, split, limit))
    save_scores(
        {DIFFUSION: [Score(compare(draw(predictor, s, None, 0, project=False).flow, s.truth)) for s in samples]}, target
    )


def velocity_error(path: Path) -> float:
    """Return the mean error of the velocity in a file of scores."""
    return _main(_read(path))["summary"]["relative_l2"]["mean"]


def read_rows(study: Study) -> list[Row]:
    """Return one row for every flow that needs no model and every finished variant, in the order of the study."""
    scores = {name: [_read(run / study.result(name)) for run in study.runs(name)] for name in study.variants}
    reference = scores.get(REFERENCE, [])
    starts = [
        {"variant": name, "title": name, "samples": len(values["samples"]), **_errors(values["summary"]), "seconds": None}
        for name, values in ((name, reference[0][name]) for name in STARTS if reference and name in reference[0])
    ]
    return starts + [_variant_row(study, name, scores[name], reference) for name in study.variants if scores[name]]


def ratio_of_means(errors: Sequence[float], reference: Sequence[float]) -> tuple[float, float]:
    """Return the ratio of the mean errors on the same samples, and its standard error by linearisation."""
    a, b = np.asarray(errors), np.asarray(reference)
    ratio = a.mean() / b.mean()
    spread = (a - ratio * b).std(ddof=1) / (b.mean() * math.sqrt(len(a))) if len(a) > 1 else math.nan
    return float(ratio), float(spread)


def study_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options of every study."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a data set with splits")
    parser.add_argument("--out", type=Path, required=True, help="folder of the study, one folder a variant in it")
    parser.add_argument("--recipe", type=Path, default=RECIPE)
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these variants, and what they start from")
    parser.add_argument("--seeds", nargs="+", type=int, default=[], help="train every variant with each; tables have the means")
    parser.add_argument("--jobs", type=int, default=1, help="variants at a time")
    parser.add_argument("--split", choices=get_args(Split), default="test", help="whose samples are scored")
    parser.add_argument("--limit", type=int, help="only the first samples of the split")
    parser.add_argument("--table", action="store_true", help="only read what is there")
    return parser


def study_of(options: argparse.Namespace) -> Study:
    """Return the study that the options of :func:`study_parser` ask for.

    Raises:
        InvalidInputError: a number of jobs or samples below 1, or as :func:`load_study`.
    """
    for name in ("jobs", "limit"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise InvalidInputError(f"--{name} is {value}; needed: at least 1.")
    setting = {name: getattr(options, name) for name in ("data", "out", "split", "limit")}
    return load_study(options.recipe, seeds=tuple(options.seeds), **setting)


def finish_study(study: Study, options: argparse.Namespace) -> tuple[list[str], list[Row], str]:
    """Run what is missing unless only a table is asked for, write the table, and return failures, rows and Markdown.

    Raises:
        InvalidInputError: as :func:`run_study`.
    """
    failures = [] if options.table else run_study(study, only=options.only, jobs=options.jobs)
    rows = read_rows(study)
    return failures, rows, write_table(rows, _COLUMNS, _cell, study.out / f"{study.name}.csv")


def _variant_row(study: Study, name: str, scores: Sequence[Mapping[str, Any]], reference: Sequence[Mapping[str, Any]]) -> Row:
    """Return the row of a variant: means over its seeds."""
    first = study.first_stage(name)
    own = [] if first is None else STAGES[[*STAGES].index(first) :]
    runs = [read_seconds(run) for run in study.runs(name)]
    errors = [_errors(_main(each)["summary"]) for each in scores]
    with torch.device("meta"):
        networks = LatentDiffusion(study.recipe(name).model)
    row: Row = {
        "variant": name,
        "title": study.titles.get(name, name),
        "trained_from": first,
        "samples": len(_main(scores[0])["samples"]),
        **{key: _mean([each[key] for each in errors]) for key in _ERRORS},
        "cross_velocity": _mean([_velocity(each, CROSS) for each in scores]),
        "ceiling_velocity": _mean([_velocity(each, CEILING) for each in scores]),
        "parameters": sum(weights.numel() for weights in networks.parameters()),
        "cpu_minutes": _mean([sum(each.get(stage, math.nan) for stage in STAGES) / 60 for each in runs]),
        "own_cpu_minutes": _mean([sum(each.get(stage, math.nan) for stage in own) / 60 for each in runs]),
    }
    if study.seeds:
        velocities = [each["velocity"] for each in errors]
        row["velocity_spread"] = statistics.stdev(velocities) if len(velocities) > 1 else None
    if len(reference) == len(scores) and name != REFERENCE:
        pair = [[sample["relative_l2"] for each in some for sample in _main(each)["samples"]] for some in (scores, reference)]
        row["to_reference"], row["to_reference_error"] = ratio_of_means(*pair)
    return row


def _main(scores: Mapping[str, Any]) -> Mapping[str, Any]:
    """Scores of the model itself."""
    return next(values for method, values in scores.items() if method.startswith(DIFFUSION))


def _errors(summary: Mapping[str, Mapping[str, float | None]]) -> Row:
    return {name: summary.get(number, {}).get(statistic) for name, (number, statistic) in _ERRORS.items()}


def _velocity(scores: Mapping[str, Any], method: str) -> float | None:
    return scores[method]["summary"]["relative_l2"]["mean"] if method in scores else None


def _mean(values: Sequence[float | None]) -> float | None:
    numbers = [value for value in values if value is not None]
    return statistics.fmean(numbers) if numbers else None


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def _print_new(printed: set[int]) -> Any:
    """Return what says on stderr how every variant ended, once."""

    def watch(rows: Sequence[TrialRow]) -> None:
        for row in rows:
            if row.finished and row.number not in printed:
                printed.add(row.number)
                end = row.error or f"finished, velocity error {row.value:.4g}"
                print(f"{variant_place(**row.parameters)}: {end}", file=sys.stderr, flush=True)

    return watch


def _cell(key: str, row: Mapping[str, Any]) -> str:
    value = row[key]
    if key == "title":
        return value
    if key == "to_reference":
        error = row["to_reference_error"]
        return f"{value:.3f}" if math.isnan(error) else f"{value:.3f} ± {error:.3f}"
    if key == "parameters":
        return f"{value / 1e6:.2f} M"
    return f"{value:.3g}" if key in ("seconds", "cpu_minutes") else f"{100 * value:.3g}"
