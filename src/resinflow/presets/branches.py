"""What the branches of a model's VAE give beyond predictions: D2D(E2D), and the latents of both encoders."""

from __future__ import annotations

from dataclasses import replace
from functools import singledispatch
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from resinflow.flow import FlowField, InvalidInputError
from resinflow.models import PRESSURE_GAIN, StartFlows, build_target, cropped, padded
from resinflow.presets.latent.predictor import FlowPredictor
from resinflow.presets.paper.networks.vae import STRIDE
from resinflow.presets.paper.predictor import PaperPredictor

Latents = dict[str, NDArray[np.floating]]
"""``E2D`` and ``E3D`` to a latent (channels, nz, h, w)."""


class Branches(Protocol):
    """The VAE of a model, seen by its branches."""

    def planar(self, start: StartFlows) -> FlowField:
        """Return D2D(E2D), the planar flow through the 2-D branch."""
        ...

    def latents(self, truth: FlowField, start: StartFlows) -> Latents:
        """Return the mean latents of the encoders that are trained."""
        ...


@singledispatch
def branches_of(predictor: Any) -> Branches:
    """Return the branches of a model.

    Raises:
        InvalidInputError: a model without a dual-branch VAE.
    """
    raise InvalidInputError(f"{predictor.name} has no dual-branch VAE; needed: a model that has one.")


class FlowBranches:
    """Branches of our own model: fields and latents are dimensionless inside."""

    def __init__(self, predictor: FlowPredictor) -> None:
        self._networks, self._predictor = predictor.networks, predictor

    def planar(self, start: StartFlows) -> FlowField:
        """Return D2D(E2D): velocity and pressure of the planar flow."""
        conditions = self._predictor.conditions(start)
        fields = self._tensor(conditions.fields)
        with torch.inference_mode():
            decoded = self._networks.vae.decode_2d(self._networks.vae.encode_2d(fields), fields)
        planar, micro = start.planar, start.planar.microstructure
        vx, vy, deviation = cropped(decoded, micro.shape)[0] * micro.fluid
        profile = 1.0 - (np.arange(micro.shape[2]) + 0.5) / micro.shape[2]
        pressure = (profile + deviation / PRESSURE_GAIN) * conditions.drop * micro.fluid
        velocity = np.stack([vx, vy, np.zeros_like(vx)]) * conditions.speed
        return replace(planar, velocity=velocity, pressure=pressure, face_velocity=None, report=None)

    def latents(self, truth: FlowField, start: StartFlows) -> Latents:
        """Return the mean latents of both encoders."""
        conditions = self._predictor.conditions(start)
        fields = self._tensor(conditions.fields)
        target = self._tensor(build_target(truth, start.base, conditions))
        with torch.inference_mode():
            planar = self._networks.vae.encode_2d(fields)
            volume = self._networks.vae.encode_3d(self._networks.scaled(target), fields).mean
        return {"E2D": planar[0].float().cpu().numpy(), "E3D": volume[0].float().cpu().numpy()}

    def _tensor(self, fields: NDArray[np.float32]) -> Tensor:
        return padded(fields, self._networks.vae.stride).to(self._networks.target_scale.device)


class PaperBranches:
    """Branches of a published model: velocities over the normalisation factors."""

    def __init__(self, predictor: PaperPredictor) -> None:
        self._name = predictor.name
        self._system = predictor.system
        self._trained = predictor.config.trained

    def planar(self, start: StartFlows) -> FlowField:
        """Return D2D(E2D): the planar velocity; the pressure is the planar flow's own, the networks know none.

        Raises:
            InvalidInputError: the 2-D branch of this model is not trained.
        """
        missing = [name for name in ("encoder_2d", "decoder_2d") if name not in self._trained]
        if missing:
            raise InvalidInputError(
                f"{self._name} holds no trained {' and '.join(missing)}; needed: a converted checkpoint of stage 2 of the VAE."
            )
        system, planar = self._system, start.planar
        with torch.inference_mode():
            latent = system.encode_2d(self._tensor(planar)).to(system.dtype)
            decoded = system.denormalised(system.vae.decode_2d(latent).float())
        micro = planar.microstructure
        velocity = cropped(decoded.transpose(1, 2), micro.shape)[0] * micro.fluid
        return replace(planar, velocity=velocity, face_velocity=None, report=None)

    def latents(self, truth: FlowField, start: StartFlows) -> Latents:
        """Return the mean latents of the encoders that are trained."""
        with torch.inference_mode():
            encoders = {
                "E2D": ("encoder_2d", lambda: self._system.encode_2d(self._tensor(start.planar))),
                "E3D": ("encoder_3d", lambda: self._system.encode_3d(self._tensor(truth))),
            }
            return {name: encode()[0].cpu().numpy() for name, (network, encode) in encoders.items() if network in self._trained}

    def _tensor(self, flow: FlowField) -> Tensor:
        """Velocity as (1, S, 3, H, W), padded with fibre to the VAE's stride."""
        height, width = flow.velocity.shape[-2:]
        velocity = torch.from_numpy(np.array(flow.velocity.transpose(1, 0, 2, 3)[None], dtype=np.float32, order="C"))
        whole = torch.nn.functional.pad(velocity, (0, -width % STRIDE, 0, -height % STRIDE))
        return whole.to(self._system.norm_factors.device)


@branches_of.register
def _(predictor: FlowPredictor) -> Branches:
    return FlowBranches(predictor)


@branches_of.register
def _(predictor: PaperPredictor) -> Branches:
    return PaperBranches(predictor)
