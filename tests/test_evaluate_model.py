"""Claims about evaluations end to end: rows, members of an ensemble, the report's folder, and refusals in one line."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from resinflow.data.generate import generate
from resinflow.data.recipe import DataRecipe
from resinflow.data.store import FlowStore
from resinflow.evaluate.choices import EvaluationOptions
from resinflow.evaluate.evaluation import evaluate_model, summarised
from resinflow.evaluate.methods import choice_name, draw, sampler_choices, start_of
from resinflow.flow.microstructure import Microstructure
from resinflow.models.predictor import Sampling
from resinflow.presets.families import load_model
from resinflow.presets.paper.networks.system import PaperSystem
from resinflow.presets.paper.predictor import PaperPredictor
from resinflow.presets.paper.recipe import DenoiserSizes, PaperArchitecture, VaeSizes
from resinflow.stokes.stored import grid_flow
from tests.commands import refusal, run
from tests.conftest import TINY_RECIPE

STEPS = 6
PNG = b"\x89PNG"
SMALL = PaperArchitecture(
    vae=VaeSizes(widths=(32, 32, 32)), unet=DenoiserSizes(features=(8, 16), attention_from=2), timesteps=STEPS
)
"""Small, of the published structure; slices of 16 x 16 pixels fit."""


def save_paper_model(folder: Path, **changes: object) -> Path:
    """Write an untrained model of the published structure."""
    torch.manual_seed(1)
    config = SMALL.model_copy(update=changes)
    system = PaperSystem(config).eval()
    for layer in system.modules():  # new networks end in zeros: give every layer a say
        if isinstance(layer, nn.Conv1d | nn.Conv2d) and layer.weight.abs().max() == 0:
            nn.init.normal_(layer.weight, std=0.05)
    system.norm_factors.fill_(1e-2)
    return PaperPredictor("tiny-paper", config, system).save(folder)


@pytest.fixture(scope="module")
def paper_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_paper_model(tmp_path_factory.mktemp("paper") / "model")


@pytest.fixture(scope="module")
def report(tiny_run: Path, tiny_store: FlowStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an evaluation of our own tiny model on its training split; tests only read it."""
    folder = tmp_path_factory.mktemp("evaluation") / "report"
    options = ["--split", "train", "--limit", "3", "--solver", "--baseline", f"again={tiny_run / 'model'}"]
    run("evaluate", "--data", tiny_store.path, "--model", tiny_run / "model", *options, "-o", folder)
    return folder


ROWS = ["zero", "planar flow", "response flow", "D3D(E2D), no diffusion", "latent diffusion", "D3D(E3D), ceiling"]


def test_the_report_holds_every_figure_as_a_file_and_inside_the_page(report: Path) -> None:
    figures = {path.name for path in (report / "figures").iterdir()}
    names = ("errors", "dependence", "permeability", "calibration", "best", "median", "worst")
    assert figures == {f"{name}.png" for name in names}
    assert all((report / "figures" / name).read_bytes().startswith(PNG) for name in figures)
    html = (report / "report.html").read_text()
    assert len(re.findall(r'src="data:image/png;base64,iVBOR', html)) == len(figures)
    assert set(re.findall(r"!\[.*?\]\(figures/(.*?)\)", (report / "report.md").read_text())) == figures


def test_the_rows_are_all_methods_in_order_and_every_sample_has_a_line(report: Path, tiny_store: FlowStore) -> None:
    summary = json.loads((report / "summary.json").read_text())
    assert list(summary["methods"]) == [*ROWS, "again", "solver"]
    assert summary["samples"] == tiny_store.indices("train")[:3].tolist()
    rows = list(csv.DictReader((report / "samples.csv").open()))
    assert Counter(row["method"] for row in rows) == dict.fromkeys([*ROWS, "again", "solver"], 3)
    index = int(rows[0]["sample"])
    assert float(rows[0]["misalignment"]) == pytest.approx(float(tiny_store.read("misalignment", index)))


def test_a_second_model_that_is_the_first_has_its_scores(report: Path) -> None:
    methods = json.loads((report / "summary.json").read_text())["methods"]
    for name in ("relative_l2", "relative_l2_z", "crps", "spread_skill", "permeability_error", "pressure_error"):
        assert methods["again"]["summary"][name] == methods["latent diffusion"]["summary"][name]


def test_the_solver_solves_what_the_data_set_holds_and_zero_is_all_wrong(report: Path) -> None:
    methods = json.loads((report / "summary.json").read_text())["methods"]
    assert methods["solver"]["summary"]["relative_l2"]["mean"] < 1e-2
    assert methods["zero"]["summary"]["relative_l2"]["mean"] == pytest.approx(1.0)
    assert methods["zero"]["worse_than_planar"] == 3
    assert methods["solver"]["worse_than_planar"] == 0


