"""Base images, archives and contexts whose links lead out: nothing of the machine is changed, nothing read.

Each succeeds against a builder that follows links as they are (`trusting.py`, links).
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from strake_builder.cache.entry import ARTIFACT_TYPE
from strake_builder.cache.keys import key_of
from strake_builder.cache.layout import LayoutCache
from strake_builder.cache.step_cache import CachedStep
from strake_oci.spec.manifest import Index
from strake_oci.stores.layout import Layout
from strake_oci.stores.layout_index import REF_NAME, blob_path
from tests.attack.test_secrets import TRUSTING
from tests.fixtures.content.hostile_images import HostileImages, layer
from tests.fixtures.content.tar_members import LNK, SYM, member

CONTENT = "nobody-may-read-this"


@dataclass(frozen=True)
class Trap:
    """What an author prepares: layers, an archive, a context, and steps upon them.

    Attributes:
        steps: of the Dockerfile, after FROM. MACHINE stands for the directory of the machine.
        layers: of the base image; each is made from the path of that directory.
        archive: a file `archive.tar` of the context, likewise.
        link: whether the context has a link `there` to it.
    """

    steps: str = "RUN true"
    layers: tuple[Callable[[str], bytes], ...] = ()
    archive: Callable[[str], bytes] | None = None
    link: bool = False


def there(machine: str):
    return member("there", type=SYM, linkname=machine)


def climbing(machine: str):
    return member("there", type=SYM, linkname="../" * 40 + machine.lstrip("/"))


def linked(machine: str) -> bytes:
    return layer(there(machine))


TRAPS = {
    "a file behind a link": Trap(layers=(lambda m: layer(there(m), member("there/victim", b"evil")),)),
    "a file behind a link that climbs": Trap(
        layers=(lambda m: layer(climbing(m), member("there/new", b"evil")),)
    ),
    "a hard link through a link": Trap(
        steps="RUN cat /stolen",
        layers=(lambda m: layer(there(m), member("stolen", type=LNK, linkname="there/victim")),),
    ),
    "an archive": Trap(
        steps="ADD archive.tar /", archive=lambda m: layer(there(m), member("there/new", b"evil"))
    ),
    "an archive upon a link of the image": Trap(
        steps="ADD archive.tar /", layers=(linked,), archive=lambda _: layer(member("there/new", b"evil"))
    ),
    # At the end it would write no file, and nothing of the machine whatever it followed.
    "a copy to a link": Trap(steps="COPY Dockerfile /there/new\nRUN true", layers=(linked,)),
    "a working directory": Trap(steps="WORKDIR /there/new", layers=(linked,)),
    "a copy out of a stage": Trap(
        steps="FROM TINY\nCOPY --from=0 /there/victim /stolen\nRUN cat /stolen", layers=(linked,)
    ),
    "a copy out of the context": Trap(steps="COPY there/victim /stolen\nRUN cat /stolen", link=True),
}


def succeeds(builder, folder: Path, trap: Trap, *, without: str = "") -> bool:
    """Build; return whether something of the machine was changed or read."""
    machine = folder / "machine"
    machine.mkdir()
    (machine / "victim").write_text(CONTENT)
    before = state(machine)
    base = "TINY"
    if trap.layers:
        base = HostileImages(builder).push(*(make(str(machine)) for make in trap.layers))
    context = builder.context(f"FROM {base}\n{trap.steps}\n")
    if trap.archive is not None:
        (context / "archive.tar").write_bytes(trap.archive(str(machine)))
    if trap.link:
        (context / "there").symlink_to(machine)
    command = builder.command("--no-push")
    if without:
        command = [sys.executable, str(TRUSTING), without, *command[1:]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, env=builder.environment())
    assert "Traceback" not in done.stderr or without
    return state(machine) != before or CONTENT in done.stdout + done.stderr


def state(directory: Path) -> list[tuple[str, int, str]]:
    files = sorted(directory.iterdir())
    return [(each.name, each.lstat().st_mode, each.read_text() if each.is_file() else "") for each in files]


@pytest.mark.parametrize("name", TRAPS)
def test_nothing_outside_is_touched(builder, tmp_path, name):
    assert not succeeds(builder, tmp_path, TRAPS[name])


@pytest.mark.parametrize("name", TRAPS)
def test_it_is_where_links_are_followed_as_they_are(builder, tmp_path, name):
    assert succeeds(builder, tmp_path, TRAPS[name], without="links")


@pytest.mark.parametrize("link", ["blobs", "blobs/sha256"])
@pytest.mark.parametrize("is_guarded", [True, False])
def test_a_cache_whose_blobs_are_somebody_elses(tmp_path, monkeypatch, link, is_guarded):
    """Who writes to a shared cache has old entries removed, and with them blobs of another layout."""
    victim, cache = tmp_path / "victim", tmp_path / "cache"
    blob = Layout(victim, create=True).push_manifest(b"of a victim", "application/x")
    Layout(cache, create=True)
    shutil.rmtree(cache / link)
    (cache / link).symlink_to(victim / link)
    created = {"org.opencontainers.image.created": "2001-01-01T00:00:00Z"}
    old = replace(blob, artifact_type=ARTIFACT_TYPE, annotations={**created, REF_NAME: "0" * 64})
    (cache / "index.json").write_bytes(Index((old,)).serialize())
    if not is_guarded:
        monkeypatch.setattr("strake_builder.cache.layout._refuse_links", lambda path: None)
    warnings: list[str] = []
    caching = LayoutCache(str(cache), timedelta(days=1), warnings.append)
    caching.store((key_of("x"),), CachedStep(None, datetime.now(UTC)))
    assert (victim / blob_path(blob.digest)).exists() == is_guarded
    assert ["is a link" in warning for warning in warnings] == [True] * is_guarded
