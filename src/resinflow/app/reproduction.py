"""The command line and the Python lines that give an answer again, bit for bit."""

from __future__ import annotations

import shlex

from resinflow.app.user_choices import Choices

__all__ = ["EDITS", "command_lines", "python_lines"]

EDITS = "edits.json"
"""File of an answer's folder that holds the strokes of its question."""
_COMMANDS = {"predict": "predict", "solve": "solve", "tensor": "permeability", "tow": "tow"}
_AGAIN = {"predict": "again.npz", "solve": "again.npz", "tensor": "again.csv", "tow": "again.json"}


def command_lines(choices: Choices, run: str) -> list[str]:
    """Return the commands, to be run in the session's folder, that compute an answer again.

    Args:
        choices: the question.
        run: folder of the answer, which gets the file ``again.npz``; ``again.csv`` for a tensor, ``again.json`` for a tow.
    """
    error = f"+-{_plain(choices.pixel_error)}%" if choices.task == "tow" and choices.pixel_error else ""
    sizes = ["--pixel-size", choices.pixel_size + ("" if choices.settings else error), "--depth", choices.depth]
    for option, value in (("slices", choices.slices), ("crop", choices.crop)):
        sizes += [] if value is None else [f"--{option}", str(value)]
    if choices.fibre_label is not None:
        sizes += ["--fibre-label", choices.fibre_label]
    if choices.fibres != "auto":
        sizes += ["--fibres", choices.fibres]
    if choices.strokes:
        sizes += ["--edits", f"{run}/{EDITS}"]
    command = ["resinflow", _COMMANDS[choices.task]]
    question = [*_question(choices), "-o", f"{run}/{_AGAIN[choices.task]}"]
    if choices.settings:
        settings = [part for name, value in choices.settings.items() for part in (f"--{name.replace('_', '-')}", f"{value!r}")]
        medium = f"{run}/medium.npz"
        reading = ["resinflow", "segment", choices.image, *sizes, *settings, "--no-solve", "-o", medium]
        known = ["--pixel-size", error] if error else []
        return [shlex.join(reading), _repeated([*command, medium, *known], question, choices.runs)]
    front_end = [] if choices.front_end == "learned" else ["--front-end", choices.front_end]
    return [_repeated([*command, choices.image, *sizes, *front_end], question, choices.runs)]


def _repeated(command: list[str], question: list[str], runs: int) -> str:
    """A command whose solver gives up, and goes on from the field that it leaves, until it is there."""
    first, again = (shlex.join([*command, *question, *more]) for more in ([], ["--resume"]))
    return " || ".join([first, *[again] * (runs - 1)])


def _question(choices: Choices) -> list[str]:
    """The options that are the question."""
    drive = choices.drive
    if choices.task == "tensor":
        sides = ["periodic"] if drive.boundary == "periodic" else ["pressure", "--lateral", drive.lateral]
        return ["--boundary", *sides, *_accuracy(choices)]
    if choices.task == "tow":
        tilt = [] if choices.misalignment is None else ["--misalignment", f"{choices.misalignment!r}"]
        return ["--condition", choices.condition, *tilt, *_accuracy(choices)]
    options = ["--axis", drive.axis, "--viscosity", f"{drive.viscosity!r}", "--pressure-drop", f"{drive.pressure_drop!r}"]
    if choices.task == "predict":
        tilt = "unknown" if choices.misalignment is None else f"{choices.misalignment!r}"
        return [*options, "--misalignment", tilt] if choices.draws else options
    if drive.boundary == "periodic":
        options += ["--boundary", "periodic"]
    elif drive.lateral != "symmetry":
        options += ["--lateral", drive.lateral]
    return [*options, *(["--refine", f"{choices.accuracy!r}"] if choices.finer else []), *_accuracy(choices)]


def _accuracy(choices: Choices) -> list[str]:
    """The options of the solver that are not the usual ones."""
    options = [] if choices.tolerance is None or choices.is_finer else ["--tolerance", f"{choices.tolerance!r}"]
    if choices.max_iterations is not None and choices.task != "tow":
        options += ["--max-iterations", str(choices.max_iterations)]
    return options if choices.walls == "auto" else [*options, "--wall-rule", choices.walls]


def _plain(value: float) -> str:
    """A number without a power of ten, which the command's per cent do not know."""
    return f"{value:.6f}".rstrip("0").rstrip(".")


