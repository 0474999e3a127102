"""Claims about `resinflow data convert|check|download` and `model download` as commands."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from resinflow.cli.app import main
from resinflow.data.download import DATA_RECORDS, MODEL_RECORDS
from resinflow.data.store import FlowStore
from tests.tamper import tamper
from tests.test_data_download import RecordServer, names, server, zipped  # noqa: F401 (server is a fixture)
from tests.test_data_store import contents


def test_convert_goes_both_ways_and_loses_nothing(
    tiny_store: FlowStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["data", "convert", str(tiny_store.path), str(tmp_path / "published")])
    main(["data", "convert", str(tmp_path / "published"), str(tmp_path / "again.zarr")])
    assert contents(tmp_path / "again.zarr") == contents(tiny_store.path)
    assert "8 of 8 samples of 16 x 16 x 3 voxels" in capsys.readouterr().out


def test_convert_with_derive_makes_a_set_that_info_split_and_stats_accept(
    tiny_store: FlowStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["data", "convert", str(tiny_store.path), str(tmp_path / "published"), "--plain"])
    made = str(tmp_path / "set.zarr")
    options = ["--pressure-drop", "1e5", "--viscosity", "0.1", "--derive"]
    main(["data", "convert", str(tmp_path / "published"), made, *options])
    main(["data", "split", made])
    main(["data", "stats", made])
    main(["data", "check", made])
    main(["data", "info", made])
    printed = capsys.readouterr().out
    assert "converted from the published layout: 8 along x" in printed
    assert "8 samples without fault; splits hold" in printed


def test_check_exits_with_status_2_and_names_sample_and_cause(
    tiny_store: FlowStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(tiny_store.path, tmp_path / "set.zarr")
    store = FlowStore.open(tmp_path / "set.zarr", writable=True)
    tamper(store, "velocity", 5, -store.read("velocity", 5))
    with pytest.raises(SystemExit) as stopped:
        main(["data", "check", str(store.path)])
    assert stopped.value.code == 2
    captured = capsys.readouterr()
    assert "sample 5: wrong sign of the flow" in captured.out
    assert "1 faults in 1 of 8 samples" in captured.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["data", "convert", "SOURCE", "out", "--viscosity", "0.1"], "needed then: a destination in .zarr"),
        (["data", "convert", "SOURCE", "out.zarr", "--plain"], "--plain was given"),
        (["data", "convert", "SOURCE", "out.zarr"], "neither x/domain.pt nor y/domain.pt"),
        (["data", "download", "fibres"], "known: fibres-3d"),
        (["model", "download", "fibres"], "known: published-3d"),
    ],
)
def test_faulty_calls_end_in_one_line(
    tiny_store: FlowStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments,
    message,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        main([str(tiny_store.path) if word == "SOURCE" else word for word in arguments])
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_download_commands_fetch_their_part_of_a_record(
    server: RecordServer,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for records, name in ((DATA_RECORDS, "fibres-3d"), (MODEL_RECORDS, "published-3d")):
        one = records[name]
        monkeypatch.setitem(records, name, type(one)("42", one.include, one.exclude, one.content))
    monkeypatch.chdir(tmp_path)
    server.files = {"dataset_3d.zip": zipped({"x/domain.pt": b"1"}), "model.pt": b"2"}
    main(["data", "download", "fibres-3d", "--base-url", server.url])
    main(["model", "download", "published-3d", "--base-url", server.url, "-o", "weights"])
    assert names(tmp_path) == ["data/fibres-3d/dataset_3d.zip", "data/fibres-3d/dataset_3d/x/domain.pt", "weights/model.pt"]
    assert "resinflow data convert data/fibres-3d/dataset_3d" in capsys.readouterr().out
