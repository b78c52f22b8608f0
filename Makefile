# Two commands do all the set-up: `make demo` and `make test`.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
CARD ?= t21

.PHONY: help demo test check book bench wheel clean

help:            ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

demo: $(VENV)/demo.stamp  ## install Suiren and train the character GPT on a virtual T21
	$(BIN)/suiren run examples/char_gpt.py --on $(CARD) --report report.html

# Tests of pages in a browser are skipped where there is none; Debian: apt-get install chromium chromium-driver
test: $(VENV)/test.stamp  ## install what the tests need and pass them
	$(BIN)/ruff check suiren torch_gcu tests benchmarks examples
	$(BIN)/mypy
	$(BIN)/python -m pytest

check: test      ## the same

book: $(VENV)/test.stamp  ## build the book into build/book; a broken link fails
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: $(VENV)/test.stamp  ## ratios against plain PyTorch, speed of tracing and timing
	$(BIN)/python benchmarks/eager_overhead.py
	$(BIN)/python benchmarks/capture.py
	$(BIN)/python benchmarks/kernel_timing.py

wheel: $(VENV)/python.stamp  ## build the binary wheel into dist/
	$(BIN)/pip install --quiet "setuptools>=75" wheel "torch==2.13.0" numpy
	$(BIN)/pip wheel --no-build-isolation --no-deps --wheel-dir dist .

$(VENV)/python.stamp:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	touch $@

# PyTorch first and alone, then the rest against it: one copy of it, and no other version.
$(VENV)/torch.stamp: $(VENV)/python.stamp
	$(BIN)/pip install --quiet "torch==2.13.0" numpy "setuptools>=75" wheel
	touch $@

SOURCES := $(shell find suiren torch_gcu -name '*.py' -o -name '*.h' -o -name '*.cpp') setup.py pyproject.toml

$(VENV)/demo.stamp: $(VENV)/torch.stamp $(SOURCES)
	$(BIN)/pip install --quiet --no-build-isolation .
	touch $@

$(VENV)/test.stamp: $(VENV)/torch.stamp setup.py pyproject.toml $(wildcard suiren/torch/shim/*)
	$(BIN)/pip install --quiet --no-build-isolation --editable ".[dev]"
	touch $@

clean:           ## remove what was built
	rm -rf $(VENV) build dist *.egg-info suiren/torch/*.so
