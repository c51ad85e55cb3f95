# Every target makes the environment it needs; `make` alone says what there is.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PRIVATE_UV := $(CURDIR)/.dualrun/uv/bin/uv
UV := $(shell uv --version >/dev/null 2>&1 && command -v uv || echo $(PRIVATE_UV))
BIN := .venv/bin
STAMP := .venv/.stamp
COMPOSE := docker compose

# Most tests wait for processes: three at a time keep two cores busy. A file's tests stay together, they share their services.
TEST_PROCESSES ?= 3

BENCHMARKS = $(or $(NAME),$(filter-out soak,$(basename $(notdir $(shell grep -l __main__ benchmarks/*.py)))))

.PHONY: help run demo test faults check lint types arch docs pictures fmt bench soak schema sbom up down clean

help: ## Say what there is
	@grep -hE '^[a-z.-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

run: $(STAMP) ## Run everything in one process, with nothing installed: http://127.0.0.1:8080
	@$(UV) run --frozen dualrun run $(ARGS)

demo: $(STAMP) ## The same with traffic and one planted difference
	@$(UV) run --frozen dualrun demo $(ARGS)

test: $(STAMP) ## Run all tests; RabbitMQ, Redis and PostgreSQL are found or started (ARGS='-k flag' for some, TEST_PROCESSES=0 for one at a time)
	@$(BIN)/python -m tools.services -- $(BIN)/pytest -n $(TEST_PROCESSES) --dist loadfile $(ARGS)

faults: $(STAMP) ## Break everything while 20,000 events are under way (EVENTS=n); `make test` does it with fewer
	@$(BIN)/python -m tools.services -- env DUALRUN_FAULTS_EVENTS=$(or $(EVENTS),20000) $(BIN)/pytest tests/faults $(ARGS)

check: lint types arch docs ## What a change must pass besides the tests

lint: $(STAMP) ## Style and format (ruff)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP) ## Types (mypy --strict)
	$(BIN)/mypy

arch: $(STAMP) ## Who may import whom (import-linter)
	$(BIN)/lint-imports

docs: $(STAMP) ## Write the documentation as a site into .dualrun/site; a warning is an error
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

pictures: $(STAMP) ## Take the pictures of the documentation again, by the browser tests
	@$(BIN)/python -m tools.services -- env DUALRUN_PICTURES=$(CURDIR)/docs/images $(BIN)/pytest -q tests/e2e/test_documentation.py -k picture

schema: $(STAMP) ## Write the JSON Schemas of the contracts again
	@$(BIN)/python -m dualrun.contracts.schemas

fmt: $(STAMP) ## Format, and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP) ## Run the benchmarks (NAME=compare for one)
	@$(BIN)/python -m tools.services -- bash -c 'set -e; \
	export DUALRUN_AMQP_URL=$$DUALRUN_TEST_AMQP_URL DUALRUN_REDIS_URL=$$DUALRUN_TEST_REDIS_URL; \
	for name in $(BENCHMARKS); do echo "== $$name"; $(BIN)/python -m benchmarks.$$name $(ARGS); done'

soak: ## Ten minutes of steady work on the event workers: is memory flat? (ARGS='--minutes 1')
	@$(MAKE) --no-print-directory bench NAME=soak

sbom: $(STAMP) ## Write down every package of the gateway, its pages and the workers with its version and hash: dist/sbom.json (CycloneDX)
	@mkdir -p dist
	@$(UV) export --frozen --all-packages --no-dev --format cyclonedx1.5 --output-file dist/sbom.json --quiet
	@$(BIN)/python -m tools.vendored_sbom dist/sbom.json
	@echo dist/sbom.json

up: .env ## Start the real stack in containers and wait until it is healthy
	$(COMPOSE) up --detach --build --wait

down: ## Stop the real stack; its data stays in named volumes
	$(COMPOSE) down

clean: ## Remove the environment and caches
	rm -rf .venv .dualrun/uv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Passwords are drawn once, here; nothing starts with one that is in the repository.
.env: | config/.env.example
	python3 -m tools.env_file config/.env.example .env

$(STAMP): pyproject.toml gateway/pyproject.toml uv.lock $(if $(findstring $(PRIVATE_UV),$(UV)),$(PRIVATE_UV))
	@$(UV) sync --frozen --all-packages --quiet
	@touch $@

# A plain Debian has python3 and, with luck, venv; pip --target works without it and without touching the system's packages.
$(PRIVATE_UV):
	@echo "uv is not installed: putting it into .dualrun/uv"
	@rm -rf .dualrun/uv
	@if python3 -m venv .dualrun/uv >/dev/null 2>&1; then .dualrun/uv/bin/python -m pip install --quiet uv; \
	 else rm -rf .dualrun/uv; python3 -m pip install --quiet --target .dualrun/uv uv; fi
