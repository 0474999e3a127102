"""Building blocks of networks: autoencoder, denoiser, U-Net, staggered fields."""

from resinflow.nn.blocks import ResidualBlock
from resinflow.nn.denoiser import Denoiser
from resinflow.nn.integers import has_integers, integer_convolutions
from resinflow.nn.scaling import ScaledTargets
from resinflow.nn.staggered import as_staggered
from resinflow.nn.surface_network import SurfaceEstimate, SurfaceNetwork
from resinflow.nn.unet3d import UNet3d
from resinflow.nn.vae import DualBranchVAE, Posterior

__all__ = [
    "Denoiser",
    "DualBranchVAE",
    "Posterior",
    "ResidualBlock",
    "ScaledTargets",
    "SurfaceEstimate",
    "SurfaceNetwork",
    "UNet3d",
    "as_staggered",
    "has_integers",
    "integer_convolutions",
]
