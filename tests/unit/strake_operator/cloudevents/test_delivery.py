"""Delivery to receivers of every kind: a real HTTP server that is slow, broken, hostile or well."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import Counter
from functools import partial

import pytest

from strake_api.status import Phase, Run
from strake_operator.cloudevents import receiver as receivers
from strake_operator.cloudevents.delivery import EXPIRES_SECONDS, MOST_POSTS, Delivery
from strake_operator.cloudevents.event import cloud_event
from strake_operator.cloudevents.receiver import receiver_of
from strake_operator.cloudevents.settings import EventSettings

KEY = "0123456789abcdef0123456789abcdef"
OK = b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"


def event(number=1):
    return cloud_event(
        "/", "team", "app", "uid", Run(number=number, generation=1, phase=Phase.FAILED, reason="TimedOut")
    )


class Counted(Counter):
    """Counts results, and tells when there is one of a kind."""

    def __init__(self):
        super().__init__()
        self.failing = asyncio.Event()

    def result(self, result):
        self[result] += 1
        if result == "failed":
            self.failing.set()


class Server:
    """A receiver that answers with the next of some byte strings, the last again and again."""

    def __init__(self, *answers):
        self.answers, self.bodies, self.open = list(answers), [], 0
        self.tasks, self.busy = set(), asyncio.Event()

    async def __call__(self, reader, writer):
        self.open += 1
        self.tasks.add(asyncio.current_task())
        if self.open >= MOST_POSTS:
            self.busy.set()
        try:
            with contextlib.suppress(asyncio.CancelledError):  # of the test's end
                await self.answer(reader, writer)
        finally:
            writer.transport.abort()
            self.open -= 1

    async def answer(self, reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.partition("content-length: ")[2].partition("\r\n")[0] or 0)
            self.bodies.append(await reader.readexactly(length))
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if callable(answer):
                await answer(writer)
            else:
                writer.write(answer)
                await writer.drain()
                writer.close()
                await writer.wait_closed()

    async def close(self):
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


@pytest.fixture
def key_file(tmp_path):
    file = tmp_path / "key"
    file.write_text(KEY)
    return file


@contextlib.asynccontextmanager
async def delivering(server, key_file, **options):
    async with await asyncio.start_server(server, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        async with receiver_of(EventSettings(f"http://127.0.0.1:{port}/T0KEN", key_file)) as receiver:
            counted = Counted()
            delivery = Delivery(receiver, counted, pause=0.01, **options)
            try:
                yield delivery, counted
            finally:
                await delivery.close()
                await server.close()


def delivered(server, key_file, *, ended=None):
    """Have an event delivered; return what was counted once it was, or was given up."""

    async def test():
        async with delivering(server, key_file) as (delivery, counted):
            done = asyncio.Event()
            delivery.offer(event(), time.time() if ended is None else ended, done.set)
            await asyncio.wait_for(done.wait(), 20)
            assert delivery.waiting == 0
            return counted

    return asyncio.run(test())


async def endless_body(writer):
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
        await writer.drain()


async def endless_headers(writer):
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-Header: " + b"x" * 1000 + b"\r\n")
        await writer.drain()


async def silence(writer):
    await asyncio.sleep(3600)  # until it is cancelled


def test_an_event_arrives_as_it_is(key_file):
    server = Server(OK)
    assert delivered(server, key_file) == {"delivered": 1}
    assert server.bodies == [event().body]
    assert json.loads(server.bodies[0])["id"] == "uid-1"


def test_an_answer_without_end_counts_as_received_and_is_not_read(key_file):
    server = Server(endless_body)
    assert delivered(server, key_file) == {"delivered": 1}


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 429 Slow down\r\nRetry-After: 999999\r\n\r\n",
        b"HTTP/1.1 307 Elsewhere\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 99999 \r\n\r\n",
        b"\x00" * 10_000,
        b"",
        endless_headers,
        silence,
    ],
    ids=["500", "429", "redirect", "long header", "ssh", "status", "zeros", "closed", "headers", "silence"],
)
def test_trouble_is_tried_again(key_file, answer, monkeypatch):
    monkeypatch.setattr(receivers, "ANSWER_SECONDS", 0.5)
    server = Server(answer, OK)
    assert delivered(server, key_file) == {"failed": 1, "delivered": 1}
    assert server.bodies == [event().body] * 2


def test_a_receiver_that_is_not_there_is_tried_again_and_no_log_shows_the_url(key_file, caplog):
    async def test():
        settings = EventSettings("http://127.0.0.1:9/T0KEN", key_file)
        async with receiver_of(settings) as receiver:
            return await receiver.post(event())

    assert asyncio.run(test()) == "ClientConnectorError"
    delivered(Server(b"HTTP/1.1 500 Oops\r\n\r\n", OK), key_file)
    assert "did not arrive at http://127.0.0.1:" in caplog.text
    assert "T0KEN" not in caplog.text


def test_a_key_that_is_gone_for_a_moment_is_trouble(key_file):
    key_file.unlink()

    async def test():
        async with delivering(Server(OK), key_file) as (delivery, counted):
            done = asyncio.Event()
            delivery.offer(event(), time.time(), done.set)
            await asyncio.wait_for(counted.failing.wait(), 20)
            key_file.write_text(KEY)
            await asyncio.wait_for(done.wait(), 20)
            return counted["delivered"]

    assert asyncio.run(test()) == 1


def test_what_nobody_takes_for_a_day_is_given_up(key_file):
    server = Server(b"HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n")
    ended = time.time() - EXPIRES_SECONDS - 1
    assert delivered(server, key_file, ended=ended) == {"failed": 1, "given_up": 1}


def test_one_event_that_is_refused_keeps_no_other_from_arriving(key_file):
    class Refuses:
        async def post(self, each):
            return "it answered 400" if each.id == "uid-1" else None

    async def test():
        delivery = Delivery(Refuses(), Counted(), pause=0.01)
        arrived, all_others = [], asyncio.Event()

        def arrives(number):
            arrived.append(number)
            if len(arrived) == 18:
                all_others.set()

        for number in range(1, 20):
            delivery.offer(event(number), time.time(), partial(arrives, number))
        await asyncio.wait_for(all_others.wait(), 20)
        waiting = delivery.waiting
        await delivery.close()
        return sorted(arrived), waiting

    assert asyncio.run(test()) == (list(range(2, 20)), 1)


def test_events_and_connections_are_bounded(key_file, monkeypatch):
    monkeypatch.setattr(receivers, "ANSWER_SECONDS", 30)

    async def test():
        server = Server(silence)
        async with delivering(server, key_file, most=10) as (delivery, _):
            taken = [delivery.offer(event(number), time.time(), print) for number in range(1, 31)]
            assert delivery.offer(event(1), time.time(), print), "it is on its way"
            await asyncio.wait_for(server.busy.wait(), 20)
            began = time.monotonic()
            assert server.open == MOST_POSTS
        return taken.count(True), time.monotonic() - began

    taken, seconds = asyncio.run(test())
    assert taken == 10
    assert seconds < 5, "an operator that ends waits for no receiver"
