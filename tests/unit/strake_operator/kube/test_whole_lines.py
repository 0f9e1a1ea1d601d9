"""Lines of a log: however they come, each is taken as it was written or not at all."""

from __future__ import annotations

import asyncio

import pytest

from strake_operator.kube.cluster import whole_lines

MIB = b"x" * (1 << 20)


def read(*chunks):
    async def stream():
        for chunk in chunks:
            yield chunk

    async def all_of():
        return [line async for line in whole_lines(stream())]

    return asyncio.run(all_of())


@pytest.mark.parametrize(
    ("chunks", "lines"),
    [
        ([], []),
        ([b"a\nb\n"], [b"a", b"b"]),
        ([b"a", b"b\nc", b"\n"], [b"ab", b"c"]),
        ([b"a\n", b"not ended"], [b"a"]),
        ([b"\n\n"], [b"", b""]),
        # The rest of a line is no line, whatever it looks like.
        ([b"a\n", MIB + b"xx", b"== steps: 9\n", b"b\n"], [b"a", b"b"]),
        ([MIB + b"xx", MIB + b"xx", b"== steps: 9\nb\n"], [b"b"]),
        ([MIB + b"xx", b"\n== steps: 1\n"], [b"== steps: 1"]),
    ],
)
def test_lines_are_whole(chunks, lines):
    assert read(*chunks) == lines


def test_a_flood_leaves_other_tasks_their_turn():
    """A step may write as fast as it can: the operator goes on with everybody's builds."""

    async def flood():
        for _ in range(100):
            yield b"#1 | y\n" * 1000

    async def test():
        read_so_far, others = 0, []

        async def other():
            while read_so_far < 100_000:
                others.append(read_so_far)
                await asyncio.sleep(0)

        beside = asyncio.create_task(other())
        async for _ in whole_lines(flood()):
            read_so_far += 1
        await beside
        assert len(set(others)) > 90

    asyncio.run(test())
