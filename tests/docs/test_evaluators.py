"""What tries the blocks finds what is wrong in them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs.console_blocks import commands, fits
from tests.docs.elsewhere import is_run_elsewhere
from tests.docs.files import apply
from tests.docs.following import Reader
from tests.docs.terminals import Desk

MANIFESTS = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      containers:
        - name: shop
          image: shop
          ports: [{name: http, containerPort: 8000}]
---
apiVersion: v1
kind: Service
metadata: {name: shop, labels: {app: shop}}
spec:
  selector: {app: shop}
  ports: [{name: http, port: 80, targetPort: http}]
"""

SCALED = """
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: shop}
spec:
  scaleTargetRef: {name: shop}
  minReplicaCount: 2
  maxReplicaCount: 8
  triggers:
    - type: prometheus
      metadata:
        serverAddress: http://prometheus
        query: sum(http_requests_in_flight)
        threshold: "3"
"""

ADAPTED = """
apiVersion: v1
kind: ConfigMap
metadata: {name: adapter-config}
data:
  config.yaml: |
    externalRules:
      - seriesQuery: http_requests_in_flight
        name: {as: in_progress}
        metricsQuery: sum(http_requests_in_flight{<<.LabelMatchers>>}) by (<<.GroupBy>>)
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: shop}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: shop}
  minReplicas: 2
  maxReplicas: 8
  metrics:
    - type: External
      external:
        metric: {name: in_progress}
        target: {type: AverageValue, averageValue: "3"}
"""

PROVISIONED = """
apiVersion: 1
datasources:
  - name: Prometheus
    type: prometheus
    access: proxy
    url: http://127.0.0.1:9090
---
apiVersion: 1
providers:
  - name: Django
    options: {path: /var/lib/grafana/dashboards}
"""

CMD = "CMD gunicorn mysite.wsgi --bind 0.0.0.0:8000 --workers 4"

RIGHT = [
    ("python", "assert 1 + 1 == 2"),
    ("python", 'TACHIKOMA_METRICS = {"NAMESPACE": "shop"}'),
    ("python", 'INSTALLED_APPS = [..., "tachikoma_metrics"]'),
    ("promql", "sum by (path) (rate(http_requests_total[1m]))\n\n# Down:\nup == 0"),
    ("text", "http_requests_in_flight 1.0"),
    ("text", "a drawing --> of something"),
    ("yaml", "scrape_configs:\n  - job_name: shop"),
    ("yaml", MANIFESTS),
    ("yaml", SCALED),
    ("yaml", PROVISIONED),
    ("yaml", f"{MANIFESTS}---{ADAPTED}"),
    ("nginx", "location = /metrics { deny all; }"),
    ("dockerfile", f"FROM python:3.13-slim\nUSER shop\n{CMD}"),
]

WRONG = [
    ("python", "assert 1 + 1 == 3"),
    ("python", 'TACHIKOMA_METRICS = {"NAMESPACES": "shop"}'),
    ("python", 'TACHIKOMA_METRICS = {"LABELS": {"http_request_total": ["path"]}}'),
    ("python", 'MIDDLEWARE = [..., "tachikoma_metrics.middleware.MetricsMiddleware"]'),
    ("promql", "sum by (path (http_requests_total)"),
    ("promql", "http_request_total"),
    ("promql", 'http_requests_total{route="/"}'),
    ("promql", "sum by (route) (http_requests_total)"),
    ("promql", "# nothing but a comment"),
    ("text", "http_requests_total 1.0\nand more"),
    ("text", 'http_requests_total{route="/"} 1.0'),
    ("yaml", "scrape_configs:\n  - job: shop"),
    ("yaml", "groups:\n  - name: a\n    rules: [{alert: A, expr: requests_total > 1}]"),
    ("yaml", "something: else"),
    ("yaml", PROVISIONED.replace("    access: proxy\n", "")),
    ("yaml", PROVISIONED.replace("access:", "acces:")),
    ("yaml", PROVISIONED.replace("http://127.0.0.1:9090", "9090")),
    ("yaml", PROVISIONED.replace("/var", "var")),
    ("yaml", PROVISIONED.replace("providers:", "provider:")),
    ("yaml", MANIFESTS.replace("targetPort: http", "targetPort: web")),
    ("yaml", MANIFESTS.replace("apps/v1", "apps/v2")),
    ("yaml", MANIFESTS.replace("selector: {app: shop}", "selector: {app: desk}")),
    ("yaml", f"{MANIFESTS}---{SCALED.replace('Ref: {name: shop}', 'Ref: {name: desk}')}"),
    ("yaml", SCALED.replace("http_requests_in_flight", "http_request_in_flight")),
    ("yaml", SCALED.replace('"3"', "3")),
    ("yaml", SCALED.replace('"3"', '"0"')),
    ("yaml", SCALED.replace("Count: 8", "Count: 2")),
    ("yaml", SCALED.replace("- type: prometheus", "- type: prometheus\n      metricType: Mean")),
    ("yaml", ADAPTED.replace("name: in_progress", "name: progress")),
    ("yaml", ADAPTED.replace("averageValue:", "value:")),
    ("yaml", ADAPTED.replace("http_requests_in_flight{", "http_request_in_flight{")),
    ("yaml", ADAPTED.replace("Query: http_requests_in_flight", "Query: requests")),
    ("nginx", "location = /metrics { denies all; }"),
    ("dockerfile", f"FROM python:3.13-slim\nUSER root\n{CMD}"),
    ("dockerfile", f"FROM python:3.13-slim\nUSER shop\nRUNS make\n{CMD}"),
    ("dockerfile", "FROM python:3.13-slim\nUSER shop\nCMD gunicorn shop.wsgi"),
    ("console", "no command"),
    ("console", "$ make nothing"),
    ("console", "$ pip install no-such-package-here"),
]


