"""Images for other platforms: everything but RUN goes anywhere, and RUN goes where there is an emulator."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest

from strake_builder.sandbox.emulation import _MACHINES, Foreign, runs_here
from strake_oci.spec.platform import host
from tests.fixtures.building.builds import STRAKE
from tests.fixtures.building.preloaded import run_strake

OTHER = "arm64" if host().architecture == "amd64" else "amd64"
REGISTER = r"""
set -e
mountpoint -q /sys/fs/cgroup/unified && umount /sys/fs/cgroup/unified
exec unshare --user --map-root-user --mount --pid --fork --mount-proc sh -ec '
  mkdir -p "$1/binfmt" && mount -t binfmt_misc none "$1/binfmt"
  printf %s "$2" > "$1/binfmt/register"
  shift 2
  exec "$@"' sh "$@"
"""


def emulated(directory, flags: str, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command where programs of the other architecture are given to `touch`.

    The handler is registered in a user namespace of the command's own, and gone with it.
    """
    interpreter = shutil.copy("/bin/busybox", directory / "touch")
    magic = _MACHINES[OTHER].program()[:20]
    written = "".join(f"\\x{byte:02x}" for byte in magic)
    handler = f":strake-test:M::{written}::{interpreter}:{flags}"
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c", REGISTER, "sh", str(directory), handler, *command],
        capture_output=True,
        text=True,
        timeout=180,
        env={"PATH": os.environ["PATH"]},
    )


@pytest.fixture
def program(builder):
    """A context whose program is for the other architecture."""
    context = builder.context('FROM scratch\nCOPY prog /prog\nRUN ["/prog"]')
    (context / "prog").write_bytes(_MACHINES[OTHER].program())
    (context / "prog").chmod(0o755)
    return context


def test_what_this_machine_runs_runs(tmp_path):
    assert runs_here(host().architecture, str(tmp_path)) is Foreign.RUNS
    assert runs_here(OTHER, str(tmp_path)) is Foreign.NO_EMULATOR
    assert runs_here("unheard-of", str(tmp_path)) is Foreign.NO_EMULATOR
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("architecture", _MACHINES)
def test_every_program_is_one_of_its_architecture(architecture, tmp_path):
    (tmp_path / "prog").write_bytes(_MACHINES[architecture].program())
    headers = subprocess.run(
        ["readelf", "-hl", tmp_path / "prog"], capture_output=True, text=True, check=True
    )
    assert "EXEC (Executable file)" in headers.stdout
    assert "R E" in headers.stdout
    assert not headers.stderr


@pytest.mark.usefixtures("program")
def test_without_an_emulator_run_is_refused_before_it_is_tried(builder):
    done = builder.run("--platform", f"linux/{OTHER}")
    assert done.returncode == 13, done.stderr
    assert f"does not run programs for linux/{OTHER}" in done.stderr
    assert "Dockerfile:3" in done.stderr
    assert "binfmt_misc" in done.stderr
    assert "#1" not in done.stderr
    assert builder.tags() == []


@pytest.mark.usefixtures("program")
def test_with_one_it_goes_through_it(builder, tmp_path):
    result = tmp_path / "result.json"
    command = builder.command("--platform", f"linux/{OTHER}", "--no-push", "--metadata-file", str(result))
    done = emulated(tmp_path, "F", *command)
    assert done.returncode == 0, done.stderr
    document = json.loads(result.read_text())
    assert document["platform"] == f"linux/{OTHER}"
    assert document["layers"] == 2  # the emulator has touched the program


@pytest.mark.usefixtures("program")
def test_one_that_a_step_cannot_reach_is_told_apart(builder, tmp_path):
    done = emulated(tmp_path, "", *builder.command("--platform", f"linux/{OTHER}", "--no-push"))
    assert done.returncode == 13, done.stderr
    assert "flag F" in done.stderr


def test_without_run_every_platform_is_built_anywhere(builder):
    builder.context(
        "FROM --platform=$BUILDPLATFORM TINY AS made\nRUN echo made > /x\nFROM scratch\nCOPY --from=made /x /"
    )
    done = builder.run("--platform", f"linux/{OTHER}")
    assert done.returncode == 0, done.stderr
    config = builder.built().config
    assert (config.platform.os, config.platform.architecture) == ("linux", OTHER)


@pytest.mark.parametrize(
    "base", ["--platform=$BUILDPLATFORM TINY", "--platform=$BUILDPLATFORM TINY AS x\nFROM x"]
)
def test_the_image_is_for_the_platform_that_was_asked_for(builder, base):
    """Whatever its last stage is built on, as with BuildKit."""
    builder.context(f"FROM {base}\nCOPY Dockerfile /\n")
    assert builder.run("--platform", f"linux/{OTHER}").returncode == 0
    assert builder.built().config.platform.architecture == OTHER
    assert builder.run().returncode == 0
    assert builder.built().config.platform.architecture == host().architecture


def test_a_manifest_names_a_platform_too(builder, tmp_path):
    manifest = {
        "apiVersion": "strake.dev/v1alpha1",
        "kind": "ImageBuild",
        "metadata": {"name": "app"},
        "spec": {
            "source": {"inline": {"Dockerfile": "FROM scratch\nCOPY Dockerfile /\n"}},
            "platform": f"linux/{OTHER}",
            "output": {"destinations": [builder.destination]},
        },
    }
    (tmp_path / "imagebuild.yaml").write_text(json.dumps(manifest))
    flags = ["-f", str(tmp_path / "imagebuild.yaml"), "--work-dir", str(builder.work)]
    words = [STRAKE, "run", *flags, "--insecure-registry", builder.registry.host]
    done = run_strake(words, builder.environment())
    assert done.returncode == 0, done.stderr
    assert builder.built().config.platform.architecture == OTHER


@pytest.mark.parametrize(
    ("platform", "words"),
    [
        ("linux/amd64,windows/amd64", "only those for Linux"),
        ("linux/amd64,", "not a platform"),
        ("windows/amd64", "only those for Linux"),
        ("linux/amd64/v2/x", "not a platform"),
    ],
)
def test_what_is_no_platform_to_build_for_is_refused(builder, platform, words):
    builder.context("FROM scratch\nCOPY Dockerfile /")
    done = builder.run("--platform", platform)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr


def test_a_base_image_of_another_platform_is_a_warning(builder):
    builder.context("FROM TINY\nCOPY Dockerfile /")
    done = builder.run("--platform", f"linux/{OTHER}", "--no-push")
    assert done.returncode == 0, done.stderr
    expected = f"is for linux/{host().architecture}, not for linux/{OTHER} [InvalidBaseImagePlatform]"
    assert expected in done.stderr
    assert "InvalidBaseImagePlatform" not in builder.run("--no-push").stderr
