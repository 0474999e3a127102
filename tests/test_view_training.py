import json
import math
from pathlib import Path

import numpy as np
import pytest

from resinflow.flow.errors import InvalidInputError
from resinflow.view.training_figure import compose_training
from resinflow.view.training_log import Series, TrainingLog, best_epoch, read_training_log

SHIPPED = Path(__file__).parents[1] / "src" / "resinflow" / "presets" / "weights" / "small"


def written(folder, content, name="log.json"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return folder


def falling(count, start=1.0):
    return [start / (number + 1) for number in range(count)]


def published_diffusion(epochs=6):
    metrics = ("div_mean", "vel_in_solid", "vel_u_max")
    return {
        "params": {"training": {"learning_rate": 1e-3, "predictor": {"model_kwargs": {"features": [64, 128, 256]}}}},
        "epoch": list(range(1, epochs + 1)),
        "train_loss": falling(epochs),
        "val_loss": [*falling(epochs - 1, 2.0), 5.0],
        "time": [3.0] * epochs,
        "learning_rate_history": [1e-3 * 0.5**number for number in range(epochs)],
        "test_loss": 0.3,
        "physics_metrics": {name: falling(epochs // 2) for name in metrics},
    }


def published_vae(second):
    names = ("recons_2d", "kl_2d", "align", "cross_2d3d") if second else ("recons", "kl")
    loss = {f"{name}_{part}": falling(4) for name in names for part in ("train", "val")}
    loss |= {f"{name}_test": 0.2 for name in names} | {"kl_coeff": 1e-3 if second else falling(4)}
    story = {"in_channels": 3, "latent_channels": 4, "norm_mode": "max", "norm_factors": [0.1, 0.2, 0.3]}
    return {"loss": loss, **story} | ({"lambda_align": 0.1, "lambda_cross": 1.0} if second else {})


def columns(log, stage):
    return {(series.term, series.part): series for series in log.stages[stage]}


def panels(figure):
    return {axes.get_title(): axes for block in figure.subfigs for axes in block.axes if axes.get_title()}


def test_the_shipped_model_has_the_curves_of_three_stages():
    log = read_training_log(SHIPPED)
    shipped = json.loads((SHIPPED / "log.json").read_text())
    raw = {**shipped["start"]["history"], **shipped["history"]}
    assert log.name == "small"
    assert list(log.stages) == ["vae3d", "vae2d", "diffusion"]
    for stage, found in raw.items():
        assert len(log.stages[stage]) == len(found)
    series = columns(log, "vae3d")["kl", "validation"]
    assert list(series.values) == raw["vae3d"]["validation_kl"]
    assert series.epochs == tuple(range(1, len(series.values) + 1))


@pytest.mark.parametrize("place", ["", "model"])
def test_a_run_is_named_by_its_folder_wherever_its_log_lies(tmp_path, place):
    run = tmp_path / "wide"
    written(run / place, {"history": {"vae3d": {"train_loss": [2.0, 1.0]}}})
    assert read_training_log(run).name == "wide"


def test_missing_values_are_gaps_and_the_learning_rate_is_known(tmp_path):
    history = {"vae3d": {"train_loss": [2.0, None, 1.0], "validation_loss": [None] * 3, "lr": [1e-3, 5e-4, 1e-4]}}
    found = columns(read_training_log(written(tmp_path, {"history": history})), "vae3d")
    assert math.isnan(found["loss", "training"].values[1])
    assert ("loss", "validation") not in found
    assert found["learning rate", ""].values == (1e-3, 5e-4, 1e-4)


def test_a_published_diffusion_log_is_read(tmp_path):
    log = read_training_log(written(tmp_path, published_diffusion()))
    found = columns(log, "diffusion")
    assert found["loss", "training"].values == pytest.approx(falling(6))
    assert found["loss", "test"].values == (0.3,)
    assert {"div mean", "vel in solid", "vel u max", "learning rate", "seconds"} <= {term for term, _ in found}
    assert len(found) == 8  # nothing of the parameters
    assert found["div mean", ""].epochs is None  # not taken every epoch: which ones, the log does not tell


@pytest.mark.parametrize(("second", "stage", "count"), [(False, "VAE stage 1", 7), (True, "VAE stage 2", 12)])
def test_published_vae_logs_are_read(tmp_path, second, stage, count):
    log = read_training_log(written(tmp_path, published_vae(second), "vae_log.json"))
    assert list(log.stages) == [stage]
    assert len(log.stages[stage]) == count  # neither norm_factors nor single settings
    assert {series.part for series in log.stages[stage]} >= {"training", "validation", "test"}


def test_the_log_of_a_converted_model_is_the_published_one(tmp_path):
    story = {"converted_from": {"file": "model.pt"}, "published_log": published_diffusion()}
    assert list(read_training_log(written(tmp_path, story)).stages) == ["diffusion"]


def test_epochs_that_are_counted_from_zero_are_shown_from_one(tmp_path):
    log = published_diffusion() | {"epoch": list(range(6))}
    assert columns(read_training_log(written(tmp_path, log)), "diffusion")["loss", "training"].epochs == (1, 2, 3, 4, 5, 6)


def test_the_best_epoch_has_the_lowest_validation_loss(tmp_path):
    found = best_epoch(read_training_log(written(tmp_path, published_diffusion())).stages["diffusion"])
    assert found is not None
    assert found[0] == 5
    assert found[1].term == "loss"
    vae = read_training_log(written(tmp_path / "vae", published_vae(True), "vae_log.json")).stages["VAE stage 2"]
    found = best_epoch(vae)
    assert found is not None
    assert found[1].term == "recons 2d"
    assert best_epoch((Series("kl", "validation", (1.0,), (1.0,)),)) is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "cannot be read as JSON"),
        ("[1, 2]", "holds a list"),
        ("{}", "no numbers by epoch"),
        ('{"history": {"vae3d": {"train_loss": ["a", "b"]}}}', "no numbers by epoch"),
        ('{"history": {"vae3d": {"train_loss": [true, false]}}}', "no numbers by epoch"),
        ('{"history": {"vae3d": {"train_loss": []}}}', "no numbers by epoch"),
        ('{"blocks": [3, 5, 5, 2], "width": 64}', "no numbers by epoch"),
        ('{"published_log": [1]}', "no numbers by epoch"),
        ("[" * 100_000, "cannot be read as JSON"),
        ('{"history": {"a": ' + json.dumps({f"train_{k}": [1.0, 2.0] for k in range(500)}) + "}}", "more than 400 columns"),
    ],
)
def test_what_is_no_log_is_refused_in_one_line(tmp_path, content, words):
    with pytest.raises(InvalidInputError, match=words) as refused:
        read_training_log(written(tmp_path, content) / "log.json")
    assert "\n" not in str(refused.value)
    assert "needed" in str(refused.value)


