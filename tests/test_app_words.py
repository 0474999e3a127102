"""Claims about the words of the page: options of the command line have the names that the page gives them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from resinflow.app.answer_markup import progress_words
from resinflow.app.jobs import Job
from resinflow.app.page_words import in_page_words, sentence
from resinflow.app.resins import RESINS
from resinflow.app.sessions import Answer
from resinflow.app.user_choices import Choices, Task
from resinflow.app.worker import Channel


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("say it by --fibres dark or --fibres bright", "say it by dark fibres or bright fibres"),
        ("used as --crop 0:64,0:64", "used as the part of the image 0:64,0:64"),
        ("--pixel-size tag takes it", "the file's own pixel size takes it"),
        ("--depth-of-field is no option", "--depth-of-field is no option"),
        ("It is coarse. --refine 1e-4 mends it", "It is coarse. Solving on a grid twice as fine mends it"),
        (
            "It was falling: allow more iterations or a looser tolerance.",
            "It was falling: allow more iterations or a looser tolerance.",
        ),
        (
            "It no longer falls. Use smaller voxels.",
            "It no longer falls. Solve on a grid twice as fine, or take an image of smaller pixels.",
        ),
        (
            "needed: X0:X1,Y0:Y1 in pixels, X0 below X1, Y0 below Y1",
            "needed: left:right,top:bottom in pixels, left below right, top below bottom",
        ),
        ("needed: e.g. --crop 0:64,0:64", "needed: e.g. 0:64,0:64"),
        ("say it, e.g. --fibres dark", "say it, e.g. dark fibres"),
        ("K = 1e-12 m^2 of pixels of 0.47um+-1% or 5 um", "K = 1e-12 m² of pixels of 0.47µm±1% or 5 µm"),
    ],
)
def test_options_become_names_of_the_page(line: str, words: str):
    assert in_page_words(line) == words


def test_a_line_of_the_library_is_a_sentence_on_the_page_and_a_name_stays_as_it_is():
    assert sentence("the depth is 0; needed: more") == "The depth is 0; needed: more."
    assert sentence("noise.tif is damaged: export it again.") == "noise.tif is damaged: export it again."
    assert sentence("") == ""


def test_a_line_names_the_image_and_its_slices_as_their_user_does():
    names = ("cut-1.png", "cut-2.png")
    choices = Choices(image="input/image-1", name="cut-1.png and 1 more", slice_names=names)
    line = "slice-0001.png is 4 x 3 pixels, unlike slice-0000.png of image-1; there is no slice-0002.png"
    shown = "cut-2.png is 4 x 3 pixels, unlike cut-1.png of cut-1.png and 1 more; there is no slice-0002.png"
    assert choices.with_its_name(line) == shown


def test_every_resin_has_either_a_source_or_a_typical_range_that_holds_its_viscosity():
    assert len({resin.name for resin in RESINS}) == len(RESINS)
    for resin in RESINS:
        assert resin.viscosity > 0
        assert (resin.span is None) == bool(resin.source)
        if resin.span is None:
            assert resin.source in resin.description
        else:
            low, high = resin.span
            assert low < resin.viscosity < high
            assert resin.description.startswith(f"Typical: {low:g} to {high:g} Pa s")


def told(task: Task, channel_does: str) -> str:
    """What the page says of an answer after a worker's messages."""
    stream = io.StringIO()
    channel = Channel(stream)
    job = Job("answer", Path(), {}, state="running")
    channel.begin(job.id)
    channel.stage("solving the flow")
    if channel_does == "iterates":
        channel.follow(1.5e-13, 0.031)
        channel.watch(7, 1e-3)
    elif channel_does == "starts":
        channel.follow(1.5e-13, None)
    elif channel_does == "draws once":
        channel.draws("sample", [1.5e-13], 4)
    elif channel_does == "draws":
        channel.draws("sample", [1.4e-13, 1.5e-13, 1.6e-13], 4)
    elif channel_does == "counts":
        channel.count("measuring windows", 3, 9)
        channel.count("measuring windows", 3, 9)
    lines = stream.getvalue().splitlines()
    for line in lines:
        job.take(json.loads(line))
    return f"{len(lines)}: {' | '.join(progress_words(Answer('answer-1', Choices(task=task), job), 0))}"


def test_progress_names_k_so_far_and_about_its_error():
    solving = told("solve", "iterates")
    assert "K so far 1.5e-13 m² = 0.15 µm², error about 3.1%" in solving
    assert "iteration 7, residual 1.0e-03 of the first" in solving
    assert "K before the correction 1.5e-13 m²" in told("predict", "starts")
    assert "Sample 1 of 4 | K so far 1.5e-13 m² = 0.15 µm², 0 s" in told("predict", "draws once")
    assert "Sample 3 of 4 | mean K so far 1.5e-13 m² = 0.15 µm², 90 % by their scatter 0.1" in told("predict", "draws")
    assert told("tow", "counts") == "2: Measuring windows: 3 of 9 | 0 s"
    assert told("solve", "nothing") == "1: Solving the flow | 0 s"
