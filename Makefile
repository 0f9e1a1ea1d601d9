# Strake's tasks. `make` alone lists them.
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
# More than processors: half of them wait for builds in the test cluster. With more, each test takes more processor.
WORKERS ?= $(shell expr $$(nproc) + 2)
TAG := $(shell sed -n 's/^version = "\([^"]*\)".*/\1/p' pyproject.toml)

# Where a container sets it, every worker compiles every test module anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo demo-down test conformance faults unit test-changed coverage lint format cluster-up cluster-down bench bench-operator image docs site fuzz corpus setup lock release screenshots

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.ready: requirements/dev.txt pyproject.toml
	python3 -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes -r requirements/dev.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

lint: $(VENV)/.ready ## Check style, types and the architecture
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/vulture

format: $(VENV)/.ready ## Format the code and fix what can be fixed
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

setup: ## Install what this machine lacks (Debian packages, Go)
	python3 -m tests.setup

cluster-up: $(VENV)/.ready ## Start the one-node test cluster (compiles Kubernetes the first time)
	$(BIN)/python -m tests.cluster up

cluster-down: $(VENV)/.ready ## Stop the test cluster without a trace
	$(BIN)/python -m tests.cluster down

demo: setup $(VENV)/.ready ## See an ImageBuild become an image, on a real Kubernetes
	$(BIN)/python -m tests.demo up

demo-down: $(VENV)/.ready ## Remove what `make demo` started
	$(BIN)/python -m tests.demo down

test: setup $(VENV)/.ready ## Run every test, or some: make test T=tests/unit ARGS='-x -k copy'
	$(if $(T),,$(BIN)/python -m tests.setup.tools)
	$(BIN)/pytest $(or $(T),-n $(WORKERS)) $(ARGS)

conformance: setup $(VENV)/.ready ## Build every conformance case in every way of isolation, in containers and pods
	STRAKE_CONFORMANCE=whole $(BIN)/pytest tests/conformance tests/e2e/isolation/test_conformance.py $(ARGS)

faults: setup $(VENV)/.ready ## Have each part of a cluster fail under builds, often and for long
	STRAKE_FAULTS=whole $(BIN)/pytest tests/e2e/trouble/test_faults.py tests/e2e/trouble/long_faults.py $(ARGS)

unit: $(VENV)/.ready ## Run the unit tests that need no root and no service, in less than a minute
	$(BIN)/pytest tests/unit -n auto -m "not root" $(ARGS)

test-changed: $(VENV)/.ready ## Run the tests that the changed files lead to: make test-changed ARGS='--since main'
	$(BIN)/python -m tests.changed $(ARGS)

coverage: $(VENV)/.ready ## Measure what the unit tests run of the sources; fails under the floor
	$(BIN)/pytest tests/unit -n auto --cov --cov-report=term:skip-covered $(ARGS)

bench: $(VENV)/.ready ## Measure against other builders and registry clients
	python3 -m tests.setup --benchmarks
	for each in benchmarks/*.py benchmarks/builders/__main__.py; do \
	  module=$${each%.py}; module=$${module%/__main__}; \
	  $(BIN)/python -m benchmarks.$${module#benchmarks/} || exit 1; done

bench-operator: setup $(VENV)/.ready ## Measure the operator with 10,000 ImageBuilds: make bench-operator ARGS='--builds 1000'
	$(BIN)/python -m benchmarks.operator $(ARGS)

image: $(VENV)/.ready ## Build Strake's own images with Strake: make image REGISTRY=registry.example/strake
	@test -n "$(REGISTRY)" || { echo "say where to push: make image REGISTRY=registry.example/strake"; exit 2; }
	for target in builder operator; do \
	  $(BIN)/strake build --context . --target $$target --destination $(REGISTRY)/$$target:$(TAG) $(BUILD_FLAGS) || exit 1; done

site: $(VENV)/.ready ## Make the documentation's site in build/site; every link is checked
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

screenshots: setup $(VENV)/.ready ## Take the pictures of docs/ui.md anew, in Chromium
	$(BIN)/python -m tests.browser.screenshots

docs: $(VENV)/.ready ## Write what is generated anew: the CRD, the seccomp profile, the chart's copies, tables of pages
	$(BIN)/python docs/generate.py
	$(BIN)/python crds/generate.py
	$(BIN)/python deploy/seccomp/generate.py
	$(BIN)/python charts/generate.py

fuzz: $(VENV)/.ready ## Feed the Dockerfile parser nonsense for a minute
	$(BIN)/python -m tests.fuzz.dockerfile --seconds 60

corpus: setup $(VENV)/.ready ## Read the Dockerfiles of a directory as BuildKit does: make corpus DIR=~/checkouts
	@test -n "$(DIR)" || { echo "name a directory: make corpus DIR=~/checkouts"; exit 2; }
	$(BIN)/python -m tests.oracles.directory $(DIR)

release: $(VENV)/.ready ## Make everything that a release consists of, in dist/: make release REGISTRY=registry.example/strake
	$(BIN)/python -m release build $(if $(REGISTRY),--registry $(REGISTRY)) $(ARGS)

lock: ## Write requirements/*.txt anew from pyproject.toml
	$(BIN)/uv pip compile -q --universal --no-strip-extras --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --extra aws --extra gcp --extra azure --extra sign --extra keyless --extra completion -o requirements/builder.txt pyproject.toml
	$(BIN)/uv pip compile -q --universal --no-strip-extras --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --extra operator --extra traces -o requirements/operator.txt pyproject.toml
	$(BIN)/uv pip compile -q --universal --no-strip-extras --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --extra kubectl --extra ui -o requirements/kubectl.txt pyproject.toml
	$(BIN)/uv pip compile -q --universal --no-strip-extras --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --group build -o requirements/build.txt
	$(BIN)/uv pip compile -q --universal --no-strip-extras --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --group checkov -o requirements/checkov.txt
	$(BIN)/uv pip compile -q --universal --no-strip-extras --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --all-extras --group dev -o requirements/dev.txt pyproject.toml
	$(BIN)/python -m tests.setup.bare_pins requirements/*.txt
