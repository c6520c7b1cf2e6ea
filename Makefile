# Jalon. `make help` lists what can be made; each target makes .venv by itself.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
TERRITORY ?= demo
BIN := .venv/bin
UV_VERSION := 0.13.9
export BENTOML_DO_NOT_TRACK := True
export MLFLOW_DISABLE_TELEMETRY := true
# Idle OpenMP threads sleep instead of spinning: on a busy machine trees grow several times faster.
export OMP_WAIT_POLICY := PASSIVE

.PHONY: help demo serve test test-features test-rest check format bench bench-features lock clean

help: ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /\1\t/' | expand -t 16

demo: .venv/runtime ## simulate, ingest, train, score and serve the demo territory at http://localhost:3000
	@$(BIN)/jalon demo

serve: .venv/runtime ## serve a territory that has a model (TERRITORY=demo)
	@$(BIN)/jalon serve $(TERRITORY)

test: .venv/develop ## every test, doctest and check that a commit must pass
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@$(MAKE) --no-print-directory -j 2 test-features test-rest

# Two halves at once, one for each core; the second runs again in another time zone what may depend on it.
test-features: .venv/develop
	TZ=UTC $(BIN)/pytest -q -p no:cacheprovider tests/features features
test-rest: .venv/develop
	TZ=UTC $(BIN)/pytest -q tests/end_to_end tests/serving tests/simulator tests/training training serving simulator jalon.py
	TZ=America/St_Johns $(BIN)/pytest -q -m "not once" tests/features tests/training

check: .venv/develop ## the quick half of `test`: style, types, import directions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/develop ## rewrite the code in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/develop ## time the main jobs, each beside a peer in the same run
	$(BIN)/python -m benchmarks

bench-features: .venv/bench .venv-peers/peers ## the feature engine beside its peers (LINES="a e" chooses lines)
	$(BIN)/python -m benchmarks.features $(LINES)

lock: .venv/uv ## resolve the lock files again
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
	  --python-version 3.11 pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
	  --python-version 3.11 --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
	  --python-version 3.11 --extra bench -c requirements.lock pyproject.toml -o requirements-bench.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
	  --python-version 3.11 requirements-peers.in -o requirements-peers.lock

clean: ## remove the environment and what the tools left; work folders (.jalon) stay
	rm -rf .venv .venv-peers build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Jalon needs Python 3.11 or later; '$(PYTHON)' is older. Hint: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -m venv .venv || \
	  { echo "This Python cannot make a virtual environment. Hint: install its venv module." >&2; exit 1; }

.venv/uv: .venv/bin/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv==$(UV_VERSION)"
	@touch $@

.venv/runtime: .venv/uv requirements.lock pyproject.toml
	@echo "Installing the locked packages into .venv" >&2
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	@touch $@

.venv/develop: .venv/uv requirements-dev.lock pyproject.toml
	@echo "Installing the locked packages and the development tools into .venv" >&2
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-dev.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	@touch $@ .venv/runtime

.venv/bench: .venv/develop requirements-bench.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-bench.lock
	@touch $@

.venv-peers/peers: .venv/uv requirements-peers.lock
	@echo "Installing featuretools, which needs an older pandas, into .venv-peers" >&2
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-peers
	@$(BIN)/uv pip install --quiet --python .venv-peers/bin/python --require-hashes -r requirements-peers.lock
	@touch $@
