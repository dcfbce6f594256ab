# Needs Debian (or another Linux or macOS), make and Python >= 3.10 with its venv module. Everything else is
# installed into .venv in this folder; nothing outside the checkout is touched but pip's own cache.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamps
DIST := $(VENV)/dist
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Bytecode of the tests is kept, wherever it may be off: each process reads all of them at each run.
export PYTHONDONTWRITEBYTECODE :=
# One target at a time: the tests measure, and two pip runs in one environment break each other.
.NOTPARALLEL:

PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
SOURCES := $(shell find api cli pipelines profiles -name '*.py' -o -name '*.pyi' -o -name py.typed)
# A folder with public traces, for the benchmark of that name.
TRACES ?=
EXAMPLE ?= examples/jpeg_folder/spec.yaml
# The oldest TensorFlow that docs/install.md names, for test-oldest.
OLDEST := tensorflow==2.18.*
# A module's tests share fixtures. Unit tests wait for little, integration tests for processes that they start.
UNIT := -p xdist -n 2 --dist loadfile tests/unit
INTEGRATION := -p xdist -n 5 --dist loadfile --no-loadscope-reorder tests/integration

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1|\2/' | \
	while IFS='|' read -r target text; do printf '  make %-17s %s\n' "$$target" "$$text"; done

.PHONY: run
run: $(STAMP)/installed ## set up .venv and profile an example (EXAMPLE=other/spec.yaml, PYTHON=python3.12)
	@$(BIN)/pipeprof run $(EXAMPLE)

.PHONY: test
test: $(STAMP)/installed $(STAMP)/dev lint ## set up, build and install the wheel, lint, types, all tests
	@nice -n 19 $(BIN)/mypy -p pipeprof >$(VENV)/types.log 2>&1 & types=$$!; \
	nice -n 19 $(BIN)/python -m pytest -q $(UNIT) >$(VENV)/unit.log 2>&1 & unit=$$!; \
	trap "kill $$types $$unit 2>/dev/null || true" EXIT; ended=0; \
	$(BIN)/python -m pytest -q --durations=10 $(INTEGRATION) || ended=1; \
	wait $$types || ended=1; wait $$unit || ended=1; cat $(VENV)/types.log $(VENV)/unit.log; exit $$ended

.PHONY: test-unit
test-unit: $(STAMP)/installed $(STAMP)/dev ## the unit tests alone, for the inner loop
	@$(BIN)/python -m pytest -q --durations=10 $(UNIT)

.PHONY: lint
lint: $(STAMP)/dev
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

# From the environment, not the checkout: the packages' names exist only once they are installed.
.PHONY: types
types: $(STAMP)/installed $(STAMP)/dev
	@$(BIN)/mypy -p pipeprof

.PHONY: verify
verify: $(STAMP)/installed $(STAMP)/dev ## measure what benchmarks/ claims, for hours, or BENCHMARKS="silence gaps"
	@BENCHMARK_TRACES="$(if $(TRACES),$(abspath $(TRACES)))" $(BIN)/python benchmarks/run.py $(BENCHMARKS)

.PHONY: coverage
coverage: $(STAMP)/installed $(STAMP)/dev ## which lines the unit tests do not reach
	@$(BIN)/python -m coverage run -m pytest -q tests/unit
	@$(BIN)/python -m coverage report

.PHONY: test-oldest
test-oldest: $(STAMP)/installed ## the integration tests under the oldest supported TensorFlow, in an environment of their own
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' || \
	  { echo "There is no $(OLDEST) for $$($(PYTHON) --version): make test-oldest PYTHON=python3.12" >&2; exit 1; }
	@rm -rf $(VENV)/oldest
	@$(PYTHON) -m venv $(VENV)/oldest
	@echo "Installing $(OLDEST) into $(VENV)/oldest"
	@$(VENV)/oldest/bin/python -m pip --disable-pip-version-check --quiet install '$(OLDEST)' $(DIST)/pipeprof-*.whl \
	  -r <(grep -E '^(pytest|pytest-xdist|hypothesis|jsonschema|ruff)==' constraints.txt)
	@$(VENV)/oldest/bin/python -m pytest -q $(INTEGRATION)
	@rm -rf $(VENV)/oldest

# Measured on Linux, x86-64, Python 3.11; Linux has builds of torch for the CPU alone, other systems have no others.
TORCH := torch==2.13.0$(if $(filter Linux-x86_64,$(shell uname -sm | tr ' ' -)),+cpu)
EXTRAS_SIZE := 3.6 GB: TensorFlow and what it needs 2.1 GB, torch 0.9, jax 0.6
ifdef CUDA
TORCH := torch==2.13.0
EXTRAS_SIZE := 8 GB: TensorFlow and what it needs 2.1 GB, torch with CUDA 5.5, jax 0.6
endif

