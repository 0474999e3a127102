"""Building blocks of networks: autoencoder, denoiser, U-Net, staggered fields."""

from resinflow.nn.blocks import ResidualBlock
from resinflow.nn.denoiser import Denoiser
from resinflow.nn.integers import has_integers, integer_convolutions
from resinflow.nn.scaling import ScaledTargets
from resinflow.nn.staggered import as_staggered
from resinflow.nn.surface_network import SurfaceEstimate, SurfaceNetwork
from resinflow.nn.unet3d import UNet3d
from resinflow.nn.vae import DualBranchVAE, Posterior
from resinflow.nn.volumes import SECTION_CHANNELS, VOLUME_CHANNELS, Question, VolumeNetworks

__all__ = [
    "SECTION_CHANNELS",
    "VOLUME_CHANNELS",
    "Denoiser",
    "DualBranchVAE",
    "Posterior",
    "Question",
    "ResidualBlock",
    "ScaledTargets",
    "SurfaceEstimate",
    "SurfaceNetwork",
    "UNet3d",
    "VolumeNetworks",
    "as_staggered",
    "has_integers",
    "integer_convolutions",
]
