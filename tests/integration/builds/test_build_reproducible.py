"""The same inputs give the same image, wherever and whenever it is built."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import tempfile
import time
from pathlib import Path

import pytest

from strake_oci.spec.digest import DiffID
from strake_oci.spec.image import ImageConfig
from strake_oci.spec.manifest import Manifest, parse
from strake_oci.spec.reference import Reference
from strake_oci.stores.layout import Layout
from tests.fixtures.building.builds import STRAKE
from tests.fixtures.narrow import instance

DOCKERFILE = """FROM TINY AS made
RUN mkdir /made && for n in 9 3 7 1; do head -c 300000 /bin/busybox > /made/$n; done && ln /made/3 /made/linked
FROM TINY
ARG SOURCE_DATE_EPOCH
COPY . /context/
COPY --from=made /made /made/
ADD archive.tar /archive/
RUN mkdir /run-made && for n in b a c; do echo $n > /run-made/$n; done && rm /bin/busybox.missing 2>/dev/null; \
 chown 5:5 /etc/passwd; touch /context/new
WORKDIR /somewhere/new
"""


class Workplace:
    """A context with the same files as any other, in a directory of its own, made in an order of its own."""

    def __init__(self, builder, directory: Path, names: list[str], made: float) -> None:
        self.builder, self.directory = builder, directory
        self.context = directory / "context"
        self.context.mkdir()
        for name in names:
            path = self.context / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(name * 1000)
            path.chmod(0o640)
        dockerfile = DOCKERFILE
        for word, reference in builder.names.items():
            dockerfile = dockerfile.replace(word, reference)
        (self.context / "Dockerfile").write_text(dockerfile)
        (self.context / "Dockerfile").chmod(0o644)
        shutil.copy(builder.directory / "archive.tar", self.context)
        for path in [self.context, *self.context.rglob("*")]:
            if path.is_dir():
                path.chmod(0o755)
            os.utime(path, (made, made))

    def digest(self, *flags: str, mask: int = 0o022, **environment: str) -> tuple[str, tuple[DiffID, ...]]:
        """The image's digest, and its diff IDs."""
        command: list[str | Path] = [
            STRAKE,
            "build",
            "-c",
            self.context,
            "--work-dir",
            self.directory / "work",
            "--no-push",
        ]
        command += [
            "--insecure-registry",
            self.builder.registry.host,
            "--digest-file",
            self.directory / "digest",
        ]
        command += ["--oci-layout-path", self.directory / "layout", "-d", "r.example/a:1", *flags]
        done = subprocess.run(
            command, capture_output=True, text=True, umask=mask, env=self.builder.environment(**environment)
        )
        assert done.returncode == 0, done.stderr
        layout = Layout(self.directory / "layout")
        manifest = parse(layout.manifest(layout.resolve("1")))
        with layout.open_blob(instance(manifest, Manifest).config) as blob:
            config = ImageConfig.parse(blob.read(1 << 20))
        shutil.rmtree(layout.path)
        return (self.directory / "digest").read_text(), config.diff_ids


@pytest.fixture
def contexts(builder, tmp_path):
    """Two contexts that differ in directory, file system, times and the order in which things were made."""
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed/in the archive").write_text("x")
    subprocess.run(["tar", "-C", tmp_path / "packed", "-cf", tmp_path / "archive.tar", "."], check=True)
    names = [f"d{n % 5}/file-{n}" for n in range(60)]
    (tmp_path / "one").mkdir()
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="strake-test-other-place-") as other:
        assert os.stat(other).st_dev != tmp_path.stat().st_dev
        now = time.time()
        one = Workplace(builder, tmp_path / "one", names, now - 86_400)
        two = Workplace(builder, Path(other), names[::-1], now - 5_000)
        assert os.listdir(one.context / "d0") != os.listdir(two.context / "d0")
        yield one, two


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
@pytest.mark.parametrize(
    ("flags", "environment"),
    [
        (("--reproducible",), {}),
        (("--source-date-epoch", "1000000000"), {}),
        ((), {"SOURCE_DATE_EPOCH": "1000000000"}),
    ],
    ids=["reproducible", "flag", "environment"],
)
def test_the_same_inputs_give_the_same_image(contexts, compression, flags, environment):
    one, other = contexts
    first = one.digest("--compression", compression, *flags, **environment)
    second = other.digest("--compression", compression, *flags, mask=0o077, **environment)
    assert first == second


