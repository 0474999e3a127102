"""Claims about what an evaluation holds, and about the report that is made of it."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from resinflow.evaluate.by_condition import condition_rows
from resinflow.evaluate.ensemble import score_ensemble
from resinflow.evaluate.metrics import compare
from resinflow.evaluate.records import evaluation_rows, evaluation_summary, write_csv, write_json
from resinflow.evaluate.resources import memory_peak, reset_memory_peak
from resinflow.evaluate.scores import Evaluation, Score, describe_sample
from resinflow.flow.field import FlowField
from resinflow.flow.microstructure import Microstructure
from resinflow.view.page import compose_report, html_page, markdown_page


def truth(seed: int) -> FlowField:
    rng = np.random.default_rng(seed)
    fluid = rng.random((3, 8, 8)) > 0.3
    velocity = rng.normal(size=(3, 3, 8, 8)) * 1e-3 * fluid
    return FlowField(Microstructure(fluid, (1e-6, 1e-6, 1e-6)), velocity, rng.random(fluid.shape), "x", 1.0, 1.0)


def scaled(flow: FlowField, factor: float) -> FlowField:
    return replace(flow, velocity=factor * flow.velocity)


def evaluation() -> Evaluation:
    """Planar errors of 0.3 on every sample; the model's are 0.1, 0.5 and 0.2."""
    flows = [truth(seed) for seed in range(3)]
    rng = np.random.default_rng(9)
    model = []
    for flow, factor in zip(flows, (1.1, 1.5, 0.8), strict=True):
        members = flow.velocity * factor + rng.normal(size=(4, *flow.velocity.shape)) * 1e-5
        model.append(Score(compare(scaled(flow, factor), flow), score_ensemble(members, flow), 1e9))
    return Evaluation(
        model="toy <b>",
        data="toy.zarr",
        split="test",
        traits=[describe_sample(flow, 10 + place, {"misalignment": 2.0 * place}) for place, flow in enumerate(flows)],
        scores={"planar flow": [Score(compare(scaled(flow, 0.7), flow)) for flow in flows], "latent diffusion": model},
        main="latent diffusion",
        notes=("one note",),
    )


def test_samples_worse_than_their_planar_flow_are_counted() -> None:
    assert evaluation().worse_than_planar() == {"latent diffusion": 1}


def test_samples_are_ranked_by_the_error_of_the_main_method() -> None:
    assert evaluation().ranked().tolist() == [0, 2, 1]


def test_a_column_is_nan_where_the_number_does_not_exist() -> None:
    found = evaluation()
    assert found.column("latent diffusion", "relative_l2") == pytest.approx([0.1, 0.5, 0.2])
    assert np.isnan(found.column("planar flow", "crps")).all()
    assert list(found.ensembles()) == ["latent diffusion"]


def test_errors_of_k_are_told_by_blur_in_three_parts_and_not_by_what_is_the_same_for_all() -> None:
    flow = scaled(truth(0), -1.0) if truth(0).permeability < 0 else truth(0)
    factors = 1.0 + 0.01 * np.array([5, 1, 6, 2, -3, 4])  # of K; blurs rise with the size of its error
    blurs = np.abs(factors - 1.0) * 10
    traits = [describe_sample(flow, place, {"blur": blur, "noise": 3.0}) for place, blur in enumerate(blurs)]
    scores = [Score(compare(scaled(flow, factor), flow)) for factor in factors]
    table = condition_rows(Evaluation("m", "d", "test", traits, {"main": scores}, "main"))
    assert [row[0] for row in table.rows] == ["blur, pixels", "", ""]
    assert [row[1:4] for row in table.rows] == [
        ("0.10 - 0.20", "2", "1.5"),
        ("0.30 - 0.40", "2", "3.5"),
        ("0.50 - 0.60", "2", "5.5"),
    ]
    assert [row[6] for row in table.rows] == ["+1.5", "+0.5", "+5.5"]
    assert not condition_rows(evaluation()).rows  # too few media


