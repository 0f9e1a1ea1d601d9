"""A real Chromium without a window, driven by chromedriver.

Source: WebDriver (W3C, 2018); `goog/cdp/execute` and the log are chromedriver's own.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.fixtures.building.node_tools import axe_script

_LIMIT = 180
"""Seconds that only catch hangs."""
ENTER, TAB = "\ue007", "\ue004"


class Chromium:
    """A browser.

    Args:
        session: URL of its WebDriver session.
    """

    def __init__(self, session: str) -> None:
        self._session = session

    def open(self, url: str) -> None:
        """Show a page."""
        self._ask("url", {"url": url})

    def run(self, script: str, *arguments: object) -> Any:
        """Return what a script returns that runs in the page."""
        return self._ask("execute/sync", {"script": script, "args": list(arguments)})

    def text(self) -> str:
        """Return what a person reads."""
        found: str = self.run("return document.body.innerText")
        return found

    def press(self, keys: str) -> None:
        """Press keys, where the focus is."""
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self._ask("actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def until(self, script: str, *arguments: object) -> Any:
        """Return what a script returns as soon as that is true."""
        end = time.monotonic() + _LIMIT
        while not (found := self.run(script, *arguments)):
            assert time.monotonic() < end, f"never true: {script}\n{self.text()}"
            time.sleep(0.1)  # the browser and the server work meanwhile
        return found

    def prefer(self, scheme: str) -> None:
        """Have the person prefer light or dark pages."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._ask("goog/cdp/execute", {"cmd": "Emulation.setEmulatedMedia", "params": {"features": features}})

    def picture(self, path: Path) -> None:
        """Write a picture of what is seen (PNG)."""
        path.write_bytes(base64.b64decode(self._ask("screenshot")))

    def hindrances(self) -> list[str]:
        """Return what axe finds in the page, by rule and element."""
        self.run(axe_script() + ";return true")
        script = "const done = arguments[0]; axe.run().then((found) => done(found.violations), (e) => done(String(e)))"
        found = self._ask("execute/async", {"script": script, "args": []})
        assert isinstance(found, list), found
        return [f"{each['id']}: {node['html']}" for each in found for node in each["nodes"]]

    def complaints(self) -> list[str]:
        """Return what the browser logged since it was asked last: errors of scripts, refusals by the policy."""
        return [each["message"] for each in self._ask("se/log", {"type": "browser"})]

    def _ask(self, command: str, body: object = None) -> Any:
        method = "GET" if body is None else "POST"
        return _ask(method, f"{self._session}/{command}", body)


@contextlib.contextmanager
def running_chromium(directory: Path) -> Iterator[Chromium]:
    """Run one.

    Args:
        directory: For its profile, an empty one.
    """
    command = ["chromedriver", "--port=0", "--log-level=SEVERE"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as driver:
        try:
            assert driver.stdout is not None
            port = next(
                found[1]
                for line in driver.stdout
                if (found := re.search(r"successfully on port (\d+)", line))
            )
            url = f"http://127.0.0.1:{port}/session"
            options = {
                "binary": "/usr/bin/chromium",
                "args": [
                    "--headless=new",
                    "--no-sandbox",  # tests run as root
                    "--disable-dev-shm-usage",
                    "--disable-gpu",
                    "--window-size=1280,900",
                    f"--user-data-dir={directory}",
                ],
            }
            wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
            session = _ask("POST", url, {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
            try:
                yield Chromium(f"{url}/{session}")
            finally:
                _ask("DELETE", f"{url}/{session}")
        finally:
            driver.terminate()


def _ask(method: str, url: str, body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    # No proxy of the environment: the driver is on this machine.
    opener: Callable[..., Any] = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
    try:
        with opener(request, timeout=_LIMIT) as answer:
            return json.load(answer)["value"]
    except urllib.error.HTTPError as error:
        raise AssertionError(error.read().decode()) from error
