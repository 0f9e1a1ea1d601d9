"""What the kernel does not take of a RUN's arguments is reported in a sentence, with a way that works."""

from __future__ import annotations

import os

import pytest

LIMIT = 32 * os.sysconf("SC_PAGE_SIZE")
LONG = f"true {'x' * LIMIT}"


@pytest.mark.parametrize(
    ("dockerfile", "words"),
    [
        (f"FROM TINY\nRUN {LONG}\n", ["an argument of the command has 131,"]),
        (f"FROM TINY\nRUN <<E\n{LONG}\nE\n", ["an argument", "COPY <<script"]),
        (f'FROM TINY\nRUN ["true", "{"x" * LIMIT}"]\n', ["an argument"]),
        (f"FROM TINY\nENV A=1\nENV BIG={'x' * LIMIT}\nRUN true\n", ["the variable BIG has 131,"]),
        (f"FROM TINY\nARG BIG={'é' * (LIMIT // 2)}\nRUN true\n", ["the variable BIG"]),
        (
            "FROM TINY\n" + "".join(f"ENV V{n}={'x' * 130_000}\n" for n in range(17)) + "RUN true\n",
            ["environment"],
        ),
    ],
    ids=["shell form", "heredoc", "exec form", "ENV", "ARG", "all together"],
)
def test_it_is_refused_in_words(builder, dockerfile, words):
    builder.context(dockerfile)
    done = builder.run("--no-push")
    assert done.returncode == 6, done.stderr[-2000:]
    for word in words:
        assert word in done.stderr
    assert "E2BIG" not in done.stderr
    assert '"msg"' not in done.stderr


@pytest.mark.parametrize(
    "dockerfile",
    [
        f"FROM TINY\nRUN <<E\n#!/bin/sh\n{LONG}\nE\n",
        f"FROM TINY\nCOPY <<script /tmp/script\n{LONG}\nscript\nRUN sh /tmp/script\n",
        f"FROM TINY\nRUN true {'x' * (LIMIT - len('true ') - 1)}\n",
        f"FROM TINY\nENV BIG={'x' * (LIMIT - len('BIG=') - 1)}\nRUN true\n",
        f"FROM TINY\nENV BIG={'x' * LIMIT}\nLABEL a=b\n",
    ],
    ids=["a script", "a file", "just fits", "a variable just fits", "no RUN"],
)
def test_the_ways_out_and_what_just_fits(builder, dockerfile):
    builder.context(dockerfile)
    done = builder.run("--no-push")
    assert done.returncode == 0, done.stderr[-2000:]
