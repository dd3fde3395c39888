# One environment, made from nothing: Python 3.11 or newer is all that has to be there.
PYTHON ?= python3
BIN    := .venv/bin
READY  := .venv/ready

.PHONY: campaign test quick check clean

campaign: $(READY)  ## The paper's problem on the twin in daylight, over HTTP: verdict and report
	OPENBLAS_NUM_THREADS=1 $(BIN)/sdl twin serve --port 0 --option daylight=1500 --option memory_h=1 --option speed=20 -- \
	  $(BIN)/sdl run deployments/paper.toml --again --set instrument.url={url}

test: $(READY) check  ## Every test, the slow ones too
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup

quick: $(READY)  ## The tests that take no more than a few seconds each
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup -m "not slow"

check: $(READY)  ## Style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $(READY)

clean:
	rm -rf .venv
