# Commands for developers. Each target makes its virtual environment and installs what it needs, so a fresh
# machine needs only make and Python 3.11 or newer.
#
#   make test PYTHON=python3.12 VENV=.venv312     another interpreter, in an environment of its own
#   make demo OUT=/tmp/report                     the report somewhere else

VENV ?= .venv
PYTHON ?=
OUT ?= shapecluster-report
WORKERS ?= auto
TIMES ?= 20
FILES ?= .
PORTFOLIO ?= ENR01,HLC16,FIN08,TEC25,CST16
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
IMAGE ?= shapecluster:$(VERSION)
DOCKER ?= docker

BIN := $(VENV)/bin
ENVIRONMENT := PYTHON="$(PYTHON)" sh .ci/environment "$(VENV)"
LINT_ENVIRONMENT := $(ENVIRONMENT) lint -e ".[market,plot,report,cli]" -r .ci/lint-requirements.txt

.DEFAULT_GOAL := help
.PHONY: help demo test faults mutants lint types format lines docs bench image clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile

demo: ## cluster a simulated market, write a report to look at, and rehearse a training job
	@$(ENVIRONMENT) demo -e ".[market,plot,report,cli]"
	$(BIN)/shapecluster stocks --portfolio "$(PORTFOLIO)" --seed 0 --out "$(OUT)"
	@echo
	@echo "The same market as a SageMaker training job, rehearsed in a folder on this machine:"
	$(BIN)/shapecluster sagemaker rehearse -k 10 --seed 0 --folder "$(OUT)-rehearsal" --out "$(OUT)/labels.csv"
	@echo
	@echo "Traders with the same holdings as trader 6, among 100,000 generated traders:"
	$(BIN)/shapecluster portfolios match 6
	@echo
	@echo "The report is in $(abspath $(OUT))/index.html"

test: ## run all tests and doctests
	@$(ENVIRONMENT) test -e ".[test]"
	$(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 4 $(ARGS)

faults: ## test every fault at every stage of a training job, TIMES times with other timing
	@$(ENVIRONMENT) test -e ".[test]"
	$(BIN)/python -m tests.faults --times $(TIMES) $(ARGS)

lint: types ## run ruff, mypy and pyright, at the versions in .ci/lint-requirements.txt
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: ## run mypy and pyright only
	@$(LINT_ENVIRONMENT)
	$(BIN)/mypy --strict src tests/typed_api.py
	$(BIN)/pyright --pythonpath $(BIN)/python

format: ## reformat, and apply the automatic fixes of ruff (FILES="a.py b.py": only to these)
	@$(LINT_ENVIRONMENT)
	$(BIN)/ruff check --fix $(FILES)
	$(BIN)/ruff format $(FILES)

mutants: ## change one line at a time, forty in all, and check that the named tests fail
	@$(ENVIRONMENT) test -e ".[test]"
	$(BIN)/python -m tests.mutants $(ARGS)

lines: ## count the lines of code by package (ARGS='--against COMMIT' compares)
	@$(or $(PYTHON),python3) .ci/count_lines.py $(ARGS)

docs: ## build docs/_build/html; a warning is an error
	@$(ENVIRONMENT) docs -e ".[docs]"
	rm -rf docs/_build docs/api/generated
	$(BIN)/python -m sphinx -W -n --keep-going -q -b html docs docs/_build/html
	@echo "The pages: $(abspath docs/_build/html/index.html)"

bench: ## compare with the peers: minutes with ARGS=--quick, else hours; then update the tables of the page
	@PYTHON="$(PYTHON)" sh .ci/environment "$(VENV)-bench" compare -e ".[compare]"
	$(VENV)-bench/bin/python -m benchmarks.peers $(ARGS)
	$(VENV)-bench/bin/python -m benchmarks.scaling $(ARGS)
	$(VENV)-bench/bin/python -m benchmarks.accuracy $(ARGS)
	$(VENV)-bench/bin/python -m benchmarks.portfolios_clustering $(ARGS)
	$(VENV)-bench/bin/python -m benchmarks.matching $(ARGS)
	$(VENV)-bench/bin/python -m benchmarks.index $(ARGS)
	$(VENV)-bench/bin/python -m benchmarks.analogues $(if $(findstring --quick,$(ARGS)),$(ARGS),$(ARGS) --page)
	$(if $(findstring --quick,$(ARGS)),,$(VENV)-bench/bin/python -m benchmarks.page)

# SageMaker accepts no image index, and provenance would make one. With DOCKER=: only the build folder is made.
image: ## build the image for SageMaker (IMAGE=name:tag) from a wheel and pinned versions
	@$(ENVIRONMENT) build build
	rm -rf build/image
	$(BIN)/python -m build --wheel --outdir build/image .
	cp src/shapecluster/container/Dockerfile src/shapecluster/container/constraints.txt build/image
	$(DOCKER) build --platform linux/amd64 --provenance=false --tag "$(IMAGE)" build/image

clean: ## remove everything that these targets create
	rm -rf .venv .venv-bench build dist docs/_build docs/api/generated shapecluster-report shapecluster-report-rehearsal
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
