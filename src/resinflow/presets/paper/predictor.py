"""Prediction by a published model: a directory like any other model's, a microstructure in, a flow field out."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from resinflow.flow import AXES, Axis, Base, FlowField, InvalidInputError, Microstructure, ModelReport
from resinflow.models import WEIGHTS, StartFlows, has_schema, read_document, write_model
from resinflow.presets.paper.networks.system import PaperSystem
from resinflow.presets.paper.recipe import PRESET, SCHEMA, PaperConfig

_FAMILIAR = (0.05, 1.2)
"""Largest planar velocity over the training data's largest: outside of it the networks extrapolate."""

PlanarSolver = Callable[..., FlowField]
"""(microstructure, axis=, pressure_drop=, viscosity=) -> planar flow; given from outside, so that a model needs no solver."""


def is_paper_model(directory: Path) -> bool:
    """Return whether ``directory`` holds a model of the preset ``paper``; a damaged directory does not."""
    return has_schema(directory, SCHEMA)


class PaperPredictor:
    """A published model: it needs the planar velocity alone, and returns velocity (its pressure is the planar one).

    Attributes:
        name: what the model is called in tables.
        config: sizes of the networks and how they sample.
        system: the networks with their weights.
        log: where the weights come from and how they were trained.
    """

    base: Base = "response"  # whatever it is given beside the planar flow, it does not look at

    def __init__(
        self,
        name: str,
        system: PaperSystem,
        log: dict[str, Any] | None = None,
        planar_solver: PlanarSolver | None = None,
    ) -> None:
        self.name = name
        self.system = system.eval()
        self.config = system.config
        self.log = log or {}
        self._planar_solver = planar_solver

    @classmethod
    def load(cls, directory: str | Path, planar_solver: PlanarSolver | None = None) -> PaperPredictor:
        """Rebuild a model from its directory (``config.json``, ``model.safetensors``, ``log.json``).

        Raises:
            InvalidInputError: not such a directory, or damaged files.
        """
        directory = Path(directory)
        if not is_paper_model(directory):
            raise InvalidInputError(
                f"{directory} is no model of the preset {PRESET}; needed: what resinflow model convert wrote."
            )
        name, config, log = read_document(directory, SCHEMA, PaperConfig)
        system = assembled(config, _read_weights(directory / WEIGHTS), str(directory / WEIGHTS))
        return cls(name, system.with_precision(config.sampling.precision), log, planar_solver)

    def save(self, directory: str | Path) -> Path:
        """Write the model to ``directory``, whole or not at all."""
        document = {"schema": SCHEMA, "preset": PRESET, "name": self.name, "config": self.config.model_dump(mode="json")}
        return write_model(directory, self.system, document, self.log)

    def predict(
        self,
        micro: Microstructure,
        *,
        axis: Axis = "x",
        pressure_drop: float = 1e5,
        viscosity: float = 0.1,
        samples: int | None = None,
        steps: int | None = None,
        seed: int = 0,
        start: StartFlows | None = None,
        sampler: Literal["ddim", "ddpm"] | None = None,
        eta: float | None = None,
    ) -> FlowField:
        """Return the predicted 3-D flow: the mean of the samples, with their spread and their permeabilities.

        Args:
            micro: the medium, of the voxel size of the training data: the networks know no other.
            axis: ``x`` or ``y``, the direction of the pressure drop.
            pressure_drop: Pa; the networks know the training data's drive, see the report's warnings.
            viscosity: Pa s.
            samples: how many latents are drawn.
            steps: denoiser calls a sample, for DDIM.
            seed: sample i depends on (seed, i) alone; sample 0 has the noise of torch's CPU generator seeded with ``seed``.
            start: the flows of this medium and drive where they are known already; only the planar one is used.
            sampler: ``ddim`` or ``ddpm``; by default the model's own.
            eta: 0 to 1, for DDIM; by default the model's own.

        Raises:
            InvalidInputError: an axis that the model does not know, options that cannot be, a model without denoiser, or no
                planar flow and no solver for it.
        """
        sampling = self._sampling(axis, samples, steps, sampler, eta)
        begun = time.perf_counter()
        planar = start.planar if start is not None else self._solve(micro, axis, pressure_drop, viscosity)
        fluid, velocity = self._inputs(micro, planar.velocity, axis)
        fields = []
        for index in range(sampling["samples"]):  # one at a time: memory stays that of one sample
            generator = torch.Generator().manual_seed(sample_seed(seed, index))
            fields.append(self._sampled(fluid, velocity, generator, sampling))
        return self._to_flow(micro, planar, axis, torch.cat(fields), begun, sampling, seed)

    def predict_mean_latent(self, start: StartFlows) -> FlowField:
        """Return D3D(E2D): the cross-reconstruction of the planar flow without the diffusion (flow along x)."""
        self._require("encoder_2d", "decoder_3d")
        begun, planar = time.perf_counter(), start.planar
        fluid, velocity = self._inputs(planar.microstructure, planar.velocity, "x")
        with torch.inference_mode():
            fields = self.system.decode_volume(self.system.encode_2d(velocity), fluid)
        return self._to_flow(planar.microstructure, planar, "x", fields, begun, _NO_SAMPLER, 0)

    def reconstruct(self, truth: FlowField, start: StartFlows) -> FlowField:
        """Return D3D(E3D) of a known flow along x: the ceiling that the VAE sets to any prediction."""
        self._require("encoder_3d", "decoder_3d")
        begun = time.perf_counter()
        fluid, velocity = self._inputs(truth.microstructure, truth.velocity, "x")
        with torch.inference_mode():
            fields = self.system.decode_volume(self.system.encode_3d(velocity), fluid)
        return self._to_flow(truth.microstructure, start.planar, "x", fields, begun, _NO_SAMPLER, 0)

    def _sampling(
        self, axis: Axis, samples: int | None, steps: int | None, sampler: str | None, eta: float | None
    ) -> dict[str, Any]:
        self._require("encoder_2d", "decoder_3d", "unet")
        if axis not in ("x", "y"):
            raise InvalidInputError(f"the model's flow axis is {axis!r}; needed: x or y. Along z use resinflow.solve.")
        given = {"sampler": sampler, "steps": steps, "eta": eta, "samples": samples}
        merged = self.config.sampling.model_dump() | {name: value for name, value in given.items() if value is not None}
        if merged["samples"] < 1 or merged["steps"] < 1:
            raise InvalidInputError(f"samples is {merged['samples']} and steps is {merged['steps']}; needed: at least 1 each.")
        if merged["sampler"] not in ("ddim", "ddpm") or not 0 <= merged["eta"] <= 1:
            raise InvalidInputError(
                f"the sampler is {merged['sampler']!r} with eta {merged['eta']:g}; needed: ddim or ddpm, and eta from 0 to 1."
            )
        if merged["sampler"] == "ddpm":  # no other number of steps is defined for it
            merged["steps"] = self.config.timesteps
        return merged

    def _require(self, *networks: str) -> None:
        missing = [name for name in networks if name not in self.config.trained]
        if missing:
            raise InvalidInputError(
                f"{self.name} holds no trained {' and '.join(missing)} (it was converted from an earlier stage's checkpoint); "
                "needed: a converted checkpoint of the diffusion stage."
            )

    def _solve(self, micro: Microstructure, axis: Axis, pressure_drop: float, viscosity: float) -> FlowField:
        if self._planar_solver is None:
            raise InvalidInputError("no planar flow was given; needed: start=StartFlows(planar, base), or load_model.")
        return self._planar_solver(micro, axis=axis, pressure_drop=pressure_drop, viscosity=viscosity)

    def _inputs(self, micro: Microstructure, velocity: NDArray[np.floating], axis: Axis) -> tuple[Tensor, Tensor]:
        """Mask (1, S, 1, H, W) and velocity (1, S, 3, H, W), flow along x, padded with fibre to what the networks divide."""
        fluid = micro.fluid if axis == "x" else micro.fluid.swapaxes(1, 2)
        along_x = velocity if axis == "x" else exchanged(velocity)
        height, width = fluid.shape[1:]
        padding = (0, self.system.padded_size(width) - width, 0, self.system.padded_size(height) - height)
        arrays = (fluid[None, :, None], along_x.transpose(1, 0, 2, 3)[None])
        mask, planar = (torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32)) for array in arrays)
        return torch.nn.functional.pad(mask, padding), torch.nn.functional.pad(planar, padding)

    def _sampled(self, fluid: Tensor, planar: Tensor, generator: torch.Generator, sampling: dict[str, Any]) -> Tensor:
        shape = self.system.latent_shape(planar)

        def draw() -> Tensor:
            return torch.randn(shape, generator=generator)

        noise = draw()
        with torch.inference_mode():
            if sampling["sampler"] == "ddpm":
                return self.system.predict(fluid, planar, noise=noise, draw=draw)
            return self.system.predict_ddim(fluid, planar, noise=noise, steps=sampling["steps"], eta=sampling["eta"], draw=draw)

    def _to_flow(
        self,
        micro: Microstructure,
        planar: FlowField,
        axis: Axis,
        fields: Tensor,
        begun: float,
        sampling: dict[str, Any],
        seed: int,
    ) -> FlowField:
        """Crop (samples, S, 3, H, W) to the medium and turn it back to the medium's axes."""
        turned = micro.shape[1:] if axis == "x" else micro.shape[:0:-1]
        velocity = fields[..., : turned[0], : turned[1]].numpy().transpose(0, 2, 1, 3, 4)
        if axis == "y":
            velocity = np.stack([exchanged(sample) for sample in velocity])
        velocity = velocity * micro.fluid
        rates = velocity[:, {"x": 0, "y": 1}[axis]].mean(axis=(1, 2, 3), dtype=np.float64)
        return FlowField(
            microstructure=micro,
            velocity=velocity.mean(axis=0),
            pressure=planar.pressure,
            axis=axis,
            pressure_drop=planar.pressure_drop,
            viscosity=planar.viscosity,
            velocity_std=velocity.std(axis=0, ddof=1) if len(velocity) > 1 else None,
            permeability_samples=planar.viscosity * rates * micro.extent[AXES.index(axis)] / planar.pressure_drop,
            report=ModelReport(
                model=self.name,
                sampler=sampling["sampler"],
                steps=sampling["steps"],
                seed=seed,
                samples=len(velocity),
                wall_time=time.perf_counter() - begun,
                warnings=self._warnings(turned, planar),
            ),
        )

    def _warnings(self, size: tuple[int, ...], planar: FlowField) -> tuple[str, ...]:
        found = [f"{self.name} predicts velocity alone; the pressure of its flow is the planar flow's"]
        (height, width), padded = size, tuple(self.system.padded_size(pixels) for pixels in size)
        if padded != tuple(size):
            found.append(
                f"{width} x {height} pixels were padded with fibre to {padded[1]} x {padded[0]} for the networks "
                "and cropped back"
            )
        largest = self.config.largest_velocity or float(self.system.norm_factors.max())
        ratio = float(np.abs(planar.velocity).max()) / largest
        if not _FAMILIAR[0] <= ratio <= _FAMILIAR[1]:
            found.append(
                f"the planar flow's largest velocity is {ratio:.2g} times that of the model's training data: "
                "the published networks know one drive: choose the pressure drop and viscosity of that data and scale the flow"
            )
        return tuple(found)


