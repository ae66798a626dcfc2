"""A real Chromium, spoken to by the DevTools protocol over a WebSocket.

https://chromedevtools.github.io/devtools-protocol/
"""

from __future__ import annotations

import base64
import contextlib
import functools
import itertools
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

SECONDS_TO_START = 60
SECONDS_TO_WAIT = 30

_OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--no-first-run",
    "--no-proxy-server",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
    "--remote-debugging-port=0",
    "--remote-allow-origins=*",
)


class Failed(AssertionError):
    """Raised if the browser, or a script in it, fails."""


class Page:
    """A tab: ``violations`` are of its content security policy, ``requests`` all that it asked."""

    def __init__(self, socket: ClientConnection, close: Callable[[], object]) -> None:
        self._socket = socket
        self.close = close
        self._numbers = itertools.count(1)
        self.violations: list[str] = []
        self.errors: list[str] = []
        self.requests: list[str] = []
        for domain in ("Page", "Runtime", "Log", "Network", "Audits"):
            self.call(f"{domain}.enable")

    # --- the protocol ---------------------------------------------------------

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(SECONDS_TO_WAIT))
            if message.get("id") == number:
                if "error" in message:
                    raise Failed(f"{method}: {message['error']}")
                found: dict[str, Any] = message["result"]
                return found
            self._note(message.get("method"), message.get("params", {}))

    def _note(self, method: str | None, about: dict[str, Any]) -> None:
        if method == "Audits.issueAdded":
            details = about["issue"].get("details", {})
            if "contentSecurityPolicyIssueDetails" in details:
                self.violations.append(json.dumps(details))
        elif method == "Log.entryAdded":
            entry = about["entry"]
            if entry["level"] == "error":
                self.errors.append(f"{entry['text']} {entry.get('url', '')}")
        elif method == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(about["exceptionDetails"])[:2000])
        elif method == "Network.requestWillBeSent":
            self.requests.append(about["request"]["url"])

    # --- what a person does ---------------------------------------------------

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def run(self, script: str) -> Any:
        """Return the value of an expression, or of its promise."""
        found = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in found:
            raise Failed(json.dumps(found["exceptionDetails"])[:2000])
        return found["result"].get("value")

    def wait(self, script: str, seconds: float = SECONDS_TO_WAIT) -> Any:
        """Return the value of an expression as soon as it is true."""
        give_up_at = time.monotonic() + seconds
        while time.monotonic() < give_up_at:
            # A navigation ends the world in which it is evaluated.
            with contextlib.suppress(Failed):
                value = self.run(f"((found) => found instanceof Node || found)({script})")
                if value:
                    return value
            time.sleep(0.05)
        raise Failed(f"Not within {seconds} s: {script}; the page has {self.text()[:1500]!r}")

    def text(self) -> str:
        return str(self.run("document.body.innerText"))

    def press(self, key: str, **more: Any) -> None:
        codes = {
            "Tab": 9,
            "Enter": 13,
            "Escape": 27,
            "Space": 32,
            "ArrowRight": 39,
            "ArrowLeft": 37,
        }
        letter = {"Enter": "\r", "Space": " "}.get(key, key if len(key) == 1 else "")
        name = " " if key == "Space" else key
        facts = {"key": name, "windowsVirtualKeyCode": codes.get(key, ord(key[0])), **more}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=letter, **facts)
        self.call("Input.dispatchKeyEvent", type="keyUp", **facts)

    def write(self, text: str) -> None:
        self.call("Input.insertText", text=text)

    def resize(self, width: int, height: int) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def emulate(self, **features: str) -> None:
        """Set media features, such as ``prefers_color_scheme="dark"``."""
        given = [
            {"name": name.replace("_", "-"), "value": value} for name, value in features.items()
        ]
        self.call("Emulation.setEmulatedMedia", features=given)

    def screenshot(self, path: Path) -> None:
        found = self.call("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(found["data"]))


@contextlib.contextmanager
def chromium(program: str) -> Iterator[Callable[[], Page]]:
    """Run a browser while the block lasts; yield what opens a tab."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        command = [program, *_OPTIONS, f"--user-data-dir={folder}", "about:blank"]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            yield from _tabs(Path(folder), process)
        finally:
            process.terminate()
            process.wait(30)


def _tabs(folder: Path, process: subprocess.Popen[bytes]) -> Iterator[Callable[[], Page]]:
    address = _address(folder / "DevToolsActivePort", process)
    with contextlib.ExitStack() as stack:
        browser = stack.enter_context(_connected(address))
        numbers = itertools.count(1)

        def ask(method: str, **parameters: Any) -> Any:
            number = next(numbers)
            browser.send(json.dumps({"id": number, "method": method, "params": parameters}))
            while True:
                message = json.loads(browser.recv(SECONDS_TO_WAIT))
                if message.get("id") == number:
                    return message["result"]

        def open_tab() -> Page:
            # Of its own: no cookies of another test.
            context = ask("Target.createBrowserContext")["browserContextId"]
            made = ask("Target.createTarget", url="about:blank", browserContextId=context)
            root = address.partition("/devtools/")[0]
            of_tab = f"{root}/devtools/page/{made['targetId']}"
            close = functools.partial(ask, "Target.disposeBrowserContext", browserContextId=context)
            return Page(stack.enter_context(_connected(of_tab)), close)

        yield open_tab


def _connected(address: str) -> ClientConnection:
    # Nobody reads, and so nobody answers a ping, while nothing is asked.
    return connect(address, max_size=None, ping_interval=None)


def _address(file: Path, process: subprocess.Popen[bytes]) -> str:
    give_up_at = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < give_up_at:
        if process.poll() is not None:
            raise Failed(f"The browser ended with exit code {process.returncode}.")
        with contextlib.suppress(FileNotFoundError, ValueError):
            port, path = file.read_text().split()
            return f"ws://127.0.0.1:{port}{path}"
        time.sleep(0.05)
    raise Failed("The browser did not start.")
