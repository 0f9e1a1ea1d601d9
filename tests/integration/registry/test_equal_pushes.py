"""Builds that push the same blobs to one repository at the same time, as a matrix of CI jobs does."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, as_completed
from threading import Barrier

import pytest

from strake_oci.registry.images import RegistryImages
from tests.fixtures.building.go_tools import distribution
from tests.fixtures.content.images import make_image
from tests.fixtures.servers.registry import DEBIAN_REGISTRY, running_registry

BUILDS = 8
ROUNDS = 40
"""Without a second try about one push in sixteen is refused by Debian's registry."""


@pytest.fixture(scope="module", params=["Debian", "current"])
def registry(request):
    program = DEBIAN_REGISTRY if request.param == "Debian" else distribution()
    with running_registry(program=program, cached=False) as running:
        yield running


def test_all_tags_are_the_image(registry):
    repository = registry.repository("matrix/app")
    images = [make_image(b"layer %d" % number) for number in range(ROUNDS)]
    together = Barrier(BUILDS)

    def build(number: int) -> None:
        with registry.client() as client:
            for image in images:
                together.wait(180)
                image.write(RegistryImages(client, repository), f"job-{number}")

    with ThreadPoolExecutor(BUILDS) as pool:
        running = [pool.submit(build, number) for number in range(BUILDS)]
        for first in as_completed(running):
            if first.exception():
                together.abort()  # or the others would wait for it
            first.result()
    with registry.client() as client:
        found = {client.resolve(repository.tag(f"job-{number}")).digest for number in range(BUILDS)}
    assert found == {images[-1].descriptor.digest}
