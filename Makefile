# Everything runs from a clean checkout on a machine with Python 3.11 or newer.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNS := $(VENV)/.runs
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test check pages bench prove mutants graveyard storm soak test-agents test-openclaw bench-openclaw demo-openclaw lock clean
MINUTES ?= 10

demo: $(RUNS)  ## the workday of the example workspace, with real agent processes
	@$(BIN)/clawfiles demo

test: $(STAMP)  ## every test but the long proofs
	@$(BIN)/python -m pytest

check: $(STAMP)  ## lint, format and types
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

pages: $(STAMP)  ## write the pages of docs/reference/ that are generated from the program
	@$(BIN)/python -m docs.generate

bench: $(STAMP)  ## what things cost, as ratios within one run
	@PYTHONPATH=. $(BIN)/python benchmarks/bench.py

prove: $(STAMP)  ## the long proofs and a table of what was tried how often; SHORT=1 tries them a tenth as often
	@CLAWFILES_PROVE=$(if $(SHORT),short,long) $(BIN)/python -m pytest -n 2 --dist worksteal --hypothesis-profile=default \
	  -m "(slow or proof) and not realagents and not openclaw"

mutants: $(STAMP)  ## guards of the core, each taken out once: which test notices it
	@$(BIN)/python tests/mutants.py

graveyard: $(STAMP)  ## public bugs of tools that do parts of this job: what their users saw, what happens here
	@$(BIN)/python -m pytest -n 2 --dist loadfile tests/graveyard --table

storm: $(STAMP)  ## of these: the daemon killed a hundred times under load
	@$(BIN)/python -m pytest -m "slow and not realagents and not openclaw" tests/daemon/test_kill_storm.py

soak: $(STAMP)  ## a busy office whose daemon is killed every half minute, looked at all the time, for MINUTES=10
	@SOAK_MINUTES=$(MINUTES) $(BIN)/python -m pytest tests/soak/test_soak.py

test-agents: $(STAMP)  ## Claude Code, Codex and Gemini CLI, with a scripted model and no network; installs them once by npm
	@CLAWFILES_REAL_AGENTS="$$(tests/realagents/install.sh)" \
	  TMPDIR=/var/tmp tests/loopback.sh $(BIN)/python -m pytest -n 0 -m realagents -rs tests/realagents

test-openclaw: $(STAMP)  ## a real OpenClaw gateway with a scripted model and no network; installs both once (850 MB)
	@tests/openclaw/install.sh $(BIN)/python -m pytest -n 0 -m openclaw -rs tests/openclaw

bench-openclaw: $(STAMP)  ## a day's looking, OpenClaw's heartbeat beside ours, counted at a scripted model; 16 minutes
	@tests/openclaw/install.sh $(BIN)/python benchmarks/heartbeats.py

demo-openclaw: $(STAMP)  ## the workday again, with sam and peter living in a real OpenClaw gateway
	@tests/openclaw/install.sh $(BIN)/python tests/openclaw/day.py

$(RUNS): pyproject.toml constraints.txt
	@test -x $(BIN)/python || { echo "making a Python environment in $(VENV)/"; $(PYTHON) -m venv $(VENV); }
	@echo "installing clawfiles and the libraries that it needs to run"
	@$(PIP) --constraint constraints.txt --editable .
	@touch $(RUNS)

$(STAMP): $(RUNS)
	@echo "installing what the tests and the checkers need; this takes a minute"
	@$(PIP) --upgrade "pip>=25.1"
	@$(PIP) --constraint constraints.txt --editable '.[acp,mcp,notify,openclaw,sql,web]' --group dev
	@touch $(STAMP)

lock:  ## write constraints.txt: the newest versions that pyproject.toml allows
	@rm -rf $(VENV)/lock && $(PYTHON) -m venv $(VENV)/lock && $(VENV)/lock/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	@$(VENV)/lock/bin/python -m pip install --quiet --editable '.[acp,mcp,notify,openclaw,sql,web]' --group dev
	@$(VENV)/lock/bin/python -m pip freeze --exclude-editable | tr A-Z_ a-z- >constraints.txt && rm -rf $(VENV)/lock

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
