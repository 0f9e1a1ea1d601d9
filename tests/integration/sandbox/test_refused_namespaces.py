"""Where the kernel refuses namespaces: the next way of isolation is taken, or a person reads a sentence."""

from __future__ import annotations

import json
import subprocess
import tempfile

import pytest

from tests.fixtures.building.builds import STRAKE

MASKED = 'mount -t tmpfs none /proc/fs && exec unshare --user --map-root-user --mount "$@"'
LIMITED = 'echo 0 > /proc/sys/user/{0}; exec "$@"'
USER = ["unshare", "--user", "--map-root-user"]
POWERLESS = ["setpriv", "--bounding-set=-all", "--no-new-privs"]


def build(builder, machine, *flags):
    result = builder.directory / "result.json"
    words = [*machine, *builder.command("--no-push", "--metadata-file", str(result), *flags)]
    done = subprocess.run(words, capture_output=True, text=True, env=builder.environment(), timeout=180)
    return done, json.loads(result.read_text()) if result.exists() else None


def test_where_parts_of_proc_are_masked_steps_have_the_machines(builder):
    builder.context("FROM TINY\nRUN test -d /proc/self\n")
    done, result = build(builder, ["unshare", "--mount", "sh", "-c", MASKED, "sh"])
    assert done.returncode == 0, done.stderr
    assert result["isolation"] == {"kind": "root", "ownProc": False}


@pytest.mark.parametrize("limit", ["max_mnt_namespaces", "max_pid_namespaces"])
def test_where_no_namespace_is_left_steps_are_confined_to_their_tree(builder, limit):
    builder.context("FROM TINY\nRUN test ! -e /proc/self && test -c /dev/null -o ! -e /dev/null\n")
    done, result = build(builder, [*USER, "sh", "-c", LIMITED.format(limit), "sh"])
    assert done.returncode == 0, done.stderr
    assert result["isolation"]["kind"] == "chroot"
    assert (
        "root: new mount and PID namespaces are refused: No space left on device; a limit of"
        in (result["isolation"]["reason"])
    )


def test_where_nothing_is_allowed_every_reason_is_given(builder):
    builder.context("FROM TINY\nRUN true\n")
    done, _ = build(builder, POWERLESS)
    assert done.returncode == 13, done.stderr
    assert done.stderr.startswith("error: no way of isolation can be had here: root: ")
    assert "nested: " in done.stderr
    assert "chroot: chroot(2) is refused" in done.stderr
    assert "  try: run as root of a container" in done.stderr
    assert "Traceback" not in done.stderr
    assert not builder.left_behind()


@pytest.mark.parametrize("wanted", ["root", "nested", "chroot"])
def test_a_way_that_was_asked_for_is_taken(builder, wanted):
    builder.context("FROM TINY\nRUN true\n")
    done, result = build(builder, [], "--isolation", wanted)
    assert done.returncode == 0, done.stderr
    assert result["isolation"]["kind"] == wanted
    assert "reason" not in result["isolation"]


def test_a_word_that_is_no_way_is_refused(builder):
    builder.context("FROM TINY\n")
    done, _ = build(builder, ["env", "STRAKE_ISOLATION=gvisor"])
    assert done.returncode == 2
    assert "'gvisor' is none of auto, root, nested, chroot" in done.stderr


def test_the_operator_reads_it_in_the_result(tmp_path):
    request = tmp_path / "request.json"
    request.write_text("{}")
    words = [
        "execute",
        "--request",
        str(request),
        "--result",
        str(tmp_path / "result"),
        "--isolation",
        "nested",
    ]
    done = subprocess.run([*POWERLESS, str(STRAKE), *words], capture_output=True, text=True, timeout=180)
    assert done.returncode == 13, done.stderr
    result = json.loads((tmp_path / "result").read_text())
    assert result["reason"] == "IsolationUnavailable"
    assert result["message"].startswith("the isolation nested cannot be had here: ")


def test_a_work_directory_in_memory_is_no_secret(builder):
    """What is kept in memory is linked to, but for a build that is made there."""
    builder.context("FROM TINY\nRUN --mount=type=cache,target=/c test ! -L /c && echo x > /c/x\n")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as work:
        done, _ = build(builder, [], "--isolation", "chroot", "--work-dir", work)
    assert done.returncode == 0, done.stderr
