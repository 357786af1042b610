# `make demo` and `make test` need Python 3.11 or newer, git and make; nothing else, no token, no Docker.
# `make test-real` installs what it needs beyond that from package registries into .cache/.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# what a user has: the bot and its libraries, nothing for development
BENCH := .cache/bench/bin

# one more than there are cores: some tests wait
WORKERS = $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) + 1)')

.DEFAULT_GOAL := help
.PHONY: help demo test test-real bench lint lock clean

help: ## Say what there is
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(READY) ## The whole story on embedded parts; leaves the pull request as a page
	@$(BIN)/gateway-bot demo

test: $(READY) lint ## All that needs no network: linters, types, import rules, tests
	$(BIN)/pytest -n $(WORKERS) -m "not real"

test-real: $(READY) ## The same main job against real parts, which it installs
	PATH="$(CURDIR)/$(BIN):$$PATH" scripts/real-parts.sh
	PATH="$(CURDIR)/.cache/real/bin:$$PATH" actionlint
	GATEWAY_BOT_REAL=1 $(BIN)/pytest -n auto -m real

bench: $(READY) ## The run that finds nothing new, a re-tag, and the history of 5,000 commits
	@test -x $(BENCH)/pip || $(PYTHON) -m venv $(dir $(BENCH))
	@$(BENCH)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bench.txt
	@rm -rf build/wheel
	@$(BIN)/pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir build/wheel .
	@$(BENCH)/pip install --quiet --disable-pip-version-check --no-deps --force-reinstall build/wheel/*.whl
	$(BIN)/python -m bench.nothing_new $(BENCH)
	$(BIN)/python -m bench.retag $(BENCH)
	$(BIN)/python -m bench.history $(BENCH)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/zizmor --quiet --offline --persona pedantic .github action.yml

COMPILE = uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --no-header $(UPGRADE) pyproject.toml

lock: ## Lock the libraries anew, with hashes and without addresses
	$(COMPILE) --group build -o requirements/runtime.txt
	$(COMPILE) --group build --extra release -o requirements/release.txt
	$(COMPILE) --group bench -o requirements/bench.txt
	$(COMPILE) --group dev --extra release -o requirements/dev.txt

clean: ## Remove what was made here
	rm -rf $(VENV) build .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

$(READY): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "gateway-bot needs Python 3.11 or newer: make PYTHON=python3.12 ..."; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
