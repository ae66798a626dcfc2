"""Take the picture of the live page, from the demo in a Chromium.

    make demo
    python docs/live_picture.py http://127.0.0.1:8000

The history is full after half an hour. The script makes a session in the database of the demo,
``DATABASE_PATH`` if that is set: a login would be the slowest request in the picture.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from tests.browser.chromium import chromium  # noqa: E402  # Found by that path.
from tests.browser.sites import session_program  # noqa: E402

PICTURE = HERE / "live.png"
WIDTH, HEIGHT = 1440, 900
_SECONDS_TO_DRAW = 3.0


def main(address: str) -> int:
    """Write the picture; return the exit code."""
    program = shutil.which("chromium")
    if program is None:
        print("Chromium is not installed; on Debian, .ci/install installs it.", file=sys.stderr)
        return 1
    with chromium(program) as open_tab:
        page = open_tab()
        page.resize(WIDTH, HEIGHT)
        page.call("Network.setCookie", name="sessionid", value=session(), url=address)
        page.open(f"{address}/live/")
        page.wait("document.querySelector('#connection.good')")
        page.wait("document.querySelector('#findings summary.good')")
        time.sleep(_SECONDS_TO_DRAW)
        page.screenshot(PICTURE)
    return 0


def session() -> str:
    """Return the key of a new session of the demo's user."""
    program = session_program("demo")
    command = [sys.executable, "manage.py", "shell", "--verbosity", "0", "--command", program]
    folder = HERE.parent / "example_project"
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)  # noqa: S603
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if sys.argv[1:] else "http://127.0.0.1:8000"))
