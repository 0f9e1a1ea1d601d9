"""Digests of images that a release of Strake promises: they change with `--compatibility` alone.

A change that makes one of these tests fail makes everybody's reproducible images new. Where that is meant, the
old way of writing stays as version 1, and the new one becomes version 2 with digests of its own.

gzip is left out: the same input may give other bytes on another processor. Its diff IDs are those of `none`.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from tests.fixtures.building.builds import STRAKE
from tests.fixtures.building.preloaded import run_strake

DIGESTS = Path(__file__).parent / "digests.json"
"""By version, case and compression."""
DOCKERFILE = """\
FROM scratch AS made
COPY --chmod=750 --chown=7:8 <<one <<two /made/deep/
1
one
2
two
FROM scratch
ARG VERSION=1.2
LABEL version=$VERSION team=web
ENV PATH=/bin LANG=C.UTF-8
WORKDIR /srv
COPY . /srv/
COPY --from=made --link /made /made/
ADD archive.tar /unpacked/
COPY --parents dir/./sub/file /parents/
EXPOSE 80/tcp
VOLUME /data
USER 7:8
HEALTHCHECK --interval=5s CMD ["/bin/check"]
ENTRYPOINT ["/bin/serve"]
CMD ["--port", "80"]
"""
CASES = {
    "plain": (),
    "docker": ("--media-types", "docker"),
    "single": ("--single-snapshot",),
    "noted": ("--annotation", "org.example.a=b", "--label", "more=1"),
    "arm64": ("--platform", "linux/arm64/v8"),
}
CHOSEN = [
    (case, compression)
    for case in CASES
    for compression in ("none", "zstd")
    if (case, compression) != ("docker", "zstd")  # for which Docker's media types have no name
]


@pytest.fixture(scope="module")
def context(tmp_path_factory) -> Path:
    """A context whose names, modes and times are those of every machine."""
    made = tmp_path_factory.mktemp("context")
    (made / "dir/sub").mkdir(parents=True)
    (made / "dir/sub/file").write_text("text\n" * 5000)
    (made / "a b").write_bytes(bytes(range(256)))
    os.symlink("dir/sub/file", made / "link")
    (made / ("n" * 200)).write_text("")
    (made / "archive.tar").write_bytes(_archive())
    (made / "Dockerfile").write_text(DOCKERFILE)
    (made / ".dockerignore").write_text("Dockerfile\n.dockerignore\narchive.tar\n!archive.tar\n")
    for path in [made, *made.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else 0o644)
        os.utime(path, (1_234_567_890, 1_234_567_890.5), follow_symlinks=False)
    return made


def _archive() -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in (("x/y", b"y" * 70_000), ("x/z", b"")):
            member = tarfile.TarInfo(name)
            member.size, member.mtime, member.mode = len(data), 1_000_000_000, 0o4711
            archive.addfile(member, io.BytesIO(data))
    return content.getvalue()


@pytest.mark.parametrize(("case", "compression"), CHOSEN)
def test_digest_is_the_promised_one(context, tmp_path, case, compression):
    expected = json.loads(DIGESTS.read_text())["1"][case][compression]
    assert built(context, tmp_path, case, compression) == expected


def built(context: Path, directory: Path, case: str, compression: str) -> str:
    """Return the digest of a case's image."""
    found = directory / "digest"
    command = [STRAKE, "build", "-c", context, "--no-push", "-d", "registry.example/app:1"]
    command += ["--platform", "linux/amd64", "--compatibility", "1", "--compression", compression]
    command += ["--source-date-epoch", "1600000000", "--digest-file", found, *CASES[case]]
    done = run_strake(command, {"PATH": os.environ["PATH"], "TZ": "Asia/Tokyo"})
    assert done.returncode == 0, done.stderr
    return found.read_text().strip()
