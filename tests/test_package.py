"""What is in the wheel and in the sdist; run by ``tox -e package``."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

pytest.importorskip("build", reason="the package environment has it")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build both into a folder and return it."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--installer", "uv", "--outdir", str(folder), str(ROOT)],
        check=True,
        capture_output=True,
        timeout=300,
    )
    return folder


def test_the_wheel_has_every_file_of_the_package_and_nothing_else(built: Path):
    (wheel,) = built.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    packaged = {name for name in names if ".dist-info/" not in name}
    source = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "tachikoma_metrics").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }

    assert packaged == source
    assert "tachikoma_metrics/py.typed" in packaged
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_the_wheel_says_what_it_needs(built: Path):
    (wheel,) = built.glob("*.whl")
    archive = zipfile.ZipFile(wheel)
    (name,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
    metadata = archive.read(name).decode()

    assert "Requires-Dist: django>=5.2\n" in metadata
    assert "Requires-Dist: django-prometheus>=2.4; extra == 'django-prometheus'\n" in metadata
    assert "Requires-Python: >=3.10\n" in metadata


def test_the_sdist_has_what_a_packager_needs(built: Path):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    assert {
        "CHANGELOG.md",
        "LICENSE",
        "README.md",
        "benchmarks/__main__.py",
        "docs/reference/metrics.md",
        "example_project/manage.py",
        "pyproject.toml",
        "tachikoma_metrics/py.typed",
        "tests/test_catalogue.py",
        "tox.ini",
    } <= names
    assert not [name for name in names if "__pycache__" in name or name.endswith(".sqlite3")]