def test_what_works_is_timed_and_what_is_known_before_is_not(tiny_run: Path, tiny_store: FlowStore) -> None:
    options = EvaluationOptions(split="train", limit=1)
    found = evaluate_model(load_model(tiny_run / "model"), tiny_store, options)  # pyright: ignore
    numbers = {name: scores[0].to_dict() for name, scores in found.scores.items()}
    assert numbers["planar flow"]["seconds"] is None
    assert numbers["planar flow"]["peak_memory"] is None
    assert numbers["latent diffusion"]["seconds"] > 0
    assert numbers["latent diffusion"]["samples"] == 3
    assert numbers["D3D(E3D), ceiling"]["samples"] is None


def test_surfaces_of_a_mask_without_front_end_are_estimated_and_the_truth_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = {**TINY_RECIPE, "samples": 4, "refinement": (1, 2, 2), "wall_rule": "surface", "tolerance": 1e-5}
    store = generate(DataRecipe.model_validate(recipe), tmp_path / "refined.zarr", workers=1)
    errors = {}
    for surfaces in ("exact", "mask"):
        target = tmp_path / f"{surfaces}.json"
        options = ["--split", "all", "--limit", "1", "--samples", "1", "--surfaces", surfaces, "--front-end", "classical"]
        run("evaluate", "--data", store.path, *options, "-o", target)
        assert ("note: the fibre surfaces are estimated" in capsys.readouterr().out) == (surfaces == "mask")
        rows = json.loads(target.read_text())
        errors[surfaces] = {name: abs(row["samples"][0]["permeability_error"]) for name, row in rows.items()}
    truth = store.sample(0).truth
    known = truth.microstructure
    masked = grid_flow(Microstructure(known.fluid, known.spacing), pressure_drop=truth.pressure_drop, viscosity=truth.viscosity)
    expected = abs(masked.permeability / truth.permeability - 1)
    assert errors["mask"]["solver on the stored grid"] == pytest.approx(expected, rel=1e-3)
    assert errors["exact"]["solver on the stored grid"] != pytest.approx(expected, rel=1e-2)
    assert errors["exact"]["planar flow"] == errors["mask"]["planar flow"]


