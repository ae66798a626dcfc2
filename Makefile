# Two commands do all the set-up: `make demo` and `make test`.

PYTHON ?= python3
TOX = .venv/bin/tox

.PHONY: api-paths bench clean demo dev docs help lock oracle test test-all

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-12s%s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(TOX) ## run the example project under gunicorn, with traffic
	@$(TOX) run -qq -e demo --notest
	@exec .tox/demo/bin/python example_project/demo.py

# Two environments more than there are processors: those with real servers often wait.
PARALLEL = run-parallel --parallel $$(($$(getconf _NPROCESSORS_ONLN) + 2)) --parallel-no-spinner

test: $(TOX) ## run the tests in parallel: the oldest and the newest Python, every Django
	$(TOX) $(PARALLEL) -m readme

# Every pair of a Python and a Django as well.
test-all: $(TOX) ## run the tests with every combination of Python and Django
	$(TOX) $(PARALLEL)

# All scenarios, those that take minutes as well: what happened, and what a Prometheus says of it.
oracle: $(TOX) ## run all scenarios of the oracle, those that take minutes as well
	$(TOX) run -e oracle

docs: $(TOX) ## build the documentation
	$(TOX) run -e docs

bench: $(TOX) ## measure, and write docs/benchmarks.md
	$(TOX) run -e bench

# What an editor and the hooks need, in the same environment as tox.
dev: $(TOX) ## install what an editor and the hooks need
	.venv/bin/uv pip install --python .venv --constraint constraints/dev.txt \
		--build-constraint constraints/build.txt --group dev --editable .

# Everything that is installed, at its newest release; then what is generated from it.
lock: $(TOX) ## resolve all requirements again, with the newest releases
	.venv/bin/python .ci/lock.py
	$(TOX) exec -e grafana -- npm install --prefix tests/grafana --package-lock-only \
		--omit-lockfile-registry-resolved --no-audit --no-fund
	$(TOX) exec -e live -- npm install --prefix tests/browser --package-lock-only \
		--omit-lockfile-registry-resolved --no-audit --no-fund
	$(TOX) exec -e docs -- npm install --prefix tests/prose --package-lock-only \
		--omit-lockfile-registry-resolved --no-audit --no-fund
	$(MAKE) api-paths

api-paths: $(TOX) ## generate the list of API paths from the SDKs
	$(TOX) run -e api-paths -- --write

$(TOX): constraints/tox.txt
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check \
		--require-hashes --requirement constraints/tox.txt
	touch $(TOX)

clean: ## remove all environments
	rm -rf .venv .tox dist example_project/db.sqlite3
