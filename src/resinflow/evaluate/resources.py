"""Peak memory of this process, as the kernel of Linux measures it."""

from __future__ import annotations

from pathlib import Path

_CLEAR = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")
_RESET_PEAK = "5"  # proc(5): resets the peak resident set size of the process to its present size
_PEAK = "VmHWM:"


def reset_memory_peak() -> bool:
    """Let the peak of the resident memory start anew from what is resident now; False where the system cannot (not Linux)."""
    try:
        _CLEAR.write_text(_RESET_PEAK)
    except OSError:
        return False
    return True


def memory_peak() -> float | None:
    """Return the largest resident memory of this process since :func:`reset_memory_peak`, bytes; None if it is unknown."""
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    peaks = [line.split()[1] for line in lines if line.startswith(_PEAK)]
    return 1024.0 * int(peaks[0]) if peaks else None
