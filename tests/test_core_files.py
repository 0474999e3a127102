"""A replaced file or folder is the old one or the new one, and a folder of other things is never lost."""

import os

import pytest

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
