# Needs Python 3.11, git and make; every target first builds .venv if it is missing or out of date.
# `make` alone lists the targets. Another interpreter: make setup PYTHON=/path/to/python3.11

PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3.11)
VENV   := .venv
BIN    := $(CURDIR)/$(VENV)/bin
STAMP  := $(VENV)/.installed

# Tests in one process a core: each test has one thread. A file stays in one process, so that what
# its tests share is made once.
SIDE_BY_SIDE := -n auto --maxprocesses 8 --dist loadfile

# Children print at once, so that progress is seen while it happens.
export PYTHONUNBUFFERED := 1

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup demo demo-rna lint test test-all fuzz soak screenshots bench bench-demo bench-priors bench-serving bench-rna clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## build .venv (again only after pyproject.toml changed)

$(STAMP): pyproject.toml
	@command -v "$(PYTHON)" >/dev/null || { echo "error: $(PYTHON) not found; install Python 3.11 or run: make setup PYTHON=/path/to/python3.11" >&2; exit 2; }
	@"$(PYTHON)" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' || { echo "error: $(PYTHON) is $$("$(PYTHON)" --version); Python 3.11 is needed: make setup PYTHON=/path/to/python3.11" >&2; exit 2; }
	@echo "== building $(VENV) with $$("$(PYTHON)" --version) (about 3 minutes the first time)"
	"$(PYTHON)" -m venv $(VENV)
	"$(BIN)/python" -m pip install --editable '.[dev]'
	@touch $@

# The user's own store wins; the default is a file in the project's root. Only here: tests choose
# their own stores.
demo: export MLFLOW_TRACKING_URI ?= sqlite:///mlflow.db
demo: setup ## the whole workflow on simulated data, then how to open the UI
	@printf '\n== DEMO RECIPE: simulated data, 40 peaks, batch 64, learning rate 1e-3. NOT the guide'"'"'s values.\n\n'
	PATH="$(BIN):$$PATH" "$(BIN)/mlflow" run . -e main --env-manager local -P config=configs/demo.yaml
	@printf '\nOpen the runs at http://127.0.0.1:5000 with:\n\n  '
	@case "$$MLFLOW_TRACKING_URI" in \
	  http://*|https://*) echo "(your tracking server) $$MLFLOW_TRACKING_URI" ;; \
	  *) echo "$(VENV)/bin/mlflow ui --backend-store-uri '$$MLFLOW_TRACKING_URI' --host 127.0.0.1 --port 5000" ;; \
	esac
	@printf '\nPut the last model into use: mlflow run . -e promote --env-manager local\n'

demo-rna: export MLFLOW_TRACKING_URI ?= sqlite:///mlflow.db
demo-rna: setup ## the RNA pipeline on synthetic sequences: prepare, pretrain, evaluate
	@printf '\n== DEMO RECIPE: synthetic RNA from a grammar, a small network. NOT real sequences.\n\n'
	PATH="$(BIN):$$PATH" "$(BIN)/mlflow" run . -e rna_prepare --env-manager local -P config=configs/rna_demo.yaml
	PATH="$(BIN):$$PATH" "$(BIN)/mlflow" run . -e rna_pretrain --env-manager local -P config=configs/rna_demo.yaml
	PATH="$(BIN):$$PATH" "$(BIN)/mlflow" run . -e rna_evaluate --env-manager local -P config=configs/rna_demo.yaml
	@printf '\nPut the model into use: mlflow run . -e promote --env-manager local -P name=priorwise-rna\n'

lint: setup ## ruff, mypy and the import contracts
	"$(BIN)/ruff" check .
	"$(BIN)/ruff" format --check .
	"$(BIN)/mypy" src
	"$(BIN)/lint-imports"

test: lint ## lint, then every test but the slow ones
	PATH="$(BIN):$$PATH" "$(BIN)/python" -m pytest $(SIDE_BY_SIDE) -m "not slow"

test-all: lint ## lint, then every test
	"$(BIN)/python" -m pip install --quiet --editable '.[dev,spark,raw,rna]'
	PATH="$(BIN):$$PATH" "$(BIN)/python" -m pytest $(SIDE_BY_SIDE)

# Other numbers: make fuzz FUZZ_CASES=100000; some readers: make fuzz FUZZ_READERS="mzML,Lance folder"
fuzz: export OMP_NUM_THREADS = 1
fuzz: setup ## 10,000 spoilt files for every reader (an hour; FUZZ_CASES, FUZZ_READERS)
	"$(BIN)/python" -m pip install --quiet --editable '.[dev,raw]'
	"$(BIN)/python" tests/fuzz/run.py

screenshots: setup ## the pictures of the UI that the README shows, from the demo's recipe (needs chromium)
	PATH="$(BIN):$$PATH" PRIORWISE_SCREENSHOTS=docs/ui "$(BIN)/python" -m pytest tests/ui --timeout 3000

# Ratios to the published approach, in turns in one process; some of it needs the `bench` extra.
bench: export OMP_WAIT_POLICY = PASSIVE
bench: setup ## speed and memory of the spectra pipeline beside the published approach (an hour)
	"$(BIN)/python" -m benchmarks.speed

bench-demo: export OMP_NUM_THREADS = 1
bench-demo: setup ## what the demo recipe reaches over three seeds, against the simulation's truth
	"$(BIN)/python" benchmarks/demo_seeds.py

# One thread a process: repeatable, and two processes side by side are quickest.
bench-priors: export OMP_NUM_THREADS = 1
bench-priors: export OMP_WAIT_POLICY = PASSIVE
bench-priors: setup ## priors and nnPU where the truth is known, against published figures
	@"$(BIN)/python" -m pip install --quiet --no-deps pulearn==0.2.0 \
	  || echo "pulearn cannot be had: it is left out of the tables"
	"$(BIN)/python" -m benchmarks.priors
	"$(BIN)/python" -m benchmarks.nnpu
	"$(BIN)/python" -m benchmarks.scar

soak: export OMP_NUM_THREADS = 1
soak: setup ## kills, outages, flipped bits and load, many times over; a table of what held (half an hour)
	"$(BIN)/python" -m benchmarks.soak_tracking
	"$(BIN)/python" -m benchmarks.soak_files
	"$(BIN)/python" -m benchmarks.soak_serving

bench-serving: export OMP_WAIT_POLICY = PASSIVE
bench-serving: setup ## the served model on 1,000 spectra, beside its bare network
	"$(BIN)/python" -m benchmarks.serving

bench-rna: export OMP_WAIT_POLICY = PASSIVE
bench-rna: setup ## the RNA pipeline beside the published modules (real data; hours: see the README)
	"$(BIN)/python" -m pip install --quiet --editable '.[dev,rna]'
	"$(BIN)/python" -m benchmarks.rna goals published speed ast ablation final
	"$(BIN)/python" -m benchmarks.rna final --features bpp

clean: ## remove .venv and caches; runs (mlflow.db, mlruns) and tables (.priorwise) stay
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	rm -rf src/*.egg-info
	find src tests entry_points benchmarks notebooks -type d -name __pycache__ -prune -exec rm -rf {} +