def test_missing_logs_other_bytes_and_huge_files_are_refused(tmp_path):
    with pytest.raises(InvalidInputError, match="does not exist"):
        read_training_log(tmp_path / "absent")
    with pytest.raises(InvalidInputError, match="holds no training log"):
        read_training_log(tmp_path)
    (tmp_path / "log.json").write_bytes(b"\x80\x02}q\x00.")
    with pytest.raises(InvalidInputError, match="cannot be read as JSON"):
        read_training_log(tmp_path)
    with (tmp_path / "log.json").open("wb") as file:
        file.truncate(65 * 2**20)
    with pytest.raises(InvalidInputError, match="65 MiB"):
        read_training_log(tmp_path)


def test_numbers_that_no_float_holds_and_strange_names_do_no_harm(tmp_path):
    name = "$\\frac{1$\n\x1b[31m" + "x" * 300
    text = json.dumps({"history": {name: {f"train_{name}": [1.0, 10**400, math.nan, 2.0]}}})
    log = read_training_log(written(tmp_path, text))
    (stage, (series,)), *_ = log.stages.items()
    assert [math.isfinite(value) for value in series.values] == [True, False, False, True]
    assert len(stage) <= 60
    assert stage.isprintable()
    compose_training([log]).savefig(tmp_path / "strange.png")


def test_a_stage_has_a_panel_for_each_term_with_the_loss_first():
    figure = compose_training([read_training_log(SHIPPED)], "vae3d")
    titles = list(panels(figure))
    assert titles[0] == "loss"
    assert {"flow rate", "kl", "reconstruction", "velocity error", "velocity error without latent"} < set(titles)
    assert len(set(titles)) == len(titles)
    assert len(compose_training([read_training_log(SHIPPED)]).subfigs) == 3


def test_the_curves_are_those_of_the_log_with_training_dashed_and_the_best_epoch_marked():
    log = read_training_log(SHIPPED)
    axes = panels(compose_training([log], "vae2d"))["loss"]
    lines = {line.get_linestyle(): list(line.get_ydata()) for line in axes.lines if len(line.get_ydata()) > 2}
    found = columns(log, "vae2d")
    assert lines == {"--": list(found["loss", "training"].values), "-": list(found["loss", "validation"].values)}
    star = next(line for line in axes.lines if line.get_marker() == "*")
    curve = found["loss", "validation"].values
    assert (star.get_xdata()[0], star.get_ydata()[0]) == (1 + int(np.argmin(curve)), min(curve))


def test_what_spans_a_factor_of_eight_is_logarithmic_and_what_crosses_zero_is_not(tmp_path):
    history = {"train_wide": [1.0, 0.01], "train_narrow": [1.0, 0.5], "train_signed": [1.0, -0.01]}
    found = panels(compose_training([read_training_log(written(tmp_path, {"history": {"stage": history}}))]))
    assert {term: axes.get_yscale() for term, axes in found.items()} == {"wide": "log", "narrow": "linear", "signed": "linear"}


def test_metrics_that_were_not_taken_every_epoch_say_so(tmp_path):
    found = panels(compose_training([read_training_log(written(tmp_path, published_diffusion()))]))
    assert found["loss"].get_xlabel() == "epoch"
    assert found["div mean"].get_xlabel() == "entry"


def test_several_runs_share_panels_in_a_colour_of_their_own():
    logs = [
        TrainingLog(name, {"vae3d": (Series("loss", "validation", values, (1, 2)),)})
        for name, values in (("first", (2.0, 1.0)), ("second", (3.0, 2.0)))
    ]
    figure = compose_training(logs)
    curves = [line for line in panels(figure)["loss"].lines if len(line.get_xdata()) == 2 and line.get_linewidth() > 1]
    assert len({line.get_color() for line in curves}) == 2
    assert {"first", "second"} <= {text.get_text() for text in figure.legends[0].get_texts()}


def test_an_unknown_stage_and_too_many_runs_are_refused():
    log = read_training_log(SHIPPED)
    with pytest.raises(InvalidInputError, match="needed: one of vae3d, vae2d, diffusion"):
        compose_training([log], "vae4d")
    with pytest.raises(InvalidInputError, match="needed: 1 to 8"):
        compose_training([log] * 9)
