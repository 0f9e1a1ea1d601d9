"""Strake installed in the test cluster, once for all workers of a run, and a namespace for each test."""

from __future__ import annotations

import contextlib
import json
import secrets
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.cluster.lifecycle import is_up, up
from tests.cluster.objects import apply, delete
from tests.cluster.settings import REGISTRY
from tests.demo.example import BASELINE
from tests.demo.installation import install
from tests.demo.own_images import own_images
from tests.fixtures.shared import CLUSTER, SharedRun
from tests.images.push import push_image

TINY = f"{REGISTRY}/tiny:1"
OPERATOR = "operator"
_INSTALLED = "operator-settings.json"
SECONDS = 900
"""What a test may take, in which it may wait for Strake's own images, or for another that has the operator alone."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests of this directory their time."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(SECONDS))


class Platform:
    """Strake in the test cluster.

    Args:
        run: The run whose workers use it.
        images: Of the builder and the operator.
    """

    def __init__(self, run: SharedRun, images: dict[str, str]) -> None:
        self._run = run
        self._images = images
        self._registries: Mapping[str, str] | None = None
        self._settings = {
            "STRAKE_GRACE_SECONDS": "4"
        }  # what is missing is given up on sooner than a person wants

    def install(self, *, settings_alone: bool = False) -> None:
        """Install Strake with the settings that it should have, or change them alone."""
        installed = self._run.directory / _INSTALLED
        installed.unlink(missing_ok=True)
        install(self._images, registries=self._registries, settings_alone=settings_alone, **self._settings)
        installed.write_text(self._wanted)

    @property
    def images(self) -> dict[str, str]:
        """`repository@digest` of "builder" and "operator"."""
        return dict(self._images)

    @property
    def _wanted(self) -> str:
        return json.dumps([self._registries and dict(self._registries), self._settings], sort_keys=True)

    def _is_installed(self) -> bool:
        installed = self._run.directory / _INSTALLED
        return installed.exists() and installed.read_text() == self._wanted

    @contextlib.contextmanager
    def changed(self, *, registries: Mapping[str, str] | None = None, **settings: str) -> Iterator[None]:
        """Have other settings, and no other worker's test meanwhile.

        They stay until the next test that wants others: each change starts the operator again.

        Args:
            registries: Files of the ConfigMap about registries; None for those that are there.
            **settings: Of the operator, beside those that it has.
        """
        before = self._registries, self._settings
        with self.alone():
            self._registries, self._settings = registries or self._registries, self._settings | settings
            try:
                self.install(settings_alone=True)
                yield
            finally:
                self._registries, self._settings = before

    @contextlib.contextmanager
    def replaced(self) -> Iterator[None]:
        """Have another installation instead of this one, and no other worker's test meanwhile; this one is back then."""
        with self.alone():
            (self._run.directory / _INSTALLED).unlink(missing_ok=True)
            try:
                yield
            finally:
                self.install()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Have the operator for the tests of this process alone, in whatever settings it was left."""
        with self._run.alone(OPERATOR):
            yield

    @contextlib.contextmanager
    def used(self, *, alone: bool) -> Iterator[None]:
        """Use the operator in its usual settings.

        Args:
            alone: No other worker's test does meanwhile.
        """
        while True:
            with self.alone() if alone else self._run.used(OPERATOR):
                if self._is_installed():
                    yield
                    return
                if alone:
                    self.install(settings_alone=True)
                    continue
            with self.alone():
                if not self._is_installed():
                    self.install(settings_alone=True)


@pytest.fixture(scope="session")
def platform(shared_run) -> Platform:
    """A cluster with Strake. One that runs already is used, and left running."""

    def make() -> dict[str, str]:
        if not is_up():
            shared_run.note(CLUSTER)
        up()
        push_image("tiny", TINY)
        images = own_images(lambda line: print(line, file=sys.stderr))
        Platform(shared_run, images).install()
        return images

    return Platform(shared_run, shared_run.once("platform", make))


@pytest.fixture
def alone() -> None:
    """Ask for the operator alone, for a test that stops it or measures what all do: see `namespace`."""


@pytest.fixture
def changing() -> None:
    """Ask for the operator alone, for a test that changes its settings before it builds anything."""


def make_namespace(name: str) -> None:
    """Make a namespace that enforces Pod Security baseline, as a platform team would."""
    apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": BASELINE}})


@pytest.fixture
def namespace(platform, request) -> Iterator[str]:
    """A namespace of the test's own."""
    name = f"e2e-{secrets.token_hex(4)}"
    is_changing = "changing" in request.fixturenames
    is_alone = "alone" in request.fixturenames
    with platform.alone() if is_changing else platform.used(alone=is_alone):
        make_namespace(name)
        yield name
        delete("namespace", name)
