# `make run` needs Python 3.11 or 3.12 and make, nothing else. `make help` lists what there is.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.SILENT:
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: help run test test-fast check chaos screenshots fmt migrate demo bench pin install install-dev

help: ## List the targets
	awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

run: install ## Start the whole hub; Ctrl-C stops it
	exec $(BIN)/python -m jobs.supervisor

test: check ## Lint, types and layers, then every test
	exec $(BIN)/python -m pytest -n 3 --dist loadgroup

test-fast: install-dev ## Run the tests that start no processes and no browser
	exec $(BIN)/python -m pytest -m "not slow and not browser"

check: install-dev ## Lint, formatting, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

chaos: install-dev ## Strike a hub at random for three minutes, then count what was lost
	exec $(BIN)/python -m tests.chaos --seconds 55

screenshots: install-dev ## Take a picture of every page of a lively hub, into docs/screenshots
	exec $(BIN)/python -m tests.screenshots

fmt: install-dev ## Format the code and fix what ruff can fix
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

migrate: install ## Bring the database to the newest schema
	exec $(BIN)/flask --app wsgi migrate

demo: install ## Play half a minute of lively events into the running hub
	exec $(BIN)/flask --app wsgi demo

bench: install ## Measure speed, beside the peers
	$(call install_once,requirements-bench.in)
	exec $(BIN)/python -m bench

pin: ## Write the pinned requirements anew from the .in files
	rm -rf $(VENV)-pin && $(call find_python) && "$$python" -m venv $(VENV)-pin
	$(VENV)-pin/bin/pip install --quiet -r requirements.in
	$(call freeze,requirements.in) >requirements.txt
	$(VENV)-pin/bin/pip install --quiet -r requirements-connectors.in
	{ $(call freeze,requirements-connectors.in); } | grep -vxFf requirements.txt | sed '1a -r requirements.txt' >requirements-connectors.new
	mv requirements-connectors.new requirements-connectors.txt
	$(VENV)-pin/bin/pip install --quiet -r requirements-dev.in
	{ $(call freeze,requirements-dev.in); } | grep -vxFf requirements.txt | grep -vxFf requirements-connectors.txt | sed '1a -r requirements.txt\n-r requirements-connectors.txt' >requirements-dev.new
	mv requirements-dev.new requirements-dev.txt
	rm -rf $(VENV)-pin

# A stamp holds the hash of what is installed: nothing is asked of pip while it is the same.
install: $(BIN)/python
	$(call install_once,requirements.txt)

install-dev: $(BIN)/python
	$(call install_once,requirements.txt requirements-connectors.txt requirements-dev.txt)

$(BIN)/python:
	$(call find_python) && \
	echo "creating $(VENV) with $$($$python --version)" && \
	{ "$$python" -m venv $(VENV) || { rm -rf $(VENV); \
	echo "cannot create $(VENV): make this directory writable and install the venv module (for example \`apt install python3-venv\`)" >&2; exit 1; }; }

# Versions are asked for, not names: python3 may be any, and a pyenv shim may point nowhere.
define find_python
for python in python3.12 python3.11 python3 python ""; do \
	[ -n "$$python" ] || { echo "Python 3.11 or 3.12 is needed and neither is on PATH: install one, then run make again" >&2; exit 1; }; \
	"$$python" -c 'import sys; sys.exit(sys.version_info[:2] not in {(3, 11), (3, 12)})' >/dev/null 2>&1 && break; \
done
endef

define install_once
stamp=$(VENV)/.$(lastword $(1))-$$(cat $(1) | cksum | tr ' ' '-'); \
[ -f "$$stamp" ] || { echo "installing $(lastword $(1)) (only when it changes)" && \
rm -f $(VENV)/.$(lastword $(1))-* && $(PIP) install $(addprefix -r ,$(1)) && touch "$$stamp"; } || \
{ echo "cannot install $(lastword $(1)): pip said why above; check the network and run make again" >&2; exit 1; }
endef

define freeze
{ echo "# The exact closure of $(1). Change that file, then run make pin."; \
$(VENV)-pin/bin/pip freeze --all | grep -v '^pip=='; }
endef
