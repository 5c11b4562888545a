# Jota: `make run` starts it, `make test` tests it, `make help` lists the rest.
.DEFAULT_GOAL := help
.PHONY: help setup run test check bench docs lock clean
SHELL := /bin/bash

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

help: ## Show what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Jota needs Python 3.11 or newer; none was found. Debian, Ubuntu: sudo apt install python3 python3-venv"; exit 2; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "Python's venv module is missing. Debian, Ubuntu: sudo apt install python3-venv"; exit 2; }
	@echo "Making a virtual environment in $(VENV) …"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements.lock pyproject.toml | $(BIN)/python
	@echo "Installing Jota and its libraries …"
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.run
	@echo "Installing the developers' tools …"
	@$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@

setup: $(VENV)/.dev ## Install everything, the developers' tools too

run: $(VENV)/.run ## Start Jota on http://127.0.0.1:8000 (fetches the starter model once)
	@$(BIN)/jota models pull starter
	@exec $(BIN)/jota run -c jota.yaml

test: setup ## Run all tests (with the real model)
	@$(BIN)/python -m pytest

check: setup ## Lint, types, configurations and generated pages
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/mypy jota_core plugins/jota_* tests benchmarks docs/reference.py
	@for file in jota.yaml config/*.yaml; do JOTA_APP_KEY=only-checked $(BIN)/jota check -c $$file || exit; done
	@$(BIN)/python -m docs.reference --check

bench: setup ## Measure speed as ratios against a bare floor
	@$(BIN)/python -m benchmarks

docs: setup ## Make the reference pages from the code
	@$(BIN)/python -m docs.reference

lock: setup ## Choose library versions anew
	@$(BIN)/uv pip compile -q --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-emit-find-links \
		--custom-compile-command 'make lock' pyproject.toml requirements.in -o requirements.lock
	@$(BIN)/uv pip compile -q --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-emit-find-links \
		--custom-compile-command 'make lock' -c requirements.lock --extra dev pyproject.toml -o requirements-dev.lock

clean: ## Remove the virtual environment and caches (never your data)
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
