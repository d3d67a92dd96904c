# Two commands do everything, in a virtual environment of their own:
#   make run CLIP=clip.mp4 OUT=folder    install, fetch the weights, redact (without CLIP: a sample clip)
#   make test                            install, fetch the weights, check and test

PYTHON ?= python3
OUT ?= out
BIN := .venv/bin

.PHONY: run test check clean

run: .venv/tool
	$(BIN)/redact models fetch
ifdef CLIP
	$(BIN)/redact run "$(CLIP)" -o "$(OUT)"
else
	$(BIN)/python -m pip install --quiet --editable ".[test]"
	mkdir -p "$(OUT)"
	$(BIN)/python -m tests.clips "$(OUT)/sample.mp4"
	$(BIN)/redact run "$(OUT)/sample.mp4" -o "$(OUT)"
endif

test: .venv/dev
	$(BIN)/redact models fetch
	$(MAKE) check

check:
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest

.venv/tool: setup.cfg pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable ".[review]"
	touch $@

.venv/dev: setup.cfg pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable ".[review,test,dev]"
	touch $@

clean:
	rm -rf .venv build dist *.egg-info
