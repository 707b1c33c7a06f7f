# The two commands that a newcomer needs: `make demo` and `make test`. Everything lives in .venv and the cache folder.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
SERVE ?= 1
PORT ?= 8000
BENCH ?=
SAMPLE := samples/handbook

.PHONY: demo test lint docs reference bench bench-scale serve clean format

# A stamp a set of extras: pip is asked again only when pyproject.toml changes.
.venv/.python:
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" 2>/dev/null || \
		{ echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@

.venv/.base: pyproject.toml .venv/.python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[server,eval]"
	@touch $@

.venv/.test: pyproject.toml .venv/.python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[test]"
	$(BIN)/python -m tests.chromium
	$(BIN)/python -m tests.strace
	@touch .venv/.base $@

.venv/.lint: pyproject.toml .venv/.python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[lint]"
	@touch .venv/.base $@

.venv/.docs: pyproject.toml .venv/.python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[docs]"
	@touch .venv/.base $@

# Haystack and LangChain want the Elasticsearch client of version 8: they get an environment of their own, laid over
# .venv by a path file.
.venv/.bench: pyproject.toml benchmarks/requirements.txt .venv/.python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[torch]"
	$(BIN)/python -m venv .venv/bench
	$(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))" \
		> "$$(.venv/bench/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")/over.pth"
	.venv/bench/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/requirements.txt
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

# Two processes, each with whole files (the longest first: tests/conftest.py), over one Elasticsearch of the run's own
# (BOTHWAYS_ES_URL names another one); `make test TESTS="tests/core -n 0"` for less.
TESTS ?= -n 2 --dist loadfile --no-loadscope-reorder
test: .venv/.test
	$(BIN)/python -m pytest --own-node $(TESTS)

lint: .venv/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: .venv/.docs
	$(BIN)/python -m docs._tools

# docs/reference, made of the code; `make test` fails while it is out of date.
reference: .venv/.docs
	$(BIN)/python -m docs._tools reference

format: .venv/.lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/.bench
	$(BIN)/bothways es up
	$(BIN)/python -m benchmarks $(BENCH)

bench-scale: .venv/.base
	$(BIN)/bothways es up
	$(BIN)/python -m benchmarks.indexing.scale $(BENCH)

clean:
	-[ -x $(BIN)/bothways ] && $(BIN)/bothways es down
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache \
		bench-results eval-results
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