def test_an_older_report_is_replaced_and_a_folder_of_something_else_is_not(
    report: Path, tiny_run: Path, tiny_store: FlowStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate", "--data", tiny_store.path, "--model", tiny_run / "model", "--samples", "1"]
    shutil.copytree(report, tmp_path / "report")
    run(*command, "-o", tmp_path / "report")
    figures = {path.stem for path in (tmp_path / "report" / "figures").iterdir()}
    # one sample has no spread, and one medium is at once the best, the median and the worst
    assert figures == {"errors", "dependence", "permeability", "best"}
    assert [path.name for path in tmp_path.iterdir()] == ["report"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("years of work")
    capsys.readouterr()
    assert "summary.json" in refusal(capsys, *command, "-o", tmp_path / "other")
    assert (tmp_path / "other" / "thesis.txt").exists()


def test_a_published_model_is_evaluated_once_for_every_way_to_sample(
    paper_model: Path, tiny_store: FlowStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--sampler", "ddim", "--sampler", "ddpm", "--steps", "2", "--steps", "3", "--eta", "1", "--samples", "2"]
    run("evaluate", "--data", tiny_store.path, "--model", paper_model, *options, "-o", tmp_path / "scores.json")
    saved = json.loads((tmp_path / "scores.json").read_text())
    diffusion = [name for name in saved if name.startswith("latent diffusion")]
    assert diffusion == [
        "latent diffusion, DDIM, 2 steps, eta 1",
        "latent diffusion, DDIM, 3 steps, eta 1",
        "latent diffusion, DDPM",
    ]
    errors = [saved[name]["summary"]["relative_l2"]["mean"] for name in diffusion]
    assert len({round(error, 9) for error in errors}) == 3
    printed = capsys.readouterr().out
    assert "spread/skill" in printed
    assert "Samples of 1 on which the velocity error is above that of the planar flow." in printed


def test_the_members_of_a_published_ensemble_are_those_of_its_own_prediction(paper_model: Path, tiny_store: FlowStore) -> None:
    sample, model = tiny_store.sample(0), load_model(paper_model)
    outcome = draw(model, sample, Sampling(samples=3, seed=4))
    drive = {"pressure_drop": sample.truth.pressure_drop, "viscosity": sample.truth.viscosity}
    whole = model.predict(sample.truth.microstructure, samples=3, seed=4, start=start_of(sample, model), **drive)
    assert outcome.members is not None
    assert len(outcome.members) == 3
    np.testing.assert_allclose(outcome.flow.velocity, whole.velocity, rtol=1e-4, atol=1e-9)
    assert outcome.flow.velocity_std is not None
    assert whole.velocity_std is not None
    np.testing.assert_allclose(outcome.flow.velocity_std, whole.velocity_std, rtol=1e-3, atol=1e-9)
    assert outcome.flow.permeability_samples == pytest.approx(whole.permeability_samples, rel=1e-4)


def test_the_members_do_not_depend_on_their_number(tiny_run: Path, tiny_store: FlowStore) -> None:
    sample, model = tiny_store.sample(0), load_model(tiny_run / "model")
    few, many = (draw(model, sample, Sampling(samples=count, seed=2)).members for count in (2, 4))
    assert few is not None
    assert many is not None
    np.testing.assert_array_equal(few, many[:2])
    assert np.abs(many[2] - many[0]).max() > 0


@pytest.mark.parametrize("kind", ["own", "published"])
def test_the_flow_of_an_ensemble_is_the_mean_of_its_members_and_a_single_one_has_none(
    kind: str, tiny_run: Path, paper_model: Path, tiny_store: FlowStore
) -> None:
    sample, model = tiny_store.sample(0), load_model(tiny_run / "model" if kind == "own" else paper_model)
    outcome = draw(model, sample, Sampling(samples=2, project=False))
    assert outcome.members is not None
    mean, length, drop = outcome.members.mean(axis=0), sample.truth.length, sample.truth.pressure_drop
    np.testing.assert_allclose(outcome.flow.velocity, mean, rtol=1e-5, atol=1e-9)
    rates = outcome.members[:, 0].mean(axis=(1, 2, 3), dtype=float)
    assert outcome.flow.permeability_samples == pytest.approx(sample.truth.viscosity * rates * length / drop)
    assert draw(model, sample, Sampling(samples=1)).members is None


def test_the_rows_are_all_combinations_of_samplers_and_ddpm_gives_one() -> None:
    assert sampler_choices(EvaluationOptions()) == [{}]
    options = EvaluationOptions(sampler=("ddpm", "ddim"), steps=(5, 5, 10))
    choices = sampler_choices(options)
    assert choices == [{"sampler": "ddpm"}, {"sampler": "ddim", "steps": 5}, {"sampler": "ddim", "steps": 10}]
    assert [choice_name(choice) for choice in ({}, {"steps": 1}, *choices[:1])] == [
        "latent diffusion",
        "latent diffusion, 1 step",
        "latent diffusion, DDPM",
    ]


def test_warnings_that_differ_in_their_numbers_alone_are_told_once() -> None:
    warnings = Counter({"3.1e-05 of it is lost": 2, "7 of it is lost": 1, "padded": 1})
    assert list(summarised(warnings)) == ["3.1e-05 of it is lost (3 flows, with other numbers)", "padded"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--split", "best"], "split"),
        (["--limit", "0"], "--limit is 0"),
        (["--samples", "0"], "samples is 0"),
        (["--seed", "-1"], "seed"),
        (["--steps", "0"], "steps is 0"),
        (["--sampler", "ddim"], "--sampler was given"),
        (["--baseline", "nothing"], "NAME=DIRECTORY"),
        (["--baseline", "zero=MODEL"], "names two rows"),
        (["--baseline", "other=/no/where"], "no model"),
        (["--output", "scores.xlsx"], "needed: .json, .csv, or a folder"),
    ],
)
def test_options_that_cannot_be_are_refused_in_one_line(
    tiny_run: Path, tiny_store: FlowStore, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    model = tiny_run / "model"
    given = [option.replace("MODEL", str(model)) for option in options]
    assert message in refusal(capsys, "evaluate", "--data", tiny_store.path, "--model", model, *given)


def test_a_model_without_denoiser_is_refused_in_one_line(
    tiny_store: FlowStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = ("encoder_2d", "decoder_2d", "encoder_3d", "decoder_3d")
    model = save_paper_model(tmp_path / "vae", unet=None, trained=trained)
    line = refusal(capsys, "evaluate", "--data", tiny_store.path, "--model", model, "-o", tmp_path / "report")
    assert "unet" in line
    assert not (tmp_path / "report").exists()


def test_a_data_set_that_is_none_is_refused(tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "nowhere" in refusal(capsys, "evaluate", "--data", tmp_path / "nowhere", "--model", tiny_run / "model")