_NO_SAMPLER: dict[str, Any] = {"sampler": "none", "steps": 0}


def assembled(config: PaperConfig, state: dict[str, Tensor], source: str) -> PaperSystem:
    """Return the networks of ``config`` with the weights ``state``, which they take without a copy.

    Raises:
        InvalidInputError: names or shapes that do not fit.
    """
    with torch.device("meta"):  # no memory and no random numbers for weights that are replaced at once
        system = PaperSystem(config)
    try:
        system.load_state_dict(state, assign=True)
    except RuntimeError as error:
        detail = str(error).splitlines()[1 if "\n" in str(error) else 0].strip()
        raise InvalidInputError(f"{source} does not fit the published networks: {detail[:200]}") from None
    return system


def exchanged(vectors: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return vectors (3, nz, ny, nx) with the in-plane axes and components exchanged: a mirror, hence an exact symmetry."""
    return np.ascontiguousarray(vectors[[1, 0, 2]].swapaxes(2, 3))


def sample_seed(seed: int, index: int) -> int:
    """One seed a sample: the first is the seed itself, as in the published program; the others are independent of it."""
    if index == 0:
        return seed
    return int(np.random.SeedSequence((seed, index)).generate_state(1, np.uint64)[0] >> 1)


def _read_weights(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise InvalidInputError(f"{path} does not exist; needed: the weights (safetensors) of a converted model.")
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise InvalidInputError(
            f"{path} is no readable safetensors file ({str(error).splitlines()[0]}); copy it again."
        ) from None
