"""`--json` of every command that prints numbers: one object on stdout and nothing else, numbers with their units."""

from __future__ import annotations

import csv
import json
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import yaml

from resinflow.cli.reference import option_docs
from resinflow.data import FlowStore
from resinflow.data.download import Download
from resinflow.flow import DARCY, FlowField, load_medium, save_medium
from resinflow.media import BundleSettings, fibre_bundle
from resinflow.presets import training
from resinflow.presets.drawn_training import DrawnPreset
from resinflow.search import TrialRow
from resinflow.stokes import Check, solve
from tests.commands import run
from tests.conftest import TINY_RECIPE, TINY_TRAINING
from tests.drawn_images import save_small_stack
from tests.tamper import without_attribute

SIZES = ("--pixel-size", "0.9375e-6", "--depth", "12e-6", "--front-end", "classical")
LOOSE = ("--tolerance", "1e-3")
CASES = {
    "solve": ("solve", "STACK", *SIZES, *LOOSE, "-o", "OUT/flow.npz"),
    "predict": ("predict", "STACK", *SIZES, "--model", "MODEL", "--compare", "--certify", "--figure", "OUT/flow.png"),
    "segment": ("segment", "STACK", *SIZES, "-o", "OUT/medium.npz"),
    "permeability": ("permeability", "STACK", *SIZES, *LOOSE),
    "tow": ("tow", "SECTION", *LOOSE, "-o", "OUT/map.csv"),
    "evaluate": ("evaluate", "--data", "DATA", "--model", "MODEL", "--split", "all", "--limit", "2"),
    "reconstruct": ("reconstruct", "--data", "DATA", "--model", "MODEL", "--limit", "2", "-o", "OUT/reconstruction"),
    "verify": ("verify", "--quick"),
    "demo": ("demo", "-o", "OUT/demo"),
    "data info": ("data", "info", "DATA"),
    "data generate": ("data", "generate", "RECIPE", "COPY", "--workers", "1"),
    "data split": ("data", "split", "UNSPLIT"),
    "data stats": ("data", "stats", "COPY"),
    "data check": ("data", "check", "DATA"),
    "data convert": ("data", "convert", "DATA", "OUT/published"),
    "data card": ("data", "card", "DATA", "OUT/card.md"),
    "data download": ("data", "download", "fibres-2d", "-o", "OUT/fibres"),
    "model download": ("model", "download", "published-2d", "-o", "OUT/weights"),
    "model convert": ("model", "convert", "OUT/model.pt", "OUT/converted"),
    "train vae3d": ("train", "vae3d", "--data", "DATA", "--run", "RUN"),
    "train vae2d": ("train", "vae2d", "--data", "DATA", "--run", "RUN"),
    "train diffusion": ("train", "diffusion", "--data", "DATA", "--run", "RUN"),
    "train direct": ("train", "direct", "--data", "DATA", "--run", "OUT/direct", "--recipe", "DIRECT"),
    "train surface": ("train", "surface", "--run", "OUT/surface"),
    "train tilts": ("train", "tilts", "--run", "OUT/tilts"),
    "model calibrate": ("model", "calibrate", "CALIBRATED", "--data", "REPEATED", "--samples", "2"),
    "model novelty": ("model", "novelty", "CALIBRATED", "--data", "REPEATED", "--against", "DATA", "-o", "OUT/roc.png"),
    "search": ("search", "SEARCH", "--data", "DATA", "--run", "OUT/search"),
}
"""A call of every command that has --json."""
RECIPES = Path(__file__).parents[1] / "recipes"
TRIALS = [
    TrialRow(0, "complete", 0.25, None, {"vae3d.learning_rate": 1e-3, "model.width": 8}, 2.0, 1, ""),
    TrialRow(1, "failed", None, None, {"vae3d.learning_rate": 1e-2, "model.width": 8}, None, 2, "RuntimeError: no"),
]
"""What a search comes to, in the place of a training."""


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory, tiny_run: Path, tiny_store: FlowStore, repeated: Path) -> dict[str, Path]:
    """What the words of the calls in capitals stand for."""
    folder = tmp_path_factory.mktemp("json")
    settings = BundleSettings(0.4, 7e-6, 0.1, 0.0, 0.9e-6)
    section = fibre_bundle((1, 50, 50), (1.3e-6, 66e-6, 66e-6), seed=8, settings=settings)
    recipe = folder / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(json.loads(json.dumps(TINY_RECIPE))), encoding="utf-8")
    copies = [shutil.copytree(tiny_store.path, folder / f"{name}.zarr") for name in ("copy", "unsplit", "faulty")]
    without_attribute(FlowStore.open(copies[1], writable=True), "splits")
    faulty = FlowStore.open(copies[2], writable=True)
    splits = faulty.attributes["splits"]
    splits["indices"]["train"].pop()
    faulty.set_attribute("splits", splits)
    calibrated = shutil.copytree(tiny_run / "model", folder / "calibrated")
    run("model", "calibrate", calibrated, "--data", repeated, "--samples", "2")
    return {
        "RECIPE": recipe,
        "COPY": copies[0],
        "UNSPLIT": copies[1],
        "FAULTY": copies[2],
        "REPEATED": repeated,
        "CALIBRATED": calibrated,
        "SEARCH": RECIPES / "search-quick.yaml",
        "DIRECT": RECIPES / "baseline-unet.yaml",
        "RUN": shutil.copytree(tiny_run, folder / "run"),
        "STACK": save_small_stack(folder / "stack.tif"),
        "SECTION": save_medium(section, folder / "section.npz"),
        "MODEL": tiny_run / "model",
        "DATA": Path(tiny_store.path),
        "OUT": folder,
    }


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands write beside where they are called."""
    monkeypatch.chdir(tmp_path)


def strict(text: str) -> dict[str, Any]:
    """The one object that a text is; NaN and infinity are no JSON."""

    def refuse(word: str) -> None:
        raise ValueError(word)

    document = json.loads(text, parse_constant=refuse)
    assert isinstance(document, dict)
    return document


def told(capsys: pytest.CaptureFixture[str], places: dict[str, Path], *words: str) -> dict[str, Any]:
    """What a call with --json writes to stdout."""
    names = []
    for word in words:
        head, _, rest = word.partition("/")
        names.append(str(places[head] / rest) if head in places else word)
    run(*names, "--json")
    return strict(capsys.readouterr().out)


def test_every_command_with_json_is_among_these_calls() -> None:
    assert {command for command, name, _ in option_docs() if name == "--json"} == set(CASES)


@pytest.mark.parametrize("command", CASES)
def test_stdout_is_one_object_with_command_line_and_version(
    command: str, places: dict[str, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = [Check("a duct", "plain", 1.0, float("nan"), float("inf"), None)]
    monkeypatch.setattr("resinflow.stokes.verify", lambda quick: checks)
    monkeypatch.setattr("resinflow.search.search_training", lambda *recipe, **options: TRIALS)
    monkeypatch.setattr("resinflow.data.download.download_record", lambda *record, **options: some_download(places["OUT"]))
    monkeypatch.setattr("resinflow.presets.paper.convert.convert_published", lambda checkpoint, output, **options: output)
    if command in ("train direct", "train surface", "train tilts"):  # nothing to train on within a test
        monkeypatch.setattr(training, "train", lambda *stage, **options: places["OUT"] / "last.ckpt")
        monkeypatch.setattr(DrawnPreset, "train", lambda self, run, *recipe, **options: run / "model")
    answer = told(capsys, places, *CASES[command])
    assert answer["command"].startswith(f"resinflow {command} ")
    assert answer["version"] == version("resinflow")
    assert len(answer) > 3
    if command == "verify":
        assert answer["checks"][0]["expected"] is None
        assert answer["checks"][0]["error"] is None


def some_download(folder: Path) -> Download:
    """Two files, one of them an archive that was unpacked."""
    files = folder / "files.zip", folder / "log.json"
    for file in files:
        file.write_bytes(b"1234567")
    (folder / "files" / "x").mkdir(parents=True, exist_ok=True)
    (folder / "files" / "x" / "domain.pt").touch()
    return Download(files, (folder / "files",), verified=False)


def test_a_download_tells_its_files_and_whether_they_were_verified(
    places: dict[str, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resinflow.data.download.download_record", lambda *record, **options: some_download(places["OUT"]))
    answer = told(capsys, places, *CASES["data download"])
    assert [entry["bytes"] for entry in answer["files"]] == [7, 7]
    assert answer["verified"] is False
    assert answer["folders"] == answer["sets"] == [str(places["OUT"] / "files")]


def test_a_data_card_tells_the_numbers_on_its_page(places: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    answer = told(capsys, places, *CASES["data card"])
    page = (places["OUT"] / "card.md").read_text(encoding="utf-8")
    assert sum(answer["splits"].values()) == 8
    assert answer["percentiles"] == [0, 10, 50, 90, 100]
    least, *_, greatest = answer["quantities"]["permeability_m2"]
    assert f"| {least:.3g} |" in page
    assert f"| {greatest:.3g} |" in page


def test_a_training_tells_its_last_losses_and_where_its_files_are(
    places: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "tiny.yaml"
    recipe.write_text(yaml.safe_dump(TINY_TRAINING), encoding="utf-8")
    places = {**places, "RECIPE": recipe, "NEW": tmp_path / "new"}
    call = ("train", "vae3d", "--data", "DATA", "--run", "NEW", "--recipe", "RECIPE")
    answer = told(capsys, places, *call)
    with Path(answer["history"]).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    losses = [float(row["validation_loss"]) for row in rows]
    assert answer["epochs"] == answer["epochs_of_this_call"] == len(rows)
    assert answer["validation_loss"] == pytest.approx(losses[-1], rel=1e-6)
    assert answer["best_validation_loss"] == pytest.approx(min(losses), rel=1e-6)
    assert answer["best_epoch"] == 1 + losses.index(min(losses))
    assert Path(answer["file"]).exists()
    again = told(capsys, places, *call)
    assert again["epochs_of_this_call"] == 0
    assert again["validation_loss"] == answer["validation_loss"]


def test_solve_tells_k_in_three_units_with_its_medium(places: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    answer = told(capsys, places, *CASES["solve"])
    flow, saved = answer["flow"], FlowField.load(places["OUT"] / "flow.npz")
    assert flow["permeability_m2"] == saved.permeability
    assert flow["permeability_um2"] == pytest.approx(saved.permeability * 1e12)
    assert flow["permeability_darcy"] == pytest.approx(saved.permeability / DARCY)
    assert flow["method"]["name"] == "solver"
    assert flow["wall_time_s"] > 0
    assert answer["medium"]["polarity"] == "dark"
    assert answer["medium"]["surfaces"] == "estimated"  # by thresholds
    assert answer["medium"]["fibre_fraction"] == saved.microstructure.fibre_fraction
    assert answer["warnings"] == [*answer["medium"]["warnings"], *flow["warnings"]]


def test_predict_tells_every_flow_of_its_table_with_errors_and_certificate(
    places: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    answer = told(capsys, places, *CASES["predict"])
    flows = answer["flows"]
    assert list(flows) == ["planar", "response", "model", "solver, these voxels"]
    assert flows["model"]["relative_l2"] > 0
    assert flows["solver, these voxels"]["relative_l2"] is None
    assert 0 < answer["flow"]["certificate"]["bound_m2"] <= flows["solver, these voxels"]["permeability_m2"] * (1 + 1e-4)
    assert len(answer["flow"]["method"]["samples_m2"]) == 3
    assert answer["refinement"] is None


def test_a_refined_prediction_tells_its_interval_and_what_it_took(
    places: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    figure = ("--figure", "OUT/refined.png")
    answer = told(capsys, places, "predict", "STACK", *SIZES, "--model", "MODEL", "--refine", "0.05", *figure)
    low, high = answer["refinement"]["interval"]["ends_m2"]
    assert low <= answer["flow"]["permeability_m2"] <= high
    assert answer["refinement"]["work"]["iterations"] > 0


def test_drawn_media_tell_an_interval_with_its_parts(places: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    tifffile.imwrite(places["OUT"] / "one.tif", tifffile.imread(places["STACK"])[0])
    drawing = ("--slices", "3", "--misalignment", "5", "--samples", "2", "--exact", "--figure", "OUT/drawn.png")
    answer = told(capsys, places, "predict", "OUT/one.tif", *SIZES, *drawing)
    interval = answer["flow"]["interval"]
    assert interval["level"] == 0.9
    assert interval["ends_um2"] == pytest.approx([end * 1e12 for end in interval["ends_m2"]])
    assert "third dimension" in interval["deviations"]
    assert answer["misalignment_degrees"] == 5


def test_segment_tells_sections_and_k_with_moved_surfaces(places: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    answer = told(capsys, places, *CASES["segment"])
    flow = answer["flow"]
    assert flow["surfaces_into_fibres_m2"] > flow["permeability_m2"] > flow["surfaces_out_of_fibres_m2"]
    assert flow["permeability_m2"] == pytest.approx(solve(load_medium(places["OUT"] / "medium.npz")).permeability, rel=1e-3)
    assert len(answer["sections"]["sections_by_slice"]) == 3


def test_tow_and_permeability_tell_the_same_tensor(places: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    tow = told(capsys, places, *CASES["tow"])
    tensor = told(capsys, places, "permeability", "SECTION", *LOOSE)["media"][0]["tensor"]
    assert np.array(tow["tensor"]["values_m2"]) == pytest.approx(np.array(tensor["values_m2"]))
    axis = tow["budget"]["axes"]["x"]
    assert axis["permeability_darcy"] == pytest.approx(axis["permeability_m2"] / DARCY)
    assert axis["interval_um2"] == pytest.approx([end * 1e12 for end in axis["interval_m2"]])


def test_a_medium_that_fails_is_in_the_object_and_ends_the_command_with_status_2(
    places: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run("permeability", places["STACK"], places["OUT"] / "absent.tif", *SIZES, *LOOSE, "--json")
    assert ended.value.code == 2
    answer = strict(capsys.readouterr().out)
    assert [entry["error"] is None for entry in answer["media"]] == [True, False]
    assert answer["failures"] == 1


def test_a_search_tells_every_trial_and_the_best(
    places: dict[str, Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resinflow.search.search_training", lambda *recipe, **options: TRIALS)
    answer = told(capsys, places, *CASES["search"])
    assert answer["best"] == [0]
    assert (answer["finished"], answer["failed"]) == (2, 1)
    first, second = answer["trials"]
    assert (first["validation_loss"], first["error"]) == (0.25, None)
    assert (second["validation_loss"], second["error"]) == (None, "RuntimeError: no")
    monkeypatch.setattr("resinflow.search.search_training", lambda *recipe, **options: TRIALS[1:])
    monkeypatch.setattr("resinflow.search.SearchPlan.size", 1)
    with pytest.raises(SystemExit):
        told(capsys, places, *CASES["search"])
    assert capsys.readouterr().out == ""  # every trial failed


def test_the_numbers_of_models_are_those_of_their_files(places: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    answer = told(capsys, places, *CASES["model novelty"])
    inside, outside = answer["data"]
    assert inside["area"] is None
    assert outside["media"] == 8
    assert 0 <= outside["area"] <= 1
    document = json.loads((places["CALIBRATED"] / "calibration.json").read_text(encoding="utf-8"))
    assert answer["threshold"] == document["novelty"]["threshold"]


def test_a_check_tells_its_faults_and_ends_with_status_2(places: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    sound = told(capsys, places, *CASES["data check"])
    assert (sound["samples"], sound["faults"]) == (8, [])
    with pytest.raises(SystemExit) as ended:
        run("data", "check", places["FAULTY"], "--json")
    assert ended.value.code == 2
    answer = strict(capsys.readouterr().out)
    assert answer["faults"][0].keys() == {"sample", "cause", "detail"}


def test_a_refusal_leaves_stdout_empty(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run("solve", "absent.tif", "--json")
    assert ended.value.code == 2
    assert capsys.readouterr().out == ""
