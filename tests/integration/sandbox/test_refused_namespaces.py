"""Where the kernel refuses what a build needs, a person reads a sentence, and the result file has it too."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.fixtures.building.builds import STRAKE

MASKED = 'mount -t tmpfs none /proc/fs && exec unshare --user --map-root-user --mount "$@"'
LIMITED = 'echo 0 > /proc/sys/user/{0}; exec "$@"'
USER = ["unshare", "--user", "--map-root-user"]


@pytest.mark.parametrize(
    ("machine", "sentence", "remedy"),
    [
        (
            ["unshare", "--mount", "sh", "-c", MASKED, "sh"],
            "cannot mount a fresh /proc: Operation not",
            "procMount",
        ),
        (
            [*USER, "sh", "-c", LIMITED.format("max_mnt_namespaces"), "sh"],
            "cannot make namespaces",
            "hostUsers",
        ),
        ([*USER, "sh", "-c", LIMITED.format("max_pid_namespaces"), "sh"], "used up", "hostUsers"),
        (["setpriv", "--bounding-set=-all", "--no-new-privs"], "cannot make namespaces", "SYS_ADMIN"),
    ],
    ids=["masked proc", "no mount namespaces", "no PID namespaces", "no capability"],
)
def test_the_refusal_is_a_sentence(builder, machine, sentence, remedy):
    builder.context("FROM TINY\nRUN true\n")
    words = [*machine, *builder.command("--no-push")]
    done = subprocess.run(words, capture_output=True, text=True, env=builder.environment(), timeout=60)
    assert done.returncode == 13, done.stderr
    assert sentence in done.stderr
    assert remedy in done.stderr
    assert "Traceback" not in done.stderr
    assert not builder.left_behind()


def test_the_operator_reads_it_in_the_result(tmp_path):
    request = tmp_path / "request.json"
    request.write_text("{}")
    words = ["execute", "--request", str(request), "--result", str(tmp_path / "result")]
    command = ["unshare", "--mount", "sh", "-c", MASKED, "sh", str(STRAKE), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 13, done.stderr
    result = json.loads((tmp_path / "result").read_text())
    assert result["reason"] == "Unsupported"
    assert "/proc" in result["message"]
