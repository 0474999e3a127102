"""From the configuration of a deterministic model to its network."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from resinflow.flow import MissingDependencyError
from resinflow.models import CHANNELS, TARGETS, open_mask
from resinflow.nn import ScaledTargets, UNet3d, as_staggered
from resinflow.presets.direct.recipe import DirectArchitecture, FourierSizes


class DirectNetwork(ScaledTargets):
    """One network from the conditions to the correction, with the scaling of the latter.

    Attributes:
        network: maps (B, conditions, D, H, W) to (B, 4, D, H, W).
        stride: height and width must be multiples of it.
        target_scale: (4,), RMS of the targets over the training split.

    Raises:
        MissingDependencyError: a Fourier neural operator without the package that has it.
    """

    def __init__(self, architecture: DirectArchitecture) -> None:
        super().__init__()
        sizes = architecture.network
        if isinstance(sizes, FourierSizes):
            self.network, self.stride = _fourier_operator(sizes), 1
        else:
            self.network = UNet3d(channels_in=len(CHANNELS), channels_out=len(TARGETS), **sizes.model_dump(exclude={"kind"}))
            self.stride = self.network.stride
        self.register_buffer("target_scale", torch.ones(len(TARGETS)))
        self.register_state_dict_post_hook(_without_metadata)

    def forward(self, conditions: Tensor) -> Tensor:
        """Return the target (B, 4, D, H, W), in units of its RMS, for conditions (B, C, D, H, W).

        Its velocity has been on the faces of the voxels, which is where mass is conserved: none crosses those of voxels that
        no resin passes.
        """
        return as_staggered(self.network(conditions).float(), open_mask(conditions))


def _fourier_operator(sizes: FourierSizes) -> nn.Module:
    """Li et al. (2021), Fourier neural operator for parametric partial differential equations, arXiv:2010.08895."""
    try:
        from neuralop.models import FNO
    except ImportError:
        raise MissingDependencyError(
            "the network fno needs neuraloperator, which is not installed; run: pip install 'resinflow[fno]'."
        ) from None
    return FNO(
        n_modes=sizes.modes,
        in_channels=len(CHANNELS),
        out_channels=len(TARGETS),
        hidden_channels=sizes.width,
        n_layers=sizes.layers,
    )


def _without_metadata(module: nn.Module, state: dict[str, Any], prefix: str, local_metadata: dict[str, Any]) -> None:
    """Drop what neuraloperator adds to the weights: the arguments of its constructor, which are no tensors."""
    state.pop("_metadata", None)