def test_the_traits_of_a_sample_are_those_of_its_medium_and_flow() -> None:
    flow = truth(0)
    traits = describe_sample(flow, 7)
    fluid = flow.microstructure.fluid
    along, across = (np.sqrt((flow.velocity[k][fluid] ** 2).mean()) for k in (0, 2))
    assert traits.index == 7
    assert traits.porosity == fluid.mean()
    assert traits.cross_flow == pytest.approx(across / along)
    assert describe_sample(scaled(flow, 3.0), 7).cross_flow == pytest.approx(traits.cross_flow)


def test_the_summary_says_what_was_evaluated_and_counts_the_worse_ones(tmp_path: Path) -> None:
    write_json(evaluation_summary(evaluation()), tmp_path / "summary.json")
    saved = json.loads((tmp_path / "summary.json").read_text())
    assert saved["samples"] == [10, 11, 12]
    model = saved["methods"]["latent diffusion"]
    assert model["worse_than_planar"] == 1
    assert model["summary"]["relative_l2"]["median"] == pytest.approx(0.2)
    assert sum(model["rank_shares"]) == pytest.approx(1.0)
    assert saved["methods"]["planar flow"]["worse_than_planar"] is None
    assert saved["methods"]["planar flow"]["summary"]["crps"]["mean"] is None


def test_a_line_of_the_csv_holds_the_sample_its_traits_and_its_scores(tmp_path: Path) -> None:
    write_csv(evaluation_rows(evaluation()), tmp_path / "samples.csv")
    rows = list(csv.DictReader((tmp_path / "samples.csv").open()))
    assert len(rows) == 6
    last = rows[-1]
    assert (last["method"], last["sample"], last["misalignment"]) == ("latent diffusion", "12", "4.0")
    assert float(last["relative_l2"]) == pytest.approx(0.2)
    assert float(last["peak_memory"]) == 1e9
    assert rows[0]["crps"] == ""


class Page(HTMLParser):
    """What a browser would load, run and show of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.images: list[str] = []
        self.loads: list[str] = []
        self.open: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "img":
            self.images.append(str(values["src"]))
        elif tag not in ("meta",):
            self.open.append(tag)
        if tag in ("script", "link", "iframe"):
            self.loads.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_the_page_is_whole_by_itself_and_shows_every_figure_and_table() -> None:
    report = compose_report(evaluation(), {"errors": ("Errors", "all of them"), "best": ("Best", "sample 10")})
    page = Page()
    page.feed(html_page(report, {"errors": b"one", "best": b"two"}))
    assert page.open == []
    assert page.loads == []
    assert page.images == ["data:image/png;base64,b25l", "data:image/png;base64,dHdv"]
    words = " ".join(page.words)
    assert "Evaluation of toy <b>" in words  # the name is text, not markup
    assert "one note" in words
    assert "latent diffusion: 1" in words
    assert all(title in words for title in ("Scores", "Velocity by component", "Time and memory", "Calibration of the samples"))


def test_the_markdown_refers_to_the_figures_by_name() -> None:
    page = markdown_page(compose_report(evaluation(), {"errors": ("Errors", "all of them")}), "figures")
    assert "![Errors](figures/errors.png)" in page
    header = next(line for line in page.splitlines() if line.startswith("| method | over |"))
    rows = [line for line in page.splitlines() if line.startswith("| planar flow |")]
    assert all(line.replace("\\|", "").count("|") == header.count("|") for line in rows[:1])


def test_the_memory_peak_sees_an_array_and_starts_anew() -> None:
    if not reset_memory_peak():
        pytest.skip("this system does not measure the peak of a process")
    before = memory_peak()
    array = np.ones(25_000_000)
    during = memory_peak()
    assert before is not None
    assert during is not None
    assert during - before > 0.9 * array.nbytes
    del array
    reset_memory_peak()
    after = memory_peak()
    assert after is not None
    assert after < during
