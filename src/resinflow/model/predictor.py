"""Prediction of a 3-D flow field by latent diffusion, from the planar flow and a base flow."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError

from resinflow.core import FlowField, InvalidInputError, Microstructure, ModelReport
from resinflow.core.flow import Base
from resinflow.core.microstructure import AXES, Axis
from resinflow.diffusion import Bridge
from resinflow.model.conditioning import Conditions, build_conditions
from resinflow.model.config import ModelConfig
from resinflow.model.directory import CONFIG, LOG, WEIGHTS, read_log, write_model
from resinflow.model.networks import LatentDiffusion, load_weights
from resinflow.nn.blocks import FOLD

SCHEMA = "resinflow-model-1"


@dataclass(frozen=True)
class StartFlows:
    """The two flows that a prediction starts from: each slice by itself, and the base that the networks correct."""

    planar: FlowField
    base: FlowField


StartSolver = Callable[..., StartFlows]
"""(microstructure, base=, axis=, pressure_drop=, viscosity=) -> StartFlows; from outside, so that a model needs no solver."""


class FlowPredictor:
    """A trained model: networks, configuration, scaling and the story of its training.

    Attributes:
        name: what the model is called in tables.
        config: sizes of the networks and defaults of the sampler.
        networks: the networks with their weights.
        log: how it was trained (recipe, data fingerprint, history).
    """

    def __init__(
        self,
        name: str,
        config: ModelConfig,
        networks: LatentDiffusion,
        log: dict[str, Any] | None = None,
        start_solver: StartSolver | None = None,
    ) -> None:
        self.name = name
        self.config = config
        self.networks = networks.eval()
        self.log = log or {}
        self._start_solver = start_solver

    @property
    def base(self) -> Base:
        """The flow that the networks correct."""
        return self.config.base

    @classmethod
    def load(cls, directory: str | Path, start_solver: StartSolver | None = None) -> FlowPredictor:
        """Rebuild a model from its directory (``config.json``, ``model.safetensors``, ``log.json``).

        Raises:
            InvalidInputError: not a model directory, or damaged files.
        """
        directory = Path(directory)
        if not (directory / CONFIG).is_file():
            raise InvalidInputError(f"{directory} is no model; needed: a folder with {CONFIG}, {WEIGHTS} and {LOG}.")
        try:
            document = json.loads((directory / CONFIG).read_text(encoding="utf-8"))
            if document.get("schema") != SCHEMA:
                raise InvalidInputError(f"{directory} has schema {document.get('schema')!r}; needed: {SCHEMA!r}.")
            config = ModelConfig.model_validate(document["config"])
            log = read_log(directory)
        except (json.JSONDecodeError, UnicodeDecodeError, KeyError, AttributeError, ValidationError) as error:
            raise InvalidInputError(f"{directory}/{CONFIG} cannot be read ({str(error).splitlines()[0]}).") from None
        networks = LatentDiffusion(config)
        load_weights(networks, directory / WEIGHTS)
        return cls(str(document["name"]), config, networks, log, start_solver)

    def save(self, directory: str | Path) -> Path:
        """Write the model to ``directory``, whole or not at all."""
        document = {"schema": SCHEMA, "name": self.name, "config": self.config.model_dump(mode="json")}
        return write_model(directory, self.networks, document, self.log)

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
    ) -> FlowField:
        """Return the predicted 3-D flow: the mean of the samples, with their spread and their permeabilities.

        Args:
            micro: the medium; fibres run roughly along z, voxels square in the slice plane.
            axis: ``x`` or ``y``, the direction of the pressure drop.
            pressure_drop: Pa.
            viscosity: Pa s.
            samples: how many latents are drawn.
            steps: denoiser calls a sample.
            seed: sample i depends on (seed, i) alone.
            start: planar and base flow of this medium and drive where they are known already.

        Raises:
            InvalidInputError: an axis or a medium that the model does not know, or no start flows and no solver for them.
        """
        if axis not in ("x", "y"):
            raise InvalidInputError(f"the model's flow axis is {axis!r}; needed: x or y. Along z use resinflow.solve.")
        samples = self.config.samples if samples is None else samples
        steps = self.config.sampler_steps if steps is None else steps
        if samples < 1 or steps < 1:
            raise InvalidInputError(f"samples is {samples} and steps is {steps}; needed: at least 1 each.")
        begun = time.perf_counter()
        if start is None:
            if self._start_solver is None:
                raise InvalidInputError("no start flows were given; needed: start=StartFlows(planar, base), or load_model.")
            start = self._start_solver(
                micro, base=self.config.base, axis=axis, pressure_drop=pressure_drop, viscosity=viscosity
            )
        conditions, base = self._conditions(micro, start, axis)
        decoded = self._sampled(conditions, samples, steps, seed)
        return self._to_flow(micro, start, axis, conditions, base, decoded, begun, steps, seed)

    def predict_mean_latent(self, start: StartFlows) -> FlowField:
        """Return D3D(E2D): the deterministic cross-reconstruction without the diffusion (flow along x)."""
        begun = time.perf_counter()
        conditions, base = self._conditions(start.planar.microstructure, start, "x")
        fields, crop = _padded(conditions.fields)
        with torch.inference_mode():
            target = self.networks.vae.decode_3d(self.networks.vae.encode_2d(fields), fields)
            decoded = self.networks.unscaled(target)[..., : crop[0], : crop[1]].numpy()
        return self._to_flow(start.planar.microstructure, start, "x", conditions, base, decoded, begun, 0, 0)

    def reconstruct(self, truth: FlowField, start: StartFlows) -> FlowField:
        """Return D3D(E3D) of a known flow along x: the ceiling that the VAE sets to any prediction."""
        begun = time.perf_counter()
        conditions, base = self._conditions(truth.microstructure, start, "x")
        fields, crop = _padded(conditions.fields)
        target, _ = _padded(_correction(truth, base, conditions))
        with torch.inference_mode():
            latent = self.networks.vae.encode_3d(self.networks.scaled(target), fields).mean
            decoded = self.networks.unscaled(self.networks.vae.decode_3d(latent, fields))[..., : crop[0], : crop[1]].numpy()
        return self._to_flow(truth.microstructure, start, "x", conditions, base, decoded, begun, 0, 0)

    def _conditions(self, micro: Microstructure, start: StartFlows, axis: Axis) -> tuple[Conditions, NDArray[np.floating]]:
        """Conditions with the flow along x, and the base flow (velocity, pressure) that the correction is added to."""
        _, dy, dx = micro.spacing
        if abs(dy - dx) > 0.01 * dx:
            raise InvalidInputError(
                f"the pixels are {dx:g} x {dy:g} m; needed: square pixels in the slice plane. Resample first."
            )
        planar, base = (_turned(flow, axis) for flow in (start.planar, start.base))
        conditions = build_conditions(planar, base)
        return conditions, np.concatenate([base.velocity, base.pressure[None]])

    def _sampled(self, conditions: Conditions, samples: int, steps: int, seed: int) -> NDArray[np.floating]:
        """Draw latents and decode them: (samples, 4, nz, ny, nx), velocity and pressure corrections, dimensionless."""
        networks, bridge = self.networks, Bridge(self.config.bridge_noise)
        fields, crop = _padded(conditions.fields)
        with torch.inference_mode():
            start = networks.scaled_latent(networks.vae.encode_2d(fields))
            decoded = []
            for index in range(samples):  # one at a time: memory stays that of one sample, results that of any batch size
                generator = torch.Generator().manual_seed(_sample_seed(seed, index))
                latent = bridge.sample(
                    lambda noisy, level: networks.denoiser(noisy, start, fields, level),
                    start,
                    steps=steps,
                    generators=[generator],
                )
                target = networks.unscaled(networks.vae.decode_3d(networks.unscaled_latent(latent), fields))
                decoded.append(target[..., : crop[0], : crop[1]].numpy())
        return np.concatenate(decoded)

    def _to_flow(
        self,
        micro: Microstructure,
        start: StartFlows,
        axis: Axis,
        conditions: Conditions,
        base: NDArray[np.floating],
        decoded: NDArray[np.floating],
        begun: float,
        steps: int,
        seed: int,
    ) -> FlowField:
        """Base plus scaled corrections, in SI and in the medium's axes."""
        units = np.array([conditions.speed] * 3 + [conditions.drop]).reshape(1, 4, 1, 1, 1)
        fields = _turned_back((base[None] + units * decoded), axis)  # (samples, 4, nz, ny, nx)
        fields = fields * micro.fluid
        mean = fields.mean(axis=0)
        along = {"x": 0, "y": 1}[axis]
        length = micro.extent[AXES.index(axis)]
        rates = fields[:, along].mean(axis=(1, 2, 3), dtype=np.float64)
        several = len(fields) > 1
        planar = start.planar
        return FlowField(
            microstructure=micro,
            velocity=mean[:3],
            pressure=mean[3],
            axis=axis,
            pressure_drop=planar.pressure_drop,
            viscosity=planar.viscosity,
            velocity_std=fields[:, :3].std(axis=0, ddof=1) if several else None,
            permeability_samples=planar.viscosity * rates * length / planar.pressure_drop,
            report=ModelReport(
                model=self.name,
                sampler="bridge" if steps else "none",
                steps=steps,
                seed=seed,
                samples=len(fields),
                wall_time=time.perf_counter() - begun,
                warnings=_padding_warning(micro),
            ),
        )


