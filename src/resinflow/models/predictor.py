"""The base classes of all models: a medium in, a flow field out."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, Self, TypedDict, TypeVar, Unpack, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel
from torch import nn

from resinflow.flow import (
    Base,
    Drive,
    DriveOptions,
    FlowField,
    InvalidInputError,
    Microstructure,
    ModelReport,
    SurfaceSource,
    check_medium,
    check_type,
    check_whole,
    surface_source,
)
from resinflow.models.calibration import Calibration, calibrated, load_calibration
from resinflow.models.correction import check_axis, conditions_of, corrected_flow
from resinflow.models.device import Device, resolve_device
from resinflow.models.directory import write_model
from resinflow.models.features import Inputs, padding_warning
from resinflow.models.novelty import Novelty, with_novelty
from resinflow.models.start import StartFlows, start_flows

Array = NDArray[np.floating]
SampleWatch = Callable[[Sequence[float], int], None]
"""Takes K of the samples so far, m^2, and how many there will be."""
Latents = dict[str, Array]
"""``E2D`` and ``E3D`` to a latent (channels, nz, h, w)."""
Sampler = Literal["ddim", "ddpm"]
Choice = Literal["samples", "steps", "sampler", "eta"]
"""Values of a :class:`Sampling` that a user may choose."""


class SamplingOptions(TypedDict, total=False):
    """The values of a :class:`Sampling` as keyword arguments: ``model.predict(micro, samples=8, seed=1)``."""

    samples: int | None
    steps: int | None
    seed: int
    sampler: Sampler | None
    eta: float | None
    project: bool


class PredictionOptions(DriveOptions, SamplingOptions, total=False):
    """The values of a drive and of a sampling as keyword arguments."""


@dataclass(frozen=True)
class Sampling:
    """How a user wants a prediction sampled. None stands for the model's default.

    Attributes:
        samples: members of the prediction, whose mean it is.
        steps: denoiser calls a member.
        seed: member i depends on (seed, i) alone.
        sampler: ``ddim`` or ``ddpm``, of a model that has the choice.
        eta: fresh noise of ``ddim``, 0 to 1.
        project: whether the correction of a base flow is made to conserve mass exactly; a model without base flow does not.
    """

    samples: int | None = None
    steps: int | None = None
    seed: int = 0
    sampler: Sampler | None = None
    eta: float | None = None
    project: bool = True


@dataclass(frozen=True)
class ResolvedSampling:
    """A :class:`Sampling` with the model's defaults in the place of None.

    Attributes:
        samples: members of a prediction.
        steps: network calls a member; 0 where nothing is sampled.
        sampler: its name in the report.
        eta: fresh noise of a sampler that adds some.
        seed: member i depends on (seed, i) alone.
        project: whether a correction is made to conserve mass.
    """

    samples: int = 1
    steps: int = 0
    sampler: str = "none"
    eta: float = 0.0
    seed: int = 0
    project: bool = True


@dataclass(frozen=True)
class Ensemble:
    """The members of a prediction and their mean.

    Attributes:
        flow: the mean, with the uncalibrated spread between the members and their permeabilities.
        members: (samples, 3, nz, ny, nx), m/s, the velocity of every member before projection.
    """

    flow: FlowField
    members: Array


Architecture = TypeVar("Architecture", bound=BaseModel)
Correcting = TypeVar("Correcting", bound=Inputs)
Networks = TypeVar("Networks", bound=nn.Module)


class Predictor(ABC, Generic[Architecture, Networks]):
    """A trained model: networks, architecture, scaling and the record of its training.

    Attributes:
        schema: of its directory.
        preset: as its directory names it; None: the directory names none.
        choices: values of the sampling that a user may choose.
        name: of the model in tables.
        architecture: sizes of the networks and defaults of the sampler; ``config`` in ``config.json``.
        networks: the networks with their weights.
        log: how it was trained (recipe, data fingerprint, history), or where its weights come from.
        calibrations: from the spread of the members to the size of the error, by where a medium's fibre surfaces come from;
            empty where none was measured.
        novelty: what media the model knows; None where none was measured.
    """

    schema: ClassVar[str]
    preset: ClassVar[str | None] = None
    choices: ClassVar[frozenset[Choice]]

    def __init__(self, name: str, architecture: Architecture, networks: Networks, log: dict[str, Any] | None = None) -> None:
        self.name = name
        self.architecture = architecture
        self.networks = networks.eval()
        self.log = log or {}
        self.calibrations: dict[SurfaceSource, Calibration] = {}
        self.novelty: Novelty | None = None

    def __repr__(self) -> str:
        own, count = self.defaults, sum(parameter.numel() for parameter in self.networks.parameters())
        base = "the planar flow alone" if self.base is None else f"the {self.base} flow, which it corrects"
        members = "deterministic" if own.steps == 0 else f"{own.samples} samples of {own.steps} steps"
        kind = type(self).__name__
        return (
            f"<{kind} {self.name}: starts from {base}; {count / 1e6:.3g} M parameters on {self.device}; {members}, "
            f"{'calibrated' if self.calibrations else 'not calibrated'}>"
        )

    def calibration_of(self, micro: Microstructure) -> Calibration | None:
        """Return the calibration for a medium: that of its surfaces' source, else that of exact surfaces; None: none."""
        return self.calibrations.get(surface_source(micro), self.calibrations.get("exact"))

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return next(self.networks.parameters()).device

    @property
    @abstractmethod
    def base(self) -> Base | None:
        """The flow that the networks correct; None: the model looks at the planar flow alone."""

    @property
    @abstractmethod
    def defaults(self) -> ResolvedSampling:
        """The sampling of a user who chooses nothing."""

    @abstractmethod
    def draw(self, start: StartFlows, sampling: ResolvedSampling, watch: SampleWatch | None = None) -> Array:
        """Return the members (samples, channels, nz, ny, nx) in SI, in the medium's axes, as :meth:`mean` takes them."""

    def draw_each(self, starts: Sequence[StartFlows], sampling: ResolvedSampling) -> list[Array]:
        """Return what :meth:`draw` gives for each medium; a model whose networks take many media at once overrides it."""
        return [self.draw(start, sampling) for start in starts]

    @abstractmethod
    def mean(self, start: StartFlows, members: Array, sampling: ResolvedSampling) -> Ensemble:
        """Return the mean flow of members that :meth:`draw` gave, without a report, and the velocity of each."""

    @abstractmethod
    def warnings(self, start: StartFlows) -> tuple[str, ...]:
        """Return the warnings of a prediction from these flows, one sentence each."""

    @classmethod
    @abstractmethod
    def restored(cls, directory: Path) -> Self:
        """Return the model in ``directory`` on the CPU, without calibration."""

    @classmethod
    def load(cls, directory: str | Path, device: Device = "auto") -> Self:
        """Rebuild a model from its directory (``config.json``, ``model.safetensors``, ``log.json``, ``calibration.json``).

        A calibration is relative to the base flow, so that a model without a base flow has no calibration.

        Raises:
            InvalidInputError: not such a directory, damaged files, or a device that is not there.
        """
        place = resolve_device(device)
        model = cls.restored(Path(directory))
        model.networks.to(place)
        document = None if model.base is None else load_calibration(directory)
        if document is not None:
            model.calibrations, model.novelty = document.laws(), document.novelty
        return model

    def save(self, directory: str | Path) -> Path:
        """Write the model to ``directory``, whole or not at all."""
        head = {"schema": self.schema} if self.preset is None else {"schema": self.schema, "preset": self.preset}
        return write_model(
            directory, self.networks, {**head, "name": self.name, "config": self.architecture.model_dump(mode="json")}, self.log
        )

    def predict(
        self,
        micro: Microstructure,
        drive: Drive | None = None,
        sampling: Sampling | None = None,
        *,
        start: StartFlows | None = None,
        watch: SampleWatch | None = None,
        **options: Unpack[PredictionOptions],
    ) -> FlowField:
        """Return the predicted 3-D flow: the mean of the members, with their spread and their permeabilities.

        With a calibration the spread is that of the error, and the report has a 90 % interval of K and warns of a medium
        that is unlike the training media.

        Args:
            micro: the medium; fibres run roughly along z, voxels square in the slice plane. A model without base flow knows
                the voxel size of its training data alone.
            drive: what drives the flow, along x or y; a model whose report warns of it knows one drive alone.
            sampling: how the members are sampled.
            start: start flows of the medium, if they are solved already; the prediction has their drive.
            watch: follows K of the members as they come; called with all of them so far and their number in the end.
            options: values of the drive and of the sampling by name; they replace those of ``drive`` and ``sampling``.

        Raises:
            InvalidInputError: an axis, a medium or options that the model does not know.
        """
        check_medium(micro)
        if start is not None:
            check_type("the start", start, StartFlows, "StartFlows, e.g. resinflow.models.start_flows(micro)")
        names = {field.name for field in fields(Sampling)}
        values: dict[str, Any] = {**options}
        drive = Drive.of(drive, **{name: value for name, value in values.items() if name not in names})
        sampling = Sampling() if sampling is None else sampling
        check_type("the sampling", sampling, Sampling, "a Sampling, e.g. rf.Sampling(seed=1)")
        sampling = replace(sampling, **{name: value for name, value in values.items() if name in names})
        self.resolve(sampling)
        check_axis(drive.axis)
        if start is None:
            start = start_flows(micro, drive, self.base)
        return self.judged(self.ensemble(start, sampling, watch).flow, start)

    def judged(self, flow: FlowField, start: StartFlows) -> FlowField:
        """Return the mean flow of an ensemble with calibrated spread and the medium's novelty, where they were measured."""
        calibration = self.calibration_of(flow.microstructure)
        if calibration is not None:
            flow = calibrated(flow, calibration, start.base, self.calibrations.get("exact"))
        if self.novelty is not None:  # it is measured in all conditions, in the medium's own units
            flow = with_novelty(flow, self.novelty, conditions_of(start, Inputs()))
        return flow

    def ensemble(self, start: StartFlows, sampling: Sampling | None = None, watch: SampleWatch | None = None) -> Ensemble:
        """Return the mean of the members with their uncalibrated spread, and the velocity of every member.

        Raises:
            InvalidInputError: as :meth:`predict`.
        """
        check_type("the start", start, StartFlows, "StartFlows, e.g. resinflow.models.start_flows(micro)")
        sampling = Sampling() if sampling is None else sampling
        resolved, started_at = self.resolve(sampling), time.perf_counter()
        check_axis(start.planar.axis)
        return self.reported(start, self.draw(start, resolved, watch), resolved, started_at)

    def resolve(self, sampling: Sampling) -> ResolvedSampling:
        """Return ``sampling`` with the model's defaults in the place of None.

        Raises:
            InvalidInputError: a choice that the model does not have, fewer than one sample or step, or a seed below 0.
        """
        check_type("the sampling", sampling, Sampling, "a Sampling, e.g. rf.Sampling(seed=1)")
        defaults, values = asdict(self.defaults), asdict(sampling)
        choices = {name: values[name] for name in get_args(Choice) if values[name] not in (None, defaults[name])}
        foreign = [name for name in choices if name not in self.choices]
        if foreign and not self.choices and {"samples", "steps"}.issuperset(foreign):
            raise InvalidInputError(
                f"{self.name} is deterministic: samples is {sampling.samples} and steps is {sampling.steps}; "
                "needed: 1 each, or leave them out."
            )
        if foreign:
            raise InvalidInputError(
                f"{' and '.join(f'--{name}' for name in foreign)} {'was' if len(foreign) == 1 else 'were'} given, but "
                f"{self.name} has no choice of it; needed: leave it out, or a model that has."
            )
        resolved = replace(self.defaults, **choices, seed=sampling.seed, project=sampling.project)
        for name, value, least in (("samples", resolved.samples, 1), ("steps", resolved.steps, 1), ("seed", resolved.seed, 0)):
            check_whole(name, value, least)
        return resolved

    def reported(self, start: StartFlows, members: Array, sampling: ResolvedSampling, started_at: float) -> Ensemble:
        """Return the mean of members with its report; ``started_at`` by ``time.perf_counter``."""
        ensemble = self.mean(start, members, sampling)
        report = ModelReport(
            model=self.name,
            sampler=sampling.sampler,
            steps=sampling.steps,
            seed=sampling.seed,
            samples=len(members),
            wall_time=time.perf_counter() - started_at,
            warnings=self.warnings(start),
        )
        return replace(ensemble, flow=replace(ensemble.flow, report=report))


