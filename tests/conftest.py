"""What holds for every test: nothing is skipped in silence, nothing needs what `make setup` does not install.

With pytest-xdist the tests run in workers, which start the programs, and the controller tells how the run ended: it
gets what each worker saw when the worker ends. `tests/scheduling.py` says who runs what, and what all workers share
(the test cluster) is in `tests/fixtures/shared.py`; the controller ends it.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import settings

from tests.fixtures.disk import enter_disk
from tests.fixtures.shared import CLUSTER, SharedRun
from tests.needs import MARKERS, needs
from tests.scheduling import ByFile, sort_key
from tests.setup.programs import missing_packages
from tests.setup.started import StartedPrograms

_TESTS = Path(__file__).parent
_UNIT = _TESTS / "unit"
_started = StartedPrograms()
_UNDECLARED = pytest.StashKey[list[str]]()
_OUTPUT = "strake-undeclared-programs"
_RUN = pytest.StashKey[SharedRun]()
_DIRECTORY = "strake-run"

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
    """Tells the workers of pytest-xdist what they share, and gathers what they saw."""

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log) -> ByFile | None:
        if config.option.dist != "load":  # the default of `-n`
            return None
        config.option.loadscopereorder = False
        return ByFile(config, log)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node) -> None:
        node.workerinput[_DIRECTORY] = str(node.config.stash[_RUN].directory)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node, ids: list[str]) -> None:
        _prepare(node.config, ids)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node) -> None:
        undeclared = node.config.stash[_UNDECLARED]
        undeclared += [
            line for line in getattr(node, "workeroutput", {}).get(_OUTPUT, []) if line not in undeclared
        ]


class _Cluster:
    """Stops the test cluster, where this run started it, when no test needs it any more: it computes, also idle.

    Its own program does it: it takes more imports than a run without a cluster needs.
    """

    def __init__(self, run: SharedRun) -> None:
        self._run = run
        self._waiting: set[str] = set()
        self._stopping: subprocess.Popen[bytes] | None = None

    def needed_by(self, tests: Iterable[str]) -> None:
        """Compile what is missing, before time is taken of the tests that need it."""
        needing = {each for each in tests if each.startswith("tests/e2e/")}
        if needing - self._waiting:
            self._waiting |= needing
            assert self._command("binaries").wait() == 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "teardown" and report.nodeid in self._waiting:
            self._waiting.remove(report.nodeid)
            if not self._waiting:
                self._stop()

    def end(self) -> None:
        """Leave nothing of the run."""
        self._stop()
        assert self._stopping is None or self._stopping.wait() == 0, "the test cluster was not stopped"
        self._run.end()

    def _stop(self) -> None:
        if self._stopping is None and self._run.noted(CLUSTER):
            self._stopping = self._command("down")

    @staticmethod
    def _command(word: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.cluster", word]
        return subprocess.Popen(command, cwd=_TESTS.parent, stdout=subprocess.DEVNULL)


_SKIPS = pytest.StashKey[_Skips]()
_CLUSTER = pytest.StashKey[_Cluster]()


def pytest_configure(config: pytest.Config) -> None:
    for name, line in MARKERS.items():
        config.addinivalue_line("markers", f"{name}: {line}")
    config.stash[_SKIPS] = _Skips()
    config.pluginmanager.register(config.stash[_SKIPS], "strake-skips")
    config.pluginmanager.register(_Workers(), "strake-workers")
    config.stash[_UNDECLARED] = []
    config.stash[_RUN] = SharedRun(getattr(config, "workerinput", {}).get(_DIRECTORY))
    if not _is_worker(config):
        enter_disk()
        config.stash[_CLUSTER] = _Cluster(config.stash[_RUN])
        config.pluginmanager.register(config.stash[_CLUSTER], "strake-cluster")
        config.add_cleanup(config.stash[_CLUSTER].end)
    _started.watch()


@pytest.fixture(scope="session")
def shared_run(request: pytest.FixtureRequest) -> SharedRun:
    """What this process shares with the other workers of the run."""
    return request.config.stash[_RUN]


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark each test with what it needs; in a worker, bring them into the order in which they begin."""
    if _is_worker(config):
        items.sort(key=lambda item: sort_key(item.nodeid))
    for item in items:
        if item.path.is_relative_to(_TESTS):
            path = item.path.relative_to(_TESTS).as_posix()
            for need in needs(path, _origins(item)):
                item.add_marker(need)


def _origins(item: pytest.Item) -> set[str]:
    module = item.getparent(pytest.Module)
    held = vars(module.obj).values() if module is not None else ()
    return {str(getattr(each, "__module__", None) or getattr(each, "__name__", "")) for each in held}


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def pytest_collection_finish(session: pytest.Session) -> None:
    """One sentence before the first test, where a program is missing."""
    if not session.config.option.collectonly and not _is_worker(session.config):
        _prepare(session.config, [item.nodeid for item in session.items])


def _prepare(config: pytest.Config, tests: list[str]) -> None:
    """Make sure that there are the programs which tests need. Unit tests start next to none."""
    if any(not each.startswith("tests/unit/") for each in tests) and (missing := missing_packages()):
        reason = f"missing Debian packages: {' '.join(missing)} (`make setup` installs them)"
        pytest.exit(f"error: {reason}", returncode=pytest.ExitCode.USAGE_ERROR)
    config.stash[_CLUSTER].needed_by(tests)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A skipped test is a failed run, and so is one that used a program which `make setup` does not install."""
    skips = session.config.stash[_SKIPS]
    undeclared = session.config.stash[_UNDECLARED]
    undeclared += [line for line in _started.undeclared() if line not in undeclared]
    if _is_worker(session.config):
        session.config.workeroutput[_OUTPUT] = undeclared  # type: ignore[attr-defined] # of pytest-xdist
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
