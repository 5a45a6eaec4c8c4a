# Everything below sets itself up: `make demo` and `make test` work in a fresh clone.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
RUN    := $(VENV)/.run
READY  := $(VENV)/.ready
PEERS  := $(VENV)/.peers

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow lint types bench docs clean

help: ## say what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(RUN): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[plot]'
	@touch $(RUN)

$(READY): $(RUN)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $(READY)

$(PEERS): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[peers]'
	@touch $(PEERS)

demo: $(RUN) ## derive, check, train on real digits and write the lecture, in a minute
	$(BIN)/pgm-rbm demo

test: $(READY) ## the tests, on all cores
	$(BIN)/python -m pytest -n auto -m "not slow and not peer"

test-slow: $(PEERS) ## the slow tests and those against optional peers, which are installed
	$(BIN)/python -m pytest -n auto -m "slow or peer"

lint: $(READY) ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY) ## mypy
	$(BIN)/mypy

bench: $(READY) ## measure, paired with plain NumPy, and print the tables
	$(BIN)/python -m benchmarks

clean: ## remove the environment and everything generated
	rm -rf $(VENV) demo-output build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
