# What there is to run. Each target sets up .venv by itself; Python 3.11+ and make are all it needs.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/sh

READY := .venv/.ready
PY := .venv/bin/python
AGENT := $(PY) -m sync_agent
JOBS ?= 2

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

$(READY): requirements/dev.txt pyproject.toml tools/find-python
	@if ! $(PY) -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    found=$$(sh tools/find-python) || exit 1; \
	    echo "Making .venv with $$found"; \
	    "$$found" -m venv --clear .venv; \
	fi
	@echo "Installing what requirements/dev.txt locks"
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: install
install: $(READY) ## Make .venv and install the locked requirements

.PHONY: test
test: $(READY) ## Run the tests (without the slow ones and benchmarks)
	@$(PY) -m pytest -n $(JOBS) --dist loadgroup

.PHONY: test-slow
test-slow: $(READY) ## Run the slow tests
	@$(PY) -m pytest -m "slow and not bench" --timeout 900 -n $(JOBS) --dist loadgroup

.PHONY: bench
bench: $(READY) ## Run the benchmarks
	@$(PY) -m pytest -m bench

.PHONY: demo
demo: $(READY) ## Run the demo; KEEP=1 leaves the stub running
	@$(AGENT) demo $(if $(filter-out 0,$(KEEP)),--keep)

CHECKS := check-style check-format check-types check-floors check-dependencies check-spelling \
    check-docs
.PHONY: check $(CHECKS)
check: $(CHECKS) ## Run everything that needs no test; -k goes on after a failure
check-style: $(READY)
	@$(PY) -m ruff check .
check-format: $(READY)
	@$(PY) -m ruff format --check .
check-types: $(READY)
	@$(PY) -m mypy
check-floors: $(READY)
	@.venv/bin/lint-imports
check-dependencies: $(READY)
	@$(PY) -m deptry .
check-spelling: $(READY)
	@$(PY) -m codespell_lib
check-docs: $(READY)
	@$(PY) -m tools.docs --check

.PHONY: lint
lint: check ## The same as check

.PHONY: format
format: $(READY) ## Format the code and mend what can be mended
	@$(PY) -m ruff format .
	@$(PY) -m ruff check --fix .

.PHONY: docs
docs: $(READY) ## Write the generated pages: docs/configuration.md, docs/cli.md
	@$(PY) -m tools.docs

.PHONY: lock
lock: $(READY) ## Renew the lock files
	@sh tools/lock

.PHONY: clean
clean: ## Remove what was made here
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .benchmarks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
