"""Strake installed in the test cluster, and a namespace for each test."""

from __future__ import annotations

import secrets
import sys
from typing import TYPE_CHECKING

import pytest

from tests.cluster.kubectl import kubectl
from tests.cluster.lifecycle import down, is_up, up
from tests.cluster.settings import REGISTRY
from tests.demo.installation import install
from tests.demo.own_images import own_images
from tests.images.push import push_image

if TYPE_CHECKING:
    from collections.abc import Iterator

BASELINE = (
    "pod-security.kubernetes.io/enforce=baseline",
    "pod-security.kubernetes.io/enforce-version=latest",
)
TINY = f"{REGISTRY}/tiny:1"


@pytest.fixture(scope="session")
def platform() -> Iterator[None]:
    """A cluster with Strake. One that runs already is used, and left running."""
    ran = is_up()
    up()
    try:
        push_image("tiny", TINY)
        # What is missing is given up on sooner than a person would want.
        install(own_images(lambda line: print(line, file=sys.stderr)), STRAKE_GRACE_SECONDS="4")
        yield
    finally:
        if not ran:
            down()


@pytest.fixture
def namespace(platform) -> Iterator[str]:
    """A namespace of the test's own, which enforces Pod Security baseline as a platform team would."""
    name = f"e2e-{secrets.token_hex(4)}"
    kubectl("create", "namespace", name)
    kubectl("label", "namespace", name, *BASELINE)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")
