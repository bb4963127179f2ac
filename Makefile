# The commands of this project. `make` alone lists them; a line that begins with `NAME: ... ## TEXT` is in that list.

PYTHON ?= python3
CPU ?=
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
# Tests wait for processes and servers now and then: one worker more than there are cores, up to four.
WORKERS := -n $(shell cores=$$(nproc); echo $$((cores < 4 ? cores + 1 : 4)))
BALANCED := $(WORKERS) --dist worksteal
# Slow tests of a file share a pipeline run or a cluster, which each worker with one of them would repeat.
PARALLEL := $(WORKERS) --dist loadfile --no-loadscope-reorder
PIP := $(BIN)/python -m pip --disable-pip-version-check
# With CPU=1, tensorflow-cpu (without CUDA) takes the place of tensorflow in either lock file.
INSTALL_LOCK = $(if $(CPU),awk '/^[a-z]/ { skip = /^tensorflow==/ } !skip' $(1) | cat - requirements-cpu.lock > $(VENV)/cpu-$(1) \
	&& $(PIP) install -q --no-deps --require-hashes -r $(VENV)/cpu-$(1),$(PIP) install -q --require-hashes -r $(1))
COMPILE := $(BIN)/uv pip compile setup.cfg --quiet --universal --python-version 3.11 --generate-hashes \
	--custom-compile-command "make lock"

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test test-all coverage test-portable test-faults setup-browser lint audit bench docs lock clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*##  *\(.*\)/  make \1	\2/p' $(firstword $(MAKEFILE_LIST))
	@echo "  PYTHON=python3.12 selects the Python of the environment; CPU=1 installs TensorFlow without CUDA (smaller);"
	@echo "  ARGS=\"...\" is appended to the command that is run."

run: $(VENV)/.installed-run  ## the whole pipeline on the data set of luigi.cfg
	@$(BIN)/luigi --module tasks FullPipeline --local-scheduler $(ARGS)

test: $(VENV)/.installed-dev  ## the tests without those marked as slow, and the durations of the slowest twenty
	@$(BIN)/pytest --durations=20 -m 'not slow and not portable and not faults' $(BALANCED) $(ARGS)

test-all: $(VENV)/.installed-dev  ## all tests, and the durations of the slowest twenty
	@$(BIN)/pytest --durations=20 $(PARALLEL) $(ARGS)

coverage: $(VENV)/.installed-dev  ## the tests with a summary of the code that they cover
	@$(BIN)/pytest $(PARALLEL) --cov --cov-report=term:skip-covered $(ARGS)

test-portable: $(VENV)/.installed-dev  ## the tests of Beam's portable runner and of Google Cloud Storage, where Go can build their servers
	@if command -v go >/dev/null; then $(MAKE) --no-print-directory $(BIN)/prism $(BIN)/fake-gcs-server && $(BIN)/pytest -m portable $(ARGS); \
	else echo "There is no Go here to build Prism and fake-gcs-server with: their tests are left out."; fi

test-faults: $(VENV)/.installed-dev  ## the fault suite in full: kills, full disks, clusters
	@$(BIN)/pytest -m 'faults or not faults' tests/faults $(ARGS)

setup-browser:  ## Chromium for the tests of pages, where Debian's packages can be installed
	@if command -v chromium || command -v chromium-browser || command -v google-chrome; then :; \
	elif command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		apt-get update -q && apt-get install -y -q --no-install-recommends chromium fonts-dejavu-core; \
	else echo "Chromium cannot be installed from here: as root on Debian, apt-get install chromium."; fi \
	|| echo "Chromium could not be installed."

lint: $(VENV)/.installed-dev  ## style, format and types, checked and not changed
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

audit: $(VENV)/.installed-dev  ## what is known to be unsafe, in this code (bandit) and in the locked packages (pip-audit)
	@$(BIN)/bandit -q -c pyproject.toml -r schemas model pipelines tasks
	@report=$$($(BIN)/pip-audit --disable-pip --progress-spinner off -r requirements.lock 2>&1) || case "$$report" in \
	*"known vulnerabilit"*) echo "$$report"; exit 1;; \
	*) echo "The database of vulnerabilities cannot be reached: the locked packages were not looked up."; exit 0;; esac; \
	echo "$$(echo "$$report" | grep -c 'could not be audited') packages are unknown to the database of vulnerabilities."

bench: $(VENV)/.installed-dev  ## the performance suite
	@$(BIN)/python -m benchmarks $(ARGS)

docs: $(VENV)/.installed-dev  ## the documentation as a site, in build/site
	@$(BIN)/python docs/generate_reference.py
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet $(ARGS)
	@echo "documentation  build/site/index.html"

lock: $(BIN)/uv  ## regenerate the lock files from setup.cfg; ARGS=--upgrade takes the newest versions
	@# Luigi wants an old python-daemon on Windows only; without this constraint the lock takes it everywhere.
	@echo "python-daemon>=3; sys_platform != 'win32'" | $(COMPILE) $(ARGS) --constraints - --output-file requirements.lock
	@$(COMPILE) $(ARGS) --extra dev --constraints requirements.lock --output-file requirements-dev.lock
	@sed -n 's/^tensorflow\(==[^ ]*\).*/tensorflow-cpu\1/p' requirements.lock \
		| $(subst setup.cfg,-,$(COMPILE)) --no-deps --output-file requirements-cpu.lock

clean:  ## remove caches and build products; what was computed (var/) and .venv/ stay
	@rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . \( -path ./$(VENV) -o -path ./var \) -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

# One environment serves everything: the development lock is the run's lock and more.

$(VENV)/.installed-dev: requirements-dev.lock $(VENV)/.installed-run
	@echo "Installing the locked development tools (under a minute)."
	@$(call INSTALL_LOCK,requirements-dev.lock)
	@touch $@

$(VENV)/.installed-run: requirements.lock setup.cfg pyproject.toml | $(BIN)/pip
	@echo "Installing the locked dependencies (850 MB to fetch, 2.9 GB on disk, some minutes)."
	@$(call INSTALL_LOCK,requirements.lock)
	@$(PIP) install -q --no-deps --no-build-isolation -e .
	@touch $@

$(BIN)/prism: $(VENV)/.installed-run
	@echo "Building Prism, the job service of this version of Beam (some minutes)."
	@version=$$($(BIN)/python -c "from importlib.metadata import version; print(version('apache-beam'))"); \
	GOBIN=$(abspath $(BIN)) go install github.com/apache/beam/sdks/v2/go/cmd/prism@v$$version

$(BIN)/fake-gcs-server: $(VENV)/.installed-run
	@echo "Building a server for the tests of Google Cloud Storage (some minutes)."
	@GOBIN=$(abspath $(BIN)) go install github.com/fsouza/fake-gcs-server@v1.56.1

$(BIN)/uv: | $(BIN)/pip
	@$(PIP) install -q 'uv>=0.5'

$(BIN)/pip:
	@command -v $(PYTHON) >/dev/null || { \
		echo "There is no $(PYTHON); install Python 3.11, 3.12 or 3.13, or name one: make run PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
		echo "m-RNN needs Python 3.11, 3.12 or 3.13 and $(PYTHON) is $$($(PYTHON) -V 2>&1); name another: make run PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot make a virtual environment; install what it lacks: apt install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
