"""Claims about studies of variants: what each one trains anew, what it takes from the reference, and what it finds."""

from __future__ import annotations

import csv
import importlib
import json
import math
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from safetensors.torch import load_file

from resinflow.data.store import FlowStore
from resinflow.evaluate.choices import EvaluationOptions
from resinflow.flow.errors import InvalidInputError
from resinflow.flow.recipe_file import option
from resinflow.presets.families import load_recipe
from resinflow.presets.latent.recipe import STAGES, LatentArchitecture, LatentRecipe
from resinflow.presets.training import train
from resinflow.search.objective import TrialSetup
from resinflow.search.variants import DENOISER_OPTIONS, PREDICTION_OPTIONS, first_changed_stage, plan_variants, run_variants
from resinflow.train.record import weights_of
from resinflow.train.run_directory import MODEL
from tests.conftest import TINY_TRAINING

ROOT = Path(__file__).parents[1]
RECIPE = ROOT / "recipes" / "ablation.yaml"
PROGRAMS = ("ablation", "learning_curves")
FIRST_STAGES = {
    "seed": "vae3d",
    "no-planar-pressure": "vae3d",
    "no-base": "vae3d",
    "no-distance": "vae3d",
    "base-response": "vae3d",
    "base-response-hidden": "vae3d",
    "base-planar": "vae3d",
    "whole-flow": "vae3d",
    "whole-flow-planar": "vae3d",
    "one-speed": "vae3d",
    "decoder-sees-geometry": "vae3d",
    "decoder-sees-nothing": "vae3d",
    "decoder-u-shaped": "vae3d",
    "adamw": "vae3d",
    "no-flow-rate": "vae3d",
    "divergence": "vae3d",
    "smoothness": "vae3d",
    "decoder-frozen": "vae2d",
    "slice-wise": "diffusion",
    "ddpm": "diffusion",
}
TINY_VARIANTS = {
    "frozen": {"title": "decoder frozen", "vae2d.volume_weight": 0.0},
    "slice-wise": {"title": "slice by slice", "model.denoiser_couples_slices": False},
    "steps-1": {"title": "1 step", "model.sampler_steps": 1},
}


