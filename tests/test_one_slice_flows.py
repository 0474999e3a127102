"""Flows through media drawn round a slice: their mean, spread and interval, the rivals' scores, and the command."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

import resinflow as rf
from resinflow.data import FlowStore
from resinflow.evaluate import THIRD_DIMENSION, mix_flows, permeability_range
from resinflow.evaluate.one_slice import extrusion, mean_scores, monte_carlo, score_rivals
from resinflow.flow import FlowField, InvalidInputError, ModelReport
from resinflow.media import BundleSettings, fibre_bundle
from tests.commands import refusal, run
from tests.drawn_images import save_small_stack

SIZES = ["--pixel-size", "1e-6", "--depth", "12e-6", "--slices", "3"]


@pytest.fixture(scope="module")
def flows() -> list[FlowField]:
    page = fibre_bundle((1, 24, 24), (1e-6, 30e-6, 30e-6), seed=1, settings=BundleSettings(0.4, 8e-6))
    media = rf.draw_media(page, depth=30e-6, misalignment=15, samples=4, slices=5)
    return [rf.solve(medium, tolerance=1e-3) for medium in media]


def test_a_mixture_has_the_mean_velocity_and_the_mean_permeability_of_its_draws(flows: list[FlowField]) -> None:
    mixture = mix_flows(flows, seed=3)
    values = [flow.permeability for flow in flows]
    assert mixture.permeability == pytest.approx(np.mean(values), rel=1e-5)
    assert mixture.velocity == pytest.approx(np.mean([flow.velocity for flow in flows], axis=0), rel=1e-4, abs=1e-9)
    assert mixture.velocity_std == pytest.approx(np.std([flow.velocity for flow in flows], axis=0, ddof=1), rel=1e-3, abs=1e-9)
    assert mixture.permeability_samples == pytest.approx(values)
    assert isinstance(mixture.report, ModelReport)
    assert mixture.report.seed == 3
    assert (mixture.report.permeability_parts or {})[THIRD_DIMENSION] == pytest.approx(np.log(values).std(ddof=1))


def test_the_interval_widens_by_what_surfaces_and_overlaps_leave_open(flows: list[FlowField]) -> None:
    narrow, wide, other = (
        mix_flows(flows, surfaces=surfaces, overlaps=overlaps).permeability_interval
        for surfaces, overlaps in ((None, None), (0.5, None), (None, 0.5))
    )
    assert narrow is not None
    assert wide is not None
    assert wide[0] < narrow[0] < narrow[1] < wide[1]
    assert other == pytest.approx(wide)


def test_few_draws_give_wider_intervals_than_many_of_the_same_scatter() -> None:
    few, many = ([1e-12, 2e-12] * count for count in (2, 20))
    widths = [np.log(high / low) for low, high in map(permeability_range, (few, many))]
    assert widths[0] > 1.2 * widths[1]
    assert permeability_range([0.0, 1e-12, 2e-12])[0] == 0.0


def test_intervals_of_log_normal_draws_hold_a_further_draw_as_often_as_they_say() -> None:
    rng = np.random.default_rng(1)
    draws = np.exp(0.3 * rng.standard_normal((4000, 9)))
    for level in (0.5, 0.9):
        held = [low <= row[0] <= high for row in draws for low, high in [permeability_range(row[1:].tolist(), level=level)]]
        assert np.mean(held) == pytest.approx(level, abs=0.03)


def test_one_flow_or_flows_on_two_grids_are_no_mixture(flows: list[FlowField]) -> None:
    with pytest.raises(InvalidInputError, match="at least 2"):
        mix_flows(flows[:1])
    other = rf.solve(fibre_bundle((2, 24, 24), (12e-6, 30e-6, 30e-6), seed=1, volume_fraction=0.3), tolerance=1e-2)
    with pytest.raises(InvalidInputError, match="different grids"):
        mix_flows([flows[0], other])


def test_monte_carlo_scores_better_than_extrusion_where_fibres_lean() -> None:
    settings = BundleSettings(0.5, 11e-6, misalignment=15)
    scores: dict[str, list] = {}
    for seed in (2, 5):
        micro = fibre_bundle((5, 32, 32), (40e-6, 40e-6, 40e-6), seed=seed, settings=settings)
        truth = rf.solve(micro, tolerance=1e-3)
        for name, score, _ in score_rivals(truth, [extrusion(), monte_carlo()], misalignment=15, samples=6, seed=seed):
            scores.setdefault(name, []).append(score)
    flat, drawn = (mean_scores(each).scores for each in scores.values())
    assert drawn.mismatch == flat.mismatch == 0.0
    assert drawn.field_crps < flat.field_crps
    assert drawn.energy < flat.energy
    assert drawn.spread > flat.spread == 0.0


def test_a_draw_that_is_the_truth_scores_nothing(flows: list[FlowField]) -> None:
    from resinflow.evaluate.one_slice import score_draws

    score = score_draws([flows[0]], flows[0], 1.0, [2])
    assert (score.crps, score.field_crps, score.energy, score.mismatch) == (0.0, 0.0, 0.0, 0.0)


def test_more_slices_leave_less_open_and_each_of_them_is_met() -> None:
    from resinflow.evaluate.one_slice import rivals_named
    from resinflow.evaluate.slice_tables import SliceTruth, evaluate_slices, slice_rows

    settings = BundleSettings(0.45, 11e-6, misalignment=12)
    micro = fibre_bundle((9, 40, 40), (45e-6, 40e-6, 40e-6), seed=7, settings=settings)
    truth = SliceTruth(rf.solve(micro, tolerance=1e-3), 12.0)
    rivals = rivals_named(["extruded", "prior"])
    one, three = (evaluate_slices([truth], rivals, samples=3, known=known) for known in (1, 3))
    for name in one.scores:
        few, many = (each.scores[name][0] for each in (one, three))
        assert few.mismatch == many.mismatch == 0.0
        assert many.field_crps < 0.7 * few.field_crps
    assert [row[0] for row in slice_rows(three).rows] == list(three.scores)
    assert set(three.to_dict()) == {"scores", "geometry", "media"}


def test_evaluate_prints_the_rivals_of_one_slice_for_a_data_set(
    tiny_store: FlowStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--data", tiny_store.path, "--preset", "oneslice", "--limit", "1", "--samples", "2"]
    run("evaluate", *options, "-o", tmp_path / "table.csv")
    printed = capsys.readouterr().out
    for name in (
        "extruded slice",
        "Monte Carlo, prior",
        "oneslice, solved",
        "oneslice, flow too",
        "regression, solved",
        "truth",
    ):
        assert name in printed
    assert len((tmp_path / "table.csv").read_text().splitlines()) == 7
    assert "leave out the other options" in refusal(capsys, "evaluate", *options, "--solver")
    assert "at least 2" in refusal(capsys, "evaluate", *options[:-1], "1")


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    return save_small_stack(tmp_path / "stack.tif")


@pytest.fixture
def image(stack: Path, tmp_path: Path) -> Path:
    path = tmp_path / "one.tif"
    tifffile.imwrite(path, tifffile.imread(stack)[0])
    return path


@pytest.mark.parametrize("exact", [True, False])
def test_the_command_draws_media_round_a_single_image_and_saves_mean_spread_and_draws(
    image: Path, tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], exact: bool
) -> None:
    options = [*SIZES, "--misalignment", "10", "--samples", "3", "--model", tiny_run / "model", "--figure", tmp_path / "f.png"]
    extra = ["--exact"] if exact else []
    run("predict", image, *options, *extra, "-o", tmp_path / "mean.npz", "--draws", tmp_path / "draws")
    printed = capsys.readouterr().out
    assert "3 media drawn round the slice, misalignment up to 10 degrees" in printed
    assert "90 % interval of K" in printed
    assert "third dimension" in printed
    mean = FlowField.load(tmp_path / "mean.npz")
    assert mean.velocity_std is not None
    assert mean.permeability_samples is not None
    draws = [FlowField.load(path) for path in sorted((tmp_path / "draws").iterdir())]
    assert mean.permeability_samples == pytest.approx([flow.permeability for flow in draws], rel=1e-5)
    assert (tmp_path / "f.png").is_file()


def test_solve_draws_the_media_of_predict_exact_and_solves_them_as_it_is_told(
    image: Path, tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn = [*SIZES, "--misalignment", "10", "--samples", "3"]
    run(
        "predict",
        image,
        *drawn,
        "--exact",
        "--model",
        tiny_run / "model",
        "--figure",
        tmp_path / "f.png",
        "-o",
        tmp_path / "p.npz",
    )
    capsys.readouterr()
    run("solve", image, *drawn, "-o", tmp_path / "s.npz", "--draws", tmp_path / "draws")
    printed = capsys.readouterr().out
    assert "3 media drawn round the slice" in printed
    assert "90 % interval of K" in printed
    assert len(list((tmp_path / "draws").iterdir())) == 3
    ours, exact = (FlowField.load(tmp_path / name) for name in ("s.npz", "p.npz"))
    assert ours.permeability_samples == pytest.approx(exact.permeability_samples, rel=1e-6)
    run("solve", image, *drawn, "--axis", "y", "--seed", "1", "-o", tmp_path / "y.npz")
    other = FlowField.load(tmp_path / "y.npz")
    assert other.axis == "y"
    assert other.permeability_samples != pytest.approx(exact.permeability_samples, rel=1e-3)


def test_solve_refuses_what_does_not_go_with_drawn_media(image: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "give --misalignment" in refusal(capsys, "solve", image, *SIZES, "--samples", "4")
    assert "at least 2" in refusal(capsys, "solve", image, *SIZES, "--misalignment", "5", "--samples", "1")
    assert "leave out --misalignment" in refusal(capsys, "solve", image, *SIZES, "--misalignment", "5", "--resume")


def test_what_does_not_go_together_is_refused_before_the_work(
    image: Path, stack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "leave out --misalignment" in refusal(capsys, "predict", image, *SIZES, "--misalignment", "5", "--extrude")
    assert "leave out --misalignment" in refusal(capsys, "predict", image, *SIZES, "--misalignment", "5", "--compare")
    assert "give --misalignment" in refusal(capsys, "predict", image, *SIZES, "--exact")
    assert "at least 2" in refusal(capsys, "predict", image, *SIZES, "--misalignment", "5", "--samples", "1")
    assert "0 to 30" in refusal(capsys, "predict", image, *SIZES, "--misalignment", "50")
    stacked = refusal(capsys, "predict", stack, "--pixel-size", "1e-6", "--depth", "12e-6", "--misalignment", "5")
    assert "which show the tilts" in stacked


def test_extruding_a_single_image_says_what_it_leaves_out_unless_it_is_asked_for(
    image: Path, tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [*SIZES, "--model", tiny_run / "model", "--figure", tmp_path / "f.png"]
    run("predict", image, *options)
    assert "--misalignment DEGREES" in capsys.readouterr().out
    run("predict", image, *options, "--extrude")
    assert "--misalignment DEGREES" not in capsys.readouterr().out


def test_velocities_of_the_models_own_spread_are_in_the_spread(flows: list[FlowField]) -> None:
    own = [replace(flow, velocity_std=np.full_like(flow.velocity, 1.0)) for flow in flows]
    mixture = mix_flows(own)
    assert mixture.velocity_std is not None
    assert mixture.velocity_std.min() >= 1.0
