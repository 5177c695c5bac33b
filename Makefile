# Everything that is done to this repository, by name. `make` alone lists it.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The first Python on PATH that is new enough and really runs.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
UV_VERSION := 0.13.9
UV := .cache/uv/bin/uv
BIN := .venv/bin
export UV_PYTHON_DOWNLOADS := never
export UV_LINK_MODE := copy

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: .venv/.synced ## Make .venv with the locked dependencies

$(UV):
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; install it or name it: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -m venv .cache/uv || { echo "python3 -m venv does not work; on Debian: apt-get install python3-venv" >&2; rm -rf .cache/uv; exit 1; }
	@.cache/uv/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.venv/.synced: $(UV) pyproject.toml uv.lock
	@$(UV) sync --locked --quiet --python "$$(command -v $(PYTHON))"
	@touch $@

.PHONY: demo
demo: setup ## Show decisions on examples/, then one real AdmissionReview over TLS
	@$(BIN)/python hack/demo.py

.PHONY: test
test: setup ## Lint, types and every test (those on a control plane where there is one: make control-plane)
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory tools || echo "no helm here: the chart's tests are skipped"
	@$(BIN)/pytest

.PHONY: tools
tools: setup ## Put helm and kubectl, pinned, into .cache/tools
	@$(BIN)/python -m hack.tools

.PHONY: control-plane
control-plane: ## Put etcd and a Kubernetes control plane into .cache (or set KUBEBUILDER_ASSETS)
	@$(PYTHON) hack/control_plane.py

.PHONY: e2e
e2e: setup control-plane tools ## The tests on a real control plane; they fail where there is none
	@GPUWARDEN_REQUIRE_E2E=1 $(BIN)/pytest tests/e2e

.PHONY: lint
lint: setup ## Style, types, layers, Dockerfile
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache > .cache/lint-imports.log || { cat .cache/lint-imports.log; exit 1; }
	@$(BIN)/hadolint Dockerfile
	@$(BIN)/python hack/policy_reference.py --check

.PHONY: fmt
fmt: setup ## Put code in order
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format --quiet .

.PHONY: cover
cover: setup ## Branch coverage; the engine must be whole
	@$(BIN)/pytest tests/engine --cov=webhook.engine --cov-branch --cov-report=term-missing:skip-covered --cov-fail-under=100

.PHONY: golden
golden: setup ## Write the golden AdmissionReviews anew (then read the diff)
	@UPDATE_GOLDEN=1 $(BIN)/pytest -q tests/test_golden.py

.PHONY: docs
docs: setup ## Write the pages that come from the code
	@$(BIN)/python hack/policy_reference.py

.PHONY: manifests
manifests: tools ## Write deploy/gpuwarden.yaml from the chart
	@$(BIN)/python -m hack.render_manifests

.PHONY: lock
lock: $(UV) ## Lock the newest versions that pyproject.toml allows
	@$(UV) lock --upgrade

.PHONY: clean
clean: ## Remove what these targets made, but for the control plane (minutes to build)
	@rm -rf .venv .cache/uv .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage htmlcov dist
