"""`strake copy` between real registries, layouts and archives, as a person would call it."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import time
from itertools import pairwise

import pytest

from strake_oci.errors import LayoutError, NotFoundError
from strake_oci.registry.images import RegistryImages
from strake_oci.spec.platform import Platform
from strake_oci.stores.archive_reader import LayoutArchive
from strake_oci.stores.layout import Layout
from tests.faults import faults
from tests.faults.registry import FaultyRegistry
from tests.fixtures.building.builds import STRAKE
from tests.fixtures.building.preloaded import run_strake
from tests.fixtures.content.images import make_image, make_index
from tests.fixtures.servers.registry import free_port, running_registry

PLATFORMS = ("linux/amd64", "linux/arm64")


ENVIRONMENT = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}


def copy(*words, **variables) -> subprocess.CompletedProcess[str]:
    return run_strake([STRAKE, "copy", *words], {**ENVIRONMENT, **variables})


@pytest.fixture(scope="module")
def source():
    with running_registry() as running:
        yield running


@pytest.fixture(scope="module")
def target():
    with running_registry() as running:
        yield running


def put(registry, image, path, tag="1"):
    with registry.client() as client:
        image.write(RegistryImages(client, registry.repository(path)), tag)
    return f"{registry.host}/{path}:{tag}"


def check(store, name, image):
    """Make sure that a store has an image whole."""
    found = store.resolve(name)
    assert found.digest == image.descriptor.digest
    assert store.manifest(found) == image.data
    for descriptor, data in image.all_blobs:
        with store.open_blob(descriptor) as blob:
            assert blob.read() == data


class TestRegistries:
    def test_from_one_to_another_and_nothing_twice(self, source, target):
        image = make_image()
        name = put(source, image, "team/app")
        copied = copy(name, f"{target.host}/team/copy:2", "--insecure")
        assert copied.returncode == 0, copied.stderr
        assert copied.stdout == f"{image.descriptor.digest}\n"
        assert copied.stderr.count(" pushed (") == len(image.blobs) + 1
        with target.client() as client:
            check(RegistryImages(client, target.repository("team/copy")), "2", image)
        before = len(target.requests())
        again = copy(name, f"{target.host}/team/copy:3", "--insecure-registry", source.host, "--insecure")
        assert again.returncode == 0
        assert again.stderr.count("already there") == len(image.blobs)
        # The log is a little behind: the end of what came before may still be on its way.
        deadline = time.monotonic() + 180
        while not any("/manifests/3 " in line for line in target.requests()) and time.monotonic() < deadline:
            os.sched_yield()
        sent = [line.split()[0] for line in target.requests()[before:] if not line.startswith("GET ")]
        assert sorted(sent) == ["HEAD"] * len(image.blobs) + ["PUT"]

    def test_all_platforms_or_one(self, source, target):
        index = make_index(*PLATFORMS)
        name = put(source, index, "team/many")
        assert copy(name, f"{target.host}/team/many:all", "--insecure").returncode == 0
        one = copy(name, f"{target.host}/team/one:arm", "--insecure", "--platform", "linux/arm64")
        assert one.stdout == f"{index.children[1].descriptor.digest}\n"
        with target.client() as client:
            check(RegistryImages(client, target.repository("team/many")), "all", index)
            only = RegistryImages(client, target.repository("team/one"))
            check(only, "arm", index.children[1])
            assert not only.has_blob(index.children[0].blobs[1][0].digest)

    def test_within_one_registry_blobs_are_mounted(self, source):
        image = make_image()
        name = put(source, image, "team/base")
        before = len(source.requests())
        done = copy(name, f"{source.host}/other/place:1", "--insecure")
        assert done.returncode == 0, done.stderr
        lines = source.requests()[before:]
        assert len([line for line in lines if "mount=" in line]) == len(image.blobs)
        assert not [line for line in lines if "/blobs/uploads/" in line and "mount=" not in line]

    def test_digest_gets_a_tag_in_its_own_repository(self, source):
        image = make_image(b"retagged")
        put(source, image, "team/retag")
        repository = f"{source.host}/team/retag"
        done = copy(f"{repository}@{image.descriptor.digest}", f"{repository}:stable", "--insecure")
        assert done.returncode == 0, done.stderr
        with source.client() as client:
            assert client.resolve(source.repository("team/retag").tag("stable")) == image.descriptor


class TestFiles:
    def test_there_and_back(self, source, target, tmp_path):
        index = make_index(*PLATFORMS)
        name = put(source, index, "team/files")
        chain = [
            name,
            f"oci:{tmp_path}/layout:1",
            f"oci-archive:{tmp_path}/image.tar:1",
            f"{target.host}/from/files:1",
        ]
        for start, end in pairwise(chain):
            done = copy(start, end, "--insecure")
            assert (done.returncode, done.stdout) == (0, f"{index.descriptor.digest}\n"), done.stderr
        check(Layout(tmp_path / "layout"), "1", index)
        check(LayoutArchive(tmp_path / "image.tar"), "1", index)
        with target.client() as client:
            check(RegistryImages(client, target.repository("from/files")), "1", index)

    def test_archive_for_docker_has_one_platform_and_a_name(self, source, tmp_path):
        name = put(source, make_index(*PLATFORMS), "team/docker")
        archive = tmp_path / "image.tar"
        done = copy(name, f"docker-archive:{archive}:example.com/app:3", "--insecure")
        assert done.returncode == 0, done.stderr
        inspect = ["skopeo", "inspect", "--config", f"docker-archive:{archive}:example.com/app:3"]
        config = json.loads(subprocess.run(inspect, capture_output=True, check=True).stdout)
        assert config["architecture"] == Platform.parse("linux").architecture

    def test_standard_output_has_the_archive_alone(self, source, tmp_path):
        image = make_image(b"piped")
        name = put(source, image, "team/piped")
        command = [STRAKE, "copy", name, "oci-archive:-", "--insecure"]
        done = subprocess.run(command, capture_output=True, env=ENVIRONMENT, timeout=180)
        (tmp_path / "image.tar").write_bytes(done.stdout)
        check(LayoutArchive(tmp_path / "image.tar"), "latest", image)
        assert str(image.descriptor.digest).encode() in done.stderr


class TestFailures:
    @pytest.fixture
    def broken(self):
        """A registry that never gets to the end of the last layer."""
        image = make_image()
        with FaultyRegistry() as registry:
            for descriptor, data in image.blobs:
                registry.put_blob(data)
                assert descriptor.size == len(data)
            registry.put_manifest(image.data, image.descriptor.media_type, "1")
            self.layer = image.blobs[-1][0]
            yield registry

    def test_source_that_stops_half_way_leaves_no_tag(self, broken, target, tmp_path):
        broken.add(faults.send(b"x" * self.layer.size, path=self.layer.digest.encoded))
        for destination in (
            f"{target.host}/half/way:1",
            f"oci:{tmp_path}/layout:1",
            f"oci-archive:{tmp_path}/a.tar:1",
        ):
            done = copy(f"{broken.host}/team/app:1", destination, "--insecure")
            assert done.returncode == 5, done.stderr
            assert f"error: cannot copy {broken.host}/team/app:1: blob from" in done.stderr
            assert done.stdout == ""
        with target.client() as client, pytest.raises(NotFoundError):
            client.resolve(target.repository("half/way").tag("1"))
        with pytest.raises(LayoutError, match="no image"):
            Layout(tmp_path / "layout").resolve("1")
        assert [path.name for path in tmp_path.iterdir()] == ["layout"]
        assert not list((tmp_path / "layout").rglob(".*"))

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_stopped(self, broken, target, tmp_path, number):
        broken.add(faults.drip(b"x" * self.layer.size, path=self.layer.digest.encoded))
        words = [
            str(STRAKE),
            "copy",
            "--insecure",
            f"{broken.host}/team/app:1",
            f"oci-archive:{tmp_path}/a.tar",
        ]
        running = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
        while not broken.requests("GET", self.layer.digest.encoded):
            assert running.poll() is None
            time.sleep(0.01)  # between looks: the copy needs the processor to come so far
        running.send_signal(number)
        _, log = running.communicate(timeout=180)
        assert running.returncode == 143
        assert f"error: stopped by {number.name}" in log
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(
        ("words", "status", "message"),
        [
            (["A", "b"], 2, "lower-case"),
            (["a", "docker-archive:b.tar"], 2, "write docker-archive:FILE:IMAGE"),
            (["--platform", "?", "a", "b"], 2, "write it as linux/amd64"),
            (["oci:/nonexistent", "oci:/tmp/x"], 5, "/nonexistent"),
            (["--insecure", "HERE/team/none:1", "oci:/tmp/never"], 5, "no such image"),
            (
                ["--insecure", "--platform", "linux/s390x", "HERE/team/e:1", "HERE/x:1"],
                5,
                "no image for platform",
            ),
            (["--insecure", "HERE/team/e:1", "NOWHERE/x:1"], 8, "is the registry running"),
            (["--insecure", "HERE/team/e:1", "oci:/proc/none"], 8, "/proc/none"),
            (["--insecure", "HERE/team/e:1", "docker-archive:/nonexistent/a.tar:x"], 8, "/nonexistent/a.tar"),
            (["HERE/team/e:1", "HERE/x:1"], 5, "does not speak TLS"),
        ],
    )
    def test_what_is_wrong_is_reported(self, source, words, status, message):
        put(source, make_index("linux/amd64"), "team/e")
        here, nowhere = source.host, f"localhost:{free_port()}"
        done = copy(*(word.replace("NOWHERE", nowhere).replace("HERE", here) for word in words))
        assert (done.returncode, done.stdout) == (status, ""), done.stderr
        assert message in done.stderr
        assert "Traceback" not in done.stderr

    def test_credentials_are_dockers_and_their_lack_is_reported(self, source, tmp_path):
        name = put(source, make_image(b"private"), "team/private")
        with running_registry(htpasswd={"me": "s3cret"}) as private:
            refused = copy(name, f"{private.host}/app:1", "--insecure")
            assert refused.returncode == 9
            assert f"strake login {private.host}" in refused.stderr
            auth = base64.b64encode(b"me:s3cret").decode()
            (tmp_path / "config.json").write_text(json.dumps({"auths": {private.host: {"auth": auth}}}))
            done = copy(name, f"{private.host}/app:1", "--insecure", DOCKER_CONFIG=str(tmp_path))
            assert done.returncode == 0, done.stderr
