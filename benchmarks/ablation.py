"""What each choice of the model buys: a reference and its variants, on the same data with the same budget.

    export OMP_NUM_THREADS=1
    python benchmarks/ablation.py --data data/small.zarr --out runs/ablation [--only NAME ...] [--jobs 1]
    python benchmarks/ablation.py --data data/small.zarr --out runs/ablation --table

Variants are those of recipes/ablation.yaml. A variant that is finished is left alone and one that was interrupted goes on, so
that the same command is run again after a stop. Writes ablation.csv and ablation.md and prints the latter: relative L2 error of
velocity, vz and pressure, mean and 90th percentile of |error of K|, CPU minutes of the training (those of stages that are the
reference's included), and parameters. ``--table`` reads only what is there. ``--speed`` prints the unit of velocity of the
variant that has one for the whole data set: the largest RMS speed of the training split's base flows.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from study import Study, finish_study, study_of, study_parser

from resinflow.data.open import open_flows
from resinflow.flow.errors import InvalidInputError


def largest_speed(data: Path, study: Study) -> float:
    """Return the largest RMS speed, m/s, of the reference's base flow over the training split."""
    source = open_flows(data)
    return max(source.sample(int(index)).base(study.reference.model.base).rms_speed for index in source.indices("train"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study and print its table; return how many variants failed."""
    parser = study_parser(__doc__)
    parser.add_argument("--speed", action="store_true", help="only print the data set's unit of velocity, m/s")
    options = parser.parse_args(arguments)
    try:
        study = study_of(options)
        if options.speed:
            print(f"{largest_speed(options.data, study):.6g}")
            return 0
        failures, _, table = finish_study(study, options)
    except InvalidInputError as error:
        parser.error(str(error))
    print(table)
    return len(failures)


if __name__ == "__main__":
    sys.exit(min(main(), 1))
