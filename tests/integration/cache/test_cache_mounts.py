"""Cache mounts that travel in the cache repository, as a user of `strake build` sees them on several machines."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from strake_builder.cache.mounts.repository import MountRepository
from strake_builder.solve.cache_mounts.kept import mount_tag
from strake_oci.spec.reference import Repository
from tests.fixtures.building.builds import Builder


@dataclass
class Machine:
    """A builder with a work directory of its own, that shares the cache repository with others."""

    builder: Builder
    flags: list[str]

    def build(self, command: str, *flags: str, mount: str = "target=/c") -> Ended:
        self.builder.context(f"FROM TINY\nRUN --mount=type=cache,{mount} {command}")
        done = self.builder.run(*self.flags, "--log-format", "json", *flags)
        events = [json.loads(line) for line in done.stdout.splitlines()]
        return Ended(
            done.returncode,
            "\n".join(each["text"] for each in events if each["type"] == "OutputLine"),
            [each["message"] for each in events if each["type"] == "Warned"],
            {each["action"]: each for each in events if each["type"] == "CacheMountMoved"},
        )


@dataclass
class Ended:
    """How a build ended: status, what its step wrote, warnings, and what was restored and kept."""

    status: int
    output: str
    warnings: list[str]
    moved: dict[str, dict]


@pytest.fixture
def machine(builder, tmp_path):
    """Make machines that have nothing in common but a repository."""

    def make(name: str) -> Machine:
        directory = tmp_path / name
        directory.mkdir()
        own = Builder(builder.registry, directory, f"{builder.name}/{name}")
        return Machine(own, ["--cache-repo", f"{builder.registry.host}/{builder.name}/cache"])

    return make


def test_another_machine_has_the_files_with_owner_mode_and_time(machine):
    filled = machine("a").build(
        "mkdir -p /c/d && echo hello > /c/d/f && chown 12:34 /c/d/f && chmod 640 /c/d/f &&"
        " touch -d '2020-01-02 03:04:05' /c/d/f && ln -s d/f /c/s && ln /c/d/f /c/h && chmod 1770 /c &&"
        " printf one > '/c/.wh.x' && mkfifo /c/pipe && chmod 4755 /bin/true && cp /bin/true /c/t &&"
        " chmod 4755 /c/t"
    )
    assert (filled.status, filled.warnings) == (0, [])
    assert filled.moved["kept"]["files"] == 3
    found = machine("b").build(
        "cat /c/s /c/h /c/.wh.x; stat -c '%n %F %a %u:%g %Y %h' /c /c/d/f /c/s /c/t; ls /c"
    )
    assert (found.status, found.warnings) == (0, [])
    assert found.output.splitlines() == [
        "hello",
        "hello",
        "one/c directory 1770 0:0 " + re.findall(r"1770 0:0 (\S+ \d)", found.output)[0],
        "/c/d/f regular file 640 12:34 1577934245 2",
        "/c/s symbolic link 777 0:0 " + re.findall(r"link 777 0:0 (\S+ \d)", found.output)[0],
        "/c/t regular file 755 0:0 " + re.findall(r"/c/t regular file 755 0:0 (\S+ \d)", found.output)[0],
        "d",
        "h",
        "s",
        "t",
    ]
    assert "kept" not in found.moved, "nothing changed"


def test_one_more_file_costs_its_own_bytes(machine):
    machine("a").build("head -c 20000000 /dev/urandom > /c/large")
    added = machine("b").build("ls /c && head -c 1000 /dev/urandom > /c/small")
    assert added.output == "large"
    assert added.moved["restored"]["transferred"] > 20_000_000
    assert added.moved["kept"]["bytes"] == 20_001_000
    assert added.moved["kept"]["transferred"] < 5000
    removed = machine("c").build("sha256sum /c/* | wc -l; rm /c/large")
    assert removed.output == "2"
    assert removed.moved["kept"]["transferred"] < 5000
    assert machine("d").build("ls /c").output == "small"


@pytest.mark.parametrize(("sharing", "left"), [("shared", {"a", "b", "old"}), ("locked", {"b", "old"})])
def test_builds_at_the_same_time(machine, sharing, left, tmp_path):
    """Both restore the same state; the second one to end finds what the first one kept meanwhile."""
    mount = f"target=/c,sharing={sharing}"
    machine("first").build("touch /c/old", mount=mount)
    slow, quick = machine("slow"), machine("quick")
    slow.builder.context("")
    gate = tmp_path / "slow/context/gate"
    gate.mkdir()
    wait = "while [ ! -e /gate/open ]; do sleep 0.1; done; touch /c/b"
    gated = f"{mount} --mount=type=bind,source=gate,target=/gate"
    with ThreadPoolExecutor() as pool:
        slower = pool.submit(slow.build, f"touch /c/started; rm /c/started; {wait}", mount=gated)
        try:
            quicker = quick.build("ls /c; touch /c/a", mount=mount)
        finally:
            (gate / "open").touch()
        assert slower.result().status == quicker.status == 0
    found = machine("last").build("ls /c", mount=mount)
    assert set(found.output.split()) == left


def test_many_builds_that_end_together_leave_a_whole_mount(machine):
    """However their writes interleave, what is kept is one state that some of them wrote, and can be restored."""
    machines = [machine(f"m{number}") for number in range(3)]
    with ThreadPoolExecutor() as pool:
        ended = list(
            pool.map(lambda pair: pair[1].build(f"echo {pair[0]} > /c/{pair[0]}"), enumerate(machines))
        )
    assert [each.status for each in ended] == [0, 0, 0]
    found = machine("last").build("cat /c/*")
    assert (found.status, found.warnings) == (0, [])
    assert found.output
    assert set(found.output.split()) <= {"0", "1", "2"}


def test_mounts_that_are_too_large_are_not_kept(machine):
    small = machine("a").build("echo small > /c/f")
    assert small.moved["kept"]["bytes"] == 6
    large = machine("b").build("head -c 3000000 /dev/zero > /c/g", "--cache-mounts-max-size", "2MB")
    assert large.status == 0
    (warning,) = large.warnings
    assert "cannot be kept: it holds more than 2,000,000 bytes; remove what is old in it, or allow" in warning
    assert machine("c").build("ls /c").output == "f"


def test_switches(machine):
    machine("a").build("touch /c/f")
    without = machine("b").build("ls /c; touch /c/g", "--no-cache-mounts")
    assert (without.output, without.moved) == ("", {})
    reading = machine("c").build("ls /c; touch /c/h", "--no-push-cache")
    assert (reading.output, list(reading.moved)) == ("f", ["restored"])
    failing = machine("d").build("ls /c; touch /c/g; exit 3")
    assert failing.status
    assert list(failing.moved) == ["restored"]
    assert machine("e").build("ls /c").output == "f"


def test_a_cached_step_asks_for_no_mount(machine):
    command = "touch /c/f"
    assert machine("a").build(command).moved
    again = machine("b").build(command)
    assert (again.status, again.moved) == (0, {})


def test_identity_is_what_buildkit_tells_caches_apart_by(machine):
    machine("a").build("touch /c/f", mount="id=x,target=/c")
    assert machine("b").build("ls /d", mount="id=x,target=/d").output == "f"
    other = machine("c").build("ls /c", mount="id=y,target=/c")
    assert (other.output, other.moved) == ("", {}), "an empty mount is not kept"
    assert machine("d").build("ls /c", mount="id=x,target=/c,uid=5").output == ""


def test_a_pack_that_rotted_costs_a_warning(machine, builder):
    machine("a").build("head -c 100000 /dev/urandom > /c/f")
    for blob in _packs(builder):
        size = (blob / "data").stat().st_size
        (blob / "data").write_bytes(bytes(size))
    found = machine("b").build("ls /c; touch /c/g")
    assert (found.status, found.output, list(found.moved)) == (0, "", ["kept"])
    assert len(found.warnings) == 1
    assert "the cache mount /c cannot be restored; the step has an empty one" in found.warnings[0]
    mended = machine("c").build("ls /c")
    assert (mended.output, mended.warnings) == ("g", [])


def _packs(builder: Builder) -> set[Path]:
    """Return the blobs of the packs of the mount /c, as the registry has them on disk."""
    repository = Repository.parse(f"{builder.registry.host}/{builder.name}/cache")
    with builder.registry.client() as client:
        stored = MountRepository(client, repository).fetch(mount_tag(b"/c\0"))
    assert stored is not None
    assert stored.listing is not None
    root = builder.registry.root / "docker/registry/v2/blobs/sha256"
    return {root / pack.digest.encoded[:2] / pack.digest.encoded for pack in stored.listing.packs}
