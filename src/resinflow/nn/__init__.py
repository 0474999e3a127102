"""Building blocks of networks: autoencoder, denoiser, U-Net, staggered fields."""

from resinflow.nn.blocks import ResidualBlock
from resinflow.nn.denoiser import Denoiser
from resinflow.nn.fibre_graph import EDGE_CHANNELS, FACTS, FibreGraph, SlopeNetwork, joined
from resinflow.nn.integers import has_integers, integer_convolutions
from resinflow.nn.scaling import ScaledTargets
from resinflow.nn.staggered import as_staggered
from resinflow.nn.surface_network import SurfaceEstimate, SurfaceNetwork
from resinflow.nn.unet3d import UNet3d
from resinflow.nn.vae import DualBranchVAE, Posterior
from resinflow.nn.volumes import SECTION_CHANNELS, VOLUME_CHANNELS, Question, VolumeNetworks

__all__ = [
    "EDGE_CHANNELS",
    "FACTS",
    "SECTION_CHANNELS",
    "VOLUME_CHANNELS",
    "Denoiser",
    "DualBranchVAE",
    "FibreGraph",
    "Posterior",
    "Question",
    "ResidualBlock",
    "ScaledTargets",
    "SlopeNetwork",
    "SurfaceEstimate",
    "SurfaceNetwork",
    "UNet3d",
    "VolumeNetworks",
    "as_staggered",
    "has_integers",
    "integer_convolutions",
    "joined",
]