def _correction(truth: FlowField, base: NDArray[np.floating], conditions: Conditions) -> NDArray[np.float32]:
    units = np.array([conditions.speed] * 3 + [conditions.drop]).reshape(4, 1, 1, 1)
    whole = np.concatenate([truth.velocity, truth.pressure[None]])
    return ((whole - base) / units * truth.microstructure.fluid).astype(np.float32)


def _turned(flow: FlowField, axis: Axis) -> FlowField:
    """Return a flow along y as a flow along x, by exchanging the two in-plane axes (a mirror, hence exact)."""
    if axis == "x":
        return flow
    micro = flow.microstructure
    dz, dy, dx = micro.spacing
    turned = Microstructure(micro.fluid.swapaxes(1, 2), (dz, dx, dy))
    return FlowField(
        turned,
        flow.velocity[[1, 0, 2]].swapaxes(2, 3),
        flow.pressure.swapaxes(1, 2),
        axis="x",
        pressure_drop=flow.pressure_drop,
        viscosity=flow.viscosity,
    )


def _turned_back(fields: NDArray[np.floating], axis: Axis) -> NDArray[np.floating]:
    """Undo :func:`_turned` on (samples, 4, nz, ny, nx)."""
    return fields if axis == "x" else np.ascontiguousarray(fields[:, [1, 0, 2, 3]].swapaxes(3, 4))


def _padded(fields: NDArray[np.float32]) -> tuple[torch.Tensor, tuple[int, int]]:
    """Return (1, C, D, H, W) padded with fibre (zeros) to multiples of the stride, and the size to crop back to."""
    height, width = fields.shape[-2:]
    tensor = torch.from_numpy(fields)[None]
    padding = (0, -width % FOLD, 0, -height % FOLD)
    return torch.nn.functional.pad(tensor, padding), (height, width)


def _padding_warning(micro: Microstructure) -> tuple[str, ...]:
    _, ny, nx = micro.shape
    if ny % FOLD == 0 and nx % FOLD == 0:
        return ()
    return (
        f"{nx} x {ny} pixels were padded with fibre to {nx + -nx % FOLD} x {ny + -ny % FOLD} for the networks and cropped back",
    )


def _sample_seed(seed: int, index: int) -> int:
    """One seed a sample: the result depends neither on the number of samples nor on their order."""
    entropy: Sequence[int] = (seed, index)
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> 1)
