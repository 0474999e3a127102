"""Networks in plain PyTorch: they know tensors, not resin."""

from resinflow.nn.denoiser import Denoiser
from resinflow.nn.dual_vae import DualBranchVAE, Posterior

__all__ = ["Denoiser", "DualBranchVAE", "Posterior"]
