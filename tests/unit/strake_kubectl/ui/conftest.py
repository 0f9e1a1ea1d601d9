"""The pages of `kubectl strake ui`, asked as a browser asks, beside an API server that is only its API."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from strake_kubectl.cluster import Cluster
from strake_kubectl.connection import connect
from strake_kubectl.errors import CommandError
from strake_kubectl.ui.access import Access
from strake_kubectl.ui.app import Sources, application
from strake_kubectl.ui.board import Board
from strake_kubectl.ui.image import ImageFacts
from strake_kubectl.ui.logs import Logs
from tests.fixtures.servers.api_server import ApiServer
from tests.unit.strake_kubectl.conftest import api

with warnings.catch_warnings():
    # The test client asks for a later httpx than the transport of strake_oci is made for, and works with this one.
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

__all__ = ["api"]
HOST = "127.0.0.1:8090"


@dataclass
class Ui:
    """The server.

    Attributes:
        browser: One that was let in.
        access: Its secrets.
        board: What it knows of all builds.
        stranger: Makes a browser that was not let in.
    """

    browser: TestClient
    access: Access
    board: Board
    stranger: Callable[[], TestClient]


@pytest.fixture
def cluster(api: ApiServer, tmp_path) -> Cluster:
    config = api.kubeconfig(tmp_path / "kubeconfig")
    return connect(context=None, namespace=None, kubeconfig=str(config))


@pytest.fixture
def images() -> dict[str, ImageFacts]:
    """Images of registries, by their references."""
    return {}


@pytest.fixture
def open_ui(cluster, images) -> Iterator[Callable[[], Ui]]:
    """Start the server with what the cluster has by then."""

    def read_image(name: str) -> ImageFacts:
        if name not in images:
            raise CommandError(f"cannot read {name}", hint="strake login")
        return images[name]

    def kept(reference: str) -> Iterator[str]:
        yield f"== steps: 1\nkept as \x1b[32m{reference}\x1b[0m\x1b[2J\n"

    boards: list[Board] = []

    def opened() -> Ui:
        board = Board(cluster, everywhere=True)
        board.start()
        boards.append(board)
        access = Access(frozenset({HOST, "localhost:8090"}), 8090)
        pages = application(Sources(cluster, board, Logs(cluster, kept), read_image), access)

        def stranger() -> TestClient:
            return TestClient(pages, base_url=f"http://{HOST}", follow_redirects=False)

        browser = stranger()
        assert browser.get("/", params={"token": access.token}).status_code == 200
        return Ui(browser, access, board, stranger)

    yield opened
    for board in boards:
        board.close()
