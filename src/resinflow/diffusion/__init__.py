"""Processes of diffusion models: the bridge, noise levels, DDPM."""

from resinflow.diffusion.bridge import Bridge, BridgeDraw
from resinflow.diffusion.ddpm import CLIP, Draw, NoiseSchedule, sample_ddim, sample_ddpm
from resinflow.diffusion.levels import Noising

__all__ = ["CLIP", "Bridge", "BridgeDraw", "Draw", "NoiseSchedule", "Noising", "sample_ddim", "sample_ddpm"]
