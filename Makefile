# `make run` and `make test` are all that is needed; docs/operate.md tells the rest.

PYTHON ?= python3
DEMO ?= $(or $(OUTRIDER_DEMO),1)
export OUTRIDER_DEMO := $(DEMO)
ifdef PORT
export OUTRIDER_PORT := $(PORT)
endif
ifdef HOST
export OUTRIDER_HOST := $(HOST)
endif

.PHONY: run setup test bench faults fuzz scan sbom clean

run: ## install what is missing, then start Outrider (PORT=8000 HOST=127.0.0.1 DEMO=1)
	@$(PYTHON) tools/setup.py run
	@exec setpriv --pdeathsig TERM .venv/bin/outrider up

setup: ## install what is missing for running, start nothing
	@$(PYTHON) tools/setup.py setup

test: ## the same and Chromium, then every check
	@$(PYTHON) tools/setup.py test
	@exec .venv/bin/python tools/checks.py

bench: ## measurements side by side, never part of `make test`
	@$(PYTHON) tools/setup.py bench
	@exec .venv/bin/python -m loadtests.bench

faults: ## things broken on purpose under load, with mutants that must be found out (31 min, as root)
	@$(PYTHON) tools/setup.py bench
	@exec .venv/bin/python -m loadtests.faults

fuzz: ## every operation as every role, both sockets, every decoder, under generated input (CASES=1000 RUNS=1000000 for each)
	@$(PYTHON) tools/setup.py bench
	@.venv/bin/python -m loadtests.fuzz --cases $(or $(CASES),1000)
	@exec .venv/bin/python -m loadtests.fuzz.decoders --runs $(or $(RUNS),1000000)

scan: ## known faults: bandit, and advisories on every locked package; what could not be looked at is a fault
	@$(PYTHON) tools/setup.py bench
	@exec .venv/bin/python tools/scan.py

sbom: ## the bill of materials (CycloneDX) of what an installation runs, in outrider.cdx.json
	@$(PYTHON) tools/setup.py bench
	@exec .venv/bin/python tools/sbom.py outrider.cdx.json

clean: ## remove what set-up made here; the database in var/ stays
	rm -rf .venv node_modules web_map/node_modules web_map/client/node_modules web_map/dist
	find . -name __pycache__ -prune -exec rm -rf {} +
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .schemathesis
