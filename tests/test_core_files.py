"""A replaced file or folder is the old one or the new one, and a folder of other things is never lost."""

import os
import signal
import subprocess
import sys

import pytest

from resinflow.flow import atomic
from resinflow.flow.atomic import replacing
from resinflow.flow.errors import InvalidInputError


def write_folder(path, **files):
    path.mkdir()
    for name, text in files.items():
        (path / f"{name}.json").write_text(text)


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def test_parents_are_made_and_nothing_else_is_left(tmp_path):
    target = tmp_path / "a" / "b" / "result.json"
    with replacing(target) as temporary:
        assert temporary.suffix == ".json"
        temporary.write_text("new")
    assert target.read_text() == "new"
    assert names(target.parent) == ["result.json"]


def test_a_failure_leaves_the_older_file_and_no_other(tmp_path):
    target = tmp_path / "result.json"
    target.write_text("old")
    with pytest.raises(UnicodeEncodeError), replacing(target) as temporary:
        temporary.write_text("half of it \ud800")
    assert target.read_text() == "old"
    assert names(tmp_path) == ["result.json"]


def test_a_folder_is_replaced_whole(tmp_path):
    target = tmp_path / "model"
    write_folder(target, config="old")
    with replacing(target) as temporary:
        write_folder(temporary, config="new", log="new")
    assert names(target) == ["config.json", "log.json"]
    assert (target / "config.json").read_text() == "new"
    assert names(tmp_path) == ["model"]


def test_an_empty_folder_may_be_replaced(tmp_path):
    (tmp_path / "model").mkdir()
    with replacing(tmp_path / "model") as temporary:
        write_folder(temporary, config="new")
    assert names(tmp_path / "model") == ["config.json"]


@pytest.mark.parametrize("files", [{"thesis": "years of work"}, {"config": "old", "thesis": "years of work"}])
def test_a_folder_with_other_files_is_kept(files, tmp_path):
    target = tmp_path / "home"
    write_folder(target, **files)
    with pytest.raises(InvalidInputError, match=r"would be lost \(it holds thesis.json\)"), replacing(target) as temporary:
        write_folder(temporary, config="new")
    assert (target / "thesis.json").read_text() == "years of work"
    assert names(tmp_path) == ["home"]


def test_a_file_never_takes_the_place_of_a_folder(tmp_path):
    target = tmp_path / "result.nc"
    target.mkdir()
    with pytest.raises(InvalidInputError, match="would be lost"), replacing(target) as temporary:
        temporary.write_text("new")
    assert names(tmp_path) == ["result.nc"]


def test_a_failed_move_puts_the_older_folder_back(tmp_path, monkeypatch):
    target = tmp_path / "model"
    write_folder(target, config="old")
    move = os.replace

    def move_or_fail(source, destination):
        if destination == target and (source / "config.json").read_text() == "new":
            raise OSError(5, "Input/output error")
        move(source, destination)

    monkeypatch.setattr(atomic, "_exchange", lambda one, other: False)  # a system without renameat2
    monkeypatch.setattr(os, "replace", move_or_fail)
    with pytest.raises(InvalidInputError, match="Input/output error"), replacing(target) as temporary:
        write_folder(temporary, config="new")
    assert (target / "config.json").read_text() == "old"
    assert names(tmp_path) == ["model"]


def test_a_link_is_followed(tmp_path):
    (tmp_path / "store").mkdir()
    link = tmp_path / "latest.json"
    link.symlink_to(tmp_path / "store" / "first.json")
    with replacing(link) as temporary:
        temporary.write_text("new")
    assert link.is_symlink()
    assert (tmp_path / "store" / "first.json").read_text() == "new"


def test_a_file_where_a_folder_is_needed_is_told_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(InvalidInputError, match="cannot write .*; choose a place"),
        replacing(tmp_path / "file" / "result.json"),
    ):
        pass


KILLED = """
import os, signal, sys
from pathlib import Path
from resinflow.flow import atomic
from resinflow.flow.atomic import replacing

moment, target = sys.argv[1], Path(sys.argv[2])
replace, rmtree = os.replace, atomic.shutil.rmtree
kill = lambda: os.kill(os.getpid(), signal.SIGKILL)
if moment != "exchanged":
    atomic._exchange = lambda one, other: False
moves = []

def counted(source, destination):
    if moment == f"before move {len(moves)}":
        kill()
    moves.append(source)
    replace(source, destination)

os.replace = counted
if moment in ("exchanged", "removing"):
    atomic.shutil.rmtree = lambda *_, **__: kill()
with replacing(target) as temporary:
    temporary.mkdir()
    (temporary / "config.json").write_text("new")
    if moment == "writing":
        kill()
"""


@pytest.mark.parametrize("moment", ["writing", "before move 0", "before move 1", "removing", "exchanged"])
def test_a_kill_while_a_folder_is_replaced_leaves_the_old_or_the_new_and_the_next_run_clears_the_rest(moment, tmp_path):
    target = tmp_path / "flow.zarr"
    write_folder(target, config="old")
    ended = subprocess.run([sys.executable, "-c", KILLED, moment, str(target)], check=False)
    assert ended.returncode == -signal.SIGKILL
    atomic.recover(target)
    assert (target / "config.json").read_text() == ("new" if moment in ("removing", "exchanged") else "old")
    assert len(names(tmp_path)) == 2
    with replacing(tmp_path / "other.json") as temporary:
        temporary.write_text("")
    assert names(tmp_path) == ["flow.zarr", "other.json"]


def test_what_a_living_process_writes_is_not_swept(tmp_path, caplog):
    with replacing(tmp_path / "a.txt") as growing:
        growing.write_text("half")
        with replacing(tmp_path / "b.txt") as other:
            other.write_text("whole")
        assert growing.exists()
    assert names(tmp_path) == ["a.txt", "b.txt"]
    assert not caplog.records


def test_the_leavings_of_another_machine_stay(tmp_path):
    left = tmp_path / ".a-00000000-99999999-12345678.txt"
    left.write_text("")
    assert atomic.sweep(tmp_path) == []
    assert left.exists()


def test_a_name_as_long_as_the_file_system_allows_can_be_written(tmp_path):
    with replacing(tmp_path / ("n" * 250 + ".json")) as temporary:
        temporary.write_text("")
    assert names(tmp_path) == ["n" * 250 + ".json"]
