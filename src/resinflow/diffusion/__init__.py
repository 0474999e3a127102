"""Noise schedules, losses and samplers, thin over diffusers; no network is known here."""

from resinflow.diffusion.bridge import Bridge, BridgeDraw
from resinflow.diffusion.ddpm import NoiseSchedule, sample_ddim, sample_ddpm
from resinflow.diffusion.noising import Noising

__all__ = ["Bridge", "BridgeDraw", "NoiseSchedule", "Noising", "sample_ddim", "sample_ddpm"]