@pytest.fixture(scope="module")
def programs() -> Iterator[SimpleNamespace]:
    """The modules of the study, imported as its programs import each other."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in PROGRAMS})


@pytest.fixture(scope="module")
def study(programs: SimpleNamespace) -> Any:
    return programs.ablation.load_study(RECIPE)


def written(path: Path, variants: Any, epochs: int = 1) -> Path:
    """A study of the tiny model in a file."""
    reference = {**TINY_TRAINING, **{stage: {**TINY_TRAINING[stage], "epochs": epochs} for stage in STAGES}}
    reference["vae2d"] = {**reference["vae2d"], "volume_weight": 1.0}
    path.write_text(yaml.safe_dump({**reference, "variants": variants}))
    return path


def test_every_variant_is_a_recipe_that_differs_from_the_reference_in_what_it_names(study: Any) -> None:
    for name, options in study.variants.items():
        recipe = study.recipe(name)
        assert isinstance(recipe, LatentRecipe)
        for key, value in options.items():
            assert option(recipe, key) == value, (name, key)
        assert options or name in ("reference", "no-projection")


@pytest.mark.parametrize("name", ["ddpm", "seed", "smoothness"])
def test_a_variant_can_be_trained_by_itself_from_its_recipe_file(study: Any, name: str) -> None:
    assert load_recipe(f"{RECIPE}:{name}").model_copy(update={"name": name}) == study.recipe(name)


def test_the_first_stage_that_a_variant_changes_is_found(study: Any) -> None:
    stages = {name: study.first_stage(name) for name in study.variants}
    assert stages.pop("reference") == "vae3d"
    assert {name: stage for name, stage in stages.items() if stage is not None} == FIRST_STAGES


def test_an_option_of_the_model_that_no_list_names_is_trained_from_the_start() -> None:
    assert set(LatentArchitecture.model_fields) > DENOISER_OPTIONS | PREDICTION_OPTIONS
    reference = LatentRecipe()
    wider = reference.model_copy(update={"model": reference.model.model_copy(update={"latent_channels": 4})})
    assert first_changed_stage(reference, wider) == "vae3d"
    fewer = reference.model_copy(update={"samples": 10})
    assert first_changed_stage(reference, fewer) == "vae3d"


def test_options_of_the_machine_change_no_stage() -> None:
    reference = LatentRecipe()
    other = reference.model_copy(update={"vae2d": reference.vae2d.model_copy(update={"workers": 3})})
    assert first_changed_stage(reference, other) is None


@pytest.mark.parametrize(
    ("variants", "message"),
    [
        ({"reference": {"model.width": 4}}, "two variants are called reference"),
        ({"a": {"model.girth": 4}}, "variant a: model.girth is no option"),
        ({"a": {"model.width": 8}}, "variant a is the reference"),
        ({"../a": {"model.width": 4}}, "a variant is called '../a'; needed: lower-case"),
        ({"a": 4}, "variant a is int; needed: a mapping"),
        (["a"], "variants is list; needed: a mapping"),
    ],
)
def test_a_study_that_says_nothing_clear_is_refused(
    programs: SimpleNamespace, tmp_path: Path, variants: Any, message: str
) -> None:
    with pytest.raises(InvalidInputError, match=message):
        programs.ablation.load_study(written(tmp_path / "study.yaml", variants))


def test_two_variants_of_one_name_are_refused(programs: SimpleNamespace, tmp_path: Path) -> None:
    path = written(tmp_path / "study.yaml", {"a": {"model.width": 4}})
    path.write_text(path.read_text() + "  a: {model.width: 6}\n")
    with pytest.raises(InvalidInputError, match="the key a is there twice"):
        programs.ablation.load_study(path)


def test_a_variant_alone_brings_the_reference_that_it_starts_from(study: Any) -> None:
    assert study.select(["ddpm"]) == ["reference", "ddpm"]
    assert study.select(["steps-8"]) == ["reference", "steps-8"]
    assert study.select(["no-base"]) == ["no-base"]
    assert study.select([]) == list(study.variants)
    with pytest.raises(InvalidInputError, match="no variant 'nothing'"):
        study.select(["nothing"])


def test_the_ratio_of_errors_knows_that_the_samples_are_the_same(programs: SimpleNamespace) -> None:
    reference = [0.1, 0.2, 0.4, 0.8]
    ratio, spread = programs.ablation.ratio_of_means([2 * error for error in reference], reference)
    assert (ratio, spread) == pytest.approx((2.0, 0.0), abs=1e-12)
    ratio, spread = programs.ablation.ratio_of_means([0.2, 0.1, 0.8, 0.4], reference)
    assert ratio == pytest.approx(1.0)
    assert spread == pytest.approx(math.sqrt((2 * 0.1**2 + 2 * 0.4**2) / 3 / 4) / 0.375)


def test_fewer_samples_are_passed_over_more_often(programs: SimpleNamespace, study: Any) -> None:
    curves = programs.learning_curves.curves_study(study, 1050, (105, 1050), (24, study.reference.model.width))
    assert list(curves.variants) == ["reference", "samples-105", "width-24"]
    few = curves.recipe("samples-105")
    assert few.samples == 105
    for stage in STAGES:
        assert getattr(few, stage).epochs == 10 * getattr(study.reference, stage).epochs


@pytest.fixture(scope="module")
def finished(
    programs: SimpleNamespace, tiny_store: FlowStore, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[str]]:
    """The folder of a tiny study that has been run, and the arguments that ran it."""
    folder = tmp_path_factory.mktemp("study")
    recipe = written(folder / "study.yaml", TINY_VARIANTS)
    arguments = ["--data", str(tiny_store.path), "--out", str(folder / "out"), "--recipe", str(recipe), "--limit", "1"]
    assert programs.ablation.main(arguments) == 0
    return folder / "out", arguments


def test_a_study_runs_and_its_table_has_every_variant(
    programs: SimpleNamespace, finished: tuple[Path, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    out, arguments = finished
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.safetensors")}
    assert programs.ablation.main(arguments) == 0
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.safetensors")} == before
    printed = capsys.readouterr().out.splitlines()
    with (out / "tiny.csv").open() as file:
        rows = {row["variant"]: row for row in csv.DictReader(file)}
    assert list(rows)[-5:] == ["reference", *TINY_VARIANTS, "no-projection"]
    assert len(printed) == 2 + len(rows)
    assert (out / "tiny.md").read_text().splitlines() == printed
    assert rows["steps-1"]["trained_from"] == ""
    assert float(rows["steps-1"]["own_cpu_minutes"]) == 0.0
    assert rows["steps-1"]["cpu_minutes"] == rows["reference"]["cpu_minutes"]
    assert 0 < float(rows["slice-wise"]["own_cpu_minutes"]) < float(rows["slice-wise"]["cpu_minutes"])
    assert int(rows["slice-wise"]["parameters"]) < int(rows["reference"]["parameters"])
    assert float(rows["frozen"]["velocity"]) != float(rows["reference"]["velocity"])


def test_scores_in_the_table_are_those_of_the_saved_models(tiny_store: FlowStore, finished: tuple[Path, list[str]]) -> None:
    from resinflow.evaluate.metrics import compare
    from resinflow.models.predictor import Sampling
    from resinflow.models.start import StartFlows
    from resinflow.presets.families import load_model
    from resinflow.presets.latent.predictor import LatentPredictor

    out, _ = finished
    sample = tiny_store.sample(int(tiny_store.indices("test")[0]))
    start = StartFlows(sample.planar, sample.response)
    for name, project in (("reference", True), ("no-projection", False)):
        model = load_model(out / name / MODEL)
        assert isinstance(model, LatentPredictor)
        error = compare(model.ensemble(start, Sampling(project=project)).flow, sample.truth).relative_l2.total
        scores = json.loads((out / name / "test-1.json").read_text())["latent diffusion"]
        assert scores["summary"]["relative_l2"]["mean"] == pytest.approx(error, rel=1e-6)


def test_a_variant_on_adopted_stages_is_the_one_that_was_trained_from_the_start(
    programs: SimpleNamespace, tiny_store: FlowStore, finished: tuple[Path, list[str]], tmp_path: Path
) -> None:
    out, arguments = finished
    study = programs.ablation.load_study(arguments[arguments.index("--recipe") + 1])
    for stage in STAGES:
        train(stage, tiny_store.path, tmp_path, study.recipe("slice-wise"))
    whole, adopted = (load_file(weights_of(run, STAGES[-1])) for run in (tmp_path, out / "slice-wise"))
    assert whole.keys() == adopted.keys()
    for name, weights in whole.items():
        assert weights.equal(adopted[name]), name


def test_a_folder_of_another_recipe_is_refused_and_the_others_go_on(
    programs: SimpleNamespace,
    tiny_store: FlowStore,
    finished: tuple[Path, list[str]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out, _ = finished
    recipe = written(tmp_path / "study.yaml", {"steps-1": {"model.sampler_steps": 7}})
    study = programs.ablation.load_study(recipe, data=tiny_store.path, out=out, scored=EvaluationOptions(limit=1))
    assert programs.ablation.run_study(study) == ["steps-1"]
    printed = capsys.readouterr().err
    assert "started with another recipe" in printed
    assert "no-projection: finished" in printed


def test_learning_curves_share_the_reference_and_draw_what_is_there(
    programs: SimpleNamespace, finished: tuple[Path, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, arguments = finished
    before = (out / "reference" / "run.json").read_bytes()
    figure = tmp_path / "curves.png"
    options = ["--samples", "2", "--widths", "4", "8", "--only", "samples-2", "--figure", str(figure)]
    assert programs.learning_curves.main([*arguments, *options]) == 0
    assert (out / "reference" / "run.json").read_bytes() == before
    assert figure.stat().st_size > 10_000
    assert "2 training samples" in capsys.readouterr().out
    assert json.loads((out / "samples-2" / "run.json").read_text())["recipe"]["samples"] == 2


def test_more_samples_than_there_are_is_refused(tiny_store: FlowStore, tmp_path: Path) -> None:
    recipe = LatentRecipe.model_validate({**TINY_TRAINING, "samples": 99})
    with pytest.raises(InvalidInputError, match="samples is 99, but the train split of .* has"):
        train("vae3d", tiny_store.path, tmp_path, recipe)


def test_a_limited_training_sees_the_first_samples_alone(tiny_store: FlowStore) -> None:
    from resinflow.presets.latent.stages import LatentPreset
    from resinflow.train.data import flow_data

    options = {"batch_size": 1}
    recipe = LatentRecipe.model_validate({"samples": 2, "model": {"base": "response"}, "vae3d": options})
    module = flow_data(tiny_store, LatentPreset(), recipe, "vae3d")
    seen = sorted(float(conditions[0, 0].mean()) for conditions, _ in module.train_dataloader())
    expected = [tiny_store.microstructure(int(index)).porosity for index in tiny_store.indices("train")[:2]]
    assert seen == pytest.approx(sorted(expected))
    assert len(module.val_dataloader()) == len(tiny_store.indices("validation"))


def test_variants_with_seeds_have_a_folder_for_each_and_one_that_fails_is_tried_again(tmp_path: Path) -> None:
    calls: list[str] = []

    def scored(setup: TrialSetup) -> float:
        calls.append(setup.folder.relative_to(tmp_path).as_posix())
        if calls == ["a/seed-1"]:
            raise RuntimeError("out of memory")
        assert isinstance(setup.recipe, LatentRecipe)
        return setup.recipe.seed + setup.recipe.model.width

    plan = plan_variants(LatentRecipe(), {"a": {"model.width": 16}, "b": {"vae2d.epochs": 1, "model.width": 8}}, (1, 2))
    rows = run_variants(plan, scored, tmp_path)
    assert calls == ["a/seed-1", "a/seed-2", "b/seed-1", "b/seed-2"]
    assert [(row.state, row.value) for row in rows] == [("failed", None), ("complete", 18), ("complete", 9), ("complete", 10)]
    assert rows[0].error == "RuntimeError: out of memory"
    assert [row.state for row in run_variants(plan, scored, tmp_path)] == ["complete"] * 4
