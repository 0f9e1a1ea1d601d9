"""Flags of how registries are reached, carried out: private CAs, client certificates, mirrors."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pytest

from strake_builder.cli.flags.registry import add_registry_flags, read_registries
from strake_builder.errors import InvalidRequestError
from strake_oci.registry import Mirror
from strake_oci.registry.images import RegistryImages
from tests.fixtures.building.preloaded import run_strake
from tests.fixtures.content.images import make_image
from tests.fixtures.servers.registry import running_registry

STRAKE = Path(sys.executable).parent / "strake"


def strake(*words, **environment) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **environment}
    command = [str(STRAKE), *map(str, words)]
    return run_strake(command, environment)


@pytest.fixture
def layout(plain, tmp_path):
    """An image in a layout, as strake names it."""
    image = make_image(b"layer")
    with plain.client() as client:
        image.write(RegistryImages(client, plain.repository("team/app")), "1")
    name = f"oci:{tmp_path}/layout:1"
    done = strake("copy", "--insecure-registry", plain.host, f"{plain.host}/team/app:1", name)
    assert done.returncode == 0, done.stderr
    return name


def test_private_authority(certificates, layout):
    with running_registry(tls=certificates) as registry:
        there = f"{registry.host}/app:1"
        refused = strake("copy", layout, there)
        assert refused.returncode == 8
        assert "not trusted" in refused.stderr
        flags = ["--registry-certificate", f"{registry.host}={certificates.ca}"]
        assert strake("copy", *flags, layout, there).returncode == 0
        assert strake("copy", "--skip-tls-verify-registry", registry.host, layout, there).returncode == 0
        assert strake("copy", layout, there, SSL_CERT_FILE=str(certificates.ca)).returncode == 0


def test_client_certificate(certificates, layout):
    with running_registry(tls=certificates.demanding_client()) as registry:
        flags = ["--registry-certificate", f"{registry.host}={certificates.ca}"]
        assert strake("copy", *flags, layout, f"{registry.host}/app:1").returncode == 8
        flags += [
            "--registry-client-cert",
            f"{registry.host}={certificates.client},{certificates.client_key}",
        ]
        done = strake("copy", *flags, layout, f"{registry.host}/app:1")
        assert done.returncode == 0, done.stderr


def test_client_certificate_that_is_none(certificates, layout):
    """It is read when the registry is first connected to; the error names the file."""
    flags = ["--registry-client-cert", f"localhost:1={certificates.client},{certificates.ca}"]
    done = strake("copy", *flags, layout, "localhost:1/app:1")
    assert done.returncode == 8
    assert f"{certificates.client} and its key cannot be used" in done.stderr
    assert "they must be PEM" in done.stderr


@pytest.mark.parametrize(
    ("flag", "name"),
    [
        ("--registry-map=registry.invalid=MIRROR/team", "registry.invalid/app:1"),
        ("--registry-mirror=MIRROR", "team/app:1"),
    ],
)
def test_mirrors_serve_what_the_registry_cannot(plain, layout, tmp_path, flag, name):
    flags = ["--insecure-registry", plain.host, flag.replace("MIRROR", plain.host)]
    flags.append("--skip-default-registry-fallback")
    done = strake("copy", *flags, name, f"oci:{tmp_path}/copy:1")
    assert done.returncode == 0, done.stderr


def test_build_takes_its_base_from_a_mirror_and_pushes_to_the_registry(plain, layout, tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM registry.invalid/team/app:1\nLABEL a=b\n")
    flags = ["--context", tmp_path, "--work-dir", tmp_path / "work", "--destination", f"{plain.host}/built:1"]
    flags += ["--insecure-registry", plain.host]
    without = strake("build", *flags)
    assert without.returncode == 5
    assert "does not resolve" in without.stderr
    done = strake("build", *flags, "--registry-map", f"registry.invalid={plain.host}")
    assert done.returncode == 0, done.stderr


def read(*words):
    parser = argparse.ArgumentParser()
    add_registry_flags(parser)
    return read_registries(parser.parse_args(words))


def test_mirrors_are_asked_in_the_order_of_the_flags():
    settings = read(
        "--registry-map",
        "ghcr.io=one.io/hub;two.io",
        "--registry-map",
        "ghcr.io=three.io",
        "--registry-mirror",
        "four.io",
        "--registry-map",
        "index.docker.io=five.io",
    )
    assert settings.of("ghcr.io").mirrors == (Mirror("one.io", "hub"), Mirror("two.io"), Mirror("three.io"))
    assert settings.of("docker.io").mirrors == (Mirror("five.io"), Mirror("four.io"))
    assert not settings.of("ghcr.io").mirrors_only


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--insecure-registry", "http://a.io"], "without https://"),
        (["--registry-map", "a.io"], "write --registry-map HOST=MIRROR"),
        (["--registry-map", "a.io=https://b.io"], "without https://"),
        (["--registry-mirror", "https://b.io"], "without https://"),
        (["--registry-certificate", "a.io=/nonexistent"], "there is no file /nonexistent"),
        (["--registry-client-cert", "a.io=/dev/null,/nonexistent"], "there is no file"),
        (["--skip-default-registry-fallback"], "there are no mirrors"),
    ],
)
def test_what_is_wrong_is_reported(words, message):
    with pytest.raises(InvalidRequestError) as raised:
        read(*words)
    assert message in str(raised.value)
