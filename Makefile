# `make` alone lists what can be asked for.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3.11
BIN := .venv/bin
# Container images often forbid Python to keep what it has compiled; every process here would compile all of it again.
unexport PYTHONDONTWRITEBYTECODE
# Passed on: make serve ARGS="--port 9000", make pytest ARGS="tests/unit -k wire".
ARGS ?=

PACKAGES := $(wildcard bayeux_server channels extensions clients benchmarks tests)

# Stamps: each newer than what it was made from, so that a second run does nothing.
BUILD := .venv/.build
RUNTIME := .venv/.runtime
DEV := .venv/.dev
WEB := clients/web/node_modules/.serving

.PHONY: help venv lock serve compiled test test-server test-fast check format format-check lint types imports pytest coverage services bench bench-care clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BUILD): requirements/build.txt
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed: $(PYTHON) was not found (make PYTHON=/path/to/python3.11)" >&2; exit 1; }
	@echo "Making the virtual environment .venv"
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# The lock names every package with its hashes; the project itself is installed in place, without resolving anything.
INSTALL = $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python
INSTALL_PROJECT = $(INSTALL) --no-deps --no-build-isolation --editable .

$(RUNTIME): $(BUILD) requirements/runtime.txt setup.cfg pyproject.toml
	@echo "Installing what the server needs"
	@$(INSTALL) --require-hashes -r requirements/runtime.txt
	@$(INSTALL_PROJECT)
	@touch $@

$(DEV): $(RUNTIME) requirements/dev.txt
	@echo "Installing what the tests and gates need"
	@$(INSTALL) --require-hashes -r requirements/dev.txt
	@touch $@

venv: $(DEV) ## Make .venv with every pinned dependency and the project, editable

COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade --custom-compile-command "make lock"

lock: $(BUILD) ## Renew the pins and hashes in requirements/*.txt and the npm locks
	$(COMPILE) requirements/build.in --output-file requirements/build.txt
	$(COMPILE) requirements/runtime.in --output-file requirements/runtime.txt
	$(COMPILE) requirements/dev.in --output-file requirements/dev.txt
	for folder in clients/web tests; do (cd $$folder && npm update --package-lock-only --ignore-scripts --no-audit --no-fund --omit-lockfile-registry-resolved); done

# The stock faye and cometd browser scripts come from npm; without npm the server runs, only without them.
$(WEB): clients/web/package-lock.json
	@if command -v npm >/dev/null; then \
		echo "Installing the stock faye and cometd browser scripts"; \
		cd clients/web && npm ci --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error && touch node_modules/.serving; \
	else echo "npm was not found: the demo page will lack the stock faye and cometd scripts" >&2; fi

serve: $(RUNTIME) $(WEB) ## Run the server on its embedded defaults (ARGS="--port 9000" passes arguments on)
	@exec $(BIN)/bayeux-server serve $(ARGS)

services: $(DEV) ## Install the real services the tests use (cached outside the checkout)
	@$(BIN)/python -m tests.support.services install

compiled: $(DEV) ## Compile what a message passes on its way (a minute; cached outside the checkout)
	@$(BIN)/bayeux-server compile

test: services check ## Install all that the tests need, run every gate and test, leave nothing running

# A third worker for two cores: many tests wait for processes of their own.
QUICK = $(BIN)/pytest -n $$(( $$(nproc) * 3 / 2 )) --dist loadgroup
SLOW = browser or kafka or compiled

# Both with a fifth of the examples of each property: `make test` looks at them all.
test-server: $(DEV) $(WEB) ## The server's tests without browser, Kafka and compiler: under a minute
	@TEST_EXAMPLES_SHARE=0.2 $(QUICK) -m "not ($(SLOW) or care or load)" $(ARGS)

test-fast: $(DEV) $(WEB) ## All tests without browser, Kafka and compiler: two minutes
	@TEST_EXAMPLES_SHARE=0.2 $(QUICK) -m "not ($(SLOW))" $(ARGS)

check: format-check lint types imports pytest ## Format, lint, types, import rules, tests

format: $(DEV) ## Rewrite the Python files in the project's format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix --quiet . || true

format-check: $(DEV)
	@$(BIN)/ruff format --check .

lint: $(DEV)
	@$(BIN)/ruff check .

types: $(DEV)
	@$(BIN)/mypy --strict $(PACKAGES)

imports: $(DEV)
	@$(BIN)/lint-imports --no-logo

pytest: $(DEV) $(WEB) ## Every test (ARGS="tests/unit -k wire" narrows it)
	@$(BIN)/pytest $(ARGS)

coverage: $(DEV) $(WEB) ## Every test, with branch coverage
	@$(BIN)/coverage run -m pytest $(ARGS)
	@$(BIN)/coverage report

bench: $(DEV) $(WEB) compiled ## The short benchmarks, one table
	@$(BIN)/python -m benchmarks --short $(ARGS)

bench-care: $(DEV) ## The short benchmarks of the care layer
	@$(BIN)/python -m benchmarks.care --short $(ARGS)

clean: ## Remove what was made inside the checkout (the cached services stay)
	@rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage htmlcov
	@rm -rf clients/web/node_modules clients/web/dist tests/node_modules
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
