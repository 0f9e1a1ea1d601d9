"""Names: stable, valid, and apart."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strake_operator.isolation import PodForm
from strake_operator.names import (
    ATTEMPT_LABEL,
    PART_LABEL,
    RUN_LABEL,
    job_name,
    may_be_a_run,
    run_of_labels,
)
from strake_operator.parts import part_label

NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", fullmatch=True)


PLATFORMS = ("linux/amd64", "linux/mips64le", "linux/arm/v7", "linux/arm64/v8.2", "linux/386")
PARTS = st.sampled_from([None, "source", "index", *map(part_label, PLATFORMS)])


@given(NAMES, st.integers(1, 10**6), st.integers(1, 99), st.sampled_from(PodForm), PARTS)
def test_a_job_name_is_a_label_with_room_for_the_pods_suffix(build, generation, attempt, form, part):
    name = job_name(build, "uid", generation, attempt, form, part=part)
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


def test_parts_of_a_run_are_kept_apart():
    labels = {*map(part_label, (*PLATFORMS, "linux/arm64", "linux/arm64/v8")), "source", "index"}
    assert len(labels) == len(PLATFORMS) + 4
    names = {job_name("hello", "u1", 1, attempt, part=label) for attempt in (1, 2) for label in labels}
    assert len(names) == 2 * len(labels), "a variant is no attempt"


@pytest.mark.parametrize("part", ["", "Source", "linux/arm64", "linux-arm64-x", "windows-amd64", "linux-a\n"])
def test_labels_of_no_part_are_no_runs(part):
    labels = {RUN_LABEL: "1", ATTEMPT_LABEL: "2", PART_LABEL: part}
    assert run_of_labels(labels) is None
    assert run_of_labels({**labels, PART_LABEL: "linux-arm-v7"}) == (1, 2, PodForm.NESTED, "linux-arm-v7")
