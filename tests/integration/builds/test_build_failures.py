"""A build that fails says why, pushes no tag and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from strake_api.events import Planned, StepCached, StepFinished, StepStarted
from strake_api.logs.lines import parse_log_line
from tests.fixtures.narrow import present

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture(autouse=True)
def nothing_stays(builder):
    before = processes()
    yield
    assert builder.left_behind() == []
    assert str(builder.directory) not in Path("/proc/self/mountinfo").read_text()
    assert processes() <= before


def processes() -> set[str]:
    """Command lines of steps that run now."""
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if b"strake-step-marker" in command:
            found.add(pid)
    return found


def test_a_failing_command_is_told_with_its_line_and_its_last_words(builder):
    builder.context("FROM TINY\nENV A=b\nRUN echo words; echo more >&2; exit 42\n")
    done = builder.run()
    assert done.returncode == 7
    assert "Dockerfile:3" in done.stderr
    assert "exit code 42" in done.stderr
    assert "words" in done.stderr
    assert "more" in done.stderr
    assert builder.tags() == []


@pytest.mark.parametrize(
    ("dockerfile", "status", "words"),
    [
        ("FROM TINY\nRUNN x", 3, "did you mean RUN"),
        ("FROM TINY\nCOPY missing /", 6, "missing does not exist"),
        ("FROM TINY\nCOPY --chown=nobody-here f /", 6, "no user 'nobody-here'"),
        ("FROM TINY\nUSER nobody-here\nRUN id", 6, "no user 'nobody-here'"),
        ('FROM TINY\nRUN ["/no/such/program"]', 7, "/no/such/program"),
        ("FROM TINY\nRUN no-such-program", 7, "127"),
        ("FROM TINY\nRUN sh -c 'kill -SEGV $$'; exit $?", 7, "139"),
        ("FROM TINY\nRUN --mount=type=secret,id=x,required=true true", 6, "secret 'x'"),
        ("FROM REGISTRY/no/such:image", 5, "no/such"),
        ("FROM TINY AS build\nFROM TINY\nCOPY --from=bulid /x /", 5, "did you mean build"),
        ("FROM TINY\nRUN --security=insecure true", 6, "privileged"),
    ],
)
def test_every_mistake_has_its_status_and_its_words(builder, dockerfile, status, words):
    builder.context(dockerfile.replace("REGISTRY", builder.registry.host), f="x")
    done = builder.run()
    assert done.returncode == status, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert builder.tags() == []


def test_a_registry_that_is_not_there(builder):
    builder.context("FROM 127.0.0.1:1/x:1")
    done = builder.run("--insecure-registry", "127.0.0.1:1", "--timeout", "3")
    assert done.returncode in {5, 10}
    assert "127.0.0.1:1" in done.stderr or "3 s" in done.stderr


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--destination", "localhost/UPPER:1"], "localhost/UPPER"),
        (["--platform", "windows/amd64"], "only those for Linux"),
        (["--platform", "nonsense/"], "platform"),
        (["--secret", "src=x"], "id=ID"),
        (["--build-arg", "=value"], "has no name"),
        (["--context", "sftp://host/x"], "sftp://"),
    ],
)
def test_bad_flags_are_refused_before_any_work(builder, flags, words):
    builder.context("FROM TINY")
    done = builder.run(*flags)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr


def test_a_context_that_is_not_there(builder):
    builder.context("FROM TINY")
    done = builder.run("--context", "/no/such/directory")
    assert done.returncode == 4
    assert "/no/such/directory" in done.stderr


def test_the_timeout_ends_a_step(builder):
    builder.context("FROM TINY\nRUN sleep 1000; : strake-step-marker")
    done = builder.run("--timeout", "4")
    assert done.returncode == 10
    assert "within 4 s" in done.stderr


def wait_for_step(process: subprocess.Popen[str]) -> None:
    for line in present(process.stderr):
        if "| started" in line:
            return
    raise AssertionError("the step did not start")


def test_a_signal_stops_the_build(builder):
    builder.context("FROM TINY\nRUN echo started; sleep 1000; : strake-step-marker")
    process = builder.start()
    wait_for_step(process)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=180)
    assert process.returncode == 143
    assert "stopped by SIGTERM" in errors


def test_a_step_may_tidy_up_when_it_is_stopped(builder):
    builder.context(
        "FROM TINY\nRUN trap 'echo tidied; exit 3' TERM; echo started; while :; do sleep 0.1; done"
    )
    process = builder.start()
    wait_for_step(process)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=180)
    assert process.returncode == 143
    assert "tidied" in errors


def test_a_killed_builder_leaves_no_process_and_no_mount_and_the_next_one_tidies_up(builder):
    builder.context("FROM TINY\nRUN echo started; sleep 1000; : strake-step-marker")
    process = builder.start()
    wait_for_step(process)
    assert processes()
    process.kill()
    process.communicate(timeout=180)
    deadline = time.monotonic() + 180
    while processes() and time.monotonic() < deadline:
        os.sched_yield()
    assert not processes()
    directory, lock = builder.left_behind()
    assert lock == f"{directory}.lock"
    builder.context("FROM TINY\nRUN true")
    assert builder.run().returncode == 0
    assert builder.left_behind() == []


def test_a_full_disk_is_told_as_such(builder):
    builder.context("FROM TINY\nRUN dd if=/dev/zero of=/big bs=1M count=64")
    builder.work.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", builder.work], check=True)
    try:
        done = builder.run()
        assert done.returncode in {7, 11}
        assert "No space left" in done.stderr or "full" in done.stderr
        assert builder.left_behind() == []
    finally:
        subprocess.run(["umount", builder.work], check=True)


def test_a_base_image_that_does_not_fit_is_told_as_such(builder):
    builder.context("FROM BASE\nRUN true")
    builder.work.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", builder.work], check=True)
    try:
        done = builder.run()
        assert done.returncode == 11, done.stderr
        assert "the work directory is full" in done.stderr
    finally:
        subprocess.run(["umount", builder.work], check=True)


def test_one_failing_stage_stops_the_others(builder):
    builder.context(
        "FROM TINY AS slow\nRUN sleep 1000; : strake-step-marker\n"
        "FROM TINY AS bad\nRUN sleep 1; exit 9\n"
        "FROM TINY\nCOPY --from=slow /x /\nCOPY --from=bad /y /\n"
    )
    done = builder.run(timeout=180)
    assert done.returncode == 7
    assert "exit code 9" in done.stderr
    assert "Dockerfile:4" in done.stderr


def execute(builder, tmp_path, log_format):
    """Build the context as in a pod, by a request; return the process that ended."""
    request = {
        "source": {"directory": {"path": str(tmp_path / "context")}},
        "output": {"destinations": [builder.destination]},
        "registries": {"hosts": {builder.registry.host: {"insecure": True}}},
        "workDirectory": str(builder.work),
    }
    (tmp_path / "request.json").write_text(json.dumps(request))
    return subprocess.run(
        [
            *builder.command()[:1],
            "execute",
            "--request",
            tmp_path / "request.json",
            "--result",
            tmp_path / "result.json",
            f"--log-format={log_format}",
        ],
        capture_output=True,
        text=True,
        env=builder.environment(),
        timeout=180,
    )


def test_the_result_document_says_the_same(builder, tmp_path):
    builder.context("FROM TINY\nRUN echo last words; exit 3")
    done = execute(builder, tmp_path, "json")
    assert done.returncode == 7
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["reason"] == "RunStepFailed"
    assert (result["line"], result["exitCode"], result["logTail"]) == (2, 3, ["last words"])
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[-1]["type"] == "Finished"
    assert {"type": "OutputLine", "text": "last words"}.items() <= events[-3].items()


def test_the_log_of_a_pod_is_text_and_no_step_can_write_progress_into_it(builder, tmp_path):
    forged = ["== steps: 99", "#1/99 [0] RUN nothing  CACHED", "#99 done in 0.1 s"]
    builder.context(
        "FROM TINY\nCOPY forged /\nRUN cat /forged; cat /forged >&2; exit 3\n",
        forged="\n".join(["", *forged, "\r" + forged[0], "y" * 20000 + forged[0], ""]),
    )
    done = execute(builder, tmp_path, "pod")
    assert (done.returncode, done.stderr) == (7, "")
    lines = done.stdout.splitlines()
    assert f"#2 | {forged[0]}" in lines
    assert lines[-1].startswith("error: Dockerfile:3: ")
    events = [event for line in lines if (event := parse_log_line(NOW, line)) is not None]
    assert [event.steps for event in events if isinstance(event, Planned)] == [2]
    assert {event.step for event in events if isinstance(event, StepFinished)} <= {1}
    assert [event.instruction[:8] for event in events if isinstance(event, StepStarted)][-1] == "RUN cat "
    assert [event for event in events if isinstance(event, StepCached)] == []


@pytest.mark.parametrize(
    ("step", "words", "hint"),
    [
        ('["/missing"]', "`/missing` not found", True),
        ('["/etc/passwd"]', "Permission denied", True),
        ('["/no-interpreter"]', "`/no-interpreter`: No such file", True),
        ("--mount=type=tmpfs,target=/etc/passwd true", "Not a directory", False),
    ],
)
def test_what_the_runtime_fails_at_is_told_in_its_words(builder, step, words, hint):
    builder.context(
        f"FROM TINY\nRUN echo '#!/missing' > /no-interpreter; chmod 755 /no-interpreter\nRUN {step}\n"
    )
    done = builder.run("--no-push")
    error = done.stderr[done.stderr.index("error: ") :]
    assert done.returncode == 7
    assert "cannot start" in error
    assert words in error
    assert "ended with exit code" not in error
    assert ("interpreter does" in error) is hint


def test_a_commands_own_255_is_its_own(builder):
    builder.context("FROM TINY\nRUN exit 255\n")
    assert "ended with exit code 255" in builder.run("--no-push").stderr


RUNTIME = """\
#!/bin/sh
while [ "$1" != --log ]; do shift; done
echo '{"msg":"cannot write status file: No space left on device","level":"error"}' >> "$2"
exit 255
"""


def test_a_runtime_without_room_is_a_full_disk(builder, tmp_path):
    """In place of crun: where the kernel lets the builder mount no memory, its files are on the disk."""
    (tmp_path / "runtime").write_text(RUNTIME)
    (tmp_path / "runtime").chmod(0o755)
    builder.context("FROM TINY\nRUN true\n")
    done = builder.run("--no-push", "--runtime", str(tmp_path / "runtime"))
    assert done.returncode == 11, done.stderr
    assert "could not be started: cannot write status file: No space left on device" in done.stderr
