# `make help` lists what there is. Everything below works in a fresh clone: each target sets up what it needs first.
SHELL := /bin/bash
.DEFAULT_GOAL := help
STACK ?= local
PYTHON := .venv/bin/python
# Some machines have shims for Pythons that do not start: take the first one that runs and is new enough.
SYSTEM_PYTHON = $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: help
help: ## show this list
	@grep -hE '^[a-z|-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'
	@echo '  LANE=unit|engine|flow|fire|simulate|kubernetes|gcp for make test; STACK=local|dev|prod|prod-asg|eks|eks-local for up, preview, down and plan (default: local)'
	@echo '  KUBERNETES=1 for make setup and make lab: with a Kubernetes API server, whose programs are built once (about 20 minutes on two cores)'

.venv/ready: pyproject.toml requirements.txt
	@test -n "$(SYSTEM_PYTHON)" || { echo "Python 3.11 or newer is needed, and none of python3.13, python3.12, python3.11, python3 is one"; exit 1; }
	@test -x $(PYTHON) || { echo "Making .venv with $(SYSTEM_PYTHON)"; $(SYSTEM_PYTHON) -m venv .venv; }
	@echo "Installing the requirements into .venv (about two minutes the first time)"
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check -r requirements.txt -e '.[dev]'
	@touch $@

.PHONY: setup
setup: .venv/ready ## .venv, requirements, Pulumi CLI and the local cloud; nothing to do the second time
	@$(PYTHON) -m lab setup $(if $(KUBERNETES),--kubernetes)

.PHONY: demo
demo: setup ## deploy to a local cloud, take machines away, lose nothing
	@$(PYTHON) -m lab.demo

.PHONY: test
test: KUBERNETES := $(if $(filter-out kubernetes,$(LANE)),,1)
test: setup ## the whole suite, or one LANE; builds what the lanes need, once
	@$(PYTHON) -m tests.lanes $(LANE)

.PHONY: check
check: KUBERNETES := 1
check: setup ## what a pull request must pass: lint, format, types, imports, tests, the wheel alone
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/pyright
	@$(PYTHON) -m tests.wheel
	@$(PYTHON) -m tests.lanes

.PHONY: lab lab-stop
lab: setup ## start the local cloud alone, and print how to reach it
	@$(PYTHON) -m lab start $(if $(KUBERNETES),--kubernetes)
lab-stop: .venv/ready ## stop it, with every machine it started
	@$(PYTHON) -m lab stop

.PHONY: up preview down plan
up: setup ## pulumi up of STACK
	@$(PYTHON) -m lab up $(STACK)
preview: setup ## pulumi preview of STACK
	@$(PYTHON) -m lab preview $(STACK)
down: setup ## pulumi destroy of STACK
	@$(PYTHON) -m lab down $(STACK)
plan: setup ## write plan.json: every resource of STACK from a real preview, without credentials
	@$(PYTHON) -m lab plan $(STACK)

.PHONY: bench
bench: setup ## measure latencies, cost per item, preview and import times; TRACES=DIR: the simulator on traces that are not shipped
	@TRACES='$(TRACES)' $(PYTHON) -m tests.bench
