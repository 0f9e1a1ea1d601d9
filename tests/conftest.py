"""What holds for every test: nothing is skipped in silence."""

from __future__ import annotations

import pytest


class _Skips:
    def __init__(self) -> None:
        self.found: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            self.found.append(report.nodeid)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(_Skips(), "strake-skips")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A skipped test is a failed run: this project's set-up installs what its tests need."""
    skips = session.config.pluginmanager.get_plugin("strake-skips")
    if skips.found and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    skips = config.pluginmanager.get_plugin("strake-skips")
    if skips.found:
        terminalreporter.section("skipped, and should not be")
        for node in skips.found:
            terminalreporter.line(node)
