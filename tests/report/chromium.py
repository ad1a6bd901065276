"""A page in headless Chromium, driven over its own pipe: true keys, a true phone, no port."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--hide-scrollbars", "--remote-debugging-pipe"),
)
_KEYS = {"Tab": 9, "Enter": 13, " ": 32, "Escape": 27}


def found() -> str | None:
    """The browser, None where none is installed."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Page:
    """One page. Every call returns when the browser has answered."""

    def __init__(self, reads: int, writes: int) -> None:
        self._in, self._out, self._n, self._rest = reads, writes, 0, b""
        self._session: str | None = None

    def call(self, method: str, **given: Any) -> Any:
        """A method of the DevTools protocol; its result."""
        self._n += 1
        asked = {"id": self._n, "method": method, "params": given}
        if self._session is not None:
            asked["sessionId"] = self._session
        os.write(self._out, json.dumps(asked).encode() + b"\0")
        while True:
            said = self._next()
            if said.get("id") == self._n:
                assert "error" not in said, said
                return said["result"]

    def _next(self) -> Any:
        while b"\0" not in self._rest:
            read = os.read(self._in, 1 << 16)
            assert read, "the browser is gone"
            self._rest += read
        line, _, self._rest = self._rest.partition(b"\0")
        return json.loads(line)

    def open(self, path: Path) -> None:
        """Show a file; a page that loaded with an error of its script fails."""
        if self._session is None:
            target = self.call("Target.createTarget", url="about:blank")["targetId"]
            attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
            self._session = attached["sessionId"]
        self.call("Page.enable")
        self.call("Page.navigate", url=path.as_uri())
        for _ in range(600):
            if self.run("document.readyState") == "complete" and self.run("location.href") != (
                "about:blank"
            ):
                return
            time.sleep(0.05)
        raise AssertionError(f"{path} does not load")

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def width(self, pixels: int, height: int = 844) -> None:
        """Of the window; below 700 a phone's."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=pixels,
            height=height,
            deviceScaleFactor=1,
            mobile=pixels < 700,
        )

    def press(self, *keys: str) -> None:
        """Keys as a user presses them; a longer word than a key's name is typed."""
        for key in keys:
            if key not in _KEYS:
                self.call("Input.insertText", text=key)
                continue
            code = {"key": key, "windowsVirtualKeyCode": _KEYS[key]}
            text = {"text": {"Enter": "\r", " ": " "}[key]} if key in ("Enter", " ") else {}
            self.call("Input.dispatchKeyEvent", type="keyDown", **code, **text)
            self.call("Input.dispatchKeyEvent", type="keyUp", **code)

    def picture(self, path: Path) -> None:
        """What the window shows, as PNG."""
        data = self.call("Page.captureScreenshot", format="png")["data"]
        path.write_bytes(base64.b64decode(data))


@contextmanager
def browser(folder: Path) -> Iterator[Page]:
    """A browser of its own profile, in `folder`, which ends with the block."""
    program = found()
    assert program is not None
    to_it, ours_out = os.pipe()
    ours_in, from_it = os.pipe()

    def as_three_and_four() -> None:
        os.dup2(to_it, 203)
        os.dup2(from_it, 204)
        os.dup2(203, 3)
        os.dup2(204, 4)
        os.set_inheritable(3, True)
        os.set_inheritable(4, True)

    process = subprocess.Popen(
        [program, *_FLAGS, f"--user-data-dir={folder / 'profile'}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        close_fds=False,
        start_new_session=True,
        preexec_fn=as_three_and_four,  # the pipe has numbers that the browser knows
    )
    os.close(to_it)
    os.close(from_it)
    try:
        yield Page(ours_in, ours_out)
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # with the processes of its pages
        process.wait()
        os.close(ours_in)
        os.close(ours_out)
