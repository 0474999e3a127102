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
_LISTS: Any = torch
"""One operation on a list of tensors, as the optimisers of torch do it; not among its typed names."""


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
        everything = list(parameters)
        matrices = [parameter for parameter in everything if parameter.ndim >= 2 and not parameter.is_complex()]
        others = [parameter for parameter in everything if parameter.ndim < 2 or parameter.is_complex()]
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
            pairs = [(parameter, parameter.grad) for parameter in group["params"] if parameter.grad is not None]
            if pairs:
                update = self._orthogonal if group["matrices"] else self._adam
                real = [_as_real(parameter) for parameter, _ in pairs]
                gradients = [_as_real(gradient) for _, gradient in pairs]
                updates = update([parameter for parameter, _ in pairs], gradients, group)
                _LISTS._foreach_mul_(real, 1.0 - group["lr"] * group["weight_decay"])
                _LISTS._foreach_sub_(real, updates, alpha=group["lr"])
        return loss

    def _orthogonal(self, parameters: list[Tensor], gradients: list[Tensor], group: dict[str, Any]) -> list[Tensor]:
        averages = self._averages("average", parameters, gradients)
        _LISTS._foreach_lerp_(averages, gradients, 1.0 - group["momentum"])
        ahead = _LISTS._foreach_lerp(gradients, averages, group["momentum"])  # Nesterov's look-ahead
        alike: dict[tuple[int, int], list[int]] = {}
        for place, matrix in enumerate(ahead):
            alike.setdefault((len(matrix), matrix[0].numel()), []).append(place)
        updates = list(ahead)
        for shape, places in alike.items():  # matrices of one shape together: few large products instead of many small ones
            stack = torch.stack([ahead[place].reshape(shape) for place in places])
            for place, update in zip(places, _SIZE * max(shape) ** 0.5 * orthogonalised(stack), strict=True):
                updates[place] = update.reshape(ahead[place].shape)
        return updates

    def _adam(self, parameters: list[Tensor], gradients: list[Tensor], group: dict[str, Any]) -> list[Tensor]:
        first, second = group["betas"]
        averages = self._averages("average", parameters, gradients)
        squares = self._averages("square", parameters, gradients)
        steps = group["steps"] = group.get("steps", 0) + 1
        _LISTS._foreach_lerp_(averages, gradients, 1.0 - first)
        _LISTS._foreach_lerp_(squares, _LISTS._foreach_mul(gradients, gradients), 1.0 - second)
        roots = _LISTS._foreach_sqrt(_LISTS._foreach_div(squares, 1.0 - second**steps))
        _LISTS._foreach_add_(roots, 1e-8)
        return list(_LISTS._foreach_div(_LISTS._foreach_div(averages, 1.0 - first**steps), roots))

    def _averages(self, name: str, parameters: list[Tensor], gradients: list[Tensor]) -> list[Tensor]:
        """The running averages of that name, which begin at zero."""
        for parameter, gradient in zip(parameters, gradients, strict=True):
            if name not in self.state[parameter]:
                self.state[parameter][name] = torch.zeros_like(gradient)
        return [self.state[parameter][name] for parameter in parameters]


def _as_real(tensor: Tensor) -> Tensor:
    return torch.view_as_real(tensor) if tensor.is_complex() else tensor


def orthogonalised(matrices: Tensor) -> Tensor:
    """Return float32 matrices (..., m, n): the singular vectors of the given ones, singular values about 1 (0.7 to 1.2)."""
    upright = matrices.shape[-2] > matrices.shape[-1]
    wide = matrices.float().mT if upright else matrices.float()
    wide = wide / (wide.norm(dim=(-2, -1), keepdim=True) + _TINY)
    linear, cubic, quintic = _COEFFICIENTS
    for _ in range(_STEPS):
        square = wide @ wide.mT
        wide = linear * wide + (cubic * square + quintic * square @ square) @ wide
    return wide.mT if upright else wide