def follow(page: Path, text: str) -> None:
    page.write_text(text)

    def sit_down() -> Desk:
        raise AssertionError("There is no desk.")

    Reader(page, sit_down).follow()


@pytest.mark.parametrize(("language", "block"), RIGHT)
@pytest.mark.django_db
def test_a_block_that_is_right_passes(tmp_path: Path, language: str, block: str):
    follow(tmp_path / "page.md", f"Before.\n\n```{language}\n{block}\n```\n")


@pytest.mark.parametrize(("language", "block"), WRONG)
@pytest.mark.django_db
def test_a_block_that_is_wrong_fails_with_its_line(tmp_path: Path, language: str, block: str):
    with pytest.raises(AssertionError, match=r"page\.md:3: "):
        follow(tmp_path / "page.md", f"Before.\n\n```{language}\n{block}\n```\n")


@pytest.mark.parametrize("language", ["", "rust", "python3", "{code-block} python"])
def test_a_block_in_no_known_language_is_refused(tmp_path: Path, language: str):
    with pytest.raises(ValueError, match=r"page\.md:1 should be in one of console, diff"):
        follow(tmp_path / "page.md", f"```{language}\nx\n```\n")


def test_a_directive_that_shows_no_code_is_no_block(tmp_path: Path):
    follow(tmp_path / "page.md", "```{toctree}\ntutorial\n```\n")


def test_commands_are_told_from_what_they_say():
    found = list(commands("$ echo \\\n    one\none\n$ true\n"))

    assert [(command.text, command.shown) for command in found] == [
        ("echo one", ["one"]),
        ("true", []),
    ]


@pytest.mark.parametrize(
    ("shown", "said", "is_so"),
    [
        ("one", "one\n", True),
        ("one ... three", "one two\ntwo three", True),
        ("one", "one\ntwo", False),
        ("one...", "two", False),
    ],
)
def test_dots_stand_for_anything(shown: str, said: str, is_so: bool):
    assert fits(shown, said) is is_so


def test_what_is_made_and_installed_elsewhere_is_looked_up():
    assert is_run_elsewhere("make demo    # the example")
    assert is_run_elsewhere("pip install --quiet Django gunicorn")
    assert not is_run_elsewhere("curl http://127.0.0.1:8000/metrics")


@pytest.fixture
def empty_desk(tmp_path: Path) -> Callable[[], Desk]:
    return lambda: Desk(tmp_path, tmp_path, "/usr/bin:/bin")


def test_a_command_that_fails_fails_the_page(empty_desk: Callable[[], Desk]):
    somebody = empty_desk()
    try:
        assert somebody.run("echo one && cd /") == "one\n"
        assert somebody.run("pwd") == "/\n"
        with pytest.raises(AssertionError, match="'false' exited with 1"):
            somebody.run("false")
    finally:
        somebody.stop()


def test_a_diff_adds_lines_where_it_says(tmp_path: Path):
    (tmp_path / "a.py").write_text("ONE = [\n]\nTWO = [\n    2,\n]\n")

    apply("# a.py\n ONE = [\n+    1,\n ...\n TWO = [\n+    1,\n", tmp_path)

    assert (tmp_path / "a.py").read_text() == "ONE = [\n    1,\n]\nTWO = [\n    1,\n    2,\n]\n"


def test_a_diff_removes_lines_and_adds_others_in_their_place(tmp_path: Path):
    (tmp_path / "a.py").write_text("ONE = [\n    1,\n    2,\n]\n")

    apply("# a.py\n-    1,\n+    7,\n ...\n-]\n+)\n", tmp_path)

    assert (tmp_path / "a.py").read_text() == "ONE = [\n    7,\n    2,\n)\n"


def test_a_diff_that_does_not_fit_is_refused(tmp_path: Path):
    (tmp_path / "a.py").write_text("ONE = []\n")

    with pytest.raises(ValueError, match="TWO"):
        apply("# a.py\n TWO = [\n+    1,\n", tmp_path)
