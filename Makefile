# Everything that is done to this repository, by name. `make` alone lists it.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The first Python on PATH that is supported and really runs.
PYTHON ?= $(shell for p in python3 python3.13 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 13)))' 2>/dev/null && { echo $$p; break; }; done)
UV_VERSION := 0.13.9
PIP_AUDIT_VERSION := 2.10.1
UV := .cache/uv/bin/uv
BIN := .venv/bin
export UV_PYTHON_DOWNLOADS := never
export UV_LINK_MODE := copy

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  \033[1m%-18s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: .venv/.synced ## Make .venv with the locked dependencies

$(UV):
	@test -n "$(PYTHON)" || { echo "Python 3.11 or 3.13 is needed; install it or name it: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -m venv .cache/uv || { echo "python3 -m venv does not work; on Debian: apt-get install python3-venv" >&2; rm -rf .cache/uv; exit 1; }
	@.cache/uv/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.venv/.synced: $(UV) pyproject.toml uv.lock
	@$(UV) sync --locked --quiet --python "$$(command -v $(PYTHON))"
	@touch $@

.PHONY: demo
demo: setup ## Show decisions on examples/, then one real AdmissionReview over TLS
	@$(BIN)/python hack/demo.py

# What runs under coverage. The other tests measure time, which coverage changes, or run a whole cluster.
UNIT := tests/engine tests/application tests/adapters tests/cli tests/deploy tests/test_golden.py
FLOOR := 98
# One file of tests is one worker's, so what a file starts is started once.
SIDE_BY_SIDE := --numprocesses auto --dist loadfile
# Workers of the tests on a control plane, each with a control plane of its own. Two take half as long, and need more than two cores:
# tests that wait for a scheduler have failed so.
WORKERS ?= 0
# These depend on how fast the machine is: nothing may run beside them.
E2E_ALONE := tests/e2e/test_under_attack.py tests/e2e/test_rotation.py tests/e2e/test_fleet.py
ALONE := tests/attacks tests/benchmarks tests/faults tests/load $(E2E_ALONE)

.PHONY: test
test: setup ## Lint, types and every test (those on a control plane where there is one: make control-plane)
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory tools || echo "no helm here: the chart's tests are skipped"
	@$(MAKE) --no-print-directory cover
	@$(MAKE) --no-print-directory system

.PHONY: tools
tools: setup ## Put helm and kubectl, pinned, into .cache/tools
	@$(BIN)/python -m hack.tools

.PHONY: control-plane
control-plane: ## Download or build etcd and a Kubernetes control plane into .cache (or set KUBEBUILDER_ASSETS)
	@$(PYTHON) hack/control_plane.py

.PHONY: neighbours
neighbours: setup ## Build cert-manager, JobSet and Kueue into .cache, for the end-to-end tests beside them (needs Go)
	@$(BIN)/python -m hack.neighbours

.PHONY: e2e
e2e: setup control-plane tools ## The tests on a real control plane; they fail where there is none
	@GPUWARDEN_REQUIRE_E2E=1 $(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile tests/e2e $(E2E_ALONE:%=--ignore=%)
	@GPUWARDEN_REQUIRE_E2E=1 $(BIN)/pytest $(E2E_ALONE)

.PHONY: bench
bench: setup ## Measure everything, write docs/performance.* and benchmarks/README.md; fails where a bar is missed (needs wrk and an idle machine)
	@$(BIN)/python -m benchmarks --json docs/performance.json --svg docs/performance.svg --bars docs/performance.md --tables benchmarks/README.md

.PHONY: faults
faults: setup ## The long fault tests: 200 kills, readiness' bounds, faked clocks where libfaketime is (15 minutes)
	@GPUWARDEN_FAULTS=long GPUWARDEN_FAKETIME=$(firstword $(wildcard /usr/lib/*/faketime/libfaketimeMT.so.1)) \
		$(BIN)/pytest tests/faults tests/application/certificates/test_crashes.py

.PHONY: attack
attack: setup ## Attack a server in every way of tests/load/attackers.py, and print what it needed (five minutes)
	@$(BIN)/python -m tests.load.under_attack

.PHONY: lint
lint: setup ## Style, types, layers, Dockerfile
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache > .cache/lint-imports.log || { cat .cache/lint-imports.log; exit 1; }
	@$(BIN)/hadolint Dockerfile
	@$(BIN)/python -m hack.policy_reference --check
	@$(BIN)/python -m hack.metrics_reference --check
	@$(BIN)/python -m hack.forms_reference --check
	@$(BIN)/python -m hack.backstop --check
	@$(BIN)/python -m hack.chart_defaults --check
	@$(BIN)/python -m hack.workload_rules --check
	@$(BIN)/python -m hack.workload_reference --check
	@$(BIN)/python -m hack.cli_reference --check
	@$(BIN)/python -m hack.schemas --check
	@$(BIN)/python -m hack.chart_tables --check
	@$(BIN)/python -m hack.chart_readme --check
	@$(BIN)/python hack/licences.py --check

.PHONY: fmt
fmt: setup ## Put code in order
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format --quiet .

.PHONY: cover
cover: setup ## The unit tests with branch coverage of webhook/: its own tests cover the engine whole, all of them the rest to a floor
	@$(BIN)/pytest $(SIDE_BY_SIDE) tests/engine --cov=webhook.engine --cov-fail-under=100
	@$(BIN)/pytest $(SIDE_BY_SIDE) $(filter-out tests/engine,$(UNIT)) --cov=webhook --cov-append --cov-report=
	@$(BIN)/coverage report --omit='webhook/engine/*' --fail-under=$(FLOOR)

.PHONY: system
system: setup ## The tests that are no unit tests: on a control plane, of the image and of hack/, then those under load
	@$(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile tests $(UNIT:%=--ignore=%) $(ALONE:%=--ignore=%)
	@$(BIN)/pytest $(ALONE)

.PHONY: golden
golden: setup ## Write the golden AdmissionReviews anew (then read the diff)
	@UPDATE_GOLDEN=1 $(BIN)/pytest -q tests/test_golden.py

.PHONY: docs
docs: setup ## Write the pages, schemas and man page that come from the code
	@$(BIN)/python -m hack.policy_reference
	@$(BIN)/python -m hack.metrics_reference
	@$(BIN)/python -m hack.forms_reference
	@$(BIN)/python -m hack.workload_reference
	@$(BIN)/python -m hack.cli_reference
	@$(BIN)/python -m hack.schemas
	@$(BIN)/python hack/licences.py

# Not mkdocs --quiet: it hides the warnings from --strict too.
.PHONY: site
site: setup ## Build the documentation site into dist/site; a broken link fails
	@UV_PROJECT_ENVIRONMENT=.cache/site $(UV) sync --locked --quiet --only-group docs --python "$$(command -v $(PYTHON))"
	@$(BIN)/python -m hack.site .cache/site-pages
	@NO_MKDOCS_2_WARNING=1 .cache/site/bin/mkdocs build --strict --site-dir $(or $(SITE),dist/site) > .cache/site.log 2>&1 || { cat .cache/site.log >&2; exit 1; }

.PHONY: manifests
manifests: tools ## Write the chart's generated templates, and deploy/gpuwarden.yaml from the chart
	@$(BIN)/python -m hack.backstop
	@$(BIN)/python -m hack.chart_defaults
	@$(BIN)/python -m hack.workload_rules
	@$(BIN)/python -m hack.chart_tables
	@$(BIN)/python -m hack.chart_readme
	@$(BIN)/python -m hack.in_tree
	@$(BIN)/python -m hack.render_manifests

FUZZ_SECONDS ?= 600
.PHONY: fuzz
fuzz: setup ## Fuzz what reads bytes, ten minutes in all (or FUZZ_SECONDS=60)
	@$(UV) sync --locked --quiet --group fuzz
	@nice $(BIN)/python -m fuzz --seconds $(FUZZ_SECONDS)

.PHONY: sbom
sbom: setup ## Write dist/gpuwarden.cdx.json, and dist/gpuwarden-image.cdx.json of the image if it was built (CycloneDX)
	@mkdir -p dist
	@$(UV) export --format cyclonedx1.5 --frozen --no-default-groups --quiet > dist/gpuwarden.cdx.json
	@$(BIN)/python -m hack.image_bill

.PHONY: dist
dist: setup ## Make what a release publishes into dist/ (make tools dist VERSION=0.1.0)
	@$(BIN)/python -m hack.release "$(VERSION)"

# It needs docker, podman, or buildah (as root); IMAGE_OPTIONS='--base IMAGE' builds on another base.
.PHONY: image
image: ## Build the image, and unpack it for tests/image
	@$(PYTHON) hack/image.py $(IMAGE_OPTIONS)

.PHONY: test-pythons
test-pythons: $(UV) ## Run the unit tests on the other Python that is supported (3.13 in a chroot; needs root and debootstrap)
	@$(PYTHON) hack/pythons.py

# Not in lint: the list of vulnerabilities is asked for over the network.
.PHONY: audit-dependencies
audit-dependencies: setup ## Ask whether anything locked is known to be vulnerable (network)
	@$(UV) export --format requirements.txt --frozen --no-default-groups --no-emit-project --quiet > .cache/locked.txt
	@$(UV) tool run pip-audit@$(PIP_AUDIT_VERSION) --requirement .cache/locked.txt --require-hashes --disable-pip --strict

.PHONY: lock
lock: $(UV) ## Lock the newest versions that pyproject.toml allows
	@$(UV) lock --upgrade

.PHONY: clean
clean: ## Remove what these targets made, but for the control plane (minutes to build)
	@rm -rf .venv .cache/uv .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage htmlcov dist .cache/image .cache/trixie* .cache/python3.13
