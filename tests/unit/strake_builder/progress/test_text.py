"""What a person sees of a transfer: nothing of a short one, a line a second of a long one."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import pytest

from strake_api.events import (
    CacheMountMoved,
    ContextProgress,
    Event,
    ImageSigned,
    LayerPushed,
    PullProgress,
    PushProgress,
)
from strake_builder.progress.text import TextSink
from strake_builder.progress.transfer import Transfer

NOW = datetime(2026, 1, 2, tzinfo=UTC)
DIGEST = "sha256:" + "ab" * 32
MIB = 1 << 20


@pytest.fixture
def shown():
    """Returns what is written for events at given seconds."""

    def show(*events: tuple[float, Event]) -> list[str]:
        stream, seconds = io.StringIO(), iter([at for at, _ in events])
        sink = TextSink(stream, lambda: next(seconds))
        for _, event in events:
            sink(event)
        return stream.getvalue().splitlines()

    return show


def pushing(done: int, total: int | None = 40_000_000) -> PushProgress:
    digest = DIGEST if total else None
    return PushProgress(time=NOW, repository="r.example/app", digest=digest, done=done, total=total)


def test_a_push_of_less_than_a_second_is_told_by_its_end_alone(shown):
    end = LayerPushed(time=NOW, repository="r.example/app", digest=DIGEST, bytes=40_000_000)
    assert shown((1.0, pushing(4_000_000)), (1.5, pushing(30_000_000)), (1.9, end)) == [
        "   r.example/app@sha256:abababababab… pushed (40.0 MB)"
    ]


def test_a_signature_is_told(shown):
    assert shown((1.0, ImageSigned(time=NOW, repository="r.example/app", digest=DIGEST))) == [
        "   r.example/app@sha256:abababababab… signed"
    ]


def test_a_cache_mount_is_told_when_it_moved(shown):
    kept = CacheMountMoved(time=NOW, action="kept", target="/c", bytes=1_200_000, files=1, transferred=3000)
    restored = kept.model_copy(update={"action": "restored", "files": 1234})
    assert shown((1.0, restored), (2.0, kept)) == [
        "   cache mount /c restored: 1.2 MB in 1,234 files, 3.0 kB pulled",
        "   cache mount /c kept: 1.2 MB in 1 file, 3.0 kB pushed",
    ]


def test_a_longer_push_is_told_of_every_second(shown):
    assert shown(
        (1.0, pushing(4_000_000)),
        (2.1, pushing(8_000_000)),
        (2.9, pushing(12_000_000)),
        (3.2, pushing(16_000_000)),
    ) == [
        "   r.example/app@sha256:abababababab…: pushing, 8.0 MB of 40.0 MB",
        "   r.example/app@sha256:abababababab…: pushing, 16.0 MB of 40.0 MB",
    ]


def test_a_layer_that_is_still_being_made_has_neither_digest_nor_size(shown):
    assert shown((1.0, pushing(4_000_000, None)), (2.0, pushing(8_000_000, None))) == [
        "   r.example/app: pushing, 8.0 MB"
    ]


def test_a_pull_is_told_of_every_second_and_at_its_end(shown):
    def pulled(done: int) -> PullProgress:
        return PullProgress(time=NOW, image="r.example/base", done=done, total=40_000_000)

    assert shown((1.0, pulled(4_000_000)), (1.5, pulled(8_000_000)), (1.7, pulled(40_000_000))) == [
        "   r.example/base: pulled 4.0 MB of 40.0 MB",
        "   r.example/base: pulled 40.0 MB",
    ]


def test_a_download_is_told_of_every_second_and_at_its_end(shown):
    def fetched(done: int, total: int | None = None) -> ContextProgress:
        return ContextProgress(time=NOW, source="https://f.example/a.tgz", done=done, total=total)

    assert shown(
        (1.0, fetched(1_000)),
        (2.0, fetched(2_000)),
        (2.5, fetched(3_000)),
        (3.0, fetched(4_000, 8_000)),
        (3.1, fetched(8_000, 8_000)),
    ) == [
        "   https://f.example/a.tgz: fetching, 2.0 kB",
        "   https://f.example/a.tgz: fetching, 4.0 kB of 8.0 kB",
        "   https://f.example/a.tgz: fetched 8.0 kB",
    ]


@pytest.mark.parametrize(
    ("end", "pieces", "expected"),
    [
        (None, [MIB] * 10, [4 * MIB, 8 * MIB]),
        (10 * MIB, [MIB] * 10, [4 * MIB, 8 * MIB, 10 * MIB]),
        (100, [60, 40], [100]),
        (None, [60, 40], []),
        (8 * MIB, [8 * MIB], [8 * MIB]),
    ],
)
def test_a_transfer_tells_every_few_mib(end, pieces, expected):
    heard: list[int] = []
    transfer = Transfer(heard.append, end, lambda: 0.0)
    for piece in pieces:
        transfer(piece)
    assert heard == expected


def test_a_slow_transfer_tells_every_second():
    heard: list[int] = []
    seconds = iter([0.0, 0.9, 1.0, 1.5, 2.1])
    transfer = Transfer(heard.append, clock=lambda: next(seconds))
    for _ in range(4):
        transfer(10)
    assert heard == [20, 40]
