"""``python -m resinflow`` is the command line."""

from resinflow.cli import main

main()
