"""Running a study: every variant is trained from the first stage that it changes, and scored."""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import torch
from safetensors.torch import load_file
from study import REFERENCE, Setting, Study, Variant

from resinflow.data.open import open_flows
from resinflow.evaluate.evaluation import evaluate_model, samples_of
from resinflow.evaluate.methods import DIFFUSION, draw
from resinflow.evaluate.metrics import compare
from resinflow.evaluate.options import EvaluationOptions
from resinflow.evaluate.records import save_scores
from resinflow.evaluate.scores import Score
from resinflow.flow.atomic import replacing
from resinflow.flow.errors import InvalidInputError
from resinflow.models.directory import save_weights
from resinflow.presets.latent.networks import LatentDiffusion
from resinflow.presets.latent.predictor import LatentPredictor
from resinflow.presets.latent.recipe import TrainingConfig
from resinflow.presets.latent.run import train_stage
from resinflow.presets.load import load_model
from resinflow.search.search_objective import check_start
from resinflow.train.history import METRICS
from resinflow.train.run import MODEL, claim_run, weights_of
from resinflow.train.stage import STAGES, StageName

SECONDS = "cpu-seconds.json"
"""CPU seconds of every stage, in the folder of a variant; those of a copied stage are the reference's."""


def run_study(study: Study, setting: Setting, *, only: Sequence[str] = (), jobs: int = 1) -> list[str]:
    """Train and score all variants, or those called ``only``, and return the names of those that failed.

    What is finished is left as it is, what was interrupted goes on. A variant that fails does not keep the others from theirs,
    except the reference. With several ``jobs`` each has a process of its own.

    Raises:
        InvalidInputError: a name that no variant has.
    """
    chosen = study.chosen(only)
    if chosen[0] == REFERENCE and _failed(REFERENCE, partial(run_variant, study, REFERENCE, setting)):
        return [REFERENCE.name]
    others = [variant for variant in chosen if variant != REFERENCE]
    if jobs == 1:
        return [variant.name for variant in others if _failed(variant, partial(run_variant, study, variant, setting))]
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        futures = {pool.submit(run_variant, study, variant, setting): variant for variant in others}
        return [futures[future].name for future in as_completed(futures) if _failed(futures[future], future.result)]


def run_variant(study: Study, variant: Variant, setting: Setting) -> Path:
    """Train what a variant changes, score its model, and return the file of the scores.

    Raises:
        InvalidInputError: the variant's folder belongs to another recipe or data set, or the reference is not finished.
    """
    run, recipe, first = setting.out / variant.name, study.recipe(variant), study.first_stage(variant)
    start = setting.out / REFERENCE.name
    claim_run(run, recipe, open_flows(setting.data))
    result = setting.result(variant)
    if result.is_file():
        return result
    if first is None:
        trained = LatentPredictor.load(start / MODEL)
        LatentPredictor(recipe.name, recipe.model, trained.networks, trained.log).save(run / MODEL)
        with replacing(run / SECONDS) as temporary:
            shutil.copyfile(start / SECONDS, temporary)
    else:
        for stage in STAGES[: STAGES.index(first)]:
            adopt_stage(start, run, stage, recipe)
        for stage in STAGES:
            if not weights_of(run, stage).is_file():
                with _counted_seconds(run, stage):
                    train_stage(stage, setting.data, run, recipe)
    return save_scores(_scores(run / MODEL, variant, setting), result)


def adopt_stage(start: Path, run: Path, stage: StageName, recipe: TrainingConfig) -> None:
    """Make a finished stage of the VAE in ``start`` one of ``run``, as if it had been trained there.

    The denoiser, which may have another shape here and which these stages do not train, has the recipe's initial weights.

    Raises:
        InvalidInputError: ``start`` has no such finished stage.
    """
    check_start(start, stage)
    if weights_of(run, stage).is_file():
        return
    torch.manual_seed(recipe.seed)  # as every stage does before it makes the networks
    networks = LatentDiffusion(recipe.model)
    adopted = {name: values for name, values in load_file(weights_of(start, stage)).items() if not name.startswith("denoiser.")}
    networks.load_state_dict({**networks.state_dict(), **adopted})
    _write_seconds(run, {**read_seconds(run), stage: read_seconds(start).get(stage, math.nan)})
    with replacing(run / stage) as temporary:
        (temporary / METRICS).parent.mkdir(parents=True)
        shutil.copyfile(start / stage / METRICS, temporary / METRICS)
        save_weights(networks, temporary / weights_of(run, stage).name)


def read_seconds(run: Path) -> dict[str, float]:
    """Return the CPU seconds that every stage of a run has taken so far, interrupted attempts included."""
    path = run / SECONDS
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _write_seconds(run: Path, seconds: Mapping[str, float]) -> None:
    with replacing(run / SECONDS) as temporary:
        temporary.write_text(json.dumps(dict(seconds), indent=1) + "\n", encoding="utf-8")


@contextmanager
def _counted_seconds(run: Path, stage: StageName) -> Iterator[None]:
    """Add the CPU time of a block, of this process and of those that it waited for, to the stage's."""
    begun = sum(os.times()[:4])
    try:
        yield
    finally:
        seconds = read_seconds(run)
        _write_seconds(run, {**seconds, stage: seconds.get(stage, 0.0) + sum(os.times()[:4]) - begun})


def _scores(model: Path, variant: Variant, setting: Setting) -> Mapping[str, Sequence[Score]]:
    predictor, source = load_model(model), open_flows(setting.data)
    if variant.project:
        options = EvaluationOptions(split=setting.split, limit=setting.limit)
        return evaluate_model(predictor, source, options).scores
    samples = (source.sample(index) for index in samples_of(source, setting.split, setting.limit))
    return {DIFFUSION: [Score(compare(draw(predictor, s, None, 0, project=False).flow, s.truth)) for s in samples]}


def _failed(variant: Variant, work: Callable[[], Path]) -> bool:
    """Do the work of a variant and say on stderr how it ended."""
    try:
        done = work()
    except InvalidInputError as error:
        print(f"{variant.name}: {error}", file=sys.stderr, flush=True)
        return True
    except Exception:  # a night's study goes on with the next variant, whatever this one met
        print(f"{variant.name}:\n{traceback.format_exc()}", file=sys.stderr, flush=True)
        return True
    seconds = sum(read_seconds(done.parent).values())
    print(f"{variant.name}: finished, training {seconds:.0f} CPU seconds: {done}", file=sys.stderr, flush=True)
    return False
