"""Reads of ImageBuilds: from the watch, or from the API server, and what is left of one that is gone."""

from __future__ import annotations

import asyncio

import pytest

from strake_operator.errors import GoneError, NotFoundError
from strake_operator.handlers.builds import BuildReader
from strake_operator.handlers.queue import Key
from strake_operator.kube.watched import Watched

KEY = Key("team", "app")
BODY = {
    "metadata": {
        "name": "app", "namespace": "team", "uid": "u", "generation": 1, "resourceVersion": "7", "annotations": {},
    }
}  # fmt: skip


class Cluster:
    """One that has no ImageBuild, and does something when it is asked."""

    def __init__(self, meanwhile=lambda: None):
        self.meanwhile = meanwhile

    async def build(self, namespace, name):
        self.meanwhile()
        raise NotFoundError("none")


def gone(watched, meanwhile=lambda: None):
    with pytest.raises(GoneError):
        asyncio.run(BuildReader(Cluster(meanwhile), watched).fresh(KEY))  # type: ignore[arg-type] # as far as it goes


def test_a_build_that_the_watch_knows_is_not_read():
    watched = Watched()
    watched.builds.note(BODY)
    found = asyncio.run(BuildReader(Cluster(), watched).read(KEY))  # type: ignore[arg-type] # as far as it goes
    assert found.resource_version == "7"


def test_of_a_build_that_is_gone_nothing_is_kept():
    """A watch misses what is deleted while it is broken: the build would keep its slot."""
    watched = Watched()
    watched.builds.note(BODY)
    watched.build("team", "app", ("registry.example/app:1",), ended=False)
    gone(watched)
    assert not watched.is_open("team", "app")
    assert watched.builds.get("team", "app") is None


def test_one_that_came_meanwhile_is_kept():
    watched = Watched()

    def comes():
        watched.builds.note(BODY)
        watched.build("team", "app", (), ended=False)

    gone(watched, comes)
    assert watched.is_open("team", "app")
