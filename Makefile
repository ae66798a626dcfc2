# Two commands do all the set-up: `make demo` and `make test`.

PYTHON ?= python3
TOX = .venv/bin/tox

.PHONY: bench demo docs test clean

demo: $(TOX)
	@$(TOX) run -qq -e demo --notest
	@exec .tox/demo/bin/python example_project/demo.py

# One environment more than there are processors: the longest waits for half of its time.
test: $(TOX)
	$(TOX) run-parallel --parallel $$(($$(getconf _NPROCESSORS_ONLN) + 1)) --parallel-no-spinner

docs: $(TOX)
	$(TOX) run -e docs

bench: $(TOX)
	$(TOX) run -e bench

$(TOX): pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check 'tox>=4.30' 'tox-uv>=1.28'
	touch $(TOX)

clean:
	rm -rf .venv .tox dist example_project/db.sqlite3
