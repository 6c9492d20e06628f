# A bare machine with Python 3.11, 3.12 or 3.13 is enough: each target first makes .venv and installs what it needs.
#   make train ARGS="model=cgan data=mnist"        make test ARGS="tests/test_losses.py"

VENV   ?= .venv
PYTHON ?=
ARGS   ?=
RUN    := $(VENV)/bin/python

.DEFAULT_GOAL := help
.PHONY: help train test lint types check clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo '  ARGS="..." is handed on: make train ARGS="model=cgan data=mnist"'

train: $(VENV)/.installed  ## sets up, then trains: python -m gan_zoo.train ARGS
	$(RUN) -m gan_zoo.train $(ARGS)

test: $(VENV)/.installed-dev  ## sets up, then runs the tests on all cores: pytest -q ARGS
	$(RUN) -m pytest -q -n auto --dist worksteal $(ARGS)

lint: $(VENV)/.installed-dev  ## ruff
	$(RUN) -m ruff check .

types: $(VENV)/.installed-dev  ## mypy
	$(RUN) -m mypy

check: test lint types  ## all of the above

clean:  ## removes .venv and everything that tools have cached; runs/ stays
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A candidate counts only if it starts and its version fits: a pyenv shim exists and fails.
$(VENV)/.python:
	@for python in $(PYTHON) python3.11 python3.12 python3.13 python3 python; do \
	  if "$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null; then \
	    echo "using $$("$$python" --version) ($$python)"; \
	    "$$python" -m venv "$(VENV)" || { \
	      echo "error: $$python cannot make a virtual environment; on Debian and Ubuntu install its package python3-venv" >&2; \
	      rm -rf "$(VENV)"; exit 1; }; \
	    touch "$@"; exit 0; \
	  fi; \
	done; \
	echo "error: no Python 3.11, 3.12 or 3.13 found; install one, or name it: make train PYTHON=/path/to/python3.12" >&2; exit 1

$(VENV)/.installed: $(VENV)/.python pyproject.toml
	$(RUN) -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.python pyproject.toml
	$(RUN) -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@ $(VENV)/.installed
