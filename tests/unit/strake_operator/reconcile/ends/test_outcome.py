"""How a run ended: the builder's words, corrected by what it cannot know."""

from __future__ import annotations

import re

import pytest

from strake_api.reasons import FailureReason
from strake_api.result import BuildFailed
from strake_operator.reconcile.ends import outcome as module
from strake_operator.reconcile.ends.blocker import Blocker, blocker
from strake_operator.reconcile.observed import PodContainer, Running, Waiting
from tests.fixtures.narrow import instance, present
from tests.unit.strake_operator.builders import FAILURE, SPEC, SUCCESS, ended, pod, problem, run

CANCELLED = BuildFailed(reason=FailureReason.CANCELLED, message="stopped by a signal").to_json()


def outcome(ended_run):
    return module.outcome(ended_run, SPEC)


def failed(a_run) -> BuildFailed:
    return instance(outcome(a_run), BuildFailed)


def reason_of(**changes) -> FailureReason:
    return failed(run(**changes)).reason


def blocked(a_run) -> Blocker:
    return present(blocker(a_run))


def test_a_running_builder_has_no_outcome():
    assert outcome(run()) is None
    assert outcome(run(pod=None)) is None
    assert outcome(run(pod=pod(Waiting("ContainerCreating", "")))) is None


def test_the_builder_is_believed():
    assert outcome(run(pod=pod(ended(SUCCESS.to_json(), exit_code=0)))) == SUCCESS
    assert outcome(run(pod=pod(ended(FAILURE.to_json())))) == FAILURE


def test_a_success_without_a_digest_is_none():
    words = SUCCESS.model_copy(update={"digest": None}).to_json()
    assert reason_of(pod=pod(ended(words, exit_code=0))) is FailureReason.INTERNAL_ERROR


def test_an_image_that_is_pushed_is_pushed():
    """A deadline or an eviction after the push takes nothing back."""
    late = run(
        pod=pod(ended(SUCCESS.to_json(), exit_code=137), disrupted="drain"), failure="DeadlineExceeded"
    )
    assert outcome(late) == SUCCESS


@pytest.mark.parametrize("message", ["", CANCELLED], ids=["silent", "cancelled"])
def test_a_signal_that_meant_the_deadline(message):
    assert reason_of(pod=pod(ended(message)), failure="DeadlineExceeded") is FailureReason.TIMED_OUT


@pytest.mark.parametrize("message", ["", CANCELLED], ids=["silent", "cancelled"])
def test_a_signal_that_meant_an_eviction(message):
    assert reason_of(pod=pod(ended(message), disrupted="memory pressure")) is FailureReason.EVICTED


def test_a_pod_that_never_started_before_the_deadline():
    stuck = run(pod=None, failure="DeadlineExceeded", problems=(problem('secret "push" not found'),))
    result = failed(stuck)
    assert result.reason is FailureReason.TIMED_OUT
    assert 'Secret "push" does not exist' in result.message


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"pod": None, "failure": "BackoffLimitExceeded"}, FailureReason.EVICTED),
        ({"pod": pod(Running(), lost=True)}, FailureReason.EVICTED),
        ({"pod": pod(None, phase="Failed", disrupted="preempted")}, FailureReason.EVICTED),
        (
            {"pod": pod(None, phase="Failed"), "failure": "BackoffLimitExceeded", "finished": True},
            FailureReason.INTERNAL_ERROR,
        ),
        ({"pod": None, "finished": True}, FailureReason.EVICTED),
    ],
    ids=["pod gone", "node lost", "preempted", "no container", "result gone"],
)
def test_what_only_kubernetes_knows(changes, expected):
    assert reason_of(**changes) is expected


def test_a_builder_that_broke_shows_its_last_words():
    result = failed(run(pod=pod(ended("ImportError: no module\n", exit_code=1))))
    assert result.reason is FailureReason.INTERNAL_ERROR
    assert "status 1" in result.message
    assert result.log_tail == ("ImportError: no module",)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ('MountVolume.SetUp failed for volume "push" : secret "p" not found', FailureReason.SECRET_NOT_FOUND),
        (
            'MountVolume.SetUp failed for volume "push" : references non-existent secret key: .dockerconfigjson',
            FailureReason.SECRET_NOT_FOUND,
        ),
        (
            'MountVolume.SetUp failed for volume "c" : configmap "c" not found',
            FailureReason.SOURCE_FETCH_FAILED,
        ),
        (
            'pods "x-" is forbidden: error looking up service account t/b: serviceaccount "b" not found',
            FailureReason.SERVICE_ACCOUNT_NOT_FOUND,
        ),
        ('pods "x" is forbidden: violates PodSecurity "restricted:latest"', FailureReason.POLICY_DENIED),
        (
            'pods "x-" is forbidden: pod rejected: RuntimeClass "nope" not found',
            FailureReason.RUNTIME_CLASS_NOT_FOUND,
        ),
    ],
)
def test_events_name_what_is_missing(words, expected):
    found = blocked(run(pod=None, problems=(problem("noise"), problem(words, reason="FailedCreate"))))
    assert found.reason is expected


