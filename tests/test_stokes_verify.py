"""What ``resinflow verify`` claims, on its small sizes."""

import numpy as np
import pytest

from resinflow.stokes.problem.mask import MASK_RULE
from resinflow.stokes.verify import Check, arrays, channels, ducts, orders, tensor


@pytest.mark.parametrize("part", [channels, ducts, tensor], ids=lambda part: part.__name__)
def test_small_checks_pass(part):
    rows = list(part())
    assert rows
    assert [row.name for row in rows if not row.passed] == []


@pytest.fixture(scope="module")
def array_rows():
    return list(arrays((16, 32)))


def test_arrays_keep_their_limits_and_their_order(array_rows):
    limited = [row for row in array_rows if row.limit is not None]
    assert len(limited) == 24
    assert [row.name for row in limited if not row.passed] == []
    observed = {row.name.split(", ")[2]: row for row in orders(array_rows) if row.method == "surface"}
    assert all(row.passed for row in observed.values())
    assert set(observed) == {"transverse", "longitudinal"}


def test_signed_distance_beats_the_mask(array_rows):
    rows = [row for row in array_rows if "32 voxels" in row.name]
    rms = {
        method: np.sqrt(np.mean([row.error**2 for row in rows if row.method == method])) for method in (MASK_RULE, "surface")
    }
    assert rms["surface"] < rms[MASK_RULE] / 3


def test_row_beyond_its_limit_fails():
    assert not Check("case", "gap", 1.2, 1.0, 0.2, 0.1).passed
    assert not Check("case", "gap", 0.8, 1.0, -0.2, 0.1).passed
    assert not Check("case", "gap", float("nan"), 1.0, float("nan"), 0.1).passed
    assert Check("case", "gap", 1.2, 1.0, 0.2, None).passed
