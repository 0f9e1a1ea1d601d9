"""The builder's image in ordinary containers of the kinds that it meets: which way it goes, and what that is worth."""

from __future__ import annotations

import json
import os

import pytest

from tests.fixtures.building.containers import Container, Kind

KINDS = {
    "no profile": (Kind(), "nested", False),
    "no profile, own users": (Kind(own_users=True), "nested", False),
    "no profile, own users, unmasked proc": (Kind(own_users=True, unmasked=True), "nested", True),
    "default profile": (Kind("default"), "chroot", False),
    "default profile, own users": (Kind("default", own_users=True), "chroot", False),
    "mounts refused": (Kind("no mounts"), "chroot", False),
    "mounts refused, own users, no escalation": (
        Kind("no mounts", own_users=True, escalates=False),
        "chroot",
        False,
    ),
}
DOCKERFILE = """\
FROM BASE
WORKDIR /srv/app
COPY file .
RUN useradd -m joe && rm -rf /usr/share/doc && echo made > /etc/made && chown joe file
RUN --mount=type=cache,target=/var/cache/own --mount=type=tmpfs,target=/mnt --mount=type=bind,target=/ctx \
    cp /ctx/file /etc/copied && touch /var/cache/own/x /mnt/x
RUN --mount=type=secret,id=key test "$(cat /run/secrets/key)" = opensesame
USER joe
RUN id -un > ~/me && test ! -w /etc/made
"""


@pytest.fixture
def strake(builder, tmp_path):
    """Run the builder in a container; the result document comes beside what it printed."""
    out = tmp_path / "out"
    out.mkdir()

    def run(kind: Kind, *flags: str, volume: bool = False, **more):
        work = None
        if volume:
            work = tmp_path / f"work-{kind.own_users}"
            work.mkdir(exist_ok=True)
        command = [
            "/strake/strake",
            "build",
            "--context",
            "/strake/context",
            "--destination",
            builder.destination,
        ]
        command += [
            "--insecure-registry",
            builder.registry.host,
            "--metadata-file",
            "/strake/out/result.json",
        ]
        done = Container(kind, work).run(
            [*command, *flags],
            {"/strake/context": builder.directory / "context", "/strake/out": out, **more.pop("mounts", {})},
            {"KEY": "opensesame"},
            **more,
        )
        result = out / "result.json"
        return done, json.loads(result.read_text()) if result.exists() else None

    return run


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_builds_the_same_image(builder, strake, name, expected_digest):
    kind, way, own_proc = KINDS[name]
    builder.context(DOCKERFILE, file="content\n")
    done, result = strake(kind, *REPRODUCIBLE, volume=way == "nested")
    assert done.returncode == 0, done.stderr
    assert (result["isolation"]["kind"], result["isolation"].get("ownProc")) == (way, own_proc)
    assert result["isolation"]["reason"].startswith("root: ")
    assert result["digest"] == expected_digest


def test_cache_mounts_go_from_one_kind_to_the_next(builder, strake):
    """What steps leave is kept by a builder of one kind, and restored with its owners by that of another."""
    found = ""
    for name in ("no profile", "mounts refused", "no profile, own users"):
        kind, way, _ = KINDS[name]
        command = f"chown 7:8 /c; touch /c/{way}-{len(found)}; stat -c %u:%g /c; ls /c"
        builder.context(f"FROM TINY\nRUN --mount=type=cache,target=/c {command}\n")
        cache = ("--cache-repo", f"{builder.registry.host}/{builder.name}/cache")
        done, _ = strake(kind, *cache, volume=way == "nested")
        assert done.returncode == 0, (name, done.stderr)
        assert "warning" not in done.stderr + done.stdout
        before, found = found, done.stdout + done.stderr
        kept = {line for line in _output(before) if line != "7:8"}
        assert {"7:8", *kept} < set(_output(found)), name


def _output(log: str) -> list[str]:
    return [line.partition("| ")[2] for line in log.splitlines() if line.startswith("#1 | ")]


REPRODUCIBLE = ("--source-date-epoch", "1700000000", "--secret", "id=key,env=KEY")


@pytest.fixture
def expected_digest(builder):
    builder.context(DOCKERFILE, file="content\n")
    done = builder.run(
        *REPRODUCIBLE, "--no-push", "--metadata-file", str(builder.directory / "m"), KEY="opensesame"
    )
    assert done.returncode == 0, done.stderr
    return json.loads((builder.directory / "m").read_text())["digest"]


@pytest.mark.parametrize(
    ("kind", "wanted", "words"),
    [
        (Kind(), "root", "SYS_ADMIN"),
        (Kind("default"), "nested", "seccomp profile"),
        (Kind("no mounts"), "nested", "seccomp profile"),
    ],
    ids=["root", "nested under the default profile", "nested where mounts are refused"],
)
def test_a_way_that_cannot_be_had_ends_the_build_before_any_work(builder, strake, kind, wanted, words):
    builder.context("FROM TINY\nRUN true\n")
    done, _ = strake(kind, "--isolation", wanted)
    assert done.returncode == 13, done.stderr
    assert done.stderr.startswith(f"error: the isolation {wanted} cannot be had here: ")
    assert words in done.stderr
    assert not builder.tags()


