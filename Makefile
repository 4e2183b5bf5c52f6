# Everything runs from a clean checkout on a machine with Python 3.11 or newer.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test check bench prove clean

demo: $(STAMP)  ## the workday of the example workspace, with real agent processes
	@$(BIN)/clawfiles demo

test: $(STAMP)  ## every test but the long proofs
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow"

check: $(STAMP)  ## lint, format and types
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

bench: $(STAMP)  ## what things cost, as ratios within one run
	@$(BIN)/python benchmarks/bench.py

prove: $(STAMP)  ## the long proofs: kill storms, every crash point, large property runs
	@$(BIN)/python -m pytest -m slow

$(STAMP): pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	@$(BIN)/python -m pip install --quiet --editable . --group dev
	@touch $(STAMP)

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
