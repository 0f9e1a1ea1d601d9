"""What holds for every test: nothing is skipped in silence, nothing needs what `make setup` does not install.

With pytest-xdist the tests run in workers, which start the programs, and the controller tells how the run ended: it
gets what each worker saw when the worker ends.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from tests.needs import MARKERS, needs
from tests.setup.programs import missing_packages
from tests.setup.started import StartedPrograms

_TESTS = Path(__file__).parent
_UNIT = _TESTS / "unit"
_started = StartedPrograms()
_UNDECLARED = pytest.StashKey[list[str]]()
_OUTPUT = "strake-undeclared-programs"

# Times belong in benchmarks: on a busy machine an example of a millisecond may take a second.
settings.register_profile("strake", deadline=None)
settings.load_profile("strake")


class _Skips:
    def __init__(self) -> None:
        self.found: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            self.found.append(report.nodeid)


class _Workers:
    """Gathers what the workers of pytest-xdist saw."""

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        _end_without_programs(beyond_units=any(not each.startswith("tests/unit/") for each in ids))

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node) -> None:
        told = node.config.stash[_UNDECLARED]
        told += [line for line in getattr(node, "workeroutput", {}).get(_OUTPUT, []) if line not in told]


_SKIPS = pytest.StashKey[_Skips]()


def pytest_configure(config: pytest.Config) -> None:
    for name, line in MARKERS.items():
        config.addinivalue_line("markers", f"{name}: {line}")
    config.stash[_SKIPS] = _Skips()
    config.pluginmanager.register(config.stash[_SKIPS], "strake-skips")
    config.pluginmanager.register(_Workers(), "strake-workers")
    config.stash[_UNDECLARED] = []
    _started.watch()


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with what it needs."""
    for item in items:
        if item.path.is_relative_to(_TESTS):
            path = item.path.relative_to(_TESTS).as_posix()
            for need in needs(path, _origins(item)):
                item.add_marker(need)


def _origins(item: pytest.Item) -> set[str]:
    module = item.getparent(pytest.Module)
    held = vars(module.obj).values() if module is not None else ()
    return {str(getattr(each, "__module__", None) or getattr(each, "__name__", "")) for each in held}


def pytest_collection_finish(session: pytest.Session) -> None:
    """One sentence before the first test, where a program is missing. Unit tests start next to none."""
    if not session.config.option.collectonly and not hasattr(session.config, "workeroutput"):
        _end_without_programs(beyond_units=any(not item.path.is_relative_to(_UNIT) for item in session.items))


def _end_without_programs(*, beyond_units: bool) -> None:
    if beyond_units and (missing := missing_packages()):
        reason = f"missing Debian packages: {' '.join(missing)} (`make setup` installs them)"
        pytest.exit(f"error: {reason}", returncode=pytest.ExitCode.USAGE_ERROR)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A skipped test is a failed run, and so is one that used a program which `make setup` does not install."""
    skips = session.config.stash[_SKIPS]
    undeclared = session.config.stash[_UNDECLARED]
    undeclared += [line for line in _started.undeclared() if line not in undeclared]
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput[_OUTPUT] = undeclared
    if (skips.found or undeclared) and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    skips = config.stash[_SKIPS]
    if skips.found:
        terminalreporter.section("skipped, and should not be")
        for node in skips.found:
            terminalreporter.line(node)
    if undeclared := config.stash.get(_UNDECLARED, []):
        terminalreporter.section("programs that a fresh machine lacks")
        for line in undeclared:
            terminalreporter.line(line)
