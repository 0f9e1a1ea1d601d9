"""What kaniko's flags do, each group as its users write it, carried out by `strake build`."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from strake_oci.registry.images import RegistryImages
from strake_oci.spec.manifest import Manifest, parse
from strake_oci.spec.reference import Reference
from strake_oci.stores.layout import Layout
from strake_oci.transfers.copying import copy_image
from tests.faults.faults import sometimes
from tests.faults.registry import FaultyRegistry
from tests.fixtures.building.builds import STRAKE
from tests.fixtures.building.preloaded import run_strake
from tests.fixtures.servers.registry import running_registry
from tests.images.layouts import image_layout


def layers(builder, tag: str = "1") -> int:
    with builder.registry.client() as client:
        reference = Reference.parse(builder.destination)
        manifest = parse(client.manifest(reference.repository, tag)[1])
    assert isinstance(manifest, Manifest)
    return len(manifest.layers)


SEVERAL_STEPS = """\
FROM TINY
COPY a /a/
RUN rm /a/a && mkdir /b && echo 1 > /b/one && chmod 700 /b
RUN ls -d /b && echo 2 >> /b/one && ln /b/one /b/two
ENV X=1
RUN rm -r /home && mkdir /home && echo new > /home/new
WORKDIR /b
RUN test "$(cat one | wc -l)" = 2 && touch /last
"""


@pytest.mark.parametrize("rootfs", ["overlay", "scan"])
def test_single_snapshot_is_one_layer_with_the_same_files(builder, rootfs):
    builder.context(SEVERAL_STEPS, a="a")
    assert builder.run(f"--rootfs={rootfs}").returncode == 0
    several, wanted = layers(builder), builder.built()
    done = builder.run("--single-snapshot", f"--rootfs={rootfs}", "--cache=true")
    assert done.returncode == 0, done.stderr
    found = builder.built()
    assert layers(builder) == several - 5 + 1
    assert found.paths.keys() == wanted.paths.keys()
    assert {path: entry.get("mode") for path, entry in found.paths.items()} == {
        path: entry.get("mode") for path, entry in wanted.paths.items()
    }
    assert "/a/a" not in found.paths
    assert builder.left_behind() == []


def test_single_snapshot_of_a_stage_that_takes_from_others(builder):
    builder.context(
        "FROM TINY AS tool\nRUN echo tool > /tool\n"
        "FROM TINY AS base\nRUN touch /base\n"
        "FROM base\nCOPY --from=tool /tool /\nRUN test -s /tool && rm /base\nCOPY --link a /x/\nENTRYPOINT x\n",
        a="a",
    )
    done = builder.run("--single-snapshot=true")
    assert done.returncode == 0, done.stderr
    paths = builder.built().paths
    assert {"/tool", "/x/a"} <= paths.keys()
    assert "/base" not in paths


def test_single_snapshot_of_a_stage_without_steps(builder):
    builder.context("FROM TINY\nENV A=1\n")
    done = builder.run("--single-snapshot")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("how", ["--rootfs=overlay", "--rootfs=scan", "--single-snapshot"])
def test_ignored_paths_are_in_no_layer_and_steps_see_them(builder, how):
    builder.context(
        "FROM TINY\nRUN mkdir -p /var/run /srv/deep && echo s > /srv/secret && echo k > /srv/kept"
        " && ln /srv/secret /srv/deep/hard && rm /bin/true && touch /var/run/pid /srvother\n"
        "RUN test -s /srv/secret && rm -f /srv/deep/x\n"
    )
    flags = (how, "--ignore-path=/srv/secret", "--ignore-path", "/bin/true", "--ignore-var-run")
    done = builder.run(*flags)
    assert done.returncode == 0, done.stderr
    paths = builder.built().paths
    assert {"/srv/kept", "/srv/deep/hard", "/srvother", "/bin/true"} <= paths.keys()
    assert not {"/srv/secret", "/var/run/pid"} & paths.keys()


def test_a_cached_layer_lacks_what_was_ignored_only_where_it_is_ignored(builder, tmp_path):
    builder.context("FROM TINY\nRUN touch /secret /kept\n")
    cache = f"--cache-dir={tmp_path}/cache"
    assert builder.run(cache, "--ignore-path=/secret").returncode == 0
    assert "/secret" not in builder.built().paths
    done = builder.run(cache)
    assert "CACHED" not in done.stderr
    assert "/secret" in builder.built().paths


def test_a_dry_run_prints_the_plan_and_does_nothing(builder, tmp_path):
    builder.context(
        "FROM TINY AS unused\nRUN false\nFROM TINY AS one\nRUN false\nFROM scratch\nCOPY --from=one /x /\n"
    )
    done = builder.run("--dryrun", f"--digest-file={tmp_path}/digest")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert re.fullmatch(rf"stage one from {builder.names['TINY']}@sha256:[0-9a-f]+", lines[0])
    assert lines[1:] == [
        "     4 | RUN false",
        "stage stage-2 from scratch  (the image)",
        "     6 | COPY --from=one /x /",
    ]
    assert builder.tags() == []
    assert not (tmp_path / "digest").exists()


def test_a_dry_run_fails_where_a_build_would(builder):
    builder.context("FROM TINY\nRUNN x\n")
    assert builder.run("--dryrun").returncode == 3
    builder.context(f"FROM {builder.registry.host}/no/such:1\n")
    assert builder.run("--dryrun").returncode == 5


@pytest.fixture
def immutable():
    """A registry that does not let tags move, in the words of one of the clouds."""

    def refuse(exchange) -> None:
        for _ in exchange.body():
            pass
        exchange.error(400, "TAG_INVALID", message="cannot be overwritten because the tag is immutable.")

    with FaultyRegistry() as registry:
        registry.add(sometimes(refuse, method="PUT", path="/manifests/1$", times=99))
        yield registry


def test_a_tag_that_may_not_move(builder, immutable):
    builder.context("FROM scratch\nCOPY a /\n", a="a")
    flags = (f"--insecure-registry={immutable.host}", f"--destination={immutable.host}/immutable:1")
    assert builder.run(*flags).returncode == 8
    done = builder.run(*flags, "--push-ignore-immutable-tag-errors=true")
    assert done.returncode == 0, done.stderr
    assert f"warning: {immutable.host}/immutable:1 stays as it is" in done.stderr


def test_files_of_a_build(builder, tmp_path):
    builder.context("FROM TINY\nCOPY a /\n", a="a")
    files = {name: tmp_path / name for name in ("digest", "name", "tag", "tar")}
    done = builder.run(
        *("--no-push", f"--digest-file={files['digest']}", f"--tarPath={files['tar']}"),
        f"--image-name-with-digest-file={files['name']}",
        f"--image-name-tag-with-digest-file={files['tag']}",
        *(f"--oci-layout-path={tmp_path}/layout", "--image-format=oci", "--compression-level=-1"),
        *("--label=a=1", "--annotation=b=2"),
    )
    assert done.returncode == 0, done.stderr
    digest = files["digest"].read_text()
    repository = builder.destination.rpartition(":")[0]
    assert files["name"].read_text() == f"{repository}@{digest}\n"
    assert files["tag"].read_text() == f"{repository}:1@{digest}\n"
    assert files["tar"].stat().st_size > 1000
    layout = Layout(tmp_path / "layout")
    assert str(layout.resolve().digest) == digest
    assert json.loads(layout.manifest(layout.resolve()))["annotations"] == {"b": "2"}
    assert builder.tags() == []


@pytest.fixture(scope="module")
def with_tls(certificates):
    """A registry with TLS and a certificate that nobody trusts, with a base image."""
    with running_registry(tls=certificates) as registry, registry.client() as client:
        images = RegistryImages(client, registry.repository("tiny"))
        copy_image(Layout(image_layout("tiny")), "latest", images, "1")
        yield registry


def test_registries_of_base_images_without_tls_or_trust(builder, with_tls):
    builder.context(f"FROM {with_tls.host}/tiny:1 AS a\nFROM TINY\nCOPY --from=a /bin/true /x\n")
    command = [
        word for word in builder.command() if word not in {"--insecure-registry", builder.registry.host}
    ]
    done = run_strake([*command, "--insecure", "--insecure-pull"], builder.environment(), 120)
    assert done.returncode == 5
    assert "the certificate is not trusted" in done.stderr
    pull = ("--insecure-pull", "--skip-tls-verify-pull")
    done = run_strake([*command, "--insecure", *pull], builder.environment(), 120)
    assert done.returncode == 0, done.stderr
    done = run_strake([*command, *pull], builder.environment(), 120)
    assert done.returncode == 8, "it is not about what is pushed"


def test_an_insecure_registry_that_has_tls_is_spoken_to_with_tls(builder, with_tls):
    builder.context("FROM scratch\nCOPY a /\n", a="a")
    flags = (f"--destination={with_tls.host}/app:1", "--insecure", "--skip-tls-verify")
    done = builder.run(*flags)
    assert done.returncode == 0, done.stderr


def test_verbosity_and_times(builder):
    builder.context("FROM TINY\nRUN echo hello\nARG UNUSED\nRUN exit 3\n")
    done = builder.run("--verbosity=warn", "--build-arg=NOBODY=1", "--cleanup")
    assert done.returncode == 7
    assert not re.search(r"^(#1|note:)", done.stderr, re.MULTILINE)
    assert "warning: " in done.stderr
    quiet = builder.run("-v", "error", "--build-arg=NOBODY=1")
    assert "warning: " not in quiet.stderr
    assert "error: " in quiet.stderr
    times = builder.run("--log-timestamp", "--no-push")
    assert re.search(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ #1/", times.stderr, re.MULTILINE)
    assert "== building" in builder.run("-v=debug").stderr.lower()


def test_colours(builder):
    builder.context("FROM TINY\nRUN printf '\\033[31mred\\033[0m and not\\n'\n")
    colour = builder.run("--log-format=color")
    assert "\x1b[36m#" in colour.stderr
    assert "| \x1b[31mred\x1b[0m and not" in colour.stderr
    plain = builder.run()
    assert "\x1b[36m#" not in plain.stderr
    assert "| \x1b[31mred\x1b[0m and not" in plain.stderr
    none = builder.run("--log-format=color", NO_COLOR="1")
    assert "\x1b" not in none.stderr
    assert "| red and not" in none.stderr
    quiet = builder.run("--progress=quiet")
    assert quiet.stderr == ""
    assert quiet.stdout.startswith(builder.registry.host)
    events = builder.run("--progress=json")
    assert [line for line in events.stdout.splitlines() if json.loads(line)["type"] == "OutputLine"]
    assert "\\u001b" not in events.stdout


def test_secrets_as_kaniko_reads_them(builder):
    builder.context(
        "FROM TINY\nRUN --mount=type=secret,id=one --mount=type=secret,id=TWO --mount=type=secret,id=three"
        ' test "$(cat /run/secrets/one /run/secrets/TWO /run/secrets/three)" = 123\n'
    )
    secrets = ("--secret=id=one,type=env,src=ONE", "--secret=id=TWO", "--secret=id=three,env=THREE")
    done = builder.run(*secrets, ONE="1", TWO="2", THREE="3")
    assert done.returncode == 0, done.stderr


def test_warming(builder, tmp_path):
    """A build finds what was warmed: it fetches no layer."""
    cache = tmp_path / "cache"
    (tmp_path / "Warm").write_text(
        f"ARG V\nFROM {builder.registry.host}/library/busybox:$V AS a\nRUN false\n"
    )
    strake = [
        builder.command()[0],
        "warm",
        f"--cache-dir={cache}",
        f"--work-dir={builder.work}",
        "--insecure-pull",
    ]
    done = subprocess.run(
        [*strake, f"--dockerfile={tmp_path}/Warm", "--build-arg=V=1"],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(rf"{builder.names['TINY']}@sha256:[0-9a-f]+\n", done.stdout)
    builder.context("FROM TINY\nRUN true\n")
    before = len([line for line in builder.registry.requests() if "GET" in line and "/blobs/" in line])
    assert builder.run(f"--cache-dir={cache}", "--no-push").returncode == 0
    after = len([line for line in builder.registry.requests() if "GET" in line and "/blobs/" in line])
    assert after - before <= 1, "the config alone"
    both = subprocess.run(
        [*strake, "-i", builder.names["TINY"], "--image", builder.names["BASE"], "--force"],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert both.returncode == 0, both.stderr
    assert len(both.stdout.splitlines()) == 2


def test_what_cannot_be_warmed(builder, tmp_path):
    strake = [builder.command()[0], "warm", f"--cache-dir={tmp_path}/c", f"--work-dir={builder.work}"]
    nothing = subprocess.run(strake, capture_output=True, text=True, timeout=180)
    assert (nothing.returncode, "nothing to warm" in nothing.stderr) == (2, True)
    missing = subprocess.run(
        [
            *strake,
            f"--insecure-registry={builder.registry.host}",
            f"--image={builder.registry.host}/no/such:1",
        ],
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert missing.returncode == 5


PAGE = Path(__file__).parents[3] / "docs/from-kaniko.md"
COMMANDS = re.findall(r"^strake .*$", PAGE.read_text(), re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_of_the_page(builder, command):
    """As a reader types them, in a directory with a Dockerfile; only the registry is another."""
    directory = builder.context("FROM TINY\nRUN touch /x\n")
    words = shlex.split(command.replace("registry.example/app:1", builder.destination))
    flags = [f"--insecure-registry={builder.registry.host}"]
    if words[1] == "push":
        build = ["build", "--no-push", f"--work-dir={builder.work}", "-d", "a/b", "--tar-path=image.tar"]
        subprocess.run([STRAKE, *build, *flags], cwd=directory, check=True, capture_output=True, timeout=240)
    else:
        flags.append(f"--work-dir={builder.work}")
    done = subprocess.run(
        [STRAKE, *words[1:], *flags], cwd=directory, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    if "--no-push" not in words and words[1] in {"build", "push"}:
        assert "/x" in builder.built().paths


def test_the_page_has_commands():
    assert len(COMMANDS) == 6
