"""What each choice of the model buys: a reference and its variants, on the same data with the same budget.

    export OMP_NUM_THREADS=1
    python benchmarks/ablation.py --data data/small.zarr --out runs/ablation [--only NAME ...] [--jobs 1]
    python benchmarks/ablation.py --data data/small.zarr --out runs/ablation --table

Variants are those of recipes/ablation.yaml. A variant that is finished is left alone and one that was interrupted goes on, so
that the same command is run again after a stop. Writes ablation.csv and ablation.md and prints the latter: relative L2 error of
velocity, vz and pressure, mean and 90th percentile of |error of K|, CPU minutes of the training (those of stages that are the
reference's included), and parameters. ``--table`` reads only what is there.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from stopwatch import ROOT, command_line

from resinflow.data import open_flows
from resinflow.evaluate import PLANAR, Score, compare, save_scores
from resinflow.evaluate.choices import EvaluationOptions, Split
from resinflow.evaluate.evaluation import evaluate_model, samples_of
from resinflow.evaluate.methods import CEILING, CROSS, DIFFUSION, GRID, draw
from resinflow.flow import InvalidInputError, read_titles, read_variants, with_options
from resinflow.models import Sampling
from resinflow.presets import STAGES, LatentDiffusion, LatentRecipe, load_model, load_recipe
from resinflow.search import (
    REFERENCE,
    TrialRow,
    VariantObjective,
    first_changed_stage,
    plan_variants,
    read_seconds,
    run_variants,
    write_table,
)

UNPROJECTED = "no-projection"
"""The variant whose model is the reference's and whose predictions are not made to conserve mass: no option of a recipe."""
_STARTS = (PLANAR, "response flow", GRID)
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
        reference: the recipe that every variant changes in something; the table has its name.
        variants: dotted options by name, the reference among them.
        titles: what the table calls them.
        data: the data set.
        out: folder of the study, with one run directory a variant.
        scored: whose samples are scored.
    """

    reference: LatentRecipe
    variants: Mapping[str, Mapping[str, Any]]
    titles: Mapping[str, str]
    data: Path = Path()
    out: Path = Path()
    scored: EvaluationOptions = field(default_factory=EvaluationOptions)

    def recipe(self, name: str) -> LatentRecipe:
        """Return the training recipe of a variant."""
        return with_options(self.reference, {**self.variants[name], "name": name})

    def first_stage(self, name: str) -> str | None:
        """Return the first stage that a variant has to train; None if the reference's model serves."""
        return STAGES[0] if name == REFERENCE else first_changed_stage(self.reference, self.recipe(name))

    @property
    def result(self) -> str:
        """Name of the file of scores in a variant's folder."""
        return self.scored.split + (f"-{self.scored.limit}" if self.scored.limit else "") + ".json"

    def scores(self) -> dict[str, Row]:
        """Return the scores of every method on every sample, for the variants that are finished."""
        paths = {name: self.out / name / self.result for name in self.variants}
        return {name: json.loads(path.read_text(encoding="utf-8")) for name, path in paths.items() if path.is_file()}

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


def load_study(path: str | Path, **setting: Any) -> Study:
    """Return the study of a recipe file and its variants, with data, out and scored samples of :class:`Study`.

    Raises:
        InvalidInputError: a file that cannot be read, a variant whose options the recipe refuses, or one that changes nothing.
    """
    reference, variants = load_recipe(path), read_variants(path)
    if not isinstance(reference, LatentRecipe):
        raise InvalidInputError(f"{path} has preset {reference.preset!r}; needed: a recipe without preset for variants.")
    for name in (REFERENCE, UNPROJECTED):
        if name in variants:
            raise InvalidInputError(f"{path}: two variants are called {name}; needed: a name of its own for each.")
    plan_variants(reference, variants)  # tries them all
    titles = {REFERENCE: REFERENCE, **read_titles(path), UNPROJECTED: "not projected on conserved mass"}
    study = Study(reference, {REFERENCE: {}, **variants, UNPROJECTED: {}}, titles, **setting)
    for name in variants:
        if study.recipe(name).model_copy(update={"name": reference.name}) == reference:
            raise InvalidInputError(f"{path}: variant {name} is the reference; needed: an option of another value.")
    return study


def run_study(study: Study, *, only: Sequence[str] = (), jobs: int = 1) -> list[str]:
    """Train and score all variants, or those called ``only``, and return the names of those that failed.

    What is finished is left as it is, what was interrupted goes on. The reference comes first: without it the others fail.

    Raises:
        InvalidInputError: a name that no variant has, or no sample to score.
    """
    names = study.select(only)
    samples_of(open_flows(study.data), study.scored.split, study.scored.limit)
    score = partial(score_model, data=study.data, options=study.scored)
    objective = VariantObjective(str(study.data), study.reference, study.out, study.result, score, velocity_error)
    failures: list[str] = []
    for group in ([REFERENCE], [name for name in names if name != REFERENCE]):
        variants = {name: study.variants[name] for name in group if name in names}
        if variants and not failures:
            plan = plan_variants(study.reference, variants)
            rows = run_variants(plan, objective, study.out, jobs=min(jobs, len(variants)), watch=_print_new(set()))
            failures = [row.parameters["variant"] for row in rows if row.state != "complete"]
    return failures


