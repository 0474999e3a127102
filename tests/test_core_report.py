"""Reports survive the way through JSON."""

import json

import pytest

from resinflow.flow.errors import InvalidInputError
from resinflow.flow.report import ModelReport, SolverReport, report_from_dict, report_to_dict

REPORTS = [
    SolverReport("converged", 12, 1e-9, (1.0, 0.1, 1e-9), 1e-6, 1e-12, 0.5, ("few voxels between fibres",)),
    ModelReport("small", "ddim", 20, 3, 8, 1.5),
]


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: type(report).__name__)
def test_a_report_comes_back_equal(report):
    assert report_from_dict(json.loads(json.dumps(report_to_dict(report)))) == report


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "oracle"}, "kind is 'oracle'; needed: one of"),
        ({}, "kind is None"),
        ({"kind": "model", "model": "small"}, "report cannot be read"),
        ({**report_to_dict(REPORTS[1]), "colour": "red"}, "report cannot be read: .*colour"),
    ],
)
def test_a_foreign_report_is_refused(values, message):
    with pytest.raises(InvalidInputError, match=message):
        report_from_dict(values)