@pytest.mark.parametrize("kind", [Kind(), Kind("default")], ids=["nested", "chroot"])
def test_nothing_that_a_step_starts_outlives_it(builder, strake, kind):
    builder.context(
        "FROM BASE\n"
        "RUN (setsid sleep 1000 > /dev/null 2>&1 &) ; (sleep 1000 &) ; nohup sleep 1000 > /dev/null 2>&1 & true\n"
        "RUN ! cat /proc/[0-9]*/comm | grep -q sleep\n"
    )
    done, _ = strake(kind, volume=kind == Kind())
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("kind", [Kind(), Kind("default")], ids=["nested", "chroot"])
def test_not_even_a_crowd_outlives_it(builder, strake, kind):
    """Thousands of processes took minutes to end, since each was looked for anew."""
    builder.context(
        "FROM BASE\n"
        "RUN i=0; while [ $i -lt 1000 ]; do setsid sleep 1000 & i=$((i+1)); done 2> /dev/null\n"
        "RUN ! cat /proc/[0-9]*/comm | grep -q sleep\n"
    )
    done, _ = strake(kind, volume=kind == Kind())
    assert done.returncode == 0, done.stderr


def test_with_the_containers_proc_the_builders_processes_are_closed(builder, strake):
    """The builder holds secrets in its environment, memory and files; the kernel refuses a step all of them."""
    builder.context(
        "FROM BASE\n"
        "RUN for p in /proc/[0-9]*; do\\\n"
        "      case $(tr '\\0' ' ' < $p/cmdline) in /strake/root/opt/*)\\\n"
        "        found=yes;\\\n"
        "        for f in environ mem maps root/etc/passwd cwd/. fd/0; do\\\n"
        "          if head -c 1 $p/$f > /dev/null 2>&1; then echo open: $p/$f; exit 1; fi;\\\n"
        '        done;; esac; done; test "$found" = yes\n'
    )
    done, result = strake(Kind(), volume=True)
    assert done.returncode == 0, done.stderr
    assert not result["isolation"]["ownProc"]


@pytest.mark.parametrize("kind", [Kind(), Kind("default")], ids=["nested", "chroot"])
def test_a_failing_step_says_so_and_leaves_no_tag(builder, strake, kind):
    builder.context("FROM BASE\nRUN echo before; exit 3\n")
    done, _result = strake(kind, volume=kind == Kind())
    assert done.returncode == 7, done.stderr
    assert "exit code 3" in done.stderr
    assert not builder.tags()


def test_a_program_that_is_not_there(builder, strake):
    builder.context('FROM TINY\nRUN ["/no/such/program"]\n')
    done, _ = strake(Kind("default"))
    assert done.returncode == 7, done.stderr
    assert "cannot start /no/such/program: /no/such/program: No such file or directory" in done.stderr


def test_without_a_network_is_refused_with_a_way_out(builder, strake):
    builder.context("FROM TINY\nRUN echo has run\nRUN --network=none true\n")
    done, _ = strake(Kind("default"))
    assert done.returncode == 6, done.stderr
    assert "| has run" not in done.stderr, "it was refused before any step"
    assert "Dockerfile:3: RUN --network=none cannot be had in the isolation chroot" in done.stderr
    assert "--isolation nested" in done.stderr


def test_a_volume_where_the_image_has_something_is_refused_by_name(builder, strake, tmp_path):
    volume = tmp_path / "volume"
    volume.mkdir()
    builder.context("FROM TINY\nWORKDIR /app\nRUN touch built\n")
    done, _ = strake(Kind("default"), mounts={"/app": volume})
    assert done.returncode == 6, done.stderr
    assert "the step's image has /app, and so has the builder's container" in done.stderr
    assert not os.listdir(volume)


def test_a_work_directory_that_makes_room_for_the_image_is_refused(builder, strake):
    builder.context("FROM TINY\nRUN true\n")
    done, _ = strake(Kind("default"), "--work-dir", "/var/tmp/work")
    assert done.returncode == 2, done.stderr
    assert "/var/tmp/work is not under /strake" in done.stderr


def test_an_owner_beyond_the_ids_of_the_namespace_is_named(builder, strake):
    builder.context("FROM TINY\nCOPY --chown=3000000:3000000 file /file\nRUN true\n", file="x")
    done, _ = strake(Kind(own_users=True), volume=True)
    assert done.returncode == 13, done.stderr
    assert "'file' belongs to 3000000:3000000" in done.stderr
    assert "idsPerPod" in done.stderr
    done, _ = strake(Kind(), volume=True)
    assert done.returncode == 0, done.stderr


KILLED = """
strake build --context /strake/context --no-push --insecure-registry {registry} &
while ! test -e /marker; do sleep 0.1; done
kill -9 $(cat /proc/$!/task/$!/children)
wait $!
echo status $?
ls /
cat /proc/[0-9]*/comm
"""


def test_a_killed_builder_leaves_the_containers_root_as_it_was(builder, tmp_path):
    """A CI system's script goes on in the container."""
    context = builder.context("FROM TINY\nRUN touch /marker && sleep 1000\n")
    script = KILLED.format(registry=builder.registry.host)
    done = Container(Kind("default")).run(
        ["/strake/root/bin/sh", "-c", script], {"/strake/context": context}, timeout=200
    )
    lines = done.stdout.splitlines()
    assert "status 137" in lines, done.stdout + done.stderr
    after = lines[lines.index("status 137") + 1 :]
    assert {"bin", "etc", "proc", "strake"} <= set(after)
    assert not {"marker", "home", "root"} & set(after)
    assert after.count("sleep") == 0
