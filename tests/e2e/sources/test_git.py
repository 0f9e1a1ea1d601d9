"""A git repository as the source."""

from __future__ import annotations

import subprocess
import time

import pytest

from tests.cluster.settings import NODE_IP
from tests.e2e.builds import build, run_image
from tests.e2e.conftest import TINY

PORT = 9419


def git(directory, *arguments) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
    done = subprocess.run(
        ["git", "-C", directory, *identity, *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(platform, tmp_path):
    """A repository that the cluster can clone: its URL and the hashes of its two commits."""
    work = tmp_path / "app"
    (work / "service").mkdir(parents=True)
    git(work, "init", "-q")
    commits = []
    for version in ("one", "two"):
        (work / "service/Dockerfile").write_text(f"FROM {TINY}\nCOPY version /\nCMD cat /version\n")
        (work / "service/version").write_text(version + "\n")
        git(work, "add", ".")
        git(work, "commit", "-qm", version)
        commits.append(git(work, "rev-parse", "HEAD"))
    daemon = subprocess.Popen(
        [
            *("git", "daemon", "--export-all", "--reuseaddr", "--enable=upload-pack"),
            *(f"--base-path={tmp_path}", f"--listen={NODE_IP}", f"--port={PORT}"),
        ],
        stderr=subprocess.DEVNULL,
    )
    url = f"git://{NODE_IP}:{PORT}/app/.git"
    for _ in range(100):
        if subprocess.run(["git", "ls-remote", url], capture_output=True).returncode == 0:
            break
        time.sleep(0.05)
    yield url, commits
    daemon.terminate()
    daemon.wait()


@pytest.mark.parametrize(("ref", "expected"), [("main", 1), ("commit", 0)])
def test_a_commit_is_built_and_named(namespace, repository, ref, expected):
    url, commits = repository
    ref = commits[0] if ref == "commit" else ref
    status = build(namespace, "", source={"git": {"url": url, "ref": ref, "path": "service"}})
    assert status["phase"] == "Succeeded", status
    assert status["source"]["revision"] == commits[expected]
    assert run_image(namespace, status["image"]) == ("one\n", "two\n")[expected]


def test_a_ref_that_is_not_there(namespace, repository):
    url, _ = repository
    status = build(namespace, "", source={"git": {"url": url, "ref": "gone"}})
    assert status["failure"]["reason"] == "SourceFetchFailed"
    assert "gone" in status["failure"]["message"]
