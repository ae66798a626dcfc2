"""Take the picture of the live page, from the demo in a Chromium.

    make demo
    python docs/live_picture.py http://127.0.0.1:8000

The history is full after half an hour.
"""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from tests.browser.chromium import chromium  # noqa: E402  # Found by that path.

PICTURE = HERE / "live.png"
WIDTH, HEIGHT = 1440, 900
USER = "demo"
_SECONDS_TO_DRAW = 3.0
_LOG_IN = f"""
    document.querySelector('[name=username]').value = {USER!r};
    document.querySelector('[name=password]').value = {USER!r};
    document.querySelector('#login-form').submit();
"""


def main(address: str) -> int:
    """Write the picture; return the exit code."""
    program = shutil.which("chromium")
    if program is None:
        print("Chromium is not installed; on Debian, .ci/install installs it.", file=sys.stderr)
        return 1
    with chromium(program) as open_tab:
        page = open_tab()
        page.resize(WIDTH, HEIGHT)
        page.open(f"{address}/live/")
        page.run(_LOG_IN)
        page.wait("document.querySelector('#connection.good')")
        page.wait("document.querySelector('#findings summary.good')")
        time.sleep(_SECONDS_TO_DRAW)
        page.screenshot(PICTURE)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if sys.argv[1:] else "http://127.0.0.1:8000"))
