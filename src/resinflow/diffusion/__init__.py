"""Noise schedules, losses and samplers, thin over diffusers; no network is known here."""

from resinflow.diffusion.bridge import Bridge, BridgeDraw

__all__ = ["Bridge", "BridgeDraw"]
