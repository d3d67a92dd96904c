# Two commands do everything, in a virtual environment of their own:
#   make run CLIP=clip.mp4 OUT=folder    install, fetch the weights, redact (without CLIP: a sample clip)
#   make test                            install, fetch the weights, check and test

PYTHON ?= python3
OUT ?= out
BIN := .venv/bin
# Three for two cores: half of the suite waits for processes, files and a browser.
PYTEST := -m pytest --numprocesses $$(( ($$(getconf _NPROCESSORS_ONLN) * 3 + 1) / 2 )) --dist worksteal

.PHONY: run test check oldest newest tables release sbom clean

run: .venv/tool
	$(BIN)/redact models fetch
ifdef CLIP
	$(BIN)/redact run "$(CLIP)" -o "$(OUT)"
else
	$(BIN)/python -m pip install --quiet scikit-image
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
	$(BIN)/python $(PYTEST)

# The suite with the oldest packages that setup.cfg allows: each `>=` of it becomes `==`. The list of licences is that of newer ones.
oldest: PYTHON := python3.11
oldest:
	$(PYTHON) -m venv --clear build/oldest
	sed -n 's/^    \(.*\)>=/\1==/p' setup.cfg > build/oldest/constraints.txt
	build/oldest/bin/python -m pip install --quiet --constraint build/oldest/constraints.txt --editable ".[review,test,dev]"
	build/oldest/bin/redact models fetch
	build/oldest/bin/python $(PYTEST) --deselect \
		tests/test_house.py::test_every_package_and_all_weights_stand_in_the_list_of_licences

# Likewise with the newest, some of which (PyAV 19) only newer Pythons get. TESTS: which tests; all by default.
newest: PYTHON := python3.13
newest:
	$(PYTHON) -m venv --clear build/newest
	build/newest/bin/python -m pip install --quiet --editable ".[review,test,dev]"
	build/newest/bin/redact models fetch
	build/newest/bin/python $(PYTEST) $(TESTS)

# What the documents say of commands, options and licences, from the program and the packages.
tables:
	$(BIN)/python -m redact.cli.reference
	$(BIN)/python bench/licences.py

# Build the sdist and the wheel, check them, and do the main job from the wheel in an empty environment.
release: .venv/dev
	rm -rf build dist
	$(BIN)/python -m pip install --quiet --editable ".[release]"
	$(BIN)/python -m build
	$(BIN)/python -m twine check --strict dist/*
	$(BIN)/python -m bench.installed dist/*.whl build/installed

# The list of all packages of that environment, CycloneDX.
sbom: release
	$(BIN)/cyclonedx-py environment --output-reproducible -o dist/redact.cdx.json build/installed

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