def test_the_compression_does_not_change_what_a_layer_is(contexts):
    one, other = contexts
    forms = [one.digest("--reproducible", "--compression", name) for name in ("gzip", "zstd")]
    forms.append(other.digest("--reproducible", "--compression", "none", "--media-types", "docker"))
    assert len({digest for digest, _ in forms}) == 3
    assert forms[0][1] == forms[1][1] == forms[2][1]


def test_an_epoch_is_the_time_of_the_image_and_the_latest_of_its_files(builder):
    context = builder.context("FROM TINY\nCOPY old new /\nRUN date > /made", old="o", new="n")
    os.utime(context / "old", (500, 500))
    done = builder.run(SOURCE_DATE_EPOCH="1000")
    assert done.returncode == 0, done.stderr
    built = builder.built()
    assert {h.created for h in built.config.history if h.comment} == {"1970-01-01T00:16:40Z"}
    assert built.config.created == "1970-01-01T00:16:40Z"
    base = [h.created for h in built.config.history if not h.comment]
    assert "1970-01-01T00:16:40Z" not in base
    times = {}
    reference = Reference.parse(builder.destination)
    with builder.registry.client() as client:
        manifest = parse(client.manifest(reference.repository, reference.tag)[1])
        for layer in instance(manifest, Manifest).layers[1:]:
            with (
                client.open_blob(reference.repository, layer) as blob,
                tarfile.open(fileobj=blob, mode="r|gz") as tar,
            ):
                times.update({member.name: member.mtime for member in tar})
    assert times == {"old": 500, "new": 1000, "made": 1000}


def test_layers_without_times_of_their_own_are_the_same_without_being_asked(builder):
    """COPY keeps the times of files: nothing in such a layer depends on when it is made."""
    context = builder.context("FROM scratch\nCOPY a b /", a="1", b="2")
    for name in "ab":
        os.utime(context / name, (500, 500))
    os.utime(context, (500, 500))
    ids = []
    for _ in range(2):
        assert builder.run().returncode == 0
        ids.append(builder.built().config.diff_ids)
    assert ids[0] == ids[1]


def test_a_dockerfile_sees_the_epoch_if_it_asks(builder):
    builder.context(
        'FROM TINY\nRUN echo "unasked=$SOURCE_DATE_EPOCH."\nARG SOURCE_DATE_EPOCH\nRUN echo asked=$SOURCE_DATE_EPOCH.'
    )
    done = builder.run("--source-date-epoch", "1234", "--no-push")
    assert done.returncode == 0, done.stderr
    assert "| unasked=.\n" in done.stderr
    assert "| asked=1234.\n" in done.stderr
    assert "is used by no ARG" not in done.stderr


def test_what_a_cache_knows_gives_the_same_image(builder, contexts):
    one, other = contexts
    cache = ("--cache-dir", str(builder.directory / "cache"))
    fresh = one.digest("--reproducible")
    filled = one.digest("--reproducible", *cache)
    cached = other.digest("--reproducible", *cache)
    assert fresh == filled == cached


def test_a_cache_keeps_forms_apart(builder, contexts):
    one, _ = contexts
    cache = ("--cache-dir", str(builder.directory / "cache"))
    forms = [("--compression", "zstd"), (), ("--source-date-epoch", "99"), ("--media-types", "docker")]
    alone = [one.digest("--reproducible", *form) for form in forms]
    shared = [one.digest("--reproducible", *form, *cache) for form in forms]
    assert alone == shared
