# Everything a person runs; `make help` lists it. All of it lives in .venv and .demo, below this folder.

PYTHON ?= python3
DAG ?= neptune_ml_pipeline
KEEP ?=
ARGS ?=
SCHEDULES ?= 10000
AIRFLOW ?= 3.3
TAG ?=

# Another Python's lie beside, if make is told so: make test-matrix PYTHON=python3.12 VENV=.venv-3.12
VENV := .venv
BIN := $(VENV)/bin
CONSTRAINTS := constraints/airflow-3.3.txt
INSTALLED := $(VENV)/.installed
# With a group of pyproject.toml that only some targets need.
WITH := $(VENV)/.installed-
# Another environment: the amazon provider's triggers want aiobotocore, which wants an older botocore.
BENCH_VENV := $(VENV)-bench
BENCH_INSTALLED := $(BENCH_VENV)/.installed
# The older versions of Airflow, each in an environment of its own with what its users had at the time.
OLDER := 2.11 3.0
# Of the tests, those of what runs in Airflow; of the simulated schedules, a few.
MATRIX_TESTS := tests/domain tests/provider tests/security tests/local/test_errors_contract.py
MATRIX_SCHEDULES := 200
INTO = $(BIN)/uv --system-certs pip install --quiet --compile-bytecode --build-constraint $(CONSTRAINTS) --python
# Most tests wait for something, so that each core has a file of them at a time (ARGS='-n 0' takes one after the other).
PYTEST := -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder
# Those about the triggerer have targets of their own.
BENCHMARKS := $(filter-out %/triggerer.py %/real_triggerer.py,$(wildcard benchmarks/*.py))

# Without bytecode Airflow takes three times as long to start; a foreign path would bring in foreign packages.
unexport PYTHONDONTWRITEBYTECODE PYTHONPATH PYTHONHOME
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help install demo demo-stop cluster test test-matrix test-newest chaos compare browser docs lint bench bench-triggerer bench-real-triggerer coverage mutate dist release-check clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z.-]+:.*## / { printf "make %-20s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

install: $(INSTALLED) ## create .venv with the pinned versions (PYTHON=python3.12 names another interpreter)

$(INSTALLED): pyproject.toml $(CONSTRAINTS)
	@test -x $(BIN)/python || $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "installing the pinned versions into $(VENV) (once; about a minute)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --constraint $(CONSTRAINTS) uv
	@$(INTO) $(BIN)/python --constraint $(CONSTRAINTS) --editable '.[local]' --group dev
	@touch $@

$(WITH)%: $(INSTALLED)
	@echo "installing what is needed for this into $(VENV) (once): $*"
	@$(INTO) $(BIN)/python --constraint $(CONSTRAINTS) --group $*
	@touch $@

demo: $(INSTALLED) ## run a DAG in a real Airflow on the local service (DAG=name; KEEP=1 leaves it running)
	@$(BIN)/python -m demo run --dag $(DAG) $(if $(KEEP),--keep)

demo-stop: $(INSTALLED) ## stop what make demo KEEP=1 or make cluster KEEP=1 left running
	@$(BIN)/python -m demo stop

test: $(INSTALLED) ## run the whole suite (ARGS='-k submit' is passed on to pytest)
	$(BIN)/python $(PYTEST) $(ARGS)

test-matrix: $(INSTALLED) $(OLDER:%=$(VENV)-airflow-%/.installed) ## test what runs in Airflow on each version, and a few simulated schedules (ARGS='-k kills')
	@for python in $(OLDER:%=$(VENV)-airflow-%/bin/python) $(BIN)/python; do \
		echo "with $$python"; \
		$$python $(PYTEST) $(MATRIX_TESTS) $(ARGS) && $$python -m chaos.model --count $(MATRIX_SCHEDULES) || exit 1; \
	done

test-newest: $(INSTALLED) ## the same on the newest pre-releases of Airflow and its providers, with nothing pinned
	@test -x $(VENV)-newest/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python $(VENV)-newest
	@$(INTO) $(VENV)-newest/bin/python --prerelease allow --upgrade --editable '.[local,openlineage]' --group test
	@$(BIN)/uv pip list --python $(VENV)-newest/bin/python 2>/dev/null | grep -E '^(apache-airflow|boto)'
	$(VENV)-newest/bin/python $(PYTEST) $(MATRIX_TESTS) $(ARGS)
	$(VENV)-newest/bin/python -m chaos.model --count $(MATRIX_SCHEDULES)

$(VENV)-airflow-%/.installed: $(INSTALLED) constraints/airflow-%.txt
	@echo "installing Airflow $* and the providers of its time into $(@D) (once; about a minute)"
	@test -x $(@D)/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python $(@D)
	@$(INTO) $(@D)/bin/python --constraint constraints/airflow-$*.txt --editable '.[local,openlineage]' --group test
	@touch $@

# PostgreSQL and Redis, where they are missing and may be installed; who starts them says so otherwise.
DEBIAN_PACKAGES = missing=$$($(BIN)/python -m demo.backends); test -z "$$missing" || test "$$(id -u)" != 0 || \
	{ apt-get update --quiet=2; apt-get install --yes --quiet=2 --no-install-recommends $$missing; }

cluster: $(WITH)cluster ## run a DAG as docker-compose.yaml says, on two Celery workers, without Docker (DAG=name; KEEP=1)
	@$(DEBIAN_PACKAGES)
	@$(BIN)/python -m demo cluster --dag $(DAG) $(if $(KEEP),--keep)

.env: ## write the compose file's settings, with fresh secrets
	@umask 077; $(PYTHON) -m demo.settings > $@.new && mv $@.new $@

chaos: $(WITH)cluster ## simulated schedules (SCHEDULES=10000), then kill the parts of real Airflows while jobs wait (ARGS='--executor celery')
	@$(BIN)/python -m chaos.model --count $(SCHEDULES)
	@$(DEBIAN_PACKAGES)
	@$(BIN)/python -m chaos.cluster $(ARGS)

$(BENCH_INSTALLED): $(INSTALLED) constraints/bench.txt
	@echo "installing the amazon provider with aiobotocore into $(BENCH_VENV) (once)"
	@test -x $(BENCH_VENV)/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python $(BENCH_VENV)
	@awk -F '==' 'NR == FNR { own[$$1] } NR == FNR || !($$1 in own)' constraints/bench.txt $(CONSTRAINTS) \
		> $(BENCH_VENV)/constraints.txt
	@$(INTO) $(BENCH_VENV)/bin/python --constraint $(BENCH_VENV)/constraints.txt \
		--editable '.[local]' --group dev 'apache-airflow-providers-amazon[aiobotocore]'
	@touch $@

compare: $(BENCH_INSTALLED) ## play the same faults to the amazon provider's jobs and to ours, about 25 minutes (ARGS='--runs 1')
	@$(BENCH_VENV)/bin/python -m chaos.beside $(ARGS)

browser: $(WITH)browser ## look at the page in Airflow's UI with Debian's Chromium (ARGS='--images docs/images')
	@test -x /usr/bin/chromium || test "$$(id -u)" != 0 || apt-get install --yes --no-install-recommends chromium
	@test -x /usr/bin/chromium || { echo "Chromium is needed: apt-get install chromium" >&2; exit 1; }
	$(BIN)/python -m pytest tests/browser $(ARGS)

docs: $(WITH)docs ## build the documentation into build/docs and check it (ARGS='-k external' is passed on to pytest)
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	$(BIN)/python -m pytest tests/site $(ARGS)

lint: $(INSTALLED) ## ruff, mypy, spelling, and whether GitHub would take what is in .github
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms $(filter-out %/config.yml,$(wildcard .github/ISSUE_TEMPLATE/*.yml))
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(BIN)/zizmor --offline --quiet .github

bench: $(INSTALLED) ## run the benchmarks, a few minutes
	@for benchmark in $(BENCHMARKS); do echo "$$benchmark"; $(BIN)/python $$benchmark || exit 1; done

bench-triggerer: $(BENCH_INSTALLED) ## measure waiting jobs beside the amazon provider's, an hour (ARGS='--clients ours')
	@$(BENCH_VENV)/bin/python -m benchmarks.triggerer $(ARGS)

bench-real-triggerer: $(INSTALLED) ## let 1,000 tasks wait in a real triggerer, 45 minutes (ARGS='--tasks 100')
	@$(BIN)/python -m benchmarks.real_triggerer $(ARGS)

coverage: $(INSTALLED) ## run the suite with lines and branches counted, and hold them to what is wanted
	@rm -rf build/coverage && mkdir -p build/coverage
	$(BIN)/coverage run -m pytest $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --skip-covered --show-missing --sort cover
	@$(BIN)/coverage json --quiet -o build/coverage/report.json
	@$(BIN)/python -m release coverage build/coverage/report.json

mutate: $(WITH)mutation ## change the code's heart, and see that a test notices (ARGS='neptune_airflow.jobs*')
	$(BIN)/mutmut run --max-children 2 $(ARGS)
	@$(BIN)/python -m release killed mutants

dist: $(INSTALLED) ## build the wheel and the sdist into dist
	@rm -rf dist
	@$(BIN)/uv build --quiet --python $(BIN)/python --no-build-isolation

# A wheel that is installed with the pinned versions of one Airflow, and nothing else.
RELEASE_VENV := $(VENV)-release-$(AIRFLOW)
INTO_RELEASE = $(INTO) $(RELEASE_VENV)/bin/python --constraint constraints/airflow-$(AIRFLOW).txt

release-check: dist ## build, look at it, install it into a clean Airflow and use it there (AIRFLOW=3.0, another of constraints/; TAG=v0.1.0)
	$(BIN)/twine check --strict dist/*
	$(BIN)/check-wheel-contents dist
	$(BIN)/python -m release files $(if $(TAG),--tag '$(TAG)')
	@rm -rf $(RELEASE_VENV) && $(BIN)/uv venv --quiet --python $(BIN)/python $(RELEASE_VENV)
	@$(INTO_RELEASE) dist/*.whl
	$(BIN)/python -m release installed $(RELEASE_VENV)
	@$(INTO_RELEASE) "$$(echo dist/*.whl)[local,openlineage]"
	$(BIN)/python -m release extras $(RELEASE_VENV)

clean: ## remove all that was made here, .venv too
	@test ! -x $(BIN)/python || $(BIN)/python -m demo stop
	rm -rf .demo $(VENV) $(VENV)-* dist build mutants .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
