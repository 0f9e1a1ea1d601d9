"""A destination that would not take the image is reported before any work is done."""

from __future__ import annotations

import json

import pytest

from tests.fixtures.servers.registry import running_registry

STEP = "a step has run"


@pytest.fixture(scope="module")
def guarded():
    with running_registry(htpasswd={"ci": "right"}) as registry:
        yield registry


def run(builder, guarded, *flags, **environment):
    builder.context(f"FROM TINY\nRUN echo {STEP} > /x && echo {STEP}")
    destination = f"{guarded.host}/{builder.name}:1"
    return builder.run(
        "--insecure-registry", guarded.host, "--destination", destination, *flags, **environment
    )


def test_a_missing_right_is_told_before_the_first_step(builder, guarded):
    done = run(builder, guarded)
    assert done.returncode == 9, done.stderr
    assert f"cannot push to {guarded.host}/{builder.name}" in done.stderr
    assert STEP not in done.stderr.replace(f"echo {STEP}", "")
    assert builder.tags() == []


def test_who_skips_the_question_is_told_later(builder, guarded):
    done = run(builder, guarded, "--skip-push-permission-check")
    assert done.returncode == 9, done.stderr
    assert builder.tags() == []


def test_nobody_is_asked_where_nothing_is_pushed(builder, guarded):
    done = run(builder, guarded, "--no-push")
    assert done.returncode == 0, done.stderr


def test_the_question_leaves_no_upload_behind(builder, guarded, tmp_path):
    config = {"auths": {guarded.host: {"username": "ci", "password": "right"}}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    done = run(builder, guarded, DOCKER_CONFIG=str(tmp_path))
    assert done.returncode == 0, done.stderr
    for root in (guarded.root, builder.registry.root):
        uploads = root / "docker/registry/v2/repositories" / builder.name / "_uploads"
        # The registry itself leaves an empty directory when it drops an upload.
        assert [path.name for path in uploads.rglob("*") if path.name in {"startedat", "data"}] == []


def test_a_registry_that_is_not_there_is_told_before_the_first_step(builder):
    builder.context(f"FROM TINY\nRUN echo {STEP}")
    done = builder.run("-d", "localhost:1/x:1", "--insecure-registry", "localhost:1")
    assert done.returncode == 8, done.stderr
    assert "localhost:1/x" in done.stderr
