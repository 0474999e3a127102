"""How latents are drawn: the diffusion process of a model."""

from __future__ import annotations

from resinflow.diffusion import Bridge, Noising
from resinflow.model.config import ModelConfig

Process = Bridge | Noising


def process_of(config: ModelConfig) -> Process:
    """Return the process that the denoiser is trained for, and sampled by."""
    return Bridge(config.bridge_noise) if config.process == "bridge" else Noising()
