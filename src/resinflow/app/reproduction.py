"""The command line and the Python lines that give an answer again, bit for bit."""

from __future__ import annotations

import shlex

from resinflow.app.user_choices import Choices

__all__ = ["command_lines", "python_lines"]

_MEDIUM = "medium-again.npz"


def command_lines(choices: Choices, output: str) -> list[str]:
    """Return the commands, to be run in the session's folder, that compute an answer again.

    Args:
        choices: the question.
        output: file to which the flow is written.
    """
    sizes = ["--pixel-size", choices.pixel_size, "--depth", choices.depth]
    if choices.slices is not None:
        sizes += ["--slices", str(choices.slices)]
    if choices.fibres != "auto":
        sizes += ["--fibres", choices.fibres]
    if choices.crop is not None:
        sizes += ["--crop", choices.crop]
    if choices.settings:
        settings = [part for name, value in choices.settings.items() for part in (f"--{name.replace('_', '-')}", f"{value!r}")]
        reading = ["resinflow", "segment", choices.image, *sizes, *settings, "--no-solve", "-o", _MEDIUM]
        return [shlex.join(reading), shlex.join(["resinflow", choices.task, _MEDIUM, *_question(choices), "-o", output])]
    front_end = [] if choices.front_end == "learned" else ["--front-end", choices.front_end]
    return [shlex.join(["resinflow", choices.task, choices.image, *sizes, *front_end, *_question(choices), "-o", output])]


def _question(choices: Choices) -> list[str]:
    """The options that are the question."""
    drive = choices.drive
    options = ["--axis", drive.axis, "--viscosity", f"{drive.viscosity!r}", "--pressure-drop", f"{drive.pressure_drop!r}"]
    if choices.task == "predict":
        return options
    if drive.boundary == "periodic":
        options += ["--boundary", "periodic"]
    elif drive.lateral != "symmetry":
        options += ["--lateral", drive.lateral]
    return [*options, "--refine", "0.0001"] if choices.finer else options


def python_lines(choices: Choices, output: str) -> str:
    """Return the Python lines, to be run in the session's folder, that compute an answer again.

    Args:
        choices: the question.
        output: file to which the flow is written.
    """
    reading = [f"pixel_size={choices.pixel_size!r}", f"depth={choices.depth!r}"]
    if choices.slices is not None:
        reading.append(f"slices={choices.slices}")
    if choices.fibres != "auto":
        reading.append(f"fibres={choices.fibres!r}")
    if choices.crop is not None:
        reading.append(f"crop={choices.crop!r}")
    imports = ["import resinflow as rf"]
    if choices.settings:
        imports.append("from resinflow.media import SegmentationSettings")
        settings = ", ".join(f"{name}={value!r}" for name, value in choices.settings.items())
        reading.append(f"segmentation=SegmentationSettings({settings})")
    elif choices.front_end != "learned":
        reading.append(f"front_end={choices.front_end!r}")
    drive = choices.drive
    question = [f"axis={drive.axis!r}", f"pressure_drop={drive.pressure_drop!r}", f"viscosity={drive.viscosity!r}"]
    if choices.task == "predict":
        compute = 'rf.load_model("small").predict'
    else:
        compute = "rf.solve"
        if (drive.boundary, drive.lateral) != ("pressure", "symmetry"):
            question += [f"boundary={drive.boundary!r}", f"lateral={drive.lateral!r}"]
        if choices.finer:
            imports.append("from resinflow.stokes import solve_finer")
            compute = "solve_finer"
    lines = [
        *imports,
        "",
        f"micro = rf.read_medium({choices.image!r}, {', '.join(reading)})",
        f"flow = {compute}(micro, {', '.join(question)})",
        "print(flow.permeability, flow.permeability_interval)  # m^2",
        f"flow.save({output!r})",
    ]
    return "\n".join(lines) + "\n"
