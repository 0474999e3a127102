"""The rows of an evaluation: every way to obtain the flow of a sample, by name."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from resinflow.data import Sample
from resinflow.evaluate.options import EvaluationOptions
from resinflow.evaluate.scores import PLANAR
from resinflow.flow import Base, FlowField, InvalidInputError, ModelReport
from resinflow.models import StartFlows
from resinflow.presets import FlowPredictor, VoxelPredictor, load_model, sample_seed
from resinflow.stokes import grid_flow, planar_flow, response_flow, solve

DIFFUSION = "latent diffusion"
CEILING = "D3D(E3D), ceiling"
GRID = "solver on the stored grid"
CROSS = "D3D(E2D), no diffusion"


class Predictor(Protocol):
    """A model that predicts a flow from a medium; the published and our own are of this kind, and so is any baseline."""

    name: str
    log: dict[str, Any]

    @property
    def config(self) -> Any:
        """Sizes, and how it samples."""
        ...

    @property
    def base(self) -> Base:
        """The flow that the model corrects."""
        ...

    @property
    def predict(self) -> Callable[..., FlowField]:
        """Return the flow of a medium: (micro, pressure_drop=, viscosity=, samples=, seed=, start=, and options of its own)."""
        ...


class BranchedPredictor(Predictor, Protocol):
    """A model with the two branches of a VAE."""

    def predict_mean_latent(self, start: StartFlows) -> FlowField:
        """Return D3D(E2D)."""
        ...

    def reconstruct(self, truth: FlowField, start: StartFlows) -> FlowField:
        """Return D3D(E3D)."""
        ...


@dataclass(frozen=True)
class Outcome:
    """What a method gives for one sample.

    Attributes:
        flow: its flow.
        members: (n, 3, nz, ny, nx), m/s, velocities of the samples that ``flow`` is the mean of; None for a single flow.
    """

    flow: FlowField
    members: NDArray[np.floating] | None = None


@dataclass(frozen=True)
class Method:
    """One row: its name, what makes its flow, and whether that is work whose memory is worth measuring."""

    name: str
    run: Callable[[Sample], Outcome]
    works: bool = True


def methods_of(predictor: BranchedPredictor, options: EvaluationOptions, *, with_grid: bool = False) -> list[Method]:
    """Return all rows of an evaluation in the order of its tables; ``with_grid``: the solver on the stored grid among them.

    Raises:
        InvalidInputError: sampler options that the model does not know, or a baseline that is no model.
    """
    rows = [
        Method("zero", lambda sample: Outcome(at_rest(sample)), works=False),
        *_start_methods(options.solver),
        *([_grid_method(options.solver)] if with_grid else []),
        Method(CROSS, lambda sample: Outcome(predictor.predict_mean_latent(start_of(sample, predictor)))),
        *_diffusion_methods(predictor, options),
        Method(CEILING, lambda sample: Outcome(predictor.reconstruct(sample.truth, start_of(sample, predictor)))),
        *_baseline_methods(options),
    ]
    if options.solver:
        rows.append(Method("solver", lambda sample: Outcome(_solved(sample, options.tolerance))))
    names = [row.name for row in rows]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidInputError(f"{twice[0]!r} names two rows; needed: another name (--baseline NAME=DIRECTORY).")
    return rows


def draw(predictor: Predictor, sample: Sample, samples: int | None, seed: int, **options: Any) -> Outcome:
    """Return the mean of ``samples`` predictions (by default the model's own number) together with each of them.

    Member k depends on (seed, k) alone, not on their number.

    Raises:
        InvalidInputError: fewer than one sample, a negative seed, or what the model itself refuses.
    """
    count = samples if samples is not None else _own_samples(predictor)
    if count < 1 or seed < 0:
        raise InvalidInputError(f"samples is {count} and the seed {seed}; needed: at least 1, and a seed from 0 up.")
    if isinstance(predictor, FlowPredictor):
        flow, members = predictor.ensemble(start_of(sample, predictor), samples=count, seed=seed, **options)
        return Outcome(flow, members if count > 1 else None)
    truth = sample.truth
    drive: dict[str, Any] = {"pressure_drop": truth.pressure_drop, "viscosity": truth.viscosity}
    flows = [
        predictor.predict(
            truth.microstructure,
            start=start_of(sample, predictor),
            samples=1,
            seed=sample_seed(seed, member),
            **drive,
            **options,
        )
        for member in range(count)
    ]
    return mean_outcome(flows, seed)


def mean_outcome(flows: Sequence[FlowField], seed: int) -> Outcome:
    """Return the mean flow of an ensemble with its spread, its permeabilities and its members; a single flow as it is."""
    if len(flows) == 1:
        return Outcome(flows[0])
    members = np.stack([flow.velocity for flow in flows])
    report = flows[0].report
    if isinstance(report, ModelReport):
        seconds = sum(flow.report.wall_time for flow in flows if flow.report is not None)
        report = replace(report, seed=seed, samples=len(flows), wall_time=seconds)
    mean = replace(
        flows[0],
        velocity=members.mean(axis=0),
        pressure=np.mean([flow.pressure for flow in flows], axis=0),
        velocity_std=members.std(axis=0, ddof=1),
        pressure_std=np.std([flow.pressure for flow in flows], axis=0, ddof=1),
        permeability_samples=np.array([flow.permeability for flow in flows]),
        report=report,
    )
    return Outcome(mean, members)


def start_of(sample: Sample, predictor: Predictor) -> StartFlows:
    """Return the two flows of a sample that a model's prediction starts from."""
    return StartFlows(sample.planar, sample.base(predictor.base))


def at_rest(sample: Sample) -> FlowField:
    """Return no flow at all, the row that shows what a score of an empty prediction is."""
    planar = sample.planar
    return replace(planar, velocity=np.zeros_like(planar.velocity), pressure=np.zeros_like(planar.pressure), report=None)


def sampler_choices(options: EvaluationOptions) -> list[dict[str, Any]]:
    """Return the options of every row of the diffusion model: all combinations of samplers, steps and etas.

    DDPM knows neither steps nor eta and gives one row.
    """
    given = {"sampler": options.sampler, "steps": options.steps, "eta": options.eta}
    axes = [[(name, value) for value in dict.fromkeys(values)] or [(name, None)] for name, values in given.items()]
    choices = []
    for combination in itertools.product(*axes):
        choice = {name: value for name, value in combination if value is not None}
        if choice.get("sampler") == "ddpm":
            choice = {"sampler": "ddpm"}
        if choice not in choices:
            choices.append(choice)
    return choices


def choice_name(choice: Mapping[str, Any]) -> str:
    """Return the name of the row of a sampler's options."""
    words = []
    if "sampler" in choice:
        words.append(choice["sampler"].upper())
    if "steps" in choice:
        words.append(f"{choice['steps']} step{'s' if choice['steps'] != 1 else ''}")
    if "eta" in choice:
        words.append(f"eta {choice['eta']:g}")
    return ", ".join([DIFFUSION, *words])


def _diffusion_methods(predictor: Predictor, options: EvaluationOptions) -> list[Method]:
    known = inspect.signature(predictor.predict).parameters
    for name in ("sampler", "steps", "eta"):
        if getattr(options, name) and name not in known:
            raise InvalidInputError(
                f"--{name} was given, but {predictor.name} has no choice of it; needed: leave it out, or a model that has."
            )

    if any(steps < 1 for steps in options.steps):
        raise InvalidInputError(f"steps is {min(options.steps)}; needed: at least 1.")

    def method(choice: dict[str, Any]) -> Method:
        return Method(choice_name(choice), lambda sample: draw(predictor, sample, options.samples, options.seed, **choice))

    return [method(choice) for choice in sampler_choices(options)]


def _start_methods(solved: bool) -> list[Method]:
    """The flows that are known before; solved anew where their time is asked for."""
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
    """The solver on the stored grid, where the truth comes from a finer one."""
    if solved:
        return Method(GRID, lambda sample: Outcome(_again(grid_flow, sample)))
    return Method(GRID, lambda sample: Outcome(sample.base("grid")), works=False)


def _again(solver: Callable[..., FlowField], sample: Sample) -> FlowField:
    truth = sample.truth
    return solver(truth.microstructure, pressure_drop=truth.pressure_drop, viscosity=truth.viscosity)


def _baseline_methods(options: EvaluationOptions) -> list[Method]:
    """Further models by NAME=DIRECTORY, each with its own way to sample."""

    def method(given: str) -> Method:
        name, mark, directory = given.partition("=")
        if not (mark and name and directory):
            raise InvalidInputError(f"--baseline is {given!r}; needed: NAME=DIRECTORY of a model.")
        model = load_model(directory)
        count = 1 if isinstance(model, VoxelPredictor) else options.samples  # nothing is drawn by a deterministic one
        return Method(name, lambda sample: draw(model, sample, count, options.seed))

    return [method(given) for given in options.baseline]


def _solved(sample: Sample, tolerance: float) -> FlowField:
    truth = sample.truth
    return solve(truth.microstructure, truth.drive, tolerance=tolerance)


def _own_samples(predictor: Predictor) -> int:
    """The number of samples that a model draws unless told otherwise; a deterministic one has no such number."""
    config = predictor.config
    return int(getattr(getattr(config, "sampling", config), "samples", 1))
