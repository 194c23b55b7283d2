# Two commands matter: `make demo` shows the codec at work, `make test` is what must pass. Each sets up what it needs, once, in an
# environment of its own below this folder; a python3 with venv is all they ask for.

PYTHON ?= python3
DEV := .venv
DEMO := .venv-demo
JAVASCRIPT := examples/javascript

SHIPPED := $(shell find atlcodec -type f ! -name '*.py[co]')
BENCHMARKS := $(wildcard $(addprefix benchmarks/,throughput.py startup.py quality.py colour.py own.py choice.py million.py heads.py training_speed.py))
MINIMAL := .venv-minimal
LATEST := .venv-latest
MINUTES ?= 10
# Those of the core and of the bridges that need neither PyTorch nor the onnx package.
WITHOUT_TORCH := $(addprefix tests/core/test_,record.py files.py damaged_files.py description.py grid.py picture.py \
	bad_images.py fit.py latents.py reader.py pillow.py arrow.py zarr.py neighbours.py) tests/conformance tests/fuzz tests/faults
PIP := -m pip --disable-pip-version-check --quiet --quiet

.PHONY: help demo test test-all test-more test-minimal test-latest faults fuzz lint types javascript benchmarks page docs clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1 /p' Makefile | awk '{ printf "  %s %-12s", $$1, $$2; $$1 = $$2 = ""; print }'

demo: $(DEMO)/.ready ## encode, decode and classify a drawn digit; no PyTorch is installed for it
	@$(DEMO)/bin/python examples/demo.py

test: lint types ## lint, types, and the tests (those on the data sets look for them in $ATLC_DATA)
	$(DEV)/bin/pytest -n auto --dist loadfile --no-loadscope-reorder

test-all: test test-more ## the same, and what takes long: a cluster of Ray, JavaScript, pages in Chromium

test-more: $(DEV)/.ray javascript
	ATLC_TEST_ALL=1 $(DEV)/bin/pytest tests/core/test_ray.py tests/core/test_large_grids.py tests/pages/test_javascript.py \
		tests/pages/test_guide_page.py tests/pages/test_web_package.py tests/pages/test_pages.py tests/pages/test_demo_page.py

faults: $(DEV)/.ready ## many faults on purpose: kills, full disks, power cuts; `make test` tries a few of each
	ATLC_TEST_ALL=1 $(DEV)/bin/pytest -n auto --dist load tests/faults

fuzz: $(DEV)/.fuzz ## all readers with atheris, for MINUTES=10
	$(DEV)/bin/python tests/fuzz/fuzz.py $$(($(MINUTES) * 60))

# Without PyTorch. The tests of what needs it are skipped, or not among these.
test-minimal: $(MINIMAL)/.ready ## the core and the bridges with the oldest versions that pyproject.toml allows
	$(MINIMAL)/bin/python -m pytest $(WITHOUT_TORCH)

test-latest: $(LATEST)/.ready ## the same with the newest versions
	$(LATEST)/bin/python -m pytest $(WITHOUT_TORCH)

lint: $(DEV)/.ready ## ruff: rules and format; import-linter: the layers
	$(DEV)/bin/ruff check .
	$(DEV)/bin/ruff format --check .
	$(DEV)/bin/lint-imports --no-cache --no-logo

types: $(DEV)/.ready ## mypy, strict
	$(DEV)/bin/mypy

benchmarks: $(DEV)/.ready ## the programs that print the tables in benchmarks/results
	@set -e; for program in $(BENCHMARKS); do echo "$$program"; $(DEV)/bin/python "$$program"; done

page: $(DEV)/.ready ## the demo page, build/page/index.html: drop a picture, see its record; one file, no server
	@$(DEV)/bin/python docs/demo_page.py build/page/index.html

docs: $(DEV)/.docs ## the site of documentation, in build/docs; a warning is an error
	$(DEV)/bin/python docs/commands.py > docs/site/commands.md
	$(DEV)/bin/sphinx-build --fail-on-warning --keep-going --quiet --conf-dir docs/site . build/docs
	@echo "The site is build/docs/docs/site/index.html"

clean: ## remove the environments, caches and what the demo and builds left; trained runs stay
	rm -rf $(DEV) $(DEMO) $(MINIMAL) $(LATEST) demo build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
	rm -rf $(JAVASCRIPT)/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp is written last, so that a setup that was broken off is done again.
$(DEV)/.ready: pyproject.toml setup.py requirements-dev.txt
	$(call setup,$(DEV),PyTorch is the larger part)
	@$(DEV)/bin/python $(PIP) install -r requirements-dev.txt
	@touch $@

$(DEV)/.ray: $(DEV)/.ready
	@echo "Adding Ray to $(DEV) ..."
	@$(DEV)/bin/python $(PIP) install -e '.[ray]'
	@touch $@

$(DEV)/.fuzz: $(DEV)/.ready
	@echo "Adding atheris to $(DEV) ..."
	@$(DEV)/bin/python $(PIP) install -e '.[fuzz]'
	@touch $@

# The lower bounds, as pyproject.toml has them.
$(MINIMAL)/.ready: pyproject.toml
	$(call setup,$(MINIMAL),the oldest versions)
	@$(MINIMAL)/bin/python $(PIP) install pytest bitstring $$($(MINIMAL)/bin/python docs/bounds.py)
	@$(MINIMAL)/bin/python $(PIP) install --no-deps -e .
	@touch $@

$(LATEST)/.ready: pyproject.toml
	$(call setup,$(LATEST),the newest versions)
	@$(LATEST)/bin/python $(PIP) install --upgrade pytest bitstring -e '.[arrow,zarr]'
	@touch $@

$(DEV)/.docs: $(DEV)/.ready
	@echo "Adding Sphinx to $(DEV) ..."
	@$(DEV)/bin/python $(PIP) install -e '.[docs]'
	@touch $@

# Node.js is not set up here; without it the tests of the reader are skipped, and say so.
javascript:
	@if command -v npm >/dev/null; then $(MAKE) --silent $(JAVASCRIPT)/node_modules/.package-lock.json; \
	else echo "There is no npm here: the reader in JavaScript is not tested" >&2; fi

# Without the packages' scripts, one of which would fetch CUDA.
$(JAVASCRIPT)/node_modules/.package-lock.json: $(JAVASCRIPT)/package-lock.json
	cd $(JAVASCRIPT) && npm ci --ignore-scripts --no-audit --no-fund
	@touch $@

$(DEMO)/.ready: pyproject.toml setup.py $(SHIPPED)
	$(call setup,$(DEMO),without PyTorch)
	@$(DEMO)/bin/python $(PIP) install .
	@touch $@

define setup
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	{ echo "Python 3.11 or later is needed, and $(PYTHON) is not; name one: make PYTHON=python3.13" >&2; exit 1; }
@echo "Setting up $(1) ($(2)) ..."
@$(PYTHON) -m venv $(1)
endef
