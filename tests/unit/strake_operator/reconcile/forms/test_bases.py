"""Base images as volumes of a run's pod: which, and what happens where one does not come."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from strake_api.result import BaseImage
from strake_api.status import ImageBuildStatus, IsolationStatus, ResolvedImage
from strake_operator.handlers.experience import Experience
from strake_operator.isolation import PodForm
from strake_operator.names import job_name, may_be_a_run
from strake_operator.reconcile.decide import decide
from strake_operator.reconcile.decision import StartRun, StopRun
from strake_operator.reconcile.ends.refusal import refused
from strake_operator.reconcile.forms.bases import BaseLesson, base_volumes
from strake_operator.reconcile.observed import Running, Waiting
from strake_operator.status import ending
from tests.fixtures.narrow import instance, present
from tests.unit.strake_operator.builders import NOW, SETTINGS, SPEC, SUCCESS, pod, problem, run, seen

MANIFEST = "sha256:" + "e" * 64
DEBIAN = f"docker.io/library/debian@{MANIFEST}"
LISTED = f"r.example/base@sha256:{'f' * 64}"
PLAIN = job_name("hello", "uid-1", 1, 1, plain=True)
FIRST = job_name("hello", "uid-1", 1, 1)
BEGUN = replace(seen(), bases=(DEBIAN, LISTED))


def last_run(reference="debian:12", manifest=MANIFEST):
    base = ResolvedImage(reference=reference, digest="sha256:" + "d" * 64, manifest=manifest)
    return ImageBuildStatus(base_images=(base,))


@pytest.mark.parametrize(
    ("status", "settings", "refusals", "volumes"),
    [
        (ImageBuildStatus(), {}, (), ()),
        (last_run(), {}, (), (DEBIAN,)),
        (last_run(), {"base_images": (LISTED, DEBIAN)}, (), (DEBIAN, LISTED)),
        (last_run(), {"base_images": (LISTED,)}, (DEBIAN,), (LISTED,)),
        (last_run(), {"base_images": (LISTED,)}, (None,), ()),
        (last_run(), {"base_images": (LISTED,), "mounts_bases": False}, (), ()),
        (last_run(manifest=None), {}, (), ()),
        (last_run(manifest="sha256:0 evil"), {}, (), ()),
        (last_run(reference="not a reference!"), {}, (), ()),
        (last_run("r.example:5000/a/b:1@sha256:" + "0" * 64), {}, (), (f"r.example:5000/a/b@{MANIFEST}",)),
    ],
)
def test_a_run_mounts_what_the_last_one_was_built_on_and_what_the_platform_lists(
    status, settings, refusals, volumes
):
    assert base_volumes(status, replace(SETTINGS, **settings), refusals) == volumes


def test_a_pod_does_not_mount_more_than_it_can_start_with():
    many = tuple(f"r.example/base{number}@{MANIFEST}" for number in range(20))
    assert len(base_volumes(last_run(), replace(SETTINGS, base_images=many), ())) == 8


@pytest.mark.parametrize(("kind", "kept"), [("nested", MANIFEST), ("chroot", None)])
def test_only_a_result_that_no_step_can_write_names_volumes(kind, kept):
    """In a chroot a step can report what it likes: an image that its namespace may not pull, for example."""
    result = SUCCESS.model_copy(
        update={"base_images": (BaseImage(reference="debian:12", digest=MANIFEST, manifest=MANIFEST),)}
    )
    before = ImageBuildStatus(isolation=IsolationStatus(kind=kind))
    done = ending.succeeded(before, result, SPEC.output.destinations, NOW, NOW)
    assert present(done.base_images)[0].manifest == kept
    again = decide(seen(status=done, generation=7), SETTINGS, NOW)
    assert again.status.base_images == done.base_images


def test_a_run_begins_with_the_volumes():
    [start] = decide(BEGUN, SETTINGS, NOW).actions
    assert start == StartRun(FIRST, 1, 1, bases=(DEBIAN, LISTED))


def begun(container, since=NOW, **changes):
    made = run(
        job=FIRST,
        bases=(DEBIAN, LISTED),
        pod=pod(container, phase="Pending", node="n1", since=since),
        **changes,
    )
    return replace(BEGUN, runs=(made,))


PULL = f'Back-off pulling image "{LISTED}": ErrImagePull: not found'
REFUSALS = {
    "gone": (Waiting("ImagePullBackOff", PULL), LISTED),
    "at once": (Waiting("ErrImagePull", f"cannot pull {DEBIAN}: denied"), DEBIAN),
    "an old runtime": (Waiting("CreateContainerError", "image volumes are not supported"), None),
    "an old runtime, otherwise": (
        Waiting("CreateContainerError", 'failed to generate spec: volume "base-0" has no host path'),
        None,
    ),
}


@pytest.mark.parametrize(("container", "reference"), REFUSALS.values(), ids=REFUSALS)
def test_the_same_attempt_starts_again_without_a_volume_that_does_not_come(container, reference):
    decision = decide(begun(container), SETTINGS, NOW)
    first, stop = decision.actions
    start = instance(first, StartRun)
    assert (start.job, start.attempt, start.form, start.bases) == (PLAIN, 1, PodForm.NESTED, ())
    assert present(start.plain).startswith("on node n1: ")
    assert stop == StopRun(FIRST)
    assert decision.lessons == (BaseLesson("team", reference),)
    assert "without base images from the node" in present(decision.status.progress)
    assert decision.status.job == PLAIN
    assert decision.status.attempts == 1


def test_a_rule_against_image_volumes_costs_no_attempt_either():
    denied = problem("Error creating: policy x denied request: no image volumes here", reason="FailedCreate")
    refusing = replace(begun(None).runs[0], pod=None, problems=(denied,))
    decision = decide(replace(BEGUN, runs=(refusing,)), SETTINGS, NOW)
    assert instance(decision.actions[0], StartRun).job == PLAIN
    assert decision.lessons == (BaseLesson("team", None),)
    late = replace(refusing, problems=(replace(denied, message="Error creating: volumes: timed out"),))
    assert not decide(replace(BEGUN, runs=(late,)), SETTINGS, NOW).actions


def test_a_pull_that_takes_too_long_is_given_up_on_time():
    waiting = Waiting("ContainerCreating", "")
    going_on = decide(begun(waiting, NOW - timedelta(seconds=20)), SETTINGS, NOW)
    assert not going_on.actions
    assert going_on.requeue_after == 40
    late = decide(begun(waiting, NOW - timedelta(seconds=60)), SETTINGS, NOW)
    assert instance(late.actions[0], StartRun).job == PLAIN
    assert not decide(begun(Running(), NOW - timedelta(hours=1)), SETTINGS, NOW).actions


def test_the_builders_own_image_is_no_volume():
    decision = decide(begun(Waiting("ErrImagePull", "cannot pull strake/builder:test")), SETTINGS, NOW)
    assert not decision.actions
    assert "the builder's own image cannot be pulled" in present(decision.status.progress)


def test_a_restarted_operator_goes_on_without_the_volumes():
    first = begun(Waiting("ErrImagePull", PULL)).runs[0]
    plain = run(job=PLAIN, plain="why", pod=None)
    both = decide(replace(BEGUN, runs=(plain, first)), SETTINGS, NOW)
    assert both.actions == (StopRun(FIRST),)
    assert both.status.job == PLAIN


def test_a_form_that_is_refused_keeps_what_is_known_of_volumes():
    forbidden = problem("Error creating: procMount is forbidden", reason="FailedCreate")
    mounted = replace(begun(None).runs[0], pod=None, problems=(forbidden,))
    plain = replace(mounted, job=PLAIN, bases=(), plain="why")
    with_volumes = instance(decide(replace(BEGUN, runs=(mounted,)), SETTINGS, NOW).actions[0], StartRun)
    without = instance(decide(replace(BEGUN, runs=(plain,)), SETTINGS, NOW).actions[0], StartRun)
    assert (with_volumes.form, with_volumes.bases, with_volumes.plain) == (
        PodForm.MASKED,
        (DEBIAN, LISTED),
        None,
    )
    assert (without.form, without.bases, without.plain) == (PodForm.MASKED, (), "why")
    assert without.job == job_name("hello", "uid-1", 1, 1, PodForm.MASKED, plain=True)
    assert may_be_a_run(without.job)


def test_an_api_server_without_image_volumes_is_noticed_and_remembered():
    words = 'Job "x" is invalid: spec.template.spec.volumes[4]: Required value: must specify a volume type'
    [start] = decide(BEGUN, SETTINGS, NOW).actions
    decision = refused(BEGUN, [start], words, SETTINGS, NOW, forbidden=False)
    assert decision.requeue_after == 0
    assert decision.lessons == (BaseLesson("team", None),)
    experience = Experience("auto")
    experience.note(decision.lessons[0], NOW)
    assert experience.refused_bases("team", NOW) == {None}
    assert experience.refused_bases("other", NOW) == frozenset()
    assert experience.refused_bases("team", NOW + timedelta(hours=2)) == frozenset()
    other = refused(
        BEGUN, [replace(instance(start, StartRun), bases=())], words, SETTINGS, NOW, forbidden=False
    )
    assert other.status.phase == "Failed"
