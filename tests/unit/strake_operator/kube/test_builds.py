"""What is known of ImageBuilds without a read: the newest version, of the watch or of a write."""

from __future__ import annotations

import random

import pytest

from strake_operator.kube.builds import LARGEST_BYTES, KnownBuilds
from strake_operator.kube.reading import read_build

MANAGERS = [{"manager": "kubectl", "fieldsV1": {"f:metadata": {"f:annotations": {"f:strake.dev/rerun": {}}}}}]


def body(version="1", *, annotations=None, **spec):
    metadata = {
        "name": "app",
        "namespace": "team",
        "uid": "u",
        "generation": 1,
        "resourceVersion": version,
        "managedFields": MANAGERS,
    }
    if annotations:
        metadata["annotations"] = annotations
    return {"metadata": metadata, "spec": spec, "status": {}}


def known(builds):
    found = builds.get("team", "app")
    return None if found is None else found["metadata"]["resourceVersion"]


@pytest.mark.parametrize(
    ("versions", "kept"), [(["1", "2"], "2"), (["2", "1"], "2"), (["9", "10"], "10"), (["x", "w"], "w")]
)
def test_the_newest_version_stays(versions, kept):
    builds = KnownBuilds()
    for version in versions:
        builds.note(body(version))
    assert known(builds) == kept


def test_what_was_written_is_known_before_the_watch_tells():
    builds = KnownBuilds()
    builds.note(body("1"))
    builds.wrote(body("3"))
    assert not builds.note(body("2"))
    assert not builds.note(body("3"))
    assert known(builds) == "3"


def test_the_answer_to_a_write_brings_no_build_back_that_is_gone():
    builds = KnownBuilds()
    builds.note(body("1"))
    builds.forget("team", "app")
    builds.wrote(body("2"))
    assert known(builds) is None


def test_a_large_one_is_read_each_time():
    builds = KnownBuilds()
    builds.note(body("1"))
    noise = random.Random(1).randbytes(2 * LARGEST_BYTES).hex()
    assert builds.note(body("2", source={"inline": {"Dockerfile": noise}}))
    assert known(builds) is None
    assert builds.knows("team", "app")


def test_after_a_doubt_the_next_read_is_fresh():
    builds = KnownBuilds()
    builds.doubt("team", "app")
    assert not builds.knows("team", "app")
    builds.note(body("1"))
    builds.doubt("team", "app")
    assert known(builds) is None
    assert builds.knows("team", "app"), "what happens to its Job is a reason to look at it"
    builds.wrote(body("2"))
    assert known(builds) == "2"


def test_who_asked_for_a_rerun_is_known():
    builds = KnownBuilds()
    builds.note(body(annotations={"strake.dev/rerun": "1"}))
    found = builds.get("team", "app")
    assert found is not None
    assert read_build(found).rerun_by == "kubectl"
