"""A base image that is mounted, as a pod's image volume, is neither pulled nor unpacked; the image is the same."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from strake_oci.spec.reference import Reference
from tests.fixtures.building.builds import STRAKE, Builder
from tests.fixtures.building.cached_builds import Outcome, outcome
from tests.fixtures.building.preloaded import run_strake
from tests.fixtures.content.hostile_images import HostileImages, layer
from tests.fixtures.content.tar_members import DIR, LNK, SYM, member

LOWER = layer(
    member("etc", type=DIR, mode=0o755),
    member("etc/passwd", b"root:x:0:0::/:/bin/sh\napp:x:1234:1234::/home/app:/bin/sh\n"),
    member("etc/group", b"app:x:1234:\n"),
    member("srv", type=DIR, mode=0o1777),
    member("srv/data", type=DIR, mode=0o750, uid=1234, gid=42),
    member("srv/data/one", b"1" * 5000, uid=1234),
    member("srv/data/same", type=LNK, linkname="srv/data/one"),
    member("srv/link", type=SYM, linkname="data"),
    member("gone", type=DIR),
    member("gone/file", b"1"),
)
UPPER = layer(member(".wh.gone"), member("srv/data/two", b"2", uid=1234, gid=42))
DOCKERFILE = """FROM {image} AS base
RUN echo more >> /srv/data/one && rm /srv/data/two && ls / > /listing && busybox stat -c %u:%g /srv/data >> /listing
COPY --chown=app a /srv/link/
FROM scratch AS other
COPY --from=base /srv /srv
COPY --from={image} /srv/data /data
FROM base AS last
COPY a /etc/
RUN --mount=type=bind,from={image},target=/base test ! -e /base/gone && /base/bin/busybox true
RUN test ! -e /gone
"""


class MountedBase:
    """A base image in a registry, and its files in a directory as a kubelet mounts them.

    Attributes:
        image: its reference.
        manifest: the digest of its manifest.
        directory: where it is mounted, read-only and without the right to run its programs.
    """

    def __init__(self, builder: Builder, directory: Path, *layers: bytes) -> None:
        self._builder = builder
        self._requests = directory / "requests"
        self._requests.mkdir()
        self.image = HostileImages(builder).push(*layers)
        reference = Reference.parse(self.image)
        with builder.registry.client() as client:
            self.manifest = str(client.resolve(reference).digest)
        self.directory = directory / "volume"
        builder.context(f"FROM {self.image}\n")
        archive = directory / "volume.tar"
        done = builder.run("--no-push", "--output", f"type=tar,dest={archive}")
        assert done.returncode == 0, done.stderr
        self.directory.mkdir(mode=0o755)
        tar = [
            "tar",
            "--extract",
            "--preserve-permissions",
            "--numeric-owner",
            "--xattrs",
            "--file",
            str(archive),
        ]
        subprocess.run([*tar, "--directory", str(self.directory)], check=True)

    @property
    def volume(self) -> dict[str, str]:
        return {"manifest": self.manifest, "directory": str(self.directory)}

    def build(self, dockerfile: str, *flags: str, **request: object) -> Outcome:
        """Execute a request, as a builder pod does."""
        context = self._builder.context(dockerfile.format(image=self.image), a="A")
        os.utime(context / "a", (1600000000, 1600000000))
        destination = {"destinations": [self._builder.destination], "sourceDateEpoch": 1700000000}
        body = {
            "source": {"directory": {"path": str(context)}},
            "output": destination,
            "registries": {"hosts": {self._builder.registry.host: {"insecure": True}}},
            "workDirectory": str(self._builder.work),
            **request,
        }
        path = self._requests / "request.json"
        path.write_text(json.dumps(body))
        words = [STRAKE, "execute", "--log-format=json", "--request", path, *flags]
        return outcome(run_strake(words, self._builder.environment()))


@pytest.fixture
def base(builder: Builder, tmp_path: Path) -> Iterator[MountedBase]:
    made = MountedBase(builder, tmp_path, LOWER, UPPER)
    subprocess.run(["mount", "--bind", made.directory, made.directory], check=True)
    options = "remount,bind,ro,noexec,nosuid,nodev"
    subprocess.run(["mount", "-o", options, made.directory, made.directory], check=True)
    try:
        yield made
    finally:
        subprocess.run(["umount", made.directory], check=True)


@pytest.mark.parametrize(
    ("isolation", "target"), [("root", "last"), ("nested", "last"), ("chroot", "last"), ("root", "other")]
)
def test_the_image_is_the_same_and_no_layer_of_the_base_is_pulled(base, isolation, target):
    flags = [f"--isolation={isolation}"]
    pulled = base.build(DOCKERFILE, *flags, target=target)
    mounted = base.build(DOCKERFILE, *flags, target=target, baseVolumes=[base.volume])
    assert pulled.status == mounted.status == 0, (pulled.result, mounted.result)
    assert pulled.digest == mounted.digest
    repository = str(Reference.parse(base.image).repository)
    assert repository in pulled.pulled
    assert repository not in mounted.pulled


def test_with_a_cache_too_and_what_it_keeps_fits_builds_without_the_volume(base, builder):
    cache = {"repository": f"{builder.registry.host}/{builder.name}/cache"}
    first = base.build(DOCKERFILE, baseVolumes=[base.volume], cache=cache)
    changed = DOCKERFILE.replace("test ! -e /gone", "test ! -e /gone # again")
    plain = base.build(changed, cache=cache)
    mounted = base.build(changed, baseVolumes=[base.volume], cache={**cache, "reads": False})
    assert first.status == plain.status == mounted.status == 0, (first.result, plain.result)
    assert len(plain.cached) == 4
    assert plain.digest == mounted.digest


def test_a_volume_of_another_image_is_not_used(base):
    """The digest of a manifest decides, never a name: what is mounted may be older than the tag."""
    other = {**base.volume, "manifest": "sha256:" + "0" * 64}
    done = base.build("FROM {image}\nRUN true\n", baseVolumes=[other])
    assert done.status == 0
    assert str(Reference.parse(base.image).repository) in done.pulled


@pytest.mark.parametrize(
    ("volume", "message"),
    [
        ({"directory": "/nonexistent"}, "is not a directory: /nonexistent"),
        ({"directory": "relative"}, "baseVolumes[0].directory must be an absolute path"),
        ({"manifest": "md5:00"}, "digest algorithm 'md5' is not supported"),
    ],
)
def test_a_volume_that_is_not_there_ends_the_build_before_it_starts(base, volume, message):
    done = base.build("FROM {image}\nRUN true\n", baseVolumes=[{**base.volume, **volume}])
    assert done.result["reason"] == "InvalidRequest"
    assert message in done.result["message"]
    assert not done.ran


def manifests(done: Outcome) -> list[str | None]:
    return [each.get("manifest") for each in done.result["baseImages"]]


def test_a_result_names_the_bases_that_a_volume_can_bring(base):
    """Those whose files were needed: a volume for any other costs its node a pull for nothing."""
    needed = base.build("FROM {image}\nRUN true\n")
    assert manifests(needed) == [base.manifest]
    assert manifests(base.build("FROM {image}\nRUN true\n", baseVolumes=[base.volume])) == [base.manifest]
    assert manifests(base.build("FROM TINY\nCOPY a /\n")) == [None]


def test_no_volume_is_asked_for_where_a_pod_lacks_the_ids_of_its_owners(builder, tmp_path):
    far = MountedBase(builder, tmp_path, layer(member("far", b"1", uid=65_536)))
    assert manifests(far.build("FROM {image}\nRUN true\n")) == [None]