def _print_new(printed: set[str]) -> Callable[[Sequence[TrialRow]], None]:
    """Return what says on stderr how every variant ended, once."""

    def watch(rows: Sequence[TrialRow]) -> None:
        for row in rows:
            name = row.parameters["variant"]
            if row.finished and name not in printed:
                printed.add(name)
                end = row.error or f"finished, velocity error {row.value:.4g}"
                print(f"{name}: {end}", file=sys.stderr, flush=True)

    return watch


def score_model(model: Path, target: Path, *, data: Path, options: EvaluationOptions) -> None:
    """Write the scores of every method on every sample of a split; unprojected, of the model alone."""
    predictor, source = load_model(model), open_flows(data)
    if model.parent.name != UNPROJECTED:
        save_scores(evaluate_model(predictor, source, options).scores, target)
        return
    samples = [source.sample(index) for index in samples_of(source, options.split, options.limit)]
    scores = [Score(compare(draw(predictor, sample, Sampling(project=False)).flow, sample.truth)) for sample in samples]
    save_scores({DIFFUSION: scores}, target)


def velocity_error(path: Path) -> float:
    """Return the mean error of the velocity in a file of scores."""
    return _main(json.loads(path.read_text(encoding="utf-8")))["summary"]["relative_l2"]["mean"]


def read_rows(study: Study) -> list[Row]:
    """Return one row for every flow that needs no model and every finished variant, in the order of the study."""
    scores = study.scores()
    reference = scores.get(REFERENCE, {})
    starts = [
        {
            "variant": name,
            "title": name,
            "samples": len(reference[name]["samples"]),
            **_errors(reference[name]),
            "seconds": None,
        }
        for name in _STARTS
        if name in reference
    ]
    return starts + [_variant_row(study, name, values, reference) for name, values in scores.items()]


def ratio_of_means(errors: Sequence[float], reference: Sequence[float]) -> tuple[float, float]:
    """Return the ratio of the mean errors on the same samples, and its standard error by linearisation."""
    a, b = np.asarray(errors), np.asarray(reference)
    ratio = a.mean() / b.mean()
    spread = (a - ratio * b).std(ddof=1) / (b.mean() * math.sqrt(len(a))) if len(a) > 1 else math.nan
    return float(ratio), float(spread)


def study_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options of every study."""
    parser = command_line(description)
    parser.add_argument("--data", type=Path, required=True, help="a data set with splits")
    parser.add_argument("--out", type=Path, required=True, help="folder of the study, one folder a variant in it")
    parser.add_argument("--recipe", type=Path, default=ROOT / "recipes" / "ablation.yaml")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these variants, and what they start from")
    parser.add_argument("--jobs", type=int, default=1, help="variants at a time")
    parser.add_argument("--split", choices=get_args(Split), default="test", help="whose samples are scored")
    parser.add_argument("--limit", type=int, help="only the first samples of the split")
    parser.add_argument("--table", action="store_true", help="only read what is there")
    return parser


def study_of(options: argparse.Namespace) -> Study:
    """Return the study that the options of :func:`study_parser` ask for.

    Raises:
        InvalidInputError: as :func:`load_study`.
    """
    scored = EvaluationOptions(split=options.split, limit=options.limit)
    return load_study(options.recipe, data=options.data, out=options.out, scored=scored)


def finish_study(study: Study, options: argparse.Namespace, name: str) -> tuple[list[str], list[Row]]:
    """Run what is missing unless only a table is asked for, write and print the table, and return failures and rows.

    Raises:
        InvalidInputError: as :func:`run_study`.
    """
    failures = [] if options.table else run_study(study, only=options.only, jobs=options.jobs)
    rows = read_rows(study)
    print(write_table(rows, _COLUMNS, _cell, study.out / f"{name}.csv"))
    return failures, rows


def _variant_row(study: Study, name: str, scores: Row, reference: Row) -> Row:
    """Return the row of a variant."""
    first, own = study.first_stage(name), _main(scores)
    own_stages = () if first is None else STAGES[[*STAGES].index(first) :]
    minutes = {stage: seconds / 60 for stage, seconds in read_seconds(study.out / name).items()}
    with torch.device("meta"):
        networks = LatentDiffusion(study.recipe(name).model)
    row: Row = {
        "variant": name,
        "title": study.titles.get(name, name),
        "trained_from": first,
        "samples": len(own["samples"]),
        **_errors(own),
        "cross_velocity": _errors(scores.get(CROSS))["velocity"],
        "ceiling_velocity": _errors(scores.get(CEILING))["velocity"],
        "parameters": sum(weights.numel() for weights in networks.parameters()),
        "cpu_minutes": sum(minutes.get(stage, math.nan) for stage in STAGES),
        "own_cpu_minutes": sum(minutes.get(stage, math.nan) for stage in own_stages),
    }
    if reference and name != REFERENCE:
        pair = [[sample["relative_l2"] for sample in _main(values)["samples"]] for values in (scores, reference)]
        row["to_reference"], row["to_reference_error"] = ratio_of_means(*pair)
    return row


def _main(scores: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the scores of the model itself."""
    return next(values for method, values in scores.items() if method.startswith(DIFFUSION))


def _errors(scores: Mapping[str, Any] | None) -> Row:
    summary = scores["summary"] if scores else {}
    return {name: summary.get(number, {}).get(statistic) for name, (number, statistic) in _ERRORS.items()}


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


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study and print its table; return how many variants failed."""
    parser = study_parser(__doc__)
    options = parser.parse_args(arguments)
    try:
        study = study_of(options)
        return len(finish_study(study, options, study.reference.name)[0])
    except InvalidInputError as error:
        parser.error(str(error))


if __name__ == "__main__":
    sys.exit(min(main(), 1))
