"""Fetch and unpack the sdist of the installed Django; its tests are in no wheel.

    python -m tests.django_sdist folder

Makes ``folder/django``, anew if it is there.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from django import __version__


def main(folder: Path) -> None:
    """Put the sources in ``folder``; raises ``CalledProcessError`` if pip cannot get them."""
    with tempfile.TemporaryDirectory(dir=folder) as made:
        fetch(Path(made))
        (archive,) = Path(made).glob("*.tar.gz")
        shutil.unpack_archive(archive, made)
        (unpacked,) = (path for path in Path(made).iterdir() if path.is_dir())
        shutil.rmtree(folder / "django", ignore_errors=True)
        unpacked.rename(folder / "django")


def fetch(folder: Path) -> None:
    """Download the sdist, of the version that is pinned."""
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-binary", "django"]
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "download",
            *options,
            "--dest",
            str(folder),
            f"django=={__version__}",
        ],
        check=True,
    )


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    main(folder)
