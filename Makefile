# Everything runs in .venv, which is made once and renewed when the pinned requirements change.
# Needed beforehand: Python 3.11 or newer, make, a C compiler.

PYTHON ?= python3
JOBS ?= logical
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help serve demo test check format docs assets screenshots lock bench clean lint

help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

serve: $(READY) ## Serve the workspace in ./.headrace until Ctrl-C: API, schedules, runs
	$(BIN)/headrace serve

demo: $(READY) ## Sync the sample warehouse into the Vitally emulator and tell what happened
	$(BIN)/headrace demo

test: $(READY) lint ## Run all checks: format, lint, types, layers, tests, docs
	$(BIN)/python -m pytest -n $(JOBS) --maxprocesses 8

check: $(READY) lint ## Run the quick ring: all but the slow tests
	$(BIN)/python -m pytest -n $(JOBS) --maxprocesses 8 -m "not slow" tests/unit tests/docs

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY) ## Format the code and mend what lint can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(READY) ## Write the generated pages of docs/reference anew
	$(BIN)/python tests/docs/reference_pages.py

assets: $(READY) ## Build the styles and scripts of the web app (needs Node)
	npm --prefix $(ASSETS) ci --silent
	npm --prefix $(ASSETS) run --silent build
	$(BIN)/python $(ASSETS)/manifest.py

ASSETS := src/headrace/web/assets

screenshots: $(READY) ## Take the pictures of docs/img (needs Chromium)
	$(BIN)/python tests/browser/screenshots.py

lock: ## Pin requirements anew (needs uv); `make lock UPGRADE=--upgrade` takes newer releases
	uv pip compile pyproject.toml $(UPGRADE) $(LOCK) -o requirements/run.txt
	uv pip compile pyproject.toml $(UPGRADE) $(LOCK) --all-extras -c requirements/run.txt -o requirements/dev.txt

LOCK := --quiet --universal --python-version 3.11 --generate-hashes \
        --no-header --no-annotate --no-emit-index-url --no-emit-find-links

bench: $(READY) ## Measure against the baselines and write docs/benchmarks.md (about an hour)
	$(BIN)/python -m bench --write docs/benchmarks.md

clean: ## Remove the environment and every cache
	rm -rf $(VENV) build dist demo .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find src tests bench -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Headrace needs Python 3.11 or newer: make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