def python_lines(choices: Choices, run: str) -> str:
    """Return the Python lines, to be run in the session's folder, that compute an answer again.

    Args:
        choices: the question.
        run: folder of the answer, which gets the file ``again.npz``; ``again.json`` for a tensor or a tow.
    """
    imports, lines = _reading(choices, run)
    drive = choices.drive
    if choices.task == "tensor":
        sides = ", boundary='periodic'" if drive.boundary == "periodic" else f", boundary='pressure', lateral={drive.lateral!r}"
        lines += [
            f"tensor = rf.permeability_tensor(micro{sides}{''.join(f', {each}' for each in _solver(choices))})",
            "print(tensor.values)  # m^2, rows and columns x, y, z",
            f"Path({f'{run}/again.json'!r}).write_text(json.dumps(tensor.to_dict()))",
        ]
        return "\n".join(["import json", "from pathlib import Path", "", *imports, "", *lines]) + "\n"
    if choices.task == "tow":
        tow = [f"condition={choices.condition!r}"]
        tow += [f"pixel_deviation={_plain(choices.pixel_error)} / 100"] if choices.pixel_error else []
        tow += [] if choices.misalignment is None else [f"misalignment={choices.misalignment!r}"]
        tow += _solver(choices)
        imports.append("from resinflow.tow import TowOptions")
        lines += [
            f"answer = rf.assess_tow(micro, TowOptions({', '.join(tow)}))",
            "print(answer.budget.intervals)  # m^2, of Kxx, Kyy and Kzz",
            "print(answer.budget.advice)",
            f"Path({f'{run}/again.json'!r}).write_text(json.dumps(answer.to_dict()))",
        ]
        return "\n".join(["import json", "from pathlib import Path", "", *imports, "", *lines]) + "\n"
    question = [f"axis={drive.axis!r}", f"pressure_drop={drive.pressure_drop!r}", f"viscosity={drive.viscosity!r}"]
    compute = 'rf.load_model("small").predict(micro' if choices.task == "predict" else "rf.solve(micro"
    if choices.draws:
        imports.append("from resinflow.evaluate.round_slice import predict_round")
        compute = 'predict_round(micro, rf.load_model("small")'
        question.append(f"misalignment={choices.misalignment!r}")
    if choices.task == "solve" and (drive.boundary, drive.lateral) != ("pressure", "symmetry"):
        question += [f"boundary={drive.boundary!r}", f"lateral={drive.lateral!r}"]
    if choices.task == "solve" and choices.finer:
        imports.append("from resinflow.stokes import solve_finer")
        compute = "solve_finer(micro"
    question += _solver(choices) if choices.task == "solve" else []
    if choices.runs > 1:
        imports = ["from contextlib import suppress", "", *imports, "from resinflow.flow import ConvergenceError"]
        question.append(f"state={f'{run}/again.state.npz'!r}")
        lines += [
            f"for _ in range({choices.runs}):  # each goes on from the field that the one before leaves",
            "    with suppress(ConvergenceError):",
            f"        flow = {compute}, {', '.join(question)})",
        ]
    else:
        lines.append(f"flow = {compute}, {', '.join(question)})")
    lines += [
        "print(flow.permeability, flow.permeability_interval)  # m^2",
        f"flow.save({f'{run}/again.npz'!r})",
    ]
    return "\n".join([*imports, "", *lines]) + "\n"


def _solver(choices: Choices) -> list[str]:
    """The arguments of the solver that are not the usual ones."""
    options = [] if choices.tolerance is None else [f"tolerance={choices.tolerance!r}"]
    if choices.max_iterations is not None and choices.task != "tow":
        options.append(f"max_iterations={choices.max_iterations}")
    return options if choices.walls == "auto" else [*options, f"wall_rule={choices.walls!r}"]


def _reading(choices: Choices, run: str) -> tuple[list[str], list[str]]:
    """The imports and the lines that make the medium ``micro``."""
    options = [f"pixel_size={choices.pixel_size!r}", f"depth={choices.depth!r}"]
    for name, value in (("slices", choices.slices), ("crop", choices.crop), ("fibre_label", choices.fibre_label)):
        options += [] if value is None else [f"{name}={value!r}"]
    if choices.fibres != "auto":
        options.append(f"fibres={choices.fibres!r}")
    imports, names = ["import resinflow as rf"], []
    if choices.settings:
        names.append("SegmentationSettings")
        settings = ", ".join(f"{name}={value!r}" for name, value in choices.settings.items())
        options.append(f"segmentation=SegmentationSettings({settings})")
    elif choices.front_end != "learned":
        options.append(f"front_end={choices.front_end!r}")
    lines = [f"micro = rf.read_medium({choices.image!r}, {', '.join(options)})"]
    if choices.strokes:
        names += ["load_strokes", "painted"]
        lines.append(f"micro = painted(micro, load_strokes({f'{run}/{EDITS}'!r}))")
    if names:
        imports.append(f"from resinflow.media import {', '.join(names)}")
    return imports, lines