def test_a_secret_without_a_key_to_sign_with_is_named_by_the_field():
    words = 'MountVolume.SetUp failed for volume "signing" : references non-existent secret key: cosign.key'
    found = blocked(run(pod=None, problems=(problem(words),)))
    assert found.reason is FailureReason.SECRET_NOT_FOUND
    assert "the Secret of spec.output.sign has no key cosign.key" in found.message


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        (".dockerconfigjson", "kubernetes.io/dockerconfigjson"),
        ("ssh-privatekey", "kubernetes.io/ssh-auth"),
        (".npmrc", None),
    ],
)
def test_a_key_that_is_missing_tells_the_type_that_has_it(key, kind):
    words = f'MountVolume.SetUp failed for volume "given" : references non-existent secret key: {key}'
    found = blocked(run(pod=None, problems=(problem(words),)))
    assert found.reason is FailureReason.SECRET_NOT_FOUND
    assert f"has no key {key}" in found.message
    assert f"of type {kind}" in found.message if kind else "of type" not in found.message


@pytest.mark.parametrize(
    ("volume", "words", "message"),
    [
        ("0-reg-client", 'secret "reg-client" not found', '"reg-client" does not.*tls reg-client --cert'),
        ("0-reg-client", "references non-existent secret key: tls.key", '"reg-client" .*has no key tls.key'),
        ("12", 'secret "reg.client" not found', '"reg.client" does not.*tls reg.client --cert'),
        (
            "12",
            "references non-existent secret key: tls.crt",
            "a Secret .*has no key.*secret tls NAME --cert",
        ),
    ],
)
def test_a_client_certificate_is_the_platforms_wish(volume, words, message):
    words = f'MountVolume.SetUp failed for volume "certificate-{volume}" : {words}'
    found = blocked(run(pod=None, problems=(problem(words),)))
    assert found.reason is FailureReason.SECRET_NOT_FOUND
    assert re.search(message, found.message)
    assert "the platform's settings" in found.message


@pytest.mark.parametrize(
    ("waiting", "expected"),
    [
        (Waiting("CreateContainerError", "no user namespaces"), FailureReason.ISOLATION_UNAVAILABLE),
        (Waiting("CreateContainerError", "context deadline exceeded"), FailureReason.UNSUPPORTED),
        (Waiting("RunContainerError", ""), FailureReason.UNSUPPORTED),
    ],
)
def test_a_container_that_cannot_start(waiting, expected):
    assert blocked(run(pod=pod(waiting))).reason is expected


@pytest.mark.parametrize("reason", ["StartError", "ContainerCannotRun"])
def test_a_container_that_never_ran_says_why(reason):
    result = failed(run(pod=pod(ended("exec: no such file", exit_code=128, reason=reason))))
    assert result.reason is FailureReason.UNSUPPORTED
    assert result.message == "the builder cannot start on its node: exec: no such file"


def test_a_missing_account_is_named():
    words = 'error looking up service account team/builder: serviceaccount "builder" not found'
    found = blocked(run(pod=None, problems=(problem(words),)))
    assert found.message.startswith('ServiceAccount "builder" does not exist in this namespace: create it')


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ('secret "team-pull" not found', 'Secret "team-pull" does not exist in this namespace'),
        (
            "references non-existent secret key: .dockerconfigjson",
            "a Secret in this namespace has no key .dockerconfigjson",
        ),
    ],
)
def test_a_missing_pull_secret_of_a_policy_names_the_policy(words, told):
    event = f'MountVolume.SetUp failed for volume "default-pull" : {words}'
    found = blocked(run(pod=pod(), problems=(problem(event),)))
    assert found.reason is FailureReason.SECRET_NOT_FOUND
    assert found.message.startswith(told)
    assert "a BuildPolicy gives it to builds without a pullSecret (defaultPullSecret)" in found.message
    own = blocked(run(pod=None, problems=(problem(event.replace("default-pull", "pull")),)))
    assert "BuildPolicy" not in own.message


def test_a_missing_runtime_class_is_named():
    words = 'Error creating: pods "x-" is forbidden: pod rejected: RuntimeClass "nope" not found'
    found = blocker(run(pod=None, problems=(problem(words, reason="FailedCreate"),)))
    assert present(found).message.startswith('RuntimeClass "nope" does not exist in this cluster')
    assert "spec.pod.runtimeClassName" in present(found).message


