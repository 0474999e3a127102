"""What the CPU can do."""

from __future__ import annotations

import torch


def has_bfloat16() -> bool:
    """Return whether this CPU multiplies in bfloat16 itself; others emulate it, many times slower than float32."""
    return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)())
