"""Conversion of published checkpoints, with one line of what came out."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from resinflow.cli.console import make_console, working
from resinflow.presets.paper.convert import convert_published


def convert_and_print(
    checkpoint: Path,
    output: Path,
    *,
    sampler: Literal["ddim", "ddpm"],
    steps: int,
    eta: float,
    precision: Literal["float32", "bfloat16"],
) -> None:
    """Convert a published checkpoint into the model directory ``output`` and say so."""
    console = make_console()
    with working(console, "converting"):
        directory = convert_published(checkpoint, output, sampler=sampler, steps=steps, eta=eta, precision=precision)
    console.print(f"wrote {directory}")
