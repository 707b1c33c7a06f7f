# The two commands that a newcomer needs: `make demo` and `make test`. Everything lives in .venv and the cache folder.
PYTHON ?= python3.11
BIN := .venv/bin
SERVE ?= 1
PORT ?= 8000
SAMPLE := samples/handbook

.PHONY: demo test lint bench serve clean format

# A stamp a set of extras: pip is asked again only when pyproject.toml changes.
.venv/.python:
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed: set PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@

.venv/.base: pyproject.toml .venv/.python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

.venv/.test: pyproject.toml .venv/.python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[test]"
	@touch .venv/.base $@

.venv/.lint: pyproject.toml .venv/.python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[lint,test]"
	@touch .venv/.base .venv/.test $@

.venv/.bench: pyproject.toml .venv/.python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[bench]"
	@touch .venv/.base $@

demo: .venv/.base
	$(BIN)/bothways es up
	$(BIN)/bothways index $(SAMPLE)/docs --collection handbook --questions $(SAMPLE)/pseudo_questions.jsonl
	$(BIN)/python $(SAMPLE)/tour.py
ifeq ($(SERVE),1)
	$(BIN)/bothways serve --port $(PORT)
endif

serve: .venv/.base
	$(BIN)/bothways es up
	$(BIN)/bothways serve --port $(PORT)

test: .venv/.test
	$(BIN)/python -m pytest

lint: .venv/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/.lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/.bench
	$(BIN)/bothways es up
	$(BIN)/python -m benchmarks

clean:
	-[ -x $(BIN)/bothways ] && $(BIN)/bothways es down
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache \
		bench-results eval-results
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
