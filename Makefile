# What a developer types, and CI as well. `make` alone lists the targets.
#
#   PYTHON       the Python 3.11 or newer that .venv is made with
#   TORCH        the PyTorch to install first
#   TORCH_INDEX  where it comes from: on Linux the CPU build, everywhere else PyPI. On Linux PyPI has the CUDA build, 4 GB:
#                make TORCH_INDEX= install
#   CHECKSUMS    1 compares each package for development with checksums.txt, as CI does
#   PARALLEL     processes of the test run; the tests of a file share a process, and with it what they prepare

PYTHON ?= python3
TORCH ?= torch==2.13.0
TORCH_INDEX ?= $(if $(filter Linux,$(shell uname -s)),https://download.pytorch.org/whl/cpu)
PARALLEL ?= 2

BIN := .venv/bin
# Written when an installation has ended: everything for development, or what the demo needs.
INSTALLED := .venv/edgekit-installed
DEMO := .venv/edgekit-demo
# What lists and audits the packages has an environment of its own: it needs packages that edgekit does not.
AUDIT := .venv-audit
AUDITORS := cyclonedx-bom==7.5.0 pip-audit==2.10.1 uv==0.13.9
LINKS := train export runtime devices
# PROGRAM:PACKAGE of what tests drive and pip cannot install. The other stand-ins are unpacked by the tests themselves.
STANDINS := chromium:chromium ssh:openssh-client javac:default-jdk-headless cmake:cmake \
	pg_ctlcluster:postgresql
# tests/conftest.py puts the files with expensive tests first; xdist would order them by their number of tests.
SHARE := --dist loadfile --no-loadscope-reorder
FAST := not slow and not browser and not device and not gpu and not timing

# Some images set it. Every process that tests start would then compile edgekit again.
unexport PYTHONDONTWRITEBYTECODE

# Tests of the rooms that coverage is measured in, and of those that use them.
ROOMS ?= tests
MEASURED := src/edgekit/core runtime devices export

.PHONY: help install python links standins demo test test-fast coverage lint bench wheel sbom audit checksums clean

help:
	@echo "make install    .venv with edgekit and everything for development"
	@echo "make demo       from a network to a verdict and a report, in demo-out"
	@echo "make test       lint, types, import contracts and every test"
	@echo "make test-fast  the tests that take no more than a minute together"
	@echo "make lint       format, ruff, mypy and the import contracts"
	@echo "make bench      benchmarks of some minutes each, and a table of every figure next to its goal: about 40 minutes"
	@echo "make wheel      dist/edgekit_onnx-VERSION-py3-none-any.whl, to install elsewhere"
	@echo "make coverage   lines and branches that tests run, by package: ROOMS='tests/core tests/runtime' for some, about an hour"
	@echo "make sbom       dist/edgekit.cdx.json: every package of .venv, in CycloneDX 1.6 (works without network)"
	@echo "make audit      known vulnerabilities of the packages in constraints.txt (asks PyPI about each)"
	@echo "make checksums  checksums.txt from constraints.txt: asks the package index about each"
	@echo "make clean      remove what was built, but for .venv"
	@echo "make standins   the programs that tests drive (root, Debian), or a list of what is missing"
	@echo "make links      repair src/edgekit/{train,export,runtime,devices}"

install: $(INSTALLED)

$(INSTALLED): setup.cfg pyproject.toml constraints.txt checksums.txt | links python
	@$(PYTHON) install.py development $(if $(CHECKSUMS),--checksums) --torch "$(TORCH)" --torch-index "$(TORCH_INDEX)"
	@touch $@

$(DEMO): setup.cfg pyproject.toml constraints.txt | links python
	@$(PYTHON) install.py demo --torch "$(TORCH)" --torch-index "$(TORCH_INDEX)"
	@touch $@

python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "edgekit needs Python 3.11 or newer: make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 1; }

# Git writes the links as small text files where core.symlinks is off, and some archive tools drop them.
links:
	@for name in $(LINKS); do \
		link=src/edgekit/$$name; \
		[ "$$(readlink $$link)" = ../../$$name ] || { rm -f $$link && ln -s ../../$$name $$link && echo "repaired $$link"; }; \
	done

standins:
	@missing=; \
	for pair in $(STANDINS); do command -v $${pair%:*} >/dev/null || missing="$$missing $${pair#*:}"; done; \
	[ -z "$$missing" ] && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing$$missing"; \
		apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends $$missing >/dev/null; \
	else \
		echo "tests that need these packages of Debian are skipped:$$missing" >&2; \
	fi

demo: $(if $(wildcard $(INSTALLED)),install,$(DEMO))
	@$(BIN)/edgekit build digits --target local --out demo-out --force

test: install standins lint
	@$(BIN)/python -m pytest -q --numprocesses $(PARALLEL) $(SHARE)

test-fast: install
	@$(BIN)/python -m pytest -q --numprocesses $(PARALLEL) $(SHARE) -m "$(FAST)"

# Tests that measure time fail while every line is traced, and belong to no figure.
coverage: install
	@$(BIN)/python -m coverage erase
	@$(BIN)/python -m coverage run -m pytest -q -p tests.measured_workers --numprocesses $(PARALLEL) $(SHARE) -m "not timing" $(ROOMS); code=$$?; \
	$(BIN)/python -m coverage combine -q; \
	for name in $(MEASURED); do \
		echo "$$name $$($(BIN)/python -m coverage report --format=total --precision=1 --include="$$name/*") %"; \
	done; exit $$code

lint: install
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo >.venv/lint-imports.log || { cat .venv/lint-imports.log; exit 1; }

# The table fails where a figure misses its goal and docs/performance.md does not say why.
bench: install
	@$(BIN)/python -m benchmarks.figures --run

# A folder build/ of an earlier version would add its modules to the wheel.
wheel:
	@rm -rf build
	@$(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON)) -m pip -qq --disable-pip-version-check wheel --no-deps --wheel-dir dist .
	@rm -rf build
	@ls dist/edgekit_onnx-*.whl

$(AUDIT)/bin/pip-audit: | python
	@$(PYTHON) -m venv $(AUDIT)
	@$(AUDIT)/bin/python -m pip -qq --disable-pip-version-check install $(AUDITORS)

sbom: install $(AUDIT)/bin/pip-audit
	@mkdir -p dist
	@$(AUDIT)/bin/cyclonedx-py environment --spec-version 1.6 --output-reproducible \
		--output-file dist/edgekit.cdx.json $(BIN)/python
	@echo dist/edgekit.cdx.json

# Run it after constraints.txt has changed.
checksums: $(AUDIT)/bin/pip-audit
	@grep -v '^torch==' constraints.txt | $(AUDIT)/bin/uv pip compile - --generate-hashes --universal --no-deps --quiet \
		--python-version 3.11 --no-header --no-annotate >.venv-audit/checksums
	@{ sed -n '/^#/p' checksums.txt; cat .venv-audit/checksums; } >.venv-audit/whole
	@mv .venv-audit/whole checksums.txt

audit: $(AUDIT)/bin/pip-audit
	@$(AUDIT)/bin/python audit.py $(AUDIT)/bin/pip-audit

clean:
	@rm -rf build dist *.egg-info demo-out .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
