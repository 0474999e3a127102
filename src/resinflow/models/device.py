"""Where networks compute, and in which precision: the one notion of a device."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from typing import Literal

import torch

from resinflow.flow import InvalidInputError
from resinflow.nn import has_integers, integer_convolutions

Device = Literal["auto", "cpu", "cuda"]
"""``auto``: the GPU where PyTorch sees one, else the CPU."""
Arithmetic = Literal["auto", "int8", "bfloat16", "float32"]
"""Precision of the networks' products; ``auto``: bfloat16 where the device multiplies in it by itself, else float32. ``int8``
concerns the large convolutions alone, beside bfloat16, on CPUs that multiply both; elsewhere it is ``auto``."""


def resolve_device(device: Device = "auto") -> torch.device:
    """Return the device that a name stands for.

    Raises:
        InvalidInputError: another name, or ``cuda`` where PyTorch sees no GPU.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise InvalidInputError(f"the device is {device!r}; needed: auto, cpu or cuda.")
    if device == "cpu":
        return torch.device("cpu")
    if torch.cuda.is_available():
        return torch.device("cuda")
    if device == "cuda":
        raise InvalidInputError("the device is 'cuda', but PyTorch sees no GPU here; needed: auto or cpu.")
    return torch.device("cpu")


def arithmetic(device: torch.device, precision: Arithmetic = "auto") -> AbstractContextManager[object]:
    """Return the context in which networks on ``device`` compute their products in ``precision``, without gradients."""
    context = ExitStack()
    if product_type(device, precision) != torch.float32:
        context.enter_context(torch.autocast(device.type, torch.bfloat16))
    if device.type == "cpu" and has_integers() and precision == "int8":
        context.enter_context(integer_convolutions())
    return context


def product_type(device: torch.device, precision: Arithmetic = "auto") -> torch.dtype:
    """Return the type in which networks on ``device`` take their input: it saves converting that again and again."""
    if precision == "float32" or (precision != "bfloat16" and not has_bfloat16(device)):
        return torch.float32
    return torch.bfloat16


def quickest(device: torch.device, precision: Arithmetic) -> Arithmetic:
    """Return ``int8`` in the place of ``auto`` where the device multiplies eight-bit integers and bfloat16 itself."""
    return "int8" if precision == "auto" and device.type == "cpu" and has_integers() else precision


def has_bfloat16(device: torch.device) -> bool:
    """Return whether a device multiplies in bfloat16 itself; others emulate it, many times slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)())
    return False
