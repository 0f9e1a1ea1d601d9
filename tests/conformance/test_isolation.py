"""Whole images built in ordinary containers: each way of isolation builds what the reference built.

`tests/e2e/test_conformance.py` does the same in pods. Here containers have the node's users, too.
"""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

import pytest

from tests.conformance import ways
from tests.conformance.cases import CASES
from tests.conformance.contexts import write_context
from tests.conformance.test_images import Bases, bases, check_image
from tests.fixtures.building.containers import Container, Kind

__all__ = ["bases"]
KINDS = MappingProxyType(
    {
        ways.NESTED: Kind(own_users=True, unmasked=True),
        ways.NESTED_CONTAINER_PROC: Kind(),
        ways.CHROOT: Kind("default"),
    }
)
CHOSEN = [
    (name, way)
    for way in KINDS
    for name in ways.chosen(ways.WITH_RUN if way == ways.CHROOT else ways.ABOUT_RUN)
]


@pytest.fixture(scope="module")
def caches(tmp_path_factory):
    return {way: tmp_path_factory.mktemp(f"cache-{way}") for way in KINDS}


@pytest.mark.parametrize(("name", "way"), CHOSEN)
def test_image_is_the_reference_image(
    name: str, way: str, bases: Bases, caches: dict[str, Path], tmp_path: Path
):
    case, expected = CASES[name], ways.expected_in(way, name)
    context = tmp_path / "context"
    context.mkdir()
    write_context(case, context, bases.names)
    destination = f"{bases.registry.host}/result/{name.replace('_', '-')}:{way}"
    work = None if way == ways.CHROOT else tmp_path / "work"
    is_shared = ways.shares_cache(case)  # on a volume, a cache mount is a link there
    if work is not None:
        work.mkdir()
    command = ["/strake/strake", "build", "--context", "/strake/context", "--destination", destination]
    command += ["--insecure-registry", bases.registry.host, *ways.flags(case, "/strake/context")]
    done = Container(KINDS[way], work).run(
        [*command, *(["--cache-dir", "/strake/cache"] if is_shared else [])],
        {"/strake/context": context, **({"/strake/cache": caches[way]} if is_shared else {})},
        environment={f"SECRET_{secret}": value for secret, value in case.secrets.items()},
    )
    if (way, name) in ways.REFUSED:
        assert ways.REFUSED[way, name] in done.stderr
        return
    if expected["outcome"] == "failure":
        assert done.returncode in range(2, 8), done.stdout + done.stderr
        assert "error: " in done.stderr
        assert "Traceback" not in done.stderr
        return
    assert done.returncode == 0, done.stdout + done.stderr
    check_image(destination, expected, bases)