class CorrectingPredictor(Predictor[Correcting, Networks]):
    """A model whose networks correct a base flow."""

    @property
    @abstractmethod
    def stride(self) -> int:
        """Height and width that the networks take are multiples of it."""

    @property
    def base(self) -> Base:
        """The flow that the networks correct."""
        return self.architecture.base

    def mean(self, start: StartFlows, members: Array, sampling: ResolvedSampling) -> Ensemble:
        """Return the base flow plus the mean of the corrections (samples, 4, nz, ny, nx), and the velocity of every member."""
        flow = corrected_flow(start, members, project=sampling.project)
        return Ensemble(flow, start.base.velocity + members[:, :3])

    def warnings(self, start: StartFlows) -> tuple[str, ...]:
        """Return a warning where a medium is padded for the networks."""
        return padding_warning(start.planar.microstructure.shape, self.stride)


class BranchedPredictor(Predictor[Architecture, Networks]):
    """A model with a dual-branch VAE: E2D and E3D encode the planar flow and the flow, D2D and D3D decode them."""

    @abstractmethod
    def decoded_planar_latent(self, start: StartFlows) -> Array:
        """Return D3D(E2D) as the one member (1, channels, nz, ny, nx) of :meth:`draw`."""

    @abstractmethod
    def decoded_latent(self, truth: FlowField, start: StartFlows) -> Array:
        """Return D3D(E3D) of a flow as the one member (1, channels, nz, ny, nx) of :meth:`draw`."""

    @abstractmethod
    def reconstruct_planar(self, start: StartFlows) -> FlowField:
        """Return D2D(E2D), the planar flow through the 2-D branch."""

    @abstractmethod
    def latents(self, truth: FlowField, start: StartFlows) -> Latents:
        """Return the mean latents of the encoders that are trained."""

    def mean_latent(self, start: StartFlows, *, project: bool = True) -> FlowField:
        """Return D3D(E2D): the deterministic cross-reconstruction without the diffusion."""
        started_at = time.perf_counter()
        return self.reported(start, self.decoded_planar_latent(start), ResolvedSampling(project=project), started_at).flow

    def reconstruct(self, truth: FlowField, start: StartFlows, *, project: bool = True) -> FlowField:
        """Return D3D(E3D) of a flow: the ceiling that the VAE sets to any prediction."""
        started_at = time.perf_counter()
        return self.reported(start, self.decoded_latent(truth, start), ResolvedSampling(project=project), started_at).flow


def branched(model: Predictor) -> BranchedPredictor:
    """Return the model if it has a dual-branch VAE.

    Raises:
        InvalidInputError: it has none.
    """
    if not isinstance(model, BranchedPredictor):
        raise InvalidInputError(
            f"{model.name} has no dual-branch VAE; needed: a model that has one. Give it to resinflow evaluate as --baseline "
            "NAME=DIRECTORY."
        )
    return model


def sample_seed(seed: int, index: int) -> int:
    """Return the seed of member ``index``: a member depends neither on the number of members nor on their order."""
    return int(np.random.SeedSequence((seed, index)).generate_state(1, np.uint64)[0] >> 1)
