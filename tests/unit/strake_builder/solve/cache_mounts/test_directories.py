"""Which step has which directory of a cache mount, and that none waits for ever."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from strake_builder.frontend.model.steps import CacheMount, FromContext, FromScratch
from strake_builder.solve.cache_mounts.directories import CacheDirectories

HANG_SECONDS = 180
ONE, TWO = (
    CacheMount(id=name, target=f"/{name}", source=FromScratch(), sharing="locked") for name in ("one", "two")
)


def nothing(_: str) -> None:
    """Fill a new cache with nothing, warn of nothing."""


def with_a_file(directory: str) -> None:
    """Fill a new cache with a file."""
    Path(directory, "file").touch()


@pytest.fixture
def caches(tmp_path: Path) -> CacheDirectories:
    return CacheDirectories(str(tmp_path / "mounts"), None, nothing)


def in_threads(*steps):
    """Run steps at the same time; return those that did not end."""
    threads = [threading.Thread(target=step, daemon=True) for step in steps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANG_SECONDS)
    return [thread for thread in threads if thread.is_alive()]


@pytest.mark.parametrize("sharing", ["locked", "private", "shared"])
def test_a_step_that_mounts_a_cache_twice_has_it_once(caches, sharing):
    mount = CacheMount(id="one", target="/a", source=FromScratch(), sharing=sharing)
    other = CacheMount(id="one", target="/b", source=FromScratch(), sharing=sharing)
    found: list[str] = []

    def step() -> None:
        with caches.held([mount, other]) as held:
            found.extend(held.open(each, nothing) for each in (mount, other))

    assert not in_threads(step), "the step waits for itself"
    assert len(set(found)) == 1
    assert os.path.isdir(found[0])


def test_steps_that_lock_two_caches_in_either_order_do_not_wait_for_each_other(tmp_path):
    """Within a builder and between builders: each has its own locks and the files."""
    builders = [CacheDirectories(str(tmp_path), None, nothing) for _ in range(2)]

    def step(caches: CacheDirectories, *mounts: CacheMount) -> None:
        for _ in range(200):
            with caches.held(mounts):
                pass

    orders = ((ONE, TWO), (TWO, ONE))
    assert not in_threads(*(lambda c=caches, o=order: step(c, *o) for caches in builders for order in orders))


def test_a_locked_cache_is_one_steps_at_a_time(caches):
    inside, most = [], []

    def step() -> None:
        for _ in range(50):
            with caches.held([ONE]):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    assert not in_threads(step, step, step)
    assert set(most) == {1}


def test_a_private_cache_is_another_ones_for_another_step(caches):
    mount = CacheMount(id="one", target="/a", source=FromScratch(), sharing="private")
    with caches.held([mount]) as first, caches.held([mount]) as second:
        assert first.open(mount, nothing) != second.open(mount, nothing)


@pytest.mark.parametrize(
    ("source", "path", "owned", "is_filled"),
    [
        (FromScratch(), "/", True, False),
        (FromScratch(), "/", False, False),
        (FromContext(), "/", False, True),
        (FromContext(), "/", True, False),
        (FromContext(), "/d", True, True),
    ],
)
def test_what_a_new_cache_begins_with(caches, source, path, owned, is_filled):
    """As in BuildKit: an owner or a mode makes a new directory, unless a directory of the source is named."""
    mount = CacheMount(
        id="one", target="/a", source=source, path=path, mode=0o1711 if owned else 0o755, owned=owned
    )
    with caches.held([mount]) as held:
        directory = held.open(mount, with_a_file)
    assert os.listdir(directory) == (["file"] if is_filled else [])
    if not is_filled:
        assert os.stat(directory).st_mode & 0o7777 == (0o711 if owned else 0o755)


def test_caches_that_differ_in_owner_or_source_are_others(caches):
    plain = CacheMount(id="one", target="/a", source=FromScratch())
    others = [
        CacheMount(id="one", target="/a", source=FromScratch(), uid=5, owned=True),
        CacheMount(id="one", target="/a", source=FromContext()),
        CacheMount(id="one", target="/a", source=FromContext(), path="/d"),
        CacheMount(id="two", target="/a", source=FromScratch()),
    ]
    mounts = [plain, *others, CacheMount(id="one", target="/elsewhere", source=FromScratch())]
    with caches.held(mounts) as held:
        found = [held.open(mount, nothing) for mount in mounts]
    assert found[-1] == found[0]
    assert len(set(found)) == 5


def test_a_cache_that_could_not_be_filled_is_made_anew(caches):
    """A builder that ended in the middle, or whose disk was full: nobody takes half of a source for all of it."""
    mount = CacheMount(id="one", target="/a", source=FromContext())

    def half(directory: str) -> None:
        Path(directory, "half").touch()
        raise OSError

    with caches.held([mount]) as held:
        with pytest.raises(OSError):
            held.open(mount, half)
        assert os.listdir(held.open(mount, with_a_file)) == ["file"]


def test_builders_that_need_a_cache_at_once_fill_it_once(tmp_path):
    mount = CacheMount(id="one", target="/a", source=FromContext())
    waiting = threading.Semaphore(0)
    filled, found = [], []

    def fill(directory: str) -> None:
        filled.append(directory)
        for _ in range(2):
            assert waiting.acquire(timeout=HANG_SECONDS), "the others did not come"
        with_a_file(directory)

    def step() -> None:
        caches = CacheDirectories(str(tmp_path), None, lambda _: waiting.release())
        with caches.held([mount]) as held:
            found.append(os.listdir(held.open(mount, fill)))

    assert not in_threads(step, step, step)
    assert found == [["file"]] * 3
    assert len(filled) == 1
