"""What each choice of the model buys: a reference and its variants, on the same data with the same budget.

    export OMP_NUM_THREADS=1
    python benchmarks/ablation.py --data data/small.zarr --out runs/ablation [--only NAME ...] [--jobs 1]
    python benchmarks/ablation.py --data data/small.zarr --out runs/ablation --table

Variants are those of recipes/ablation.yaml. A variant that is finished is left alone and one that was interrupted goes on, so
that the same command is run again after a stop. Writes ablation.csv and prints a Markdown table: relative L2 error of velocity,
vz and pressure, mean and 90th percentile of |error of K|, CPU minutes of the training (those of stages that are the reference's
included), and parameters. ``--table`` reads only what is there. ``--speed`` prints the unit of velocity of the variant that has
one for the whole data set: the largest RMS speed of the training split's base flows.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from study import Setting, Study, load_study
from study_run import run_study
from study_table import Row, markdown, read_rows, save_rows

from resinflow.data.open import open_flows
from resinflow.evaluate.options import Split
from resinflow.flow.errors import InvalidInputError

ROOT = Path(__file__).parents[1]
RECIPE = ROOT / "recipes" / "ablation.yaml"


def study_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options of every study."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a data set with splits")
    parser.add_argument("--out", type=Path, required=True, help="folder of the study, one folder a variant in it")
    parser.add_argument("--recipe", type=Path, default=RECIPE)
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these variants, and what they start from")
    parser.add_argument("--jobs", type=int, default=1, help="variants at a time")
    parser.add_argument("--split", choices=get_args(Split), default="test", help="whose samples are scored")
    parser.add_argument("--limit", type=int, help="only the first samples of the split")
    parser.add_argument("--table", action="store_true", help="only read what is there")
    return parser


def setting_of(options: argparse.Namespace) -> Setting:
    """Return what all variants share.

    Raises:
        InvalidInputError: a number of jobs or samples below 1.
    """
    for name in ("jobs", "limit"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise InvalidInputError(f"--{name} is {value}; needed: at least 1.")
    return Setting(options.data, options.out, options.split, options.limit)


def finished_rows(study: Study, setting: Setting, options: argparse.Namespace) -> tuple[list[str], list[Row]]:
    """Run what is missing unless only a table is asked for, write the CSV, and return the variants that failed and all rows.

    Raises:
        InvalidInputError: as :func:`run_study`.
    """
    failed = [] if options.table else run_study(study, setting, only=options.only, jobs=options.jobs)
    rows = read_rows(study, setting)
    save_rows(rows, options.out / f"{study.name}.csv")
    return failed, rows


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
        study, setting = load_study(options.recipe), setting_of(options)
        if options.speed:
            print(f"{largest_speed(options.data, study):.6g}")
            return 0
        failed, rows = finished_rows(study, setting, options)
    except InvalidInputError as error:
        parser.error(str(error))
    print(markdown(rows))
    return len(failed)


if __name__ == "__main__":
    sys.exit(min(main(), 1))
