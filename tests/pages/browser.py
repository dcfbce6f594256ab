"""Chromium without a window, driven through two pipes: pages at a width and in a theme, their messages and requests."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser")
INSTALL = "chromium is missing: apt-get install -y --no-install-recommends chromium"
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-pipe"),
)
ANSWER_SECONDS = 60.0


class Browser:
    """One browser with one page, which ends with the block that it is used in."""

    def __init__(self) -> None:
        program = next((found for name in NAMES if (found := shutil.which(name))), None)
        assert program is not None, INSTALL
        self._folder = tempfile.mkdtemp(prefix="pipeprof-pages-")
        (to_browser, own_out), (own_in, from_browser) = os.pipe(), os.pipe()
        # The browser reads commands from its file 3 and writes answers to its file 4.
        script = f'exec 3<&{to_browser} 4>&{from_browser}; exec "$@"'
        self._process = subprocess.Popen(
            ["bash", "-c", script, "bash", program, *FLAGS, f"--user-data-dir={self._folder}", "about:blank"],
            pass_fds=(to_browser, from_browser),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        self._out, self._in, self._left = own_out, own_in, b""
        self._number, self._session = 0, ""
        self.messages: list[str] = []
        self.requests: list[str] = []

    def __enter__(self) -> Browser:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(20)
        os.close(self._out)
        os.close(self._in)
        shutil.rmtree(self._folder, ignore_errors=True)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and return its answer."""
        self._number += 1
        command = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            command["sessionId"] = self._session
        os.write(self._out, json.dumps(command).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]

    def _next(self) -> dict[str, Any]:
        end = time.monotonic() + ANSWER_SECONDS
        while b"\0" not in self._left:
            ready, _, _ = select.select([self._in], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"chromium gave no answer within {ANSWER_SECONDS:g} s"
            part = os.read(self._in, 1 << 20)
            assert part, "chromium has ended"
            self._left += part
        text, _, self._left = self._left.partition(b"\0")
        found = json.loads(text)
        self._note(found.get("method", ""), found.get("params", {}))
        return found

    def _note(self, method: str, event: dict[str, Any]) -> None:
        match method:
            case "Runtime.exceptionThrown":
                self.messages.append(str(event["exceptionDetails"]))
            case "Runtime.consoleAPICalled":
                self.messages.append(str(event["args"]))
            case "Log.entryAdded":
                self.messages.append(str(event["entry"]))
            case "Network.requestWillBeSent":
                self.requests.append(event["request"]["url"])

    def frame(self, width: int, theme: str, height: int = 900) -> None:
        """Show what is open at a width and a height in pixels, in a theme, `light` or `dark`."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])

    def show(self, page: Path) -> None:
        """Open a page; messages and requests begin anew."""
        self.messages.clear()
        self.requests.clear()
        self.call("Page.navigate", url=page.resolve().as_uri())
        end = time.monotonic() + ANSWER_SECONDS
        while self.evaluate("document.readyState + location.protocol") != "completefile:":
            assert time.monotonic() < end, f"{page} is not loaded"
            time.sleep(0.01)

    def evaluate(self, expression: str) -> Any:
        """The value of an expression on the page, awaited."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def picture(self, file: Path) -> None:
        """Write what is shown as a picture."""
        found = self.call("Page.captureScreenshot", format="webp", quality=80)
        file.write_bytes(base64.b64decode(found["data"]))
