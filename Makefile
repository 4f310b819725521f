# neurocomp: `make demo` and `make test` are all that a fresh machine needs.
#
#   make setup      environment in .venv: neurocomp (editable), developer tools, Lava (Python 3.10 to 3.12)
#   make demo       a network from YAML to chip, with the proof that nothing changed on the way
#   make test       the tests            make test-slow  the tests marked slow, and the suites with --engine fast
#   make test-interop  networks exchanged with snnTorch, Norse, sinabs, SpikingJelly and NeuroBench (6 GB, 15 minutes)
#   make check      ruff, mypy --strict, import-linter
#   make bench      every figure that we claim
#   make clean      removes .venv and the caches
#
# Another interpreter, beside the first: make test PYTHON=python3.12 VENV=.venv312

VENV   ?= .venv
PYTHON ?=
PY     := $(VENV)/bin/python
STAMP  := $(VENV)/.ready

# uv reads the package index from UV_DEFAULT_INDEX or uv.toml; it never downloads an interpreter.
export UV_PYTHON_DOWNLOADS := never
export UV_LINK_MODE        ?= copy
unexport VIRTUAL_ENV

CANDIDATES := $(or $(PYTHON),python3.11 python3.12 python3.10 python3.13 python3)
PYTHON_OK := import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow test-interop check bench clean

help:
	@sed -n '3,11s/^#  //p' Makefile

setup: $(STAMP)

# A checkout that was moved or copied needs its environment anew: it points to the old place.
ifneq ($(shell cat $(STAMP) 2>/dev/null),$(CURDIR))
.PHONY: $(STAMP)
endif

$(STAMP): pyproject.toml Makefile requirements/lava-overrides.txt
	@set -e; \
	python=; \
	for candidate in $(CANDIDATES); do \
		if "$$candidate" -c '$(PYTHON_OK)' >/dev/null 2>&1; then python=$$candidate; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
		echo "make: found no Python that can be used, tried: $(CANDIDATES)" >&2; \
		echo "make: neurocomp needs Python 3.10 to 3.13 with its venv module (Debian: apt-get install python3-venv);" >&2; \
		echo "make: name one with: make setup PYTHON=/path/to/python3" >&2; \
		exit 1; \
	fi; \
	version=$$("$$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	case $$version in \
		3.10)      what='.[lava]'; override=; lava="with Lava" ;; \
		3.11|3.12) what='.[lava]'; override='--override requirements/lava-overrides.txt'; lava="with Lava" ;; \
		*)         what='.'; override=; lava="without Lava, which needs Python 3.10 to 3.12" ;; \
	esac; \
	echo "setup: $(VENV) on Python $$version, $$lava"; \
	if [ "$$(cat $(STAMP) 2>/dev/null)" = '$(CURDIR)' ] && $(PY) -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$$version')" 2>/dev/null; \
	then :; else "$$python" -m venv --clear $(VENV); fi; \
	$(PY) -m pip install -qq --disable-pip-version-check uv; \
	$(PY) -m uv pip install --quiet --python $(PY) --compile-bytecode $$override --editable "$$what" --group dev; \
	env -u PYTHONDONTWRITEBYTECODE $(PY) -m compileall -q neurocomp backends hwspecs || true; \
	echo '$(CURDIR)' > $(STAMP); \
	echo "setup: done"

demo: $(STAMP)
	@$(PY) examples/demo.py

# Tests marked `latex` and `browser` are skipped where there is no TeX, or no Chromium. On Debian:
# apt-get install texlive-latex-extra texlive-science chromium
# Files of tests side by side, one process for each processor.
PYTEST := $(PY) -m pytest --numprocesses auto --dist loadfile

test: $(STAMP)
	@$(PYTEST)

# The suites once more with the fast engine in the place of the reference; Lava is compared with the lowered network by then.
LAVA_TEST := tests/conformance/test_loihi.py::TestLoihi::test_reference_equals_witnesses

# The fast engine has no crossbars.
CROSSBARS := --ignore tests/properties/test_truenorth.py --ignore tests/conformance/test_truenorth.py

# pytest's exit code 5 says that no test is marked slow.
test-slow: $(STAMP)
	@$(PYTEST) -m slow || [ $$? -eq 5 ]
	@$(PYTEST) tests/conformance tests/properties --engine fast --deselect $(LAVA_TEST) $(CROSSBARS)

# Environments are made below .cache/benchmark-peers, once.
test-interop: $(STAMP)
	@$(PY) -m pytest -m interop tests/interop

check: $(STAMP)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports --no-logo

bench: $(STAMP)
	@$(PY) -m benchmarks

clean:
	rm -rf $(VENV) build dist .cache .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.venv*' -prune -exec rm -rf {} +
