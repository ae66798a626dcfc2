from __future__ import annotations

import ast
import html
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from importlib import import_module
from itertools import product
from pathlib import Path

import pytest
import yaml
from django.core.management import get_commands

import tachikoma_metrics
from tachikoma_metrics import catalogue, conf, record_execution
from tachikoma_metrics.monitoring.rule_file import RUNBOOKS
from tachikoma_metrics.testing import samples
from tests.services.processes import missing

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
INCLUDED = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))


def generate(*arguments: str, at: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(at / "docs" / "generate.py"), *arguments],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a copy of what the documentation is made of."""
    unwanted = shutil.ignore_patterns("_build", "__pycache__")
    shutil.copytree(DOCS, tmp_path / "docs", ignore=unwanted)
    (tmp_path / "example_project").mkdir()
    for name in (*INCLUDED, "example_project/README.md"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def reference(name: str) -> str:
    return (DOCS / "reference" / name).read_text()


def headings(page: str) -> list[str]:
    return re.findall(r"^#+ `?([^`\n]+)`?$", reference(page), re.MULTILINE)


def test_what_is_generated_is_current():
    done = generate("--check")

    assert done.stderr == ""
    assert done.returncode == 0


def test_a_reference_that_is_not_current_is_found_and_mended(copy: Path):
    settings = copy / "docs" / "reference" / "settings.md"
    settings.write_text("# Settings\n")
    before = generate("--check", at=copy)

    generate(at=copy)
    after = generate("--check", at=copy)

    assert before.returncode == 1
    assert "docs/reference/settings.md is not current" in before.stderr
    assert "docs/reference/metrics.md" not in before.stderr
    assert after.returncode == 0
    assert settings.read_text() == reference("settings.md")


def test_a_derived_part_of_a_page_is_mended_and_the_rest_kept(copy: Path):
    scaling = copy / "docs" / "explanation" / "scaling.md"
    text = scaling.read_text()
    scaling.write_text(text.replace("| 3 × 50 = 150 |", "| 3 × 50 = 15 |"))
    before = generate("--check", at=copy)

    generate(at=copy)

    assert before.stderr.startswith("docs/explanation/scaling.md is not current")
    assert scaling.read_text() == text


def test_a_new_page_is_in_the_list_for_programs(copy: Path):
    page = copy / "docs" / "guides" / "whales.md"
    page.write_text("# Whales\n\nThey are large. Some are blue.\n")

    generate(at=copy)

    listed = (copy / "docs" / "llms.txt").read_text()
    assert re.search(
        r"^- \[Whales\]\(https://.+/guides/whales.html\): They are large.$", listed, re.M
    )


def test_what_the_front_matter_says_of_a_page_is_in_the_list(copy: Path):
    page = copy / "docs" / "guides" / "whales.md"
    page.write_text('---\ndescription: "On whales."\n---\n\n# Whales\n\nThey are large.\n')

    generate(at=copy)

    assert "whales.html): On whales.\n" in (copy / "docs" / "llms.txt").read_text()


@pytest.mark.parametrize("name", [page for page in PAGES if page != "index.md"])
def test_every_page_is_in_the_list_for_programs(name: str):
    link = f"/{name.removesuffix('.md')}.html): "
    (line,) = (line for line in (DOCS / "llms.txt").read_text().splitlines() if link in line)

    assert re.fullmatch(r"- \[.+\]\(https://\S+\): .+[.?]", line)


@pytest.fixture
def site() -> Path:
    """Return where the site is built."""
    if "SITE" not in os.environ:
        missing("The site is not built; `tox -e docs` builds it and sets SITE")
    return Path(os.environ["SITE"])


@pytest.mark.parametrize("name", PAGES)
def test_every_page_describes_itself_to_search_engines_and_in_links(site: Path, name: str):
    page = (site / name).with_suffix(".html").read_text()
    told = re.match(r"---\n(?:myst:\n)?description: \"(.+)\"\n---", (DOCS / name).read_text())

    (meta,) = re.findall(r'<meta name="description" content="([^"]+)"', page)
    (link,) = re.findall(r'<meta property="og:description" content="([^"]+)"', page)

    assert html.unescape(meta) == html.unescape(link)
    if told:
        assert html.unescape(meta) == told[1]
    assert '<meta property="og:title"' in page
    assert 'content="https://tachikoma-metrics.readthedocs.io/en/stable/_images/live.png"' in page


def test_the_picture_of_links_is_on_the_site(site: Path):
    assert (site / "_images" / "live.png").exists()


@pytest.mark.parametrize("name", PAGES)
def test_every_page_is_in_the_text_of_all(site: Path, name: str):
    text = (site / "llms-full.txt").read_text()

    assert text.count(f"/en/stable/{name.removesuffix('.md')}.html>\n") == 1


def test_the_text_of_all_has_what_sphinx_takes_from_elsewhere(site: Path):
    text = (site / "llms-full.txt").read_text()

    assert "tachikoma_metrics.record_execution(" in text
    assert f"{tachikoma_metrics.__version__}" in text
    assert "{include}" not in text
    assert "autofunction" not in text


@pytest.mark.parametrize("name", catalogue.FAMILIES)
def test_every_family_has_one_row_and_anchor_in_the_reference(name: str):
    assert reference("metrics.md").count(f"\n| [`{name}`]{{#{name}}}<br>") == 1


def test_every_alert_has_its_section_where_its_address_leads():
    alerts = [heading for heading in headings("alerts.md") if heading.startswith("Django")]
    rules = yaml.safe_load((DOCS / "monitoring" / "rules.yml").read_text())
    urls = {
        rule["annotations"]["runbook_url"]
        for group in rules["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }

    # An alert about commands needs an option that names them.
    overdue = f"{RUNBOOKS}#djangocommandoverdue"
    assert urls | {overdue} == {f"{RUNBOOKS}#{alert.lower()}" for alert in alerts}


@pytest.mark.parametrize("key", conf.SETTINGS)
def test_every_setting_is_in_the_reference(key: str):
    assert headings("settings.md").count(key) == 1


def test_every_check_that_can_be_reported_is_in_the_reference_and_no_other():
    package = Path(tachikoma_metrics.__file__).parent
    trees = [ast.parse(path.read_text()) for path in package.rglob("*.py")]
    texts = [
        node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)
    ]
    reported = {
        text for text in texts if isinstance(text, str) and re.fullmatch(r"[EW]\d{3}", text)
    }

    told = [heading for heading in headings("checks.md") if re.fullmatch(r"[EW]\d+", heading)]

    assert sorted(reported) == told


def test_every_command_and_option_is_in_the_reference():
    ours = {name for name, app in get_commands().items() if app == "tachikoma_metrics"}

    assert set(headings("commands.md")[1:]) == ours
    assert "`--every SECONDS`: Keep refreshing every SECONDS" in reference("commands.md")
    assert "--settings SETTINGS" not in reference("commands.md")


PUBLIC = [
    *(f"tachikoma_metrics.{name}" for name in tachikoma_metrics.__all__),
    "tachikoma_metrics.asgi.WebSocketMetricsMiddleware",
    "tachikoma_metrics.backends.instrument_client",
    "tachikoma_metrics.celery.beat_schedule",
    "tachikoma_metrics.compat.django_prometheus.ExportModelOperationsMixin",
    "tachikoma_metrics.middleware.MetricsMiddleware",
    "tachikoma_metrics.tasks.refresh_business_metrics",
]


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_in_the_reference(name: str):
    module, _, attribute = name.rpartition(".")
    described = re.findall(r"^\.\. (?:auto)?\w+:: ([\w.]+)", reference("api.md"), re.MULTILINE)

    assert hasattr(import_module(module), attribute)
    assert {name, attribute} & set(described)


@pytest.mark.parametrize("module", ["tachikoma_metrics.urls", "tachikoma_metrics.live.urls"])
def test_every_urlconf_is_in_the_reference_with_the_name_of_its_first_route(module: str):
    urlconf = import_module(module)

    name = f"{urlconf.app_name}:{urlconf.urlpatterns[0].name}"
    assert re.search(rf"^\| `{module}` \| .* \| `{name}` \|$", reference("api.md"), re.MULTILINE)


def test_every_name_for_tests_is_in_the_reference():
    testing = import_module("tachikoma_metrics.testing")
    (members,) = re.findall(r"testing\n   :members: (.+)", reference("api.md"))
    own = [
        name
        for name, value in vars(testing).items()
        if getattr(value, "__module__", "") == testing.__name__ and not name.startswith("_")
    ]

    assert sorted(members.split(", ")) == sorted(own)


def test_the_series_of_the_example_are_those_that_a_page_has():
    rows = re.findall(r"^\| \[`(\w+)`\].* ([\d,]+) \| [\d,]+ \|$", page_on("scaling"), re.MULTILINE)
    told = {name: int(series.replace(",", "")) for name, series in rows}

    for backend, model in product(["openai", "anthropic"], ["a", "b", "c"]):
        for status in ("success", "error", "timeout", "cancelled"):
            record_execution(backend, model, status, 1, (1, 1))
    shown = Counter(re.sub("_(bucket|sum|count)$", "", name) for name, _ in samples())

    background = {name for name in told if name.startswith(("task_", "beat_", "command_"))}
    assert told.keys() - background == {family.name for family in catalogue.SPECIFIED}
    assert len(background) == 10
    for name in ("executions_total", "execution_duration_seconds", "execution_tokens_total"):
        assert shown[name] == told[name]


def page_on(subject: str) -> str:
    return (DOCS / "explanation" / f"{subject}.md").read_text()


def test_the_figures_are_those_of_the_benchmarks(copy: Path):
    benchmarks = copy / "docs" / "benchmarks.md"
    text = benchmarks.read_text()
    ours = re.findall(r"^\| tachikoma_metrics \| .*\| (\d\S+) \([^|]+\) \|$", text, re.MULTILINE)
    benchmarks.write_text(text.replace(f"| {ours[0]} (", "| 12345 ("))

    generate(at=copy)

    assert f"| request, ASGI | {ours[0]} |" in page_on("cost")
    assert "| request, ASGI | 12345 |" in (copy / "docs" / "explanation" / "cost.md").read_text()


def test_the_summary_and_the_chart_are_those_of_the_benchmarks(copy: Path):
    benchmarks = copy / "docs" / "benchmarks.md"
    text = benchmarks.read_text()
    name = "django-prometheus, multi-process"
    request = text.partition("## Overhead per request")[2].partition("\n## ")[0]
    share, added = re.findall(rf"^\| {name} .+\| (\S+) \([^|]+\| [^|]+ \|$", request, re.MULTILINE)
    changed = request.replace(f"| {share} (", "| 0.02 (").replace(f"| {added} (", "| 4321 (")
    benchmarks.write_text(text.replace(request, changed))

    generate(at=copy)

    assert f"| request, WSGI | {name} | 50 times less |" in benchmarks.read_text()
    assert ">4321</text>" in (copy / "docs" / "benchmarks.svg").read_text()


@pytest.mark.parametrize("page", ["README.md", "CHANGELOG.md", "example_project/README.md"])
def test_every_link_to_a_file_leads_to_one(page: str):
    path = ROOT / page
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text())

    assert [target for target in targets if not (path.parent / target).exists()] == []


@pytest.mark.parametrize("name", PAGES)
def test_every_link_of_a_page_leads_to_a_page(name: str):
    path = DOCS / name
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text())

    assert [target for target in targets if not (path.parent / target).is_file()] == []


def test_the_readme_is_one_screen():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 70


def test_the_table_of_versions_is_what_the_environments_are():
    listed = (ROOT / "tox.ini").read_text().partition("env_list =")[2].partition("labels =")[0]
    pairs: set[tuple[str, str]] = set()
    for line in listed.split():
        pythons = re.findall(r"py\{?([\d,]+)\}?-", line)
        found = re.findall(r"-(lowest|django\{?[\d,]+)", line)
        for django in found:
            versions = "52" if django == "lowest" else django.removeprefix("django").strip("{")
            pairs |= set(product(pythons[0].split(","), versions.split(",")))

    rows = re.findall(
        r"^\| (3\.\d+) \| (.+) \| (.+) \| (.+) \|$", reference("compatibility.md"), re.M
    )
    said = {
        (python.replace(".", ""), django)
        for python, *columns in rows
        for django, column in zip(("52", "60", "61"), columns, strict=True)
        if column == "tested"
    }

    assert len(rows) == 5
    assert said == pairs


def test_the_guide_to_upgrading_knows_this_release_and_each_migration():
    rows = re.findall(
        r"^\| (0\.\d+) \| (yes|no) \|", (DOCS / "guides/upgrading.md").read_text(), re.M
    )
    current = ".".join(tachikoma_metrics.__version__.split(".")[:2])
    migrations = list((ROOT / "tachikoma_metrics" / "migrations").glob("0*.py"))

    assert current in [release for release, _ in rows]
    # The first came before the oldest release of the table.
    assert [asks for _, asks in rows].count("yes") == len(migrations) - 1
