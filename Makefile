# make run    serve sample_media/ at http://localhost:3000, nothing to set up before
# make test   lint, types and all tests: first those of the units, whose coverage counts, then the
#             rest (tests/conftest.py has the order), of which one that fails is run once more
# make test-long  outages in all their kinds and lengths, all cases in Firefox too; several processes and
#             their Redis for minutes; a hundred kills of the server, three times as many generated
#             requests: three quarters of an hour
# make fuzz   coverage-guided fuzzing of what parses clients' bytes, FUZZ_SECONDS each
# make soak-page  ten minutes of the page over a network that holds for 5 to 60 s in every minute
# make soak   ten minutes of 500 users who play, seek, are cut off and stream (SOAK_MINUTES, SOAK_USERS)
# make bench  beside nginx, Node and others, under ten minutes (ROUNDS, BESIDE; tests/bench/README.md)
# make lint   ruff, mypy, import-linter, tsc and eslint   make format   let ruff rewrite   make clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
CORE := errors rate_limit settings setting_fields setting_parsers auth/* library/* \
	playback/* protocol/* rooms/* api/content_coding storage/playback_store
FUZZ_SECONDS ?= 60
SOAK_MINUTES ?= 10
SOAK_USERS ?= 500
ROUNDS ?= 5
YARDSTICKS := tests/bench/yardsticks
WEB := tests/web
NPM_INSTALL := npm install --no-package-lock --no-audit --no-fund --silent \
	--fetch-retries=1 --fetch-timeout=60000 --prefix
comma := ,
empty :=

.PHONY: run test test-long test-web soak-page lint lint-web format fuzz soak bench clean

run: $(VENV)/run.stamp .jwt-secret
	@JWT_SECRET="$${JWT_SECRET:-$$(cat .jwt-secret)}" && export JWT_SECRET && \
	token="$$($(BIN)/python -m audiostream token demo)" && \
	echo "Player, signed in as demo: http://localhost:$${AUDIOSTREAM_PORT:-3000}/#token=$$token" && \
	exec $(BIN)/python -m audiostream

test: lint test-web
	$(BIN)/python -m pytest tests/unit --cov --cov-report= --numprocesses 2 --dist loadfile
	@$(BIN)/coverage report --fail-under=95 \
		--include="$(subst $(empty) $(empty),$(comma),$(CORE:%=audiostream/%.py))"
	$(BIN)/python -m pytest tests/browser tests/system --numprocesses 4 --dist loadfile \
		--no-loadscope-reorder --reruns 1 -rfER --rerun-show-tracebacks

test-long: $(VENV)/test.stamp
	AUDIOSTREAM_LONG_TESTS=1 $(BIN)/python -m pytest -o faulthandler_timeout=1800 $(addprefix tests/browser/test_,\
		player_outages.py client_outages.py bad_network.py long_lists.py library_updates.py notices.py \
		client.py client_connection.py keys.py removed_tracks.py unplayable.py) \
		$(addprefix tests/system/test_,fuzz.py differential.py openapi.py concurrent_changes.py \
		compose.py) tests/system/faults tests/system/cluster

soak-page: $(VENV)/test.stamp
	$(BIN)/python -m tests.browser.bad_network --minutes $(SOAK_MINUTES)

test-web:
	@if command -v node >/dev/null; then node --test $(WEB)/*.test.js; \
		else echo "test-web: skipped, as there is no Node"; test -z "$$CI_REQUIRE_NODE"; fi

lint: $(VENV)/test.stamp lint-web
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

lint-web:
	@if command -v npm >/dev/null && $(MAKE) --silent $(WEB)/node_modules/stamp; then \
		$(WEB)/node_modules/.bin/tsc --project $(WEB) && \
		$(WEB)/node_modules/.bin/eslint --config $(WEB)/eslint.config.js --max-warnings 0 \
			audiostream/web $(WEB); \
		else echo "lint-web: skipped: no npm, or no packages from it"; test -z "$$CI_REQUIRE_NODE"; fi

$(WEB)/node_modules/stamp: $(WEB)/package.json
	$(NPM_INSTALL) $(WEB)
	@touch $@

format: $(VENV)/test.stamp
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

fuzz: $(VENV)/test.stamp
	$(PIP) install atheris
	$(BIN)/python -m tests.fuzz messages --seconds $(FUZZ_SECONDS)
	$(BIN)/python -m tests.fuzz ranges --seconds $(FUZZ_SECONDS)

soak: $(VENV)/test.stamp
	$(BIN)/python -m tests.soak --minutes $(SOAK_MINUTES) --users $(SOAK_USERS)

bench: $(VENV)/test.stamp
	@$(PIP) install python-socketio || echo "no python-socketio: its rows are skipped"
	@$(NPM_INSTALL) $(YARDSTICKS) || \
		echo "no npm, or no socket.io from it: its rows are skipped"
	$(BIN)/python -m tests.bench --rounds $(ROUNDS) --out tests/bench

clean:
	rm -rf $(YARDSTICKS)/node_modules $(WEB)/node_modules
	rm -rf $(VENV) build *.egg-info .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/run.stamp: setup.cfg pyproject.toml | $(VENV)/bin/python
	$(PIP) install --editable '.[all]'
	@touch $@

$(VENV)/test.stamp: setup.cfg pyproject.toml | $(VENV)/bin/python
	$(PIP) install --editable '.[test]'
	@touch $@ $(VENV)/run.stamp

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "audiostream needs Python 3.11 or newer; name one: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

.jwt-secret: | $(VENV)/run.stamp
	@umask 077 && $(BIN)/python -m audiostream secret > $@.new && mv $@.new $@