@pytest.mark.parametrize(
    "words",
    [
        'failed to get sandbox runtime: no runtime for "nope" is configured',
        "failed to find runtime handler nope from runtime list map[crun:0xc000]",
    ],
    ids=["containerd", "CRI-O"],
)
def test_a_runtime_that_the_node_lacks_is_named(words):
    words = f"Failed to create pod sandbox: rpc error: code = Unknown desc = {words}"
    found = blocker(run(pod=pod(None), problems=(problem(words, reason="FailedCreatePodSandBox"),)))
    assert present(found).reason is FailureReason.UNSUPPORTED
    assert "the node has no runtime nope, the handler of the pod's RuntimeClass" in present(found).message


def test_nothing_in_the_way():
    assert (
        blocker(run(pod=pod(Waiting("ContainerCreating", "")), problems=(problem("MissingClusterDNS"),)))
        is None
    )


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (None, None),
        ("BackoffLimitExceeded", FailureReason.EVICTED),
        ("DeadlineExceeded", FailureReason.TIMED_OUT),
    ],
)
def test_a_pod_that_is_deleted_waits_for_the_jobs_word(failure, expected):
    result = outcome(run(pod=pod(ended("", exit_code=137), deleting=True), failure=failure))
    assert (result and instance(result, BuildFailed).reason) == expected


def test_a_builder_that_is_being_ended_may_still_say_something():
    assert outcome(run(pod=pod(Running(), deleting=True), failure="DeadlineExceeded")) is None
    assert reason_of(pod=pod(Running()), failure="DeadlineExceeded", finished=True) is FailureReason.TIMED_OUT


@pytest.mark.parametrize(
    ("words", "expected", "temporary"),
    [
        (
            'pods "x" is forbidden: maximum memory usage per Container is 128Mi, but limit is 1Gi',
            "PolicyDenied",
            False,
        ),
        ('pods "x" is forbidden: failed quota: q: must specify limits.cpu', "PolicyDenied", False),
        ("pods \"x\" is forbidden: ValidatingAdmissionPolicy 'p' denied request: no", "PolicyDenied", False),
        ('Pod "x" is invalid: spec.containers[0].resources.requests: too much', "InvalidRequest", False),
        ("a teapot has no room", "PolicyDenied", False),
        ('Internal error occurred: failed calling webhook "w": connection refused', "PolicyDenied", True),
        ('admission webhook "w" denied the request: set a timeout', "PolicyDenied", False),
        (
            "pods \"x\" is invalid: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: unavailable",
            "PolicyDenied",
            False,
        ),
    ],
)
def test_whatever_refuses_the_pod_is_heard(words, expected, temporary):
    found = blocked(run(pod=None, problems=(problem(f"Error creating: {words}", reason="FailedCreate"),)))
    assert (found.reason, found.temporary) == (expected, temporary)
    assert found.message.endswith(words)


def test_a_webhook_that_does_not_answer_is_named():
    words = 'Internal error occurred: failed calling webhook "w.example": connection refused'
    found = blocked(run(pod=None, problems=(problem(f"Error creating: {words}", reason="FailedCreate"),)))
    assert found.message.startswith("admission webhook w.example does not answer")


@pytest.mark.parametrize("message", ["", SUCCESS.to_json()], ids=["silent", "with a result"])
def test_a_container_that_was_added_and_fails_is_named_and_not_believed(message):
    added = PodContainer("istio-init")
    result = failed(run(pod=pod(ended(message, exit_code=3), subject=added)))
    assert result.reason is FailureReason.UNSUPPORTED
    assert "container istio-init, which a rule of the cluster added" in result.message
    assert "ended with status 3" in result.message


@pytest.mark.parametrize(
    "state",
    [
        Waiting("CreateContainerError", "no such file"),
        Waiting("CrashLoopBackOff", "back-off restarting"),
        ended("no such file", exit_code=128, reason="StartError"),
    ],
    ids=lambda state: state.reason,
)
def test_a_container_that_was_added_and_cannot_start_is_named(state):
    stuck = run(pod=pod(state, subject=PodContainer("istio-init")))
    message = blocked(stuck).message if isinstance(state, Waiting) else failed(stuck).message
    assert message.startswith("the builder did not start: container istio-init, which a rule of the cluster")
    assert state.message in message


def test_a_node_that_is_silent_or_lost_the_container_is_named():
    assert "node n1 does not answer" in failed(run(pod=pod(Running(), lost=True, node="n1"))).message
    lost = ended("", exit_code=137, reason="ContainerStatusUnknown")
    assert "node n1 lost it" in failed(run(pod=pod(lost, node="n1"))).message


def test_a_refusal_is_over_when_there_is_a_pod():
    refusal = problem("Error creating: no", reason="FailedCreate")
    assert blocker(run(pod=pod(Waiting("ContainerCreating", "")), problems=(refusal,))) is None


def test_a_pod_that_no_node_took_says_so():
    late = run(pod=pod(None, unschedulable="0/3 nodes"), failure="DeadlineExceeded", finished=True)
    assert "0/3 nodes" in outcome(late).message
