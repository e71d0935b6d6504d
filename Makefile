# make run   sets up and runs the end of day of a sample world
# make test  sets up and passes the tests
PYTHON ?= python3
PYTHON3_11 ?= python3.11
PYTHON3_12 ?= python3.12
BIN := .venv/bin
# Of the tests: one more than cores, since some of them wait for servers that start and stop.
PROCESSES ?= $(shell echo $$(($$(nproc 2>/dev/null || echo 2) + 1)))
export DO_NOT_TRACK := 1

.DEFAULT_GOAL := help
.PHONY: help setup run serve test test-all kernels check bench fault fault-release soak clean

help: ## show the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.ready ## make .venv with the locked dependencies (uv where it is there, else pip)

.venv/.ready: pyproject.toml constraints.txt
	@if command -v uv >/dev/null 2>&1; then \
	  { [ -x $(BIN)/python ] || uv venv --quiet --no-python-downloads .venv; } && \
	  uv pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[dev]'; \
	else \
	  { [ -x $(BIN)/python ] || $(PYTHON) -m venv .venv; } && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'; \
	fi
	@touch $@

run: setup ## make a sample world and run its last end of day
	@$(BIN)/plimsoll demo

serve: setup ## Prefect server, schedules and runner on loopback
	@$(BIN)/plimsoll serve

check: setup ## formatting, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

test: setup ## what CI runs: checks and the default tests
	@$(MAKE) --no-print-directory -j 2 check kernels
	$(BIN)/python -m pytest -n $(PROCESSES)

test-all: check ## the default tests and the slow ones
	PLIMSOLL_EXAMPLES=all $(BIN)/python -m pytest -n $(PROCESSES) -m 'not fault and not benchmark'

# Compiled while types are checked, which takes one core.
kernels: setup
	@$(BIN)/python -m tests.kernels

fault: setup ## kill at every crash point, race and starve: lose and double nothing; resumes
	$(BIN)/python -m tests.fault
	$(BIN)/python -m pytest -n 2 -m fault tests

fault-release: setup ## the size of a release: 100,000 lives of transfers that are killed; resumes
	$(BIN)/python -m tests.fault --lifecycles 100000

soak: setup ## an hour of busy load with random faults, invariants checked; SOAK='--minutes 5 --scale 0.1'
	$(BIN)/python -m tests.soak $(SOAK)

bench: .venv/.bench .venv-peers/.ready .venv-nautilus/.ready ## time and memory against peers, side by side in one run
	$(BIN)/python -m tests.benchmark

# A peer that cannot be installed has a row in the tables that says so, and does not stop the rest.
.venv/.bench: .venv/.ready
	@if command -v uv >/dev/null 2>&1; then \
	  uv pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[dev,bench]'; \
	else \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,bench]'; \
	fi && touch $@ || echo 'make bench: some peers are not there'

# Peers that need a numba which the engine has left behind, hence Python 3.11.
.venv-peers/.ready: tests/benchmark/peers.txt
	@if command -v uv >/dev/null 2>&1; then \
	  { [ -x .venv-peers/bin/python ] || uv venv --quiet --no-python-downloads --python 3.11 .venv-peers; } && \
	  uv pip install --quiet --python .venv-peers/bin/python -r $<; \
	else \
	  { [ -x .venv-peers/bin/python ] || $(PYTHON3_11) -m venv .venv-peers; } && \
	  .venv-peers/bin/python -m pip install --quiet --disable-pip-version-check -r $<; \
	fi && touch $@ || echo 'make bench: the peers that need Python 3.11 are not there'

# It pins packages of its own, and needs Python 3.12.
.venv-nautilus/.ready: tests/benchmark/peers-nautilus.txt
	@if command -v uv >/dev/null 2>&1; then \
	  { [ -x .venv-nautilus/bin/python ] || uv venv --quiet --no-python-downloads --python 3.12 .venv-nautilus; } && \
	  uv pip install --quiet --python .venv-nautilus/bin/python -r $<; \
	else \
	  { [ -x .venv-nautilus/bin/python ] || $(PYTHON3_12) -m venv .venv-nautilus; } && \
	  .venv-nautilus/bin/python -m pip install --quiet --disable-pip-version-check -r $<; \
	fi && touch $@ || echo 'make bench: NautilusTrader is not there'

clean: ## remove what setup and runs have made
	rm -rf .venv .venv-peers .venv-nautilus .plimsoll .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
