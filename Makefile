# make run    the experiment on synthetic pages: six trainings, one accuracy table
# make test   the fast tests            make test-slow   the slow ones
# make lint   format, types, notebooks  make format      put format and notebooks right
# make DATA=folder PROTOCOL=published run    the same experiment on your pages

suits = -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null
PYTHON ?= $(shell for python in python3.12 python3.11 python3 python; do \
	$$python $(suits) && echo $$python && break; done)
BIN = .venv/bin
OPTIONS = $(if $(DATA),--data "$(DATA)") $(if $(PROTOCOL),--protocol $(PROTOCOL))

.PHONY: run test test-slow lint format
.DELETE_ON_ERROR:

run: .venv/installed
	$(BIN)/python -m ecg_lib run $(OPTIONS)

test: .venv/installed
	$(BIN)/python -X warn_default_encoding -m pytest -m "not slow"

test-slow: .venv/installed
	$(BIN)/python -X warn_default_encoding -m pytest -m slow

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/nbstripout --verify notebooks/*.ipynb kaggle_kernel/*.ipynb

format: .venv/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/nbstripout notebooks/*.ipynb kaggle_kernel/*.ipynb

.venv/installed: requirements.txt pyproject.toml
	@$(or $(PYTHON),false) $(suits) || { echo "ecg_lib needs Python 3.11 or 3.12: install one," \
		"or name it with make PYTHON=/path/to/python3.12" >&2; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@
