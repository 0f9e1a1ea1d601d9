"""Cuts a step's output into lines, with bounds: a step that prints a gigabyte must not hurt.

The step's pipes are read as fast as it writes. Lines over the rate that people read or terminals show
are still counted, but only a bounded tail is kept for the result.
"""

from __future__ import annotations

import os
import selectors
from collections import deque
from collections.abc import Callable
from typing import Final, Literal

from strake_api.text import coloured

Stream = Literal["stdout", "stderr"]
LineSink = Callable[[Stream, str], None]

LINE_LIMIT: Final = 16 << 10
"""Bytes. A longer line is cut into pieces of this size."""
OUTPUT_LIMIT: Final = 16 << 20
"""Bytes of one step's output that are passed on; the rest is read and dropped, with one line that says so."""
_LINE_COST: Final = 32
"""What a line counts for beside its bytes: in a pod's log it has a time, a stream and a step's number."""
_TAIL_LINES: Final = 40
_CHUNK: Final = 64 << 10


class OutputLines:
    """Collects the output of one step.

    Args:
        sink: called with each line, without its end.
        limit: bytes passed on before the rest is dropped.
    """

    def __init__(self, sink: LineSink, limit: int = OUTPUT_LIMIT) -> None:
        self._sink = sink
        self._left = limit
        self._limit = limit
        self._partial: dict[Stream, bytes] = {"stdout": b"", "stderr": b""}
        self._tail: deque[bytes] = deque(maxlen=_TAIL_LINES)

    @property
    def tail(self) -> tuple[str, ...]:
        """The last lines of both streams, in the order they came, also of what was dropped."""
        return tuple(_text(line) for line in self._tail)

    def feed(self, stream: Stream, data: bytes) -> None:
        """Take the next bytes of a stream."""
        data = self._partial[stream] + data
        # Of what is not passed on only the end is kept: a gigabyte of it costs no line after the other.
        *lines, rest = data.split(b"\n") if self._left > 0 else data.rsplit(b"\n", _TAIL_LINES + 1)
        while len(rest) > LINE_LIMIT:
            lines.append(rest[:LINE_LIMIT])
            rest = rest[LINE_LIMIT:]
        self._partial[stream] = rest
        for line in lines:
            self._line(stream, line)

    def finish(self) -> None:
        """Pass on lines that have no end."""
        for stream, rest in self._partial.items():
            if rest:
                self._line(stream, rest)
        self._partial = {"stdout": b"", "stderr": b""}

    def _line(self, stream: Stream, line: bytes) -> None:
        self._tail.append(line)
        if self._left <= 0:
            return
        text = _text(line)
        self._left -= max(len(line), len(text)) + _LINE_COST  # a byte that is no text is shown as four
        self._sink(stream, text)
        if self._left <= 0:
            note = f"… output over {self._limit >> 20} MiB is not shown; its end is in the result"
            self._sink("stderr", note)


def _text(line: bytes) -> str:
    """Return a line as a terminal would show it in the end, without what would obey it."""
    return coloured(line[:LINE_LIMIT].rstrip(b"\r").rpartition(b"\r")[2].decode(errors="replace"))


def pump(stdout: int, stderr: int, lines: OutputLines) -> None:
    """Read both pipes until every writer has closed them."""
    streams: dict[int, Stream] = {stdout: "stdout", stderr: "stderr"}
    with selectors.DefaultSelector() as selector:
        for fd in streams:
            selector.register(fd, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select():
                data = os.read(key.fd, _CHUNK)
                if data:
                    lines.feed(streams[key.fd], data)
                else:
                    selector.unregister(key.fd)
    lines.finish()
