"""The published networks to the letter: same outputs for the same weights, same names and shapes in the state dict.

The parts differ from those of :mod:`resinflow.nn` in kind, not in size: GroupNorm over the whole volume, a decoder that sees
the latent alone, and a denoiser that treats every slice by itself.
"""

from resinflow.nn.paper.unet import UNet
from resinflow.nn.paper.vae import DualBranchVAE

__all__ = ["DualBranchVAE", "UNet"]
