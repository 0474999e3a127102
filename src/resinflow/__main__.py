"""``python -m resinflow`` is the command line."""

from resinflow.cli.app import main

main()