.PHONY: test-extras
test-extras: $(STAMP)/installed ## the tests of steps in JAX and PyTorch, in an environment of their own (CUDA=1: torch with CUDA)
	@echo "Installing jax and $(TORCH) into $(VENV)/extras, about $(EXTRAS_SIZE); it is removed afterwards"
	@rm -rf $(VENV)/extras
	@$(PYTHON) -m venv $(VENV)/extras
	@$(VENV)/extras/bin/python -m pip --disable-pip-version-check --quiet install --no-deps '$(TORCH)' || \
	  { echo "No $(TORCH) to be had: name an index that has builds for the CPU (PIP_EXTRA_INDEX_URL=… make test-extras)," \
	    "or make test-extras CUDA=1 for the build with CUDA, 5.5 GB" >&2; rm -rf $(VENV)/extras; exit 1; }
	@$(VENV)/extras/bin/python -m pip --disable-pip-version-check --quiet install -c tests/extras/constraints.txt \
	  "$$(echo $(DIST)/pipeprof-*.whl)[jax,torch]" '$(TORCH)' -r <(grep -E '^(tensorflow|pytest|hypothesis)==' constraints.txt)
	@$(VENV)/extras/bin/python -m pytest -q -o testpaths= tests/extras
	@rm -rf $(VENV)/extras

# The rules of axe-core for accessibility; npm fetches this version into the environment, once.
AXE := axe-core@4.10.3

# What they need besides Python. By itself it tells .ci/run whether they can run.
.PHONY: pages-tools
pages-tools: $(STAMP)/installed $(STAMP)/dev
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || \
	  { echo "chromium is missing: apt-get install -y --no-install-recommends chromium" >&2; exit 1; }
	@[ -e $(VENV)/axe/$(AXE) ] || { command -v npm >/dev/null || { echo "npm is missing: apt-get install -y npm" >&2; exit 1; }; \
	  rm -rf $(VENV)/axe && mkdir -p $(VENV)/axe && \
	  npm install --prefix $(VENV)/axe --ignore-scripts --no-save --no-audit --no-fund --silent $(AXE) && touch $(VENV)/axe/$(AXE) || \
	  { echo "npm cannot install $(AXE)" >&2; exit 1; }; }

.PHONY: test-pages
test-pages: pages-tools ## the pages in Chromium: themes, widths, accessibility (SCREENSHOTS=1 writes docs/pages)
	@$(BIN)/python -m pytest -q -o testpaths= tests/pages

.PHONY: format
format: $(STAMP)/dev ## format the code and mend what the linter can
	@$(BIN)/ruff check --fix-only --quiet
	@$(BIN)/ruff format

.PHONY: docs
docs: $(STAMP)/installed $(STAMP)/dev ## write docs/reference, the pages and schemas that are made of the code
	@$(BIN)/python docs/generate.py

.PHONY: docs-site
docs-site: $(STAMP)/installed $(STAMP)/dev $(STAMP)/site ## build the documentation as a site into .venv/site
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --site-dir $(VENV)/site
	@echo "$(VENV)/site/index.html"

.PHONY: clean
clean: ## remove .venv and everything that was built
	@rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage pipeprof-out docs/reference
	@find api cli pipelines profiles tests docs benchmarks -name __pycache__ -prune -exec rm -rf {} +

$(STAMP)/venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "pipeprof needs Python 3.10 or newer, got $$($(PYTHON) --version 2>&1): make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "$(PYTHON) cannot make virtual environments: apt-get install python3-venv, or name another Python: make PYTHON=…" >&2; exit 1; }
	@echo "Making .venv with $$($(PYTHON) --version)"
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@mkdir -p $(STAMP)
	@touch $@

$(STAMP)/tools: constraints.txt | $(STAMP)/venv
	@$(PIP) install -c constraints.txt build setuptools
	@touch $@

# On a terminal the minutes of a download are counted, with what has arrived; a log is told once. The command stays in
# the foreground, since what a shell starts in the background ignores Ctrl-C.
COUNTED = if [ -t 2 ]; then (while sleep 2; do \
  printf '\r  %d s, %s MB in $(VENV)' "$$SECONDS" "$$(du -sm $(VENV) 2>/dev/null | cut -f1)"; done) >&2 & \
  trap "kill $$! 2>/dev/null; printf '\r\033[K' >&2" EXIT; fi;

# The wheel is what users get, so it is what is run and tested. build/ and *.egg-info go first because setuptools
# would put modules that are gone from the tree into the wheel again, and last because nothing else needs them.
$(STAMP)/installed: $(SOURCES) pyproject.toml README.md LICENSE constraints.txt | $(STAMP)/tools
	@rm -rf build *.egg-info $(DIST)
	@$(BIN)/python -m build --wheel --no-isolation --outdir $(DIST) >$(VENV)/build.log 2>&1 || { cat $(VENV)/build.log >&2; exit 1; }
	@rm -rf build *.egg-info
	@[ -e $@ ] || echo "Installing pipeprof and what it needs (TensorFlow is some hundred MB; minutes the first time)"
	@$(PIP) install --no-deps --force-reinstall $(DIST)/pipeprof-*.whl
	@$(COUNTED) $(PIP) install -c constraints.txt $(DIST)/pipeprof-*.whl
	@touch $@

$(STAMP)/site: pyproject.toml constraints.txt | $(STAMP)/tools
	@$(PIP) install -c constraints.txt mkdocs-material
	@touch $@

$(STAMP)/dev: pyproject.toml constraints.txt | $(STAMP)/installed
	@echo "Installing the development tools"
	@$(COUNTED) $(PIP) install -c constraints.txt "$$(echo $(DIST)/pipeprof-*.whl)[dev]"
	@touch $@
