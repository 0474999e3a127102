# Everything here needs a Python >= 3.11 with its venv module, and nothing else: the first target run sets up .venv.
# The first set-up downloads about 1 GB, or about 4 GB where PyPI's torch brings CUDA; later runs download nothing.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
IS_RECENT := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for name in python3.11 python3; do "$$name" -c '$(IS_RECENT)' 2>/dev/null && { echo "$$name"; break; }; done)
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check --quiet --constraint constraints.txt

.PHONY: help setup demo docs test test-slow test-app lint format retrain clean

help:
	@echo 'make demo       solve and predict an example flow; figures and report go to demo/'
	@echo 'make docs       write the tables of commands, options and recipes in the docs anew'
	@echo 'make test       quick tests'
	@echo 'make test-slow  the tests that take longer'
	@echo 'make test-app   tests of the app in a browser (needs chromium)'
	@echo 'make lint       ruff and pyright'
	@echo 'make format     rewrite the sources as ruff formats them'
	@echo 'make retrain    train the shipped model again from nothing'
	@echo 'make clean      remove caches and the demo output (keeps .venv)'

setup: $(STAMP)

# Build tools go into the environment, so that the editable install downloads none of its own and they are pinned, too.
$(STAMP): pyproject.toml constraints.txt
	@$(or $(PYTHON),false) -c '$(IS_RECENT)' 2>/dev/null || { \
	  echo 'resinflow needs Python 3.11 or newer, and none was found; install it, or name one: make PYTHON=/path/to/python3.11' >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV) || { \
	  echo 'the virtual environment cannot be made; on Debian and Ubuntu run: apt-get install python3.11-venv' >&2; exit 1; }
	@echo 'Installing resinflow and its libraries into $(VENV) (the first time takes some minutes) ...'
	@$(PIP_INSTALL) hatchling editables
	@$(PIP_INSTALL) --no-build-isolation --editable '.[view,app,test,dev]'
	@touch $@

demo: $(STAMP)
	$(BIN)/resinflow demo --output demo

docs: $(STAMP)
	$(BIN)/python -m resinflow.cli.reference

# A process a core, of one thread each: threads that wait for each other's cores are ten times slower.
test: $(STAMP)
	OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" --numprocesses logical --maxprocesses 4 --dist loadfile

test-slow: $(STAMP)
	$(BIN)/python -m pytest -m "slow and not browser"

test-app: $(STAMP)
	$(BIN)/python -m pytest -m browser --numprocesses 2 --dist worksteal $(PYTEST_OPTIONS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

retrain: $(STAMP)
	PATH="$(CURDIR)/$(BIN):$$PATH" bash recipes/retrain.sh

clean:
	rm -rf .pytest_cache .ruff_cache .hypothesis build dist demo
	find src tests benchmarks -type d -name __pycache__ -prune -exec rm -rf {} +
