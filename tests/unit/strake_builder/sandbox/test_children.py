import os
import signal
import subprocess
import threading

import pytest

from strake_builder.errors import InternalError
from strake_builder.sandbox.children import Children
from strake_builder.sandbox.output_lines import OutputLines


@pytest.fixture
def children() -> Children[subprocess.Popen[bytes]]:
    return Children()


def shell(script):
    return lambda out, err: subprocess.Popen(["/bin/sh", "-c", script], stdout=out, stderr=err)


def lines(seen):
    return OutputLines(lambda stream, text: seen.append((stream, text)))


def open_descriptors():
    return set(os.listdir("/proc/self/fd"))


def test_output_is_passed_on_and_the_status_returned(children):
    seen: list[tuple[str, str]] = []
    child, status = children.run("step", shell("echo out; echo err >&2; exit 3"), lines(seen))
    assert (child.returncode, status) == (3, 3)
    assert sorted(seen) == [("stderr", "err"), ("stdout", "out")]


def test_a_signal_is_a_status_over_128(children):
    assert children.run("step", shell("kill -9 $$"), lines([]))[1] == 128 + signal.SIGKILL


def refusing(out, err):
    raise OSError("no such program")


def failing_sink(stream, text):
    raise RuntimeError(text)


@pytest.mark.parametrize(
    ("start", "sink", "error"),
    [
        (refusing, lambda *_: None, OSError),
        (shell("echo one; exec sleep 60"), failing_sink, RuntimeError),
        (shell("true"), lambda *_: None, None),
    ],
)
def test_no_descriptor_stays_open(children, start, sink, error):
    before = open_descriptors()
    if error is None:
        children.run("step", start, OutputLines(sink))
    else:
        with pytest.raises(error):
            children.run("step", start, OutputLines(sink))
    assert open_descriptors() == before


def running(children, script):
    """Run a script in a thread; return the thread and its result once the script has written a line."""
    begun, result = threading.Event(), []
    output = OutputLines(lambda *_: begun.set())
    thread = threading.Thread(target=lambda: result.append(children.run("step", shell(script), output)[1]))
    thread.start()
    assert begun.wait(180)
    return thread, result


def test_orders_are_given_until_all_have_ended(children):
    gentle, result = running(children, "echo; exec sleep 60")
    given = []

    def terminate(each):
        given.append("terminate")
        each.child.terminate()

    children.stop(terminate, lambda _: given.append("kill"), grace=10)
    gentle.join(180)
    assert (given, result) == (["terminate"], [128 + signal.SIGTERM])


def test_one_that_ignores_an_order_gets_the_next(children):
    deaf, result = running(children, "trap '' TERM; echo; read never < /dev/zero")
    children.stop(lambda each: each.child.terminate(), lambda each: each.child.kill(), grace=0.1)
    deaf.join(180)
    assert result == [128 + signal.SIGKILL]


def test_none_starts_after_a_stop(children):
    children.stop(grace=0)
    with pytest.raises(InternalError, match="stopped"):
        children.run("step", shell("true"), lines([]))
