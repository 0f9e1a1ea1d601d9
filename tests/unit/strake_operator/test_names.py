"""Names: stable, valid, and apart."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from strake_operator.isolation import PodForm
from strake_operator.names import job_name, may_be_a_run

NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", fullmatch=True)


@given(NAMES, st.integers(1, 10**6), st.integers(1, 99), st.sampled_from(PodForm))
def test_a_job_name_is_a_label_with_room_for_the_pods_suffix(build, generation, attempt, form):
    name = job_name(build, "uid", generation, attempt, form)
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", name)
    assert len(name) <= 57
    assert may_be_a_run(name)
    assert may_be_a_run(f"{name}-x7k2q")


def test_runs_and_builds_are_kept_apart():
    names = {
        job_name("hello", "u1", 1, 1),
        job_name("hello", "u1", 1, 2),
        job_name("hello", "u1", 2, 1),
        job_name("hello", "u2", 1, 1),
        job_name("x" * 200 + "a", "u1", 1, 1),
        job_name("x" * 200 + "b", "u1", 1, 1),
    }
    names |= {job_name("hello", "u1", 1, attempt, form) for attempt in (1, 2) for form in PodForm}
    assert len(names) == 6 + 2 * (len(PodForm) - 1)
