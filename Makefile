# Jota: `make run` starts it, `make test` tests it, `make help` lists the rest.
.DEFAULT_GOAL := help
.PHONY: help setup run test check bench docs lock clean
SHELL := /bin/bash

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := set -o pipefail; $(BIN)/python -m pip install --disable-pip-version-check
# Of all that pip says, one line for each library as it arrives; its errors pass on standard error.
BRIEFLY := | sed -unE -e '/\.metadata/d' \
	-e 's/^ *(Downloading|Using cached) (.*\/)?([^-]+-[^-]+)-[^ ]*( \(.*\))?/  \3\4/p' \
	-e 's/^Installing collected packages.*/  unpacking …/p'

help: ## Show what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Jota needs Python 3.11 or newer; none was found. Debian, Ubuntu: sudo apt install python3 python3-venv"; exit 2; }
	@missing=; \
	$(PYTHON) -c 'import ensurepip' 2>/dev/null || missing="$$missing $(PYTHON)-venv"; \
	$(PYTHON) -c 'import ctypes, sys; sys.platform != "linux" or ctypes.CDLL("libgomp.so.1")' 2>/dev/null || missing="$$missing libgomp1"; \
	test -z "$$missing" || { echo "Something that Jota needs is missing here. Debian, Ubuntu: sudo apt install$$missing"; exit 2; }
	@echo "Making a virtual environment in $(VENV) …"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 2; }

$(VENV)/.run: requirements.lock pyproject.toml | $(BIN)/python
	@echo "Installing Jota and its libraries …"
	@$(PIP) --require-hashes -r requirements.lock $(BRIEFLY)
	@$(PIP) --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.run
	@echo "Installing the developers' tools …"
	@$(PIP) --require-hashes -r requirements-dev.lock $(BRIEFLY)
	@touch $@

setup: $(VENV)/.dev ## Install everything, the developers' tools too

run: $(VENV)/.run ## Start Jota on http://127.0.0.1:8000 (fetches the starter models once)
	@$(BIN)/jota models pull starter
	@$(BIN)/jota models pull whisper-base kokoro-es || echo "Jota starts without them: text works, speech waits."
	@exec $(BIN)/jota run -c jota.yaml

test: setup ## Run all tests (with the real model)
	@$(BIN)/python -m pytest -n 2

check: setup ## Lint, types, configurations and generated pages
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy jota_core plugins/jota_* tests benchmarks docs/reference.py
	@for file in jota.yaml config/*.yaml; do JOTA_APP_KEY=only-checked JOTA_MQTT_PASSWORD=only-checked JOTA_CENTER_KEYS=only=checked \
		JOTA_DB_API_KEY=only-checked AUTH_TOKEN=only-checked JOTA_DB_URL=http://only-checked ORCHESTRATOR_API_KEY=only-checked JOTA_STORE=postgresql://only/checked INFERENCE_SERVICE_URL=ws://only-checked INFERENCE_CLIENT_ID=only INFERENCE_API_KEY=checked $(BIN)/jota check -c $$file || exit; done
	@$(BIN)/python -m docs.reference --check

bench: setup ## Measure speed as ratios against a bare floor
	@$(BIN)/python -m benchmarks

docs: setup ## Make the reference pages from the code
	@$(BIN)/python -m docs.reference

lock: setup ## Write the locks after a change in pyproject.toml (UPGRADE=1: newest versions)
	@$(BIN)/uv pip compile -q $(if $(UPGRADE),--upgrade) --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-emit-find-links \
		--custom-compile-command 'make lock' pyproject.toml requirements.in -o requirements.lock
	@$(BIN)/uv pip compile -q $(if $(UPGRADE),--upgrade) --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-emit-find-links \
		--custom-compile-command 'make lock' -c requirements.lock --extra dev pyproject.toml -o requirements-dev.lock

clean: ## Remove the virtual environment and caches (never your data)
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
