# One environment, made from nothing: Python 3.11 or newer is all that has to be there.
PYTHON ?= python3
BIN    := .venv/bin
RUNS   := .venv/ready-for-a-campaign
TESTED := .venv/ready-for-the-tests
# Modules are compiled where they are first imported: of those that are installed, the tests import a tenth.
export PYTHONDONTWRITEBYTECODE :=
INSTALL = $(PYTHON) -m venv .venv && $(BIN)/python -m pip install --no-compile --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: campaign test quick check clean

campaign: $(RUNS)  ## The paper's problem on the twin in daylight, over HTTP: verdict and report
	OPENBLAS_NUM_THREADS=1 $(BIN)/sdl twin serve --port 0 --option daylight=1500 --option memory_h=1 --option speed=20 -- \
	  $(BIN)/sdl run deployments/paper.toml --again --set instrument.url={url} --set instrument.apparatus=twin

test: $(TESTED) check  ## Every test, the slow ones too
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n 3 --dist loadscope --no-loadscope-reorder

quick: $(TESTED)  ## The tests that take no more than a few seconds each
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n 3 --dist loadscope -m "not slow"

check: $(TESTED)  ## Style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(RUNS): pyproject.toml constraints.txt  # no deep learning: a third of what the tests need
	$(INSTALL) --editable .
	touch $@

$(TESTED): pyproject.toml constraints.txt
	$(INSTALL) --editable '.[dev]'
	touch $@ $(RUNS)

clean:
	rm -rf .venv
