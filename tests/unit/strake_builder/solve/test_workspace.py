"""A build's place on disk comes, goes, and is tidied up after who could not do it."""

import os

import pytest

from strake_builder.errors import BuildCancelled, BuildTimedOut, InvalidRequest
from strake_builder.solve.cancellation import Cancellation
from strake_builder.solve.workspace import Workspace
from tests.fixtures.isolated import isolated


def test_it_is_gone_afterwards(tmp_path):
    with Workspace(str(tmp_path / "new/parent")) as workspace:
        path = workspace.path
        os.makedirs(os.path.join(workspace.directory("d"), "a/b"))
        assert os.path.isdir(path)
    assert not os.path.exists(path)


def test_it_is_gone_after_an_error_too(tmp_path):
    with pytest.raises(RuntimeError), Workspace(str(tmp_path)):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_an_abandoned_one_is_removed_and_one_in_use_is_not(tmp_path):
    def abandon() -> str:
        return Workspace(str(tmp_path)).path  # its lock ends with this process

    abandoned = isolated(abandon)
    assert os.path.isdir(abandoned)
    (tmp_path / "strake-build-not-one").mkdir()
    with Workspace(str(tmp_path)) as one:
        assert not os.path.exists(abandoned)
        with Workspace(str(tmp_path)) as other:
            assert os.path.isdir(one.path)
            assert one.path != other.path
    assert [p.name for p in tmp_path.iterdir()] == ["strake-build-not-one"]


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InvalidRequest, match="work directory"):
        Workspace(str(tmp_path / "file/inside"))


def test_secrets_lie_in_memory(tmp_path):
    def work() -> tuple[bool, int]:
        with Workspace(str(tmp_path)) as workspace:
            path = workspace.memory_directory()
            assert workspace.memory_directory() == path
            return os.path.ismount(path), os.stat(path).st_mode & 0o777

    assert isolated(work) == (True, 0o700)
    assert list(tmp_path.iterdir()) == []


def test_the_first_reason_counts():
    cancellation = Cancellation()
    cancellation.check()
    cancellation.cancel(BuildCancelled("first"))
    cancellation.cancel(BuildTimedOut("second"))
    with pytest.raises(BuildCancelled, match="first"):
        cancellation.check()


def test_whoever_wants_to_know_is_told_early_or_late():
    told = []
    cancellation = Cancellation()
    cancellation.on_cancel(lambda: told.append("early"))
    cancellation.cancel(BuildCancelled("x"))
    cancellation.on_cancel(lambda: told.append("late"))
    assert told == ["early", "late"]
