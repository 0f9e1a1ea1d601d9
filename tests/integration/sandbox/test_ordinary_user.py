"""Builds of an ordinary user of a workstation: with ranges of IDs, as podman wants them, and with one ID alone."""

from __future__ import annotations

import json
import os

import pytest

from tests.fixtures.building.builds import STRAKE
from tests.fixtures.building.ordinary_user import FIRST_ID, NAME, NUMBER, ordinary_user

__all__ = ["ordinary_user"]
MANY_OWNERS = """\
FROM BASE
WORKDIR /srv/app
COPY --chown=games:games file .
RUN useradd -m joe && rm -rf /usr/share/doc && chown joe /srv/app && echo made > /etc/made
RUN --mount=type=cache,target=/var/cache/own,uid=1000 --mount=type=tmpfs,target=/mnt touch /var/cache/own/x /mnt/x
RUN --mount=type=secret,id=key test "$(cat /run/secrets/key)" = opensesame
RUN --network=none test "$(tail -n +3 /proc/net/dev | grep -vc lo:)" = 0
USER joe
RUN id -un > ~/me && test ! -w /etc/made
"""
FLAGS = ("--source-date-epoch", "1700000000", "--secret", "id=key,env=KEY")


@pytest.fixture
def strake(builder, ordinary_user):
    """Build the context as the user; the result document comes beside what was printed."""

    def run(*flags, user=ordinary_user):
        if not (user.home / "context").exists():
            user.give(builder.directory / "context")
        result = user.home / "result.json"
        words = [STRAKE, "build", "--context", user.home / "context", "--work-dir", user.home / "work"]
        words += ["--insecure-registry", builder.registry.host, "--destination", builder.destination]
        done = user.run([*words, "--metadata-file", result, *flags], {"KEY": "opensesame"})
        return done, json.loads(result.read_text()) if result.exists() else None

    return run


def test_a_user_with_ranges_builds_what_root_builds(builder, strake, ordinary_user):
    builder.context(MANY_OWNERS, file="content\n")
    of_root = builder.directory / "of-root"
    done = builder.run(*FLAGS, "--no-push", "--metadata-file", str(of_root), KEY="opensesame")
    assert done.returncode == 0, done.stderr
    done, result = strake(*FLAGS)
    assert done.returncode == 0, done.stderr
    assert (result["isolation"]["kind"], result["isolation"]["ownProc"]) == ("nested", True)
    assert result["isolation"]["reason"].startswith("root: ")
    assert result["digest"] == json.loads(of_root.read_text())["digest"]
    assert builder.tags() == ["1"]
    assert not os.listdir(ordinary_user.home / "work")


@pytest.mark.parametrize(
    "ranges",
    [
        f"{NUMBER}:{FIRST_ID}:65536\n",
        f"somebody:1:1\n# a note\n\n{NAME}:{FIRST_ID}:1000\n{NAME}:{FIRST_ID + 1000}:64536\n",
    ],
    ids=["by number", "in two parts"],
)
def test_ranges_may_be_written_otherwise(builder, strake, ordinary_user, ranges):
    builder.context("FROM BASE\nRUN touch /f && chown 65534:65534 /f\n")
    done, result = strake(user=ordinary_user.granted(ranges))
    assert done.returncode == 0, done.stderr
    assert result["isolation"]["kind"] == "nested"
    found = builder.built().paths["/f"]
    assert (found["uid"], found["gid"]) == (65534, 65534)


LESS = {
    "no ranges": lambda user: user.granted(""),
    "ranges of users alone": lambda user: user.granted(user.subuid, ""),
    "ranges of somebody else": lambda user: user.granted(f"{NAME}2:{FIRST_ID}:65536\n"),
    "no newuidmap": lambda user: user.without("newuidmap", "newgidmap"),
}


