"""Where a log may go: no name of a build leads out of its namespace's repository."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from strake_api.logs.artifact import LogTarget
from strake_oci.spec.reference import Reference
from strake_operator.isolation import PodForm
from strake_operator.names import job_name

PARTS = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True)
NAMES = st.lists(PARTS, min_size=1, max_size=4).map(".".join).filter(lambda name: len(name) <= 253)


def target(tag: str) -> LogTarget:
    return LogTarget(
        repository="r.example/logs/team", tag=tag, namespace="team", build="app", run=1, attempt=1
    )


@pytest.mark.parametrize(
    "tag", ["", "..", "../other:1", "a/b", "a:b", "a@sha256:0", "a b", "a\n", "-a", ".a", "x" * 129]
)
def test_what_is_no_tag_is_refused(tag):
    with pytest.raises(ValidationError):
        target(tag)


@given(NAMES, st.integers(1, 2_000_000_000), st.integers(1, 50), st.sampled_from(PodForm), st.booleans())
def test_the_name_of_every_job_is_a_tag_of_the_namespaces_repository(name, number, attempt, form, plain):
    made = target(job_name(name, "uid", number, attempt, form, plain=plain))
    reference = Reference.parse(f"{made.repository}:{made.tag}")
    assert (str(reference.repository), reference.tag) == ("r.example/logs/team", made.tag)
