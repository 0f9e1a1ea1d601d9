"""What holds for every test: nothing is skipped in silence, nothing needs what `make setup` does not install."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.setup.programs import missing_packages
from tests.setup.started import StartedPrograms

_UNIT = Path(__file__).parent / "unit"
_started = StartedPrograms()
_UNDECLARED = pytest.StashKey[list[str]]()


class _Skips:
    def __init__(self) -> None:
        self.found: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            self.found.append(report.nodeid)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(_Skips(), "strake-skips")
    _started.watch()


def pytest_collection_finish(session: pytest.Session) -> None:
    """One sentence before the first test, where a program is missing. Unit tests start next to none."""
    beyond_units = any(not item.path.is_relative_to(_UNIT) for item in session.items)
    if beyond_units and not session.config.option.collectonly and (missing := missing_packages()):
        reason = f"missing Debian packages: {' '.join(missing)} (`make setup` installs them)"
        pytest.exit(f"error: {reason}", returncode=pytest.ExitCode.USAGE_ERROR)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A skipped test is a failed run, and so is one that used a program which `make setup` does not install."""
    skips = session.config.pluginmanager.get_plugin("strake-skips")
    session.config.stash[_UNDECLARED] = _started.undeclared()
    if (skips.found or session.config.stash[_UNDECLARED]) and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    skips = config.pluginmanager.get_plugin("strake-skips")
    if skips.found:
        terminalreporter.section("skipped, and should not be")
        for node in skips.found:
            terminalreporter.line(node)
    if undeclared := config.stash.get(_UNDECLARED, []):
        terminalreporter.section("programs that a fresh machine lacks")
        for line in undeclared:
            terminalreporter.line(line)