@pytest.mark.parametrize("less", LESS)
def test_a_user_with_one_id_builds_what_is_roots_alone(builder, strake, ordinary_user, less):
    builder.context("FROM TINY\nCOPY file /\nRUN id -u > /me && mkdir -p /a/b && cp file a/b\n", file="x")
    done, result = strake("--source-date-epoch", "1700000000", user=LESS[less](ordinary_user))
    assert done.returncode == 0, done.stderr
    assert result["isolation"]["kind"] == "nested"
    done = builder.run(
        "--source-date-epoch", "1700000000", "--no-push", "--metadata-file", str(builder.directory / "m")
    )
    assert result["digest"] == json.loads((builder.directory / "m").read_text())["digest"]


@pytest.mark.parametrize("less", LESS)
def test_a_base_with_files_of_others_is_refused_by_the_name_of_one(builder, strake, ordinary_user, less):
    builder.context("FROM BASE\nRUN true\n")
    done, _ = strake(user=LESS[less](ordinary_user))
    assert done.returncode == 13, done.stderr
    assert "belongs to 0:" in done.stderr, "of a group that the namespace lacks"
    assert "/etc/subuid and /etc/subgid and install newuidmap (Debian: uidmap)" in done.stderr
    assert not builder.tags()
    assert not os.listdir(ordinary_user.home / "work")


def test_a_file_beyond_the_ranges_is_refused_by_its_name(builder, strake, ordinary_user):
    builder.context("FROM TINY\nCOPY --chown=5000:5 file /mine\nRUN true\n", file="x")
    done, _ = strake(user=ordinary_user.granted(f"{NAME}:{FIRST_ID}:1000\n"))
    assert done.returncode == 13, done.stderr
    assert "belongs to 5000:5, and the builder's user namespace lacks such an ID" in done.stderr


def test_a_step_that_gives_a_file_to_nobody_it_knows_is_told_by_its_program(builder, strake, ordinary_user):
    builder.context("FROM TINY\nRUN touch /f\nRUN chown 5 /f\n")
    done, _ = strake(user=ordinary_user.granted(""))
    assert done.returncode == 7, done.stderr
    assert "Invalid argument" in done.stderr


def test_what_newuidmap_refuses_is_told_in_its_words(builder, strake, ordinary_user):
    """A range may be taken out of the file between two looks, or overlap another: newuidmap decides."""
    builder.context("FROM TINY\nRUN true\n")
    too_many = "".join(f"{NAME}:{FIRST_ID + i * 10}:20\n" for i in range(2))
    done, _ = strake("--isolation", "nested", user=ordinary_user.granted(too_many))
    assert done.returncode == 13, done.stderr
    assert "newuidmap: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_users_default_work_directory_is_its_own(builder, ordinary_user):
    builder.context("FROM TINY\nRUN true\n")
    context = ordinary_user.give(builder.directory / "context")
    words = [STRAKE, "build", "--context", context, "--no-push", "--insecure-registry", builder.registry.host]
    temporary = ordinary_user.home / "tmp"
    done = ordinary_user.run(words, {"STRAKE_WORK_DIR": str(temporary)})
    assert done.returncode == 0, done.stderr
    assert not os.listdir(temporary)


KILLED = """
"$@" > log 2>&1 &
until grep -q '| has begun' log; do sleep 0.1; done
kill -9 $!
wait $!
echo status $?
"""


def test_what_a_killed_build_left_of_other_owners_goes_with_the_next(builder, strake, ordinary_user):
    builder.context("FROM BASE\nRUN touch /f && chown 5:6 /f && echo has begun && sleep 1000\n")
    context = ordinary_user.give(builder.directory / "context")
    work = ordinary_user.home / "work"
    words = [STRAKE, "build", "--context", context, "--no-push", "--insecure-registry", builder.registry.host]
    words += ["--work-dir", work]
    script = f"cd {ordinary_user.home}" + KILLED
    done = ordinary_user.run(["/bin/sh", "-c", script, "sh", *words])
    assert done.stdout == "status 137\n", done.stdout + done.stderr
    assert FIRST_ID + 4 in {path.lstat().st_uid for path in work.rglob("f")}
    (context / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    done, _ = strake()
    assert done.returncode == 0, done.stderr
    assert not os.listdir(work)
