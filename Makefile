# PrefRL. `make` lists the targets. Every target that needs Python sets up .venv first; nothing else is needed.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup demo label test test-slow check format coverage bench readme lock clean

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.complete
RUNS ?= runs
ARGS ?=
# Test processes: one per usable core, at most four; each keeps to one thread, or they would fight over the cores.
WORKERS ?= $(shell n=$$(nproc 2>/dev/null || echo 2); [ "$$n" -gt 4 ] && n=4; echo $$n)
TEST_ENV := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 MUJOCO_GL=$${MUJOCO_GL:-egl}
PYTEST := $(TEST_ENV) $(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal

# A .venv whose Python is gone, too old or without pip is no environment, whatever its stamp says.
USABLE := -c 'import sys, pip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))'
ifneq ($(shell $(BIN)/python $(USABLE) >/dev/null 2>&1 && echo yes),yes)
.PHONY: $(STAMP)
endif

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1|/' | awk -F'|' '{printf "%-18s %s\n", $$1, $$2}'

setup: $(STAMP)  ## build .venv from requirements.lock (does nothing when it is current)

# .incomplete marks an environment under construction: found here, it was left by an interruption, and pip cannot
# be trusted to repair half-unpacked packages.
$(STAMP): requirements.lock pyproject.toml
	@if [ -e $(VENV)/.incomplete ] || ! $(BIN)/python $(USABLE) >/dev/null 2>&1; then rm -rf $(VENV); fi
	@if [ ! -d $(VENV) ]; then \
	  for name in python3 python3.13 python3.12 python3.11 python; do \
	    if $$name -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null; \
	    then found=$$name; break; fi; \
	  done; \
	  if [ -z "$$found" ]; then \
	    echo "PrefRL needs Python 3.11, 3.12 or 3.13 with its venv module, and none was found." >&2; \
	    echo "python3 here is: $$(python3 --version 2>&1 || true)" >&2; \
	    echo "Debian or Ubuntu: apt-get install python3 python3-venv; otherwise see https://www.python.org/downloads/" >&2; \
	    exit 1; \
	  fi; \
	  echo "Making $(VENV) with $$($$found --version) ..."; \
	  mkdir -p $(VENV) && touch $(VENV)/.incomplete && $$found -m venv $(VENV); \
	fi
	@touch $(VENV)/.incomplete && rm -f $(STAMP)
	@echo "Installing the packages of requirements.lock ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --no-compile -r requirements.lock
	@rm -f $(VENV)/.incomplete
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps --no-build-isolation -e .
	@touch $(STAMP)

demo: setup  ## train half-cheetah from 700 comparisons and on the true reward, then compare them
	$(BIN)/prefrl demo $(ARGS)

label: setup  ## label in the browser and watch the runs in a folder: make label RUNS=runs
	$(BIN)/prefrl label $(RUNS) $(ARGS)

test: setup  ## run the tests that take seconds: make test ARGS="-k store"
	$(PYTEST) -m "not slow" $(ARGS)

test-slow: setup  ## run the tests that take minutes
	$(PYTEST) -m slow -o faulthandler_timeout=3600 $(ARGS)

check: setup  ## what CI checks before the tests: ruff (rules and formatting) and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup  ## let ruff repair what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

coverage: setup  ## the tests with branch coverage of the four packages
	$(PYTEST) -m "not slow" --cov --cov-report=term --cov-report=html:build/coverage $(ARGS)

bench: setup  ## measure steps per second on this machine
	$(BIN)/prefrl bench $(ARGS)

readme: setup  ## put the results of experiments/results/ into the README, with their figures
	$(BIN)/python -m experiments.readme

# Resolve where pip finds torch's CPU builds (PIP_EXTRA_INDEX_URL): the lock lists no CUDA packages, which torch itself
# pins on the machines that need them. Then pip is asked whether every pin has a wheel for each Python.
LOCK_VENV := build/lock-venv
lock: setup  ## resolve pyproject.toml afresh into requirements.lock
	@[ -x $(LOCK_VENV)/bin/pip-compile ] || { $(BIN)/python -m venv $(LOCK_VENV) && $(LOCK_VENV)/bin/pip install -q pip-tools; }
	@cp requirements.lock build/requirements.old
	@{ echo "# Every package of PrefRL with its exact version; made by \`make lock\` from pyproject.toml, not by hand."; \
	   $(LOCK_VENV)/bin/pip-compile --quiet --upgrade --extra dev --extra language --extra postgres --extra video --strip-extras --allow-unsafe \
	     --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-annotate --no-header \
	     --output-file - pyproject.toml | sed 's/+cpu$$//; /^#/d; /^$$/d'; } > build/requirements.new
	@grep -q '^torch==' build/requirements.new && ! grep -qE '^nvidia-|://' build/requirements.new || \
	  { echo "lock: resolving failed or found CUDA builds; see build/requirements.new" >&2; exit 1; }
	@for version in 3.11 3.12 3.13; do \
	  echo "Looking for wheels for Python $$version ..."; \
	  $(BIN)/python -m pip install --quiet --dry-run --no-deps --only-binary :all: --python-version $$version \
	    --target build/lock-target -r build/requirements.new || exit 1; \
	done
	@mv build/requirements.new requirements.lock
	@diff build/requirements.old requirements.lock || true

clean:  ## delete caches and build outputs, not .venv and not runs/ (for runs: prefrl clean)
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage .coverage.* *.egg-info
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -exec rm -rf {} +
