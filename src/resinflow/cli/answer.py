"""The answers of the commands as JSON: one object on stdout, written here and nowhere else.

Names of numbers end in their unit (``permeability_m2``, ``wall_time_s``); what has none is a plain number or a share. A number
that does not exist is null.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Annotated, Any

from cyclopts import Parameter

from resinflow.cli.console import COMMAND_LINE
from resinflow.cli.plausibility import plausibility_of
from resinflow.flow import LEVEL, FlowField, Microstructure, ModelReport, SolverReport, permeability_units, surface_source

AsJson = Annotated[
    bool,
    Parameter(
        name="--json",
        negative="",
        help="Print the answer as one JSON object on stdout, and everything else on stderr.",
    ),
]


def print_json(answer: Mapping[str, Any]) -> None:
    """Write an answer to stdout as one JSON object, with the command line and the version."""
    from resinflow.evaluate import json_text

    sys.stdout.write(json_text({"command": COMMAND_LINE.get(), "version": version("resinflow"), **answer}))


def print_flow_json(as_json: bool, about: Mapping[str, Any], flow: FlowField, rest: Mapping[str, Any]) -> None:
    """Write what a command says of a medium as JSON where that is asked for: the medium, its flow, and what else there is."""
    if as_json:
        result = flow_answer(flow)
        print_json({"medium": about, "flow": result, **rest, "warnings": all_warnings(about, result)})


def medium_answer(micro: Microstructure, source: str) -> dict[str, Any]:
    """Return what a medium is and how it was read."""
    how = micro.provenance.get("segmentation", {})
    return {
        "name": source,
        "shape": list(micro.shape),
        "spacing_m": list(micro.spacing),
        "fibre_fraction": micro.fibre_fraction,
        "polarity": how.get("polarity"),
        "polarity_reason": how.get("reason"),
        "surfaces": surface_source(micro),
        "notes": list(micro.provenance.get("notes", ())),
        "warnings": list(micro.provenance.get("warnings", ())),
    }


def flow_answer(flow: FlowField) -> dict[str, Any]:
    """Return K of a flow in all units with its interval and its parts, what drives the flow, and how it was obtained."""
    plausibility, drive, report = plausibility_of(flow), flow.drive, flow.report
    return {
        "axis": flow.axis,
        **permeability_units("permeability", flow.permeability),
        "interval": _interval(flow),
        "boundary": drive.boundary,
        "lateral": drive.lateral,
        "pressure_drop_Pa": drive.pressure_drop,
        "viscosity_Pa_s": drive.viscosity,
        "fibre_diameter_m": plausibility.fibre_diameter,
        "gebart_m2": plausibility.gebart,
        "method": _method(flow),
        "wall_time_s": None if report is None else report.wall_time,
        "certificate": _certificate(flow),
        "warnings": [*plausibility.warnings, *(() if report is None else report.warnings)],
    }


def interval_answer(ends: tuple[float, float], parts: Mapping[str, float] | None, *, level: float | None) -> dict[str, Any]:
    """Return an interval of K (m^2) in all units; its level is None for bounds, its parts are relative deviations."""
    return {**permeability_units("ends", ends), "level": level, "deviations": dict(parts or {})}


def all_warnings(*answers: Mapping[str, Any]) -> list[str]:
    """Return the warnings of the parts of an answer, each once."""
    lists: Iterable[list[str]] = (answer["warnings"] for answer in answers)
    return list(dict.fromkeys(warning for warnings in lists for warning in warnings))


def _interval(flow: FlowField) -> dict[str, Any] | None:
    report, ends = flow.report, flow.permeability_interval
    if ends is None or not isinstance(report, ModelReport):
        return None
    return interval_answer(ends, report.permeability_parts, level=LEVEL)


def _method(flow: FlowField) -> dict[str, Any] | None:
    """How the flow was obtained: by the solver or by a model."""
    report, samples = flow.report, flow.permeability_samples
    if isinstance(report, SolverReport):
        return {
            "name": "solver",
            "status": report.status,
            "iterations": report.iterations,
            "residual": report.residual,
            "solver_error": report.permeability_error,
            "divergence": report.divergence,
        }
    if report is None:
        return None
    return {
        "name": "model",
        "model": report.model,
        "sampler": report.sampler,
        "steps": report.steps,
        "seed": report.seed,
        "samples": report.samples,
        "samples_m2": None if samples is None else samples.tolist(),
        "novelty": report.novelty,
    }


def _certificate(flow: FlowField) -> dict[str, Any] | None:
    certificate = None if flow.report is None else flow.report.certificate
    if certificate is None:
        return None
    return {
        **permeability_units("bound", certificate.permeability_bound),
        "correction": certificate.correction,
        "residual": certificate.residual,
        "divergence": certificate.divergence,
        "wall_rule": certificate.wall_rule,
    }
