"""Rivals that say what flows in three dimensions round one slice: extrusion, Monte Carlo, and trained models, on one scale."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from resinflow.evaluate.drawn_flows import permeability_range
from resinflow.evaluate.ensemble import crps
from resinflow.flow import BlockedMediumError, Drive, FlowField, InvalidInputError, Microstructure
from resinflow.media import BundleShape, PriorEngine, SliceEngine, SliceView, measure_bundle, view_slices
from resinflow.presets.oneslice.engine import OneSliceEngine
from resinflow.presets.oneslice.model import load_slice_model
from resinflow.presets.tilts.model import load_tilt_model, tilt_engine
from resinflow.stokes import rest_flow, solve

__all__ = [
    "RIVALS",
    "MeanScores",
    "Rival",
    "SliceScores",
    "drawn_flows",
    "extrusion",
    "mean_scores",
    "monte_carlo",
    "rivals_named",
    "score_rivals",
    "solved_draws",
]

_TOLERANCE = 1e-3
_MEASURED_DRAWS = 4
"""Draws whose shape is measured."""


@dataclass(frozen=True)
class Rival:
    """A row of the table.

    Attributes:
        name: of the row.
        run: yields flows through the media that a slice leaves open: view, drive, samples, seed.
        certain: whether it gives one flow, without spread.
    """

    name: str
    run: Callable[[SliceView, Drive, int, int], Iterable[FlowField]]
    certain: bool = False


@dataclass(frozen=True)
class SliceScores:
    """One rival on one medium; lower is better but for the coverages.

    Attributes:
        crps: of K, over the true K.
        within_half: whether the 50 % interval of K holds the true K, 1 or 0; NaN without spread.
        within_ninety: the same of the 90 % interval.
        spread: standard deviation of ln K between the draws.
        bias: mean ln K of the draws over the true K.
        field_crps: of the velocity at all voxels, over the mean of |true velocity|.
        energy: energy score of vz, over the root mean square of the true vx.
        vz_share: root mean square vz of the mean over the draws' own: 0 for a mean of everything, 1 for one certain field.
        mismatch: largest share of the pixels of a known slice in which a draw differs.
        seconds: for a draw with its flow.
    """

    crps: float
    within_half: float
    within_ninety: float
    spread: float
    bias: float
    field_crps: float
    energy: float
    vz_share: float
    mismatch: float
    seconds: float


def extrusion() -> Rival:
    """Return the rival that extrudes each slice half-way to its neighbours, and solves that."""

    def run(view: SliceView, drive: Drive, samples: int, seed: int) -> Iterator[FlowField]:
        owners = np.abs(np.arange(view.shape[0])[:, None] - np.array(view.places)[None]).argmin(axis=1)
        pages = [view.slices[owner] for owner in owners]
        distances = [page.signed_distance for page in pages if page.signed_distance is not None]
        distance = np.concatenate(distances) if len(distances) == len(pages) else None
        fluid = np.concatenate([page.fluid for page in pages])
        yield _flow(Microstructure(fluid, view.spacing, distance, pages[0].provenance), drive)

    return Rival("extruded slice", run, certain=True)


def solved_draws(engine: SliceEngine, name: str) -> Rival:
    """Return the rival that solves the media that an engine draws."""

    def run(view: SliceView, drive: Drive, samples: int, seed: int) -> Iterator[FlowField]:
        for medium in engine.draw(view, samples, seed):
            yield _flow(medium, drive)

    return Rival(name, run)


def monte_carlo() -> Rival:
    """Return Monte Carlo with the true prior: sections as they are, axes redrawn by the law, solved."""
    return solved_draws(PriorEngine(), "Monte Carlo, prior")


def drawn_flows(model: str | Path = "oneslice") -> Rival:
    """Return the rival whose networks draw the media and the flow through them; nothing but the slice is solved."""

    def run(view: SliceView, drive: Drive, samples: int, seed: int) -> Iterator[FlowField]:
        for volume in OneSliceEngine(load_slice_model(model)).volumes(view, samples, seed, drive):
            yield volume.flow

    return Rival("oneslice, flow too", run)


RIVALS = ("extruded", "prior", "tilts", "oneslice", "flow", "regression")
"""Names of the rows: extruded slices, Monte Carlo, the same by slopes that a trained law draws, media of the model of one slice
(solved), with the flow of its networks, and the medium that it expects (solved)."""


def rivals_named(names: Sequence[str] = RIVALS, model: str | Path = "oneslice") -> list[Rival]:
    """Return rivals by their names (:data:`RIVALS`).

    Args:
        names: of the rows.
        model: a trained model of one slice: the shipped one by its name, or a model directory.

    Raises:
        InvalidInputError: another name, or no such model.
    """
    rivals = []
    for name in names:
        if name not in RIVALS:
            raise InvalidInputError(f"the rival is {name!r}; needed: {', '.join(RIVALS[:-1])} or {RIVALS[-1]}.")
        if name == "extruded":
            rivals.append(extrusion())
        elif name == "prior":
            rivals.append(monte_carlo())
        elif name == "tilts":
            rivals.append(solved_draws(tilt_engine(load_tilt_model()), "tilts, solved"))
        elif name == "flow":
            rivals.append(drawn_flows(model))
        else:
            engine = OneSliceEngine(load_slice_model(model), expected=name == "regression")
            rivals.append(solved_draws(engine, f"{name}, solved"))
    return rivals


def _flow(medium: Microstructure, drive: Drive) -> FlowField:
    try:
        return solve(medium, drive, tolerance=_TOLERANCE)
    except BlockedMediumError:
        return rest_flow(medium, drive)


def score_rivals(
    truth: FlowField,
    rivals: Sequence[Rival],
    *,
    misalignment: float | None,
    samples: int,
    seed: int,
    places: Sequence[int] | None = None,
    waviness: float = 0.0,
) -> Iterator[tuple[str, SliceScores, list[BundleShape]]]:
    """Yield name, scores and the shapes of the first draws of every rival on one medium.

    Args:
        truth: flow through the whole medium.
        rivals: rows.
        misalignment: that they are told, degrees; None: not known.
        samples: draws of each.
        seed: of the draws.
        places: the slices that they see, counted from 0; the middle one by default.
        waviness: that they are told, degrees.

    Raises:
        InvalidInputError: a true flow at rest, or fewer than two samples.
    """
    if samples < 2 or not truth.permeability > 0:
        raise InvalidInputError(
            f"samples is {samples} and the true K {truth.permeability:g} m^2; needed: 2 or more, and a true flow."
        )
    micro = truth.microstructure
    seen = [micro.shape[0] // 2] if places is None else list(places)
    view = view_slices(
        [micro.slice_at(place) for place in seen],
        micro.extent[0],
        heights=[(place + 0.5) * micro.spacing[0] for place in seen],
        slices=micro.shape[0],
        misalignment=misalignment,
        waviness=waviness,
    )
    for rival in rivals:
        started_at = time.perf_counter()
        flows = list(rival.run(view, truth.drive, samples, seed))
        seconds = (time.perf_counter() - started_at) / len(flows)
        shapes = [] if rival.certain else [measure_bundle(flow.microstructure) for flow in flows[:_MEASURED_DRAWS]]
        yield rival.name, score_draws(flows, truth, seconds, seen), shapes


def score_draws(flows: Sequence[FlowField], truth: FlowField, seconds: float, places: Sequence[int]) -> SliceScores:
    """Return the scores of draws against the true flow.

    Args:
        flows: one, or several whose spread counts.
        truth: of the whole medium.
        seconds: for a draw with its flow.
        places: of the known slices, counted from 0.
    """
    certain = len(flows) < 2
    ratios = np.array([flow.permeability for flow in flows]) / truth.permeability
    observed = np.asarray(truth.velocity, dtype=np.float64)
    members = np.stack([np.asarray(flow.velocity, dtype=np.float64) for flow in flows])
    logs = np.log(np.maximum(ratios, 1e-12))
    seen = truth.microstructure.fluid[list(places)]
    vz = members[:, 2]
    own = float(np.sqrt((vz**2).mean()))
    return SliceScores(
        crps=abs(float(ratios[0]) - 1) if certain else float(crps(ratios, np.array(1.0))),
        within_half=float("nan") if certain else _within(ratios, 0.5),
        within_ninety=float("nan") if certain else _within(ratios, 0.9),
        spread=0.0 if certain else float(logs.std(ddof=1)),
        bias=float(logs.mean()),
        field_crps=(float(np.abs(members[0] - observed).mean()) if certain else float(crps(members, observed).mean()))
        / float(np.abs(observed).mean()),
        energy=_energy(vz.reshape(len(vz), -1), observed[2].ravel()) / float(np.sqrt((observed[0] ** 2).mean())),
        vz_share=float(np.sqrt((vz.mean(axis=0) ** 2).mean())) / own if own > 0 else 0.0,
        mismatch=max(float((flow.microstructure.fluid[list(places)] != seen).mean(axis=(1, 2)).max()) for flow in flows),
        seconds=seconds,
    )


def _within(ratios: NDArray[np.float64], level: float) -> float:
    low, high = permeability_range(ratios.tolist(), level=level)
    return float(low <= 1.0 <= high)


def _energy(members: NDArray[np.float64], observed: NDArray[np.float64]) -> float:
    """The fair energy score in the root mean square norm (Gneiting & Raftery 2007, J. Am. Stat. Assoc. 102, 359, eq. 22)."""
    count, size = members.shape
    error = float(np.sqrt(((members - observed) ** 2).mean(axis=1)).mean())
    if count < 2:
        return error
    squares = (members**2).sum(axis=1)
    apart = np.sqrt(np.maximum(squares[:, None] + squares[None] - 2 * members @ members.T, 0.0) / size)
    np.fill_diagonal(apart, 0.0)
    return error - float(apart.sum()) / (2 * count * (count - 1))


@dataclass(frozen=True)
class MeanScores:
    """Means of a rival's scores over media, with the standard error of the CRPS of K and the skill of the mean.

    Attributes:
        scores: means over the media.
        crps_error: standard error of the mean CRPS of K.
        skill: root mean square of the mean ln K against the truth.
        media: their number.
    """

    scores: SliceScores
    crps_error: float
    skill: float
    media: int

    def to_dict(self) -> dict[str, float]:
        """Return all numbers flat by name."""
        return {**asdict(self.scores), "crps_error": self.crps_error, "skill": self.skill, "media": self.media}


def mean_scores(scores: Sequence[SliceScores]) -> MeanScores:
    """Return the means of scores over media.

    Raises:
        InvalidInputError: no scores.
    """
    if not scores:
        raise InvalidInputError("no medium was scored; needed: at least one.")
    columns = {field.name: np.array([asdict(score)[field.name] for score in scores]) for field in fields(SliceScores)}
    mean = SliceScores(**{name: float(values.mean()) for name, values in columns.items()})
    error = float(columns["crps"].std(ddof=1)) / np.sqrt(len(scores)) if len(scores) > 1 else float("nan")
    return MeanScores(mean, float(error), float(np.sqrt((columns["bias"] ** 2).mean())), len(scores))
