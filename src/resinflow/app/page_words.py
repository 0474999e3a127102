"""Lines of the library in the words of the page: what the command line calls by an option has a name on the page, too."""

from __future__ import annotations

import re

__all__ = ["in_page_words", "sentence"]

_NAMES = {
    "needed: both. Take the last of them back": "needed: fibres and resin. Undo takes the last stroke back",
    "--pixel-size tag": "the file's own pixel size",
    "--pixel-size": "the pixel size",
    "--depth": "the depth",
    "--crop": "the part of the image",
    "--fibres dark": "dark fibres",
    "--fibres bright": "bright fibres",
    "--fibres": "which phase the fibres are",
    "--fibre-label": "the labels that are fibres",
    "--front-end classical": "thresholds",
    "--front-end learned": "the learned network",
    "--refine 1e-4": "solving on a grid twice as fine",
    "give --pixel-size 0.47um+-1%": "give its error in the question",
    "give --misalignment DEGREES": "give the fibres' misalignment in the question",
    "(resinflow solve --refine 1e-4)": "(Solve has it)",
    "resinflow segment shows the surfaces and how K moves with them": "step 2 shows the surfaces",
    "resinflow segment shows the surfaces": "step 2 shows the surfaces",
    "resinflow permeability": "Tensor",
    "Use a looser tolerance, or resinflow.solve for the whole medium": "Solve does it",
    "Use resinflow.solve for this medium": "Solve does it",
    "Use the voxel mask alone (wall rule plain) or smaller voxels": "Put the walls at the faces of the pixels, or solve on a "
    "grid twice as fine",
    "Use smaller voxels": "Solve on a grid twice as fine, or take an image of smaller pixels",
    "Use voxels more like cubes": "Check the pixel size and the depth: it converges with voxels more like cubes",
    "A tighter --tolerance": "A tighter tolerance (the command has it)",
    "--lateral": "the boundary condition",
    "--axis": "the direction of the flow",
    "X0:X1,Y0:Y1": "left:right,top:bottom",
    "X0 below X1, Y0 below Y1": "left below right, top below bottom",
}
"""Options of the commands, longer ones first where one begins another."""
_OPTIONS = re.compile("|".join(re.escape(option) + r"(?![\w-])" for option in _NAMES))
_ENDED = re.compile(r"(?<!e\.g)\. $")
_EXAMPLE = re.compile(r"(?<=e\.g\. )--crop (?=\d)|(?<=e\.g\. )--fibre-label (?=\d)|(?<= or )--fibre-label (?=nonzero)")
"""An option before an example of its value: on the page the value alone is typed."""
_SHAPE = re.compile(r"the image has shape \((?:\d+, )?(\d+), (\d+)\); needed: .* with at least (\d+) pixels a side")
_SIGNS = (
    (re.compile(r"\bum\^2"), "µm²"),
    (re.compile(r"\bm\^2"), "m²"),
    (re.compile(r"(?<=\d)( ?)um\b"), r"\1µm"),
    (re.compile(r"\+-"), "±"),
)
"""Units and signs as they are written where there are more letters than on a terminal."""


def in_page_words(line: str) -> str:
    """Return a line of the library with the page's names in the place of the options of the command line."""
    text = _OPTIONS.sub(_name, _EXAMPLE.sub("", line))
    text = _SHAPE.sub(r"what is used of the image is \2 x \1 pixels; needed: \3 or more along either edge", text)
    for sign, letters in _SIGNS:
        text = sign.sub(letters, text)
    return text


def sentence(line: str) -> str:
    """Return a line of the library as a sentence of the page: it begins with a capital, unless with a name, and has a stop."""
    text = in_page_words(line)
    if text.split(" ", 1)[0].isalpha():
        text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) or not text else f"{text}."


def _name(match: re.Match[str]) -> str:
    """The page's name of an option; a sentence begins with a capital."""
    name = _NAMES[match.group()]
    return name[:1].upper() + name[1:] if _ENDED.search(match.string[: match.start()]) else name
