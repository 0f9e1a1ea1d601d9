"""Which form of the pod comes after which refusal, in the words that clusters really use."""

from __future__ import annotations

import pytest

from strake_operator.isolation import (
    PodForm,
    first_form,
    form_after,
    form_after_builder,
    is_about_isolation,
    is_allowed,
)

# kubelet, containerd, runc, Pod Security, the API server's validation: each as it says it.
NO_USER_NAMESPACES = [
    "Failed to create pod sandbox: can't set `spec.hostUsers: false`, runtime does not support user namespaces",
    'can\'t set `spec.hostUsers: false`, RuntimeClass handler "gvisor" does not support user namespaces',
    'the feature gate "UserNamespacesSupport" is disabled: can\'t set spec.HostUsers',
    "failed to create containerd container: idmap mounts not supported on filesystem",
    (
        "failed to set MOUNT_ATTR_IDMAP on /var/lib/kubelet/pods/x: invalid argument (maybe the filesystem used "
        "doesn't support idmap mounts on this kernel?)"
    ),
    'admission webhook "v" denied the request: hostUsers must not be set',
]
NO_PROC = [
    (
        'pods "x" is forbidden: violates PodSecurity "baseline:v1.34": procMount (container "builder" must not '
        'set securityContext.procMount to "Unmasked")'
    ),
    (
        'Pod "x" is invalid: spec.containers[0].securityContext.procMount: Invalid value: "Unmasked": '
        "`hostUsers` must be false to use `Unmasked`"
    ),
    (
        'runc create failed: error during container init: error mounting "proc" to rootfs at "/proc": mount '
        "src=proc, dst=/proc: operation not permitted"
    ),
]
NO_FILTER = [
    'cannot load seccomp profile "/var/lib/kubelet/seccomp/strake-builder.json": no such file or directory',
    "apparmor failed to apply profile: no such file or directory",
]
OTHERS = [
    (
        'violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false, unrestricted capabilities, '
        "runAsNonRoot != true, runAsUser=0, seccompProfile (pod must set securityContext.seccompProfile.type)"
    ),
    "exceeded quota: pods=4",
    'serviceaccount "builder" not found',
    "context deadline exceeded",
    'networkPlugin cni failed to set up pod "x": no IP addresses available',
    'image "registry.example/process:1" not found',
]


@pytest.mark.parametrize("words", NO_USER_NAMESPACES + NO_PROC + NO_FILTER)
def test_words_about_isolation(words):
    assert is_about_isolation(words)


@pytest.mark.parametrize("words", OTHERS)
def test_other_words(words):
    assert not is_about_isolation(words)


@pytest.mark.parametrize(
    "name", ["userns", "seccomp", "apparmor", "idmap", "proc", "hostusers", "user-namespaces"]
)
@pytest.mark.parametrize(
    "words",
    [
        'pods "{0}-4f1c2a-1-hostusers-x7k2q" is forbidden: maximum memory usage per Container is 2Gi',
        'pods "x" is forbidden: error looking up service account {0}/builder: serviceaccount "{0}" not found',
        "creating Job {0}/{0}-4f1c2a-1: the object is too large",
        'Failed to create pod sandbox: network: no address for pod "{0}/{0}-4f1c2a-1-x7k2q"',
        'Back-off pulling image "registry.example/{0}:1"',
        'secret "{0}" not found',
    ],
)
def test_names_that_sound_like_it(words, name):
    assert not is_about_isolation(words.format(name))


@pytest.mark.parametrize("words", NO_USER_NAMESPACES)
@pytest.mark.parametrize("form", [PodForm.NESTED, PodForm.MASKED, PodForm.CHROOT])
def test_without_user_namespaces_there_are_the_hosts(form, words):
    assert form_after(form, words, "auto") is PodForm.HOST_USERS
    assert form_after(form, words, "nested") is None


@pytest.mark.parametrize("words", NO_PROC)
def test_a_proc_that_is_refused_costs_the_proc_alone(words):
    assert form_after(PodForm.NESTED, words, "auto") is PodForm.MASKED
    assert form_after(PodForm.NESTED, words, "nested") is PodForm.MASKED
    assert form_after(PodForm.MASKED, words, "auto") is PodForm.CHROOT


@pytest.mark.parametrize("words", [*NO_FILTER, "context deadline exceeded"])
def test_anything_else_keeps_the_pods_user_namespace(words):
    assert form_after(PodForm.NESTED, words, "auto") is PodForm.CHROOT
    assert form_after(PodForm.CHROOT, words, "auto") is None
    assert form_after(PodForm.NESTED, words, "nested") is None


def test_what_a_builder_misses_is_not_its_pods_user_namespace():
    assert form_after_builder(PodForm.NESTED, "auto") is PodForm.CHROOT
    assert form_after_builder(PodForm.MASKED, "auto") is PodForm.CHROOT
    assert form_after_builder(PodForm.NESTED, "nested") is None
    assert form_after_builder(PodForm.CHROOT, "auto") is None


@pytest.mark.parametrize("words", NO_USER_NAMESPACES + NO_PROC + NO_FILTER + OTHERS)
@pytest.mark.parametrize("setting", ["auto", "nested", "chroot"])
def test_forms_only_get_less_strict_and_come_to_an_end(words, setting):
    form: PodForm | None = first_form(setting)
    tried: list[PodForm] = []
    while form is not None:
        assert is_allowed(form, setting)
        assert not tried or form.rank > tried[-1].rank
        tried.append(form)
        form = form_after(form, words, setting)
