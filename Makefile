# OpenTrail: every target sets up .venv by itself, without root.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: help serve test check bench deep soak install lock clean

serve: $(VENV)/.base  ## install and serve on http://127.0.0.1:4580
	$(BIN)/opentrail serve

install: $(VENV)/.base  ## install into .venv

test: $(VENV)/.test  ## run every test
	$(BIN)/python -m tests

check: $(VENV)/.test  ## linter, types and tests, as CI does
	$(BIN)/ruff check src tests benchmarks tools
	$(BIN)/mypy
	$(BIN)/python -m tests

bench: $(VENV)/.test  ## run every benchmark
	$(BIN)/python -m benchmarks

deep: $(VENV)/.deep  ## install the extra `deep` (PyTorch) and test it
	$(BIN)/python -m pytest -q tests/unit/services/personalize/engine/deep tests/wire/test_personalize_deep.py \
	  tests/unit/services/comprehendmedical/engine/test_network_training.py

soak: $(VENV)/.test  ## long runs
	$(BIN)/python -m pytest -m soak tests/fault

$(VENV)/bin/python:
	@command -v git >/dev/null && $(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "OpenTrail needs git, make and Python 3.11 or newer with venv. On Debian or Ubuntu:"; \
	    echo "    apt-get install git make python3 python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.base: requirements/base.txt pyproject.toml | $(VENV)/bin/python
	$(PIP) install --require-hashes -r requirements/base.txt
	$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.test: requirements/test.txt pyproject.toml | $(VENV)/.base
	$(PIP) install --require-hashes -r requirements/test.txt
	@touch $@

# PyTorch has builds for each kind of accelerator under one version: which one fits, pip and its index settings decide.
$(VENV)/.deep: pyproject.toml | $(VENV)/.test
	$(PIP) install --no-build-isolation -e '.[deep]'
	@touch $@

# Maintainers: resolve the pins of pyproject.toml into hashed locks (needs uv).
lock:  ## resolve the pins into requirements/ (maintainers)
	cd requirements && for extra in "" test; do \
	  uv pip compile ../pyproject.toml build.in $${extra:+--extra $$extra} --universal --python-version 3.11 --generate-hashes \
	    --no-header --no-annotate --no-emit-index-url --quiet -o $${extra:-base}.txt || exit 1; done

clean:  ## remove .venv
	rm -rf $(VENV)

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 18
