"""The rows of an evaluation. Each row is a method that gives the flow of a sample."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from resinflow.data import Sample
from resinflow.evaluate.choices import EvaluationOptions
from resinflow.evaluate.scores import PLANAR
from resinflow.flow import FlowField, InvalidInputError
from resinflow.models import Predictor, Sampler, Sampling, SamplingOptions, StartFlows, branched
from resinflow.presets import load_model
from resinflow.stokes import MASK_RULE, grid_flow, planar_flow, response_flow, solve

__all__ = ["CEILING", "CROSS", "DIFFUSION", "GRID", "draw"]

DIFFUSION = "latent diffusion"
CEILING = "D3D(E3D), ceiling"
GRID = "solver on the stored grid"
CROSS = "D3D(E2D), no diffusion"


@dataclass(frozen=True)
class Outcome:
    """The result of a method for one sample.

    Attributes:
        flow: its flow.
        members: (n, 3, nz, ny, nx), m/s, velocities of the samples that ``flow`` is the mean of; None for a single flow.
    """

    flow: FlowField
    members: NDArray[np.floating] | None = None


@dataclass(frozen=True)
class Method:
    """One row of an evaluation.

    Attributes:
        name: title of the row.
        run: returns the flow of a sample.
        works: whether the method computes; only then its memory is measured.
    """

    name: str
    run: Callable[[Sample], Outcome]
    works: bool = True


def methods_of(predictor: Predictor, options: EvaluationOptions, *, with_grid: bool = False) -> list[Method]:
    """Return all rows of an evaluation in the order of its tables; ``with_grid``: the solver on the stored grid among them.

    Raises:
        InvalidInputError: a model without dual-branch VAE, options that it refuses, or a baseline that is no model.
    """
    model = branched(predictor)
    rows = [
        Method("zero", lambda sample: Outcome(at_rest(sample)), works=False),
        *_start_methods(options.solver),
        *([_grid_method(options.solver)] if with_grid else []),
        Method(CROSS, lambda sample: Outcome(model.mean_latent(start_of(sample, model)))),
        *_diffusion_methods(model, options),
        Method(CEILING, lambda sample: Outcome(model.reconstruct(sample.truth, start_of(sample, model)))),
        *_baseline_methods(options),
    ]
    if options.solver:
        rows.append(Method("solver", lambda sample: Outcome(_solved(sample, options.tolerance))))
    names = [row.name for row in rows]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidInputError(f"{twice[0]!r} names two rows; needed: another name (--baseline NAME=DIRECTORY).")
    return rows


def draw(predictor: Predictor, sample: Sample, sampling: Sampling) -> Outcome:
    """Return the mean of a prediction's members together with each of them.

    Member k depends on (seed, k) alone, not on their number.

    Raises:
        InvalidInputError: what the model itself refuses.
    """
    ensemble = predictor.ensemble(start_of(sample, predictor), sampling)
    return Outcome(ensemble.flow, ensemble.members if len(ensemble.members) > 1 else None)


def start_of(sample: Sample, predictor: Predictor) -> StartFlows:
    """Return the two flows of a sample that a model's prediction starts from."""
    return StartFlows(sample.planar, sample.planar if predictor.base is None else sample.base(predictor.base))


def at_rest(sample: Sample) -> FlowField:
    """Return a flow at rest: its scores are those of an empty prediction."""
    planar = sample.planar
    return replace(planar, velocity=np.zeros_like(planar.velocity), pressure=np.zeros_like(planar.pressure), report=None)


def sampler_choices(options: EvaluationOptions) -> list[SamplingOptions]:
    """Return the options of every row of the diffusion model: all combinations of samplers, steps and etas.

    DDPM knows neither steps nor eta and gives one row.
    """
    choices: list[SamplingOptions] = []
    for sampler in dict.fromkeys(options.sampler) or (None,):
        for steps in dict.fromkeys(options.steps) or (None,):
            for eta in dict.fromkeys(options.eta) or (None,):
                choice = _choice(sampler, None, None) if sampler == "ddpm" else _choice(sampler, steps, eta)
                if choice not in choices:
                    choices.append(choice)
    return choices


def choice_name(choice: SamplingOptions) -> str:
    """Return the name of the row of a sampler's options."""
    words = []
    if sampler := choice.get("sampler"):
        words.append(sampler.upper())
    if steps := choice.get("steps"):
        words.append(f"{steps} step{'s' if steps != 1 else ''}")
    if (eta := choice.get("eta")) is not None:
        words.append(f"eta {eta:g}")
    return ", ".join([DIFFUSION, *words])


def _choice(sampler: Sampler | None, steps: int | None, eta: float | None) -> SamplingOptions:
    """Return the options that are not None."""
    choice: SamplingOptions = {}
    if sampler is not None:
        choice["sampler"] = sampler
    if steps is not None:
        choice["steps"] = steps
    if eta is not None:
        choice["eta"] = eta
    return choice


def _diffusion_methods(predictor: Predictor, options: EvaluationOptions) -> list[Method]:
    def method(choice: SamplingOptions) -> Method:
        sampling = replace(Sampling(samples=options.samples, seed=options.seed), **choice)
        predictor.resolve(sampling)  # what the model refuses, it refuses before anything is computed
        return Method(choice_name(choice), lambda sample: draw(predictor, sample, sampling))

    return [method(choice) for choice in sampler_choices(options)]


def _start_methods(solved: bool) -> list[Method]:
    """Return the rows of the start flows: as the data set stores them, or ``solved`` again to measure their time."""
    solvers: dict[str, tuple[Callable[..., FlowField], Callable[[Sample], FlowField]]] = {
        PLANAR: (planar_flow, lambda sample: sample.planar),
        "response flow": (response_flow, lambda sample: sample.response),
    }

    def row(name: str) -> Method:
        solver, stored = solvers[name]
        if not solved:
            return Method(name, lambda sample: Outcome(stored(sample)), works=False)
        return Method(name, lambda sample: Outcome(_again(solver, sample)))

    return [row(name) for name in solvers]


def _grid_method(solved: bool) -> Method:
    """Return the row of the solver on the stored grid; the truth comes from a finer grid."""
    if solved:
        return Method(GRID, lambda sample: Outcome(_again(grid_flow, sample)))
    return Method(GRID, lambda sample: Outcome(sample.base("grid")), works=False)


def _again(solver: Callable[..., FlowField], sample: Sample) -> FlowField:
    truth = sample.truth
    return solver(truth.microstructure, pressure_drop=truth.pressure_drop, viscosity=truth.viscosity)


def _baseline_methods(options: EvaluationOptions) -> list[Method]:
    """Return a row for each further model NAME=DIRECTORY; each samples in its own way."""

    def method(option: str) -> Method:
        name, mark, directory = option.partition("=")
        if not (mark and name and directory):
            raise InvalidInputError(f"--baseline is {option!r}; needed: NAME=DIRECTORY of a model.")
        model = load_model(directory, options.device)
        samples = options.samples if "samples" in model.choices else None  # a deterministic model has no samples
        return Method(name, lambda sample: draw(model, sample, Sampling(samples=samples, seed=options.seed)))

    return [method(option) for option in options.baseline]


def _solved(sample: Sample, tolerance: float) -> FlowField:
    truth = sample.truth
    return solve(truth.microstructure, truth.drive, tolerance=tolerance, wall_rule=MASK_RULE)
