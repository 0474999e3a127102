"""Networks whose targets have a scale of their own."""

from __future__ import annotations

from torch import Tensor, nn


class ScaledTargets(nn.Module):
    """Networks that learn targets in units of their RMS.

    Attributes:
        target_scale: (channels,), RMS of the targets over the training split; a buffer that the networks register.
    """

    target_scale: Tensor

    def scaled(self, target: Tensor) -> Tensor:
        """Return targets (B, channels, D, H, W) in units of their RMS."""
        return target / self.target_scale.view(1, -1, 1, 1, 1)

    def unscaled(self, target: Tensor) -> Tensor:
        """Undo :meth:`scaled`."""
        return target * self.target_scale.view(1, -1, 1, 1, 1)
