"""The optimiser Muon: steps of equal size in all directions of a weight matrix.

The averaged gradient of a matrix is replaced by the nearest orthogonal one before the step (Jordan et al. 2024, "Muon: an
optimizer for hidden layers in neural networks", with its coefficients of the Newton-Schulz iteration), at the size that an
AdamW step would have (Liu et al. 2025, "Muon is scalable for LLM training", arXiv:2502.16982, eq. 4), so that one learning rate
serves both. A convolution counts as the matrix from all inputs under its kernel to its outputs. Vectors and complex weights
take AdamW (Loshchilov and Hutter 2019). torch.optim.Muon knows matrices only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

_STEPS = 5
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_SIZE = 0.2
"""Root mean square of an AdamW step, in learning rates."""
_TINY = 1e-7


class Muon(torch.optim.Optimizer):
    """Muon for parameters of two axes and more, AdamW for the others.

    Args:
        parameters: to be trained.
        lr: learning rate of both.
        weight_decay: decoupled, of both.
        momentum: decay of the gradient's average in Muon.
        betas: decays of AdamW.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float,
        *,
        weight_decay: float = 0.0,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.999),
    ) -> None:
        known = list(parameters)
        matrices = [parameter for parameter in known if parameter.ndim >= 2 and not parameter.is_complex()]
        others = [parameter for parameter in known if parameter.ndim < 2 or parameter.is_complex()]
        groups = [{"params": part, "matrices": part is matrices} for part in (matrices, others) if part]
        super().__init__(groups, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "betas": betas})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """Take one step; ``closure`` is evaluated before it, and its value returned."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            update = self._orthogonal if group["matrices"] else self._adam
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.mul_(1.0 - group["lr"] * group["weight_decay"])
                    parameter.sub_(group["lr"] * update(parameter, parameter.grad, group))
        return loss

    def _orthogonal(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> Tensor:
        state = self.state[parameter]
        if not state:
            state["average"] = torch.zeros_like(parameter)
        average = state["average"].lerp_(gradient, 1.0 - group["momentum"])
        ahead = gradient.lerp(average, group["momentum"])  # Nesterov's look-ahead
        matrix = ahead.reshape(len(ahead), -1)
        return _SIZE * max(matrix.shape) ** 0.5 * orthogonalised(matrix).reshape(parameter.shape)

    def _adam(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> Tensor:
        if parameter.is_complex():
            return torch.view_as_complex(self._adam_real(parameter, torch.view_as_real(gradient), group))
        return self._adam_real(parameter, gradient, group)

    def _adam_real(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> Tensor:
        state, (first, second) = self.state[parameter], group["betas"]
        if not state:
            state["step"] = torch.zeros(())
            state["average"], state["square"] = torch.zeros_like(gradient), torch.zeros_like(gradient)
        state["step"] += 1
        average = state["average"].lerp_(gradient, 1.0 - first) / (1.0 - first ** state["step"])
        square = state["square"].lerp_(gradient.square(), 1.0 - second) / (1.0 - second ** state["step"])
        return average / (square.sqrt() + 1e-8)


def orthogonalised(matrix: Tensor) -> Tensor:
    """Return a matrix with the singular vectors of ``matrix`` and singular values about 1 (0.7 to 1.2), float32."""
    wide = matrix.float() if matrix.shape[0] <= matrix.shape[1] else matrix.float().T
    wide = wide / (wide.norm() + _TINY)
    linear, cubic, quintic = _COEFFICIENTS
    for _ in range(_STEPS):
        square = wide @ wide.T
        wide = linear * wide + (cubic * square + quintic * square @ square) @ wide
    return wide if matrix.shape[0] <= matrix.shape[1] else wide.T
