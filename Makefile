# Two commands do all the set-up: `make demo` and `make test`.

PYTHON ?= python3
TOX = .venv/bin/tox

.PHONY: api-paths bench clean demo dev docs lock oracle test test-all

demo: $(TOX)
	@$(TOX) run -qq -e demo --notest
	@exec .tox/demo/bin/python example_project/demo.py

# Two environments more than there are processors: those with real servers often wait.
PARALLEL = run-parallel --parallel $$(($$(getconf _NPROCESSORS_ONLN) + 2)) --parallel-no-spinner

test: $(TOX)
	$(TOX) $(PARALLEL) -m readme

# Every pair of a Python and a Django as well.
test-all: $(TOX)
	$(TOX) $(PARALLEL)

# All scenarios, those that take minutes as well: what happened, and what a Prometheus says of it.
oracle: $(TOX)
	$(TOX) run -e oracle

docs: $(TOX)
	$(TOX) run -e docs

bench: $(TOX)
	$(TOX) run -e bench

# What an editor and the hooks need, in the same environment as tox.
dev: $(TOX)
	.venv/bin/uv pip install --python .venv --constraint constraints/dev.txt \
		--build-constraint constraints/build.txt --group dev --editable .

# Everything that is installed, at its newest release; then what is generated from it.
lock: $(TOX)
	.venv/bin/python .ci/lock.py
	$(TOX) exec -e grafana -- npm install --prefix tests/grafana --package-lock-only \
		--omit-lockfile-registry-resolved --no-audit --no-fund
	$(MAKE) api-paths

api-paths: $(TOX)
	$(TOX) run -e api-paths -- --write

$(TOX): constraints/tox.txt
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check \
		--require-hashes --requirement constraints/tox.txt
	touch $(TOX)

clean:
	rm -rf .venv .tox dist example_project/db.sqlite3
