"""What the chart makes of values, and which values it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from strake_api.buildpolicy import BuildPolicySpec
from strake_operator.registries.document import PlatformRegistries
from strake_operator.settings.environment import read_settings
from tests.helm.charts import CHART, KUBERNETES, MAJORS, helm, rendered, template

EVERYTHING = Path(__file__).with_name("everything.yaml")
DIGEST = f"sha256:{'e' * 64}"


@pytest.fixture(scope="module")
def everything():
    return rendered(f"--values={EVERYTHING}", namespace="platform")


def pod(objects):
    return objects["Deployment", "platform", "strake-operator"]["spec"]["template"]


@pytest.mark.parametrize("major", MAJORS)
@pytest.mark.parametrize("words", [[], [f"--values={EVERYTHING}"]], ids=["defaults", "everything"])
def test_helm_finds_nothing_wrong(words, major):
    done = helm("lint", "--strict", f"--kube-version={KUBERNETES}", *words, str(CHART), major=major)
    assert done.returncode == 0, done.stdout
    assert "[WARNING]" not in done.stdout


def test_every_helm_renders_the_same(everything):
    assert rendered(f"--values={EVERYTHING}", namespace="platform", major=4) == everything


def test_every_helm_refuses_a_mistake_in_values():
    done = template("--set=settings.maxrun=3", major=4)
    assert (done.returncode, done.stdout) == (1, "")
    assert "at '/settings': additional properties 'maxrun' not allowed" in done.stderr


def test_the_defaults_are_settings_of_the_operator():
    settings = rendered()["ConfigMap", "strake-system", "strake-operator"]["data"]
    assert read_settings(settings).max_runs == 100


def test_values_become_settings_as_the_operator_reads_them(everything):
    data = everything["ConfigMap", "platform", "strake-operator"]["data"]
    assert data["STRAKE_MAX_RUNS"] == "1000000", "no 1e+06"
    assert data["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://collector.test:4318"
    assert "STRAKE_KEEP_SECONDS" not in data, "null leaves a setting out"
    found = read_settings(data)
    assert found.builder_image == "registry.test/builder:1.2"
    assert found.denied_networks[-2:] == ("10.0.0.0/8", "fc00::/7")
    assert (found.resources.cpu_limit, found.resources.memory_limit) == ("0.5", None)
    assert found.seccomp_profile == "strake-builder.json", "of the DaemonSet that the chart has"
    assert (found.mounts_bases, found.native_nodes_only) == (False, True)


def test_registries_are_a_file_that_the_operator_reads(everything):
    data = everything["ConfigMap", "platform", "strake-registries"]["data"]
    document = PlatformRegistries.model_validate(yaml.safe_load(data["registries.yaml"]))
    assert document.registries["docker.io"].mirrors_only
    assert data["company.crt"] == "certificates\n"


def test_a_build_policy_is_one(everything):
    policy = everything["BuildPolicy", "", "teams"]
    assert BuildPolicySpec.model_validate(policy["spec"]).max_runs == 100_000


def test_the_pods_have_what_values_say(everything):
    spec, metadata = pod(everything)["spec"], pod(everything)["metadata"]
    (container,) = spec["containers"]
    assert container["image"] == f"registry.test/operator@{DIGEST}"
    assert container["imagePullPolicy"] == "Always"
    assert container["resources"]["limits"] == {"memory": "1Gi"}
    assert [each["name"] for each in container["env"]][-2:] == ["OTEL_SERVICE_NAME", "STRAKE_EVENTS_URL"]
    assert spec["imagePullSecrets"] == [{"name": "pull"}]
    assert spec["priorityClassName"] == "high"
    assert spec["nodeSelector"] == {"kubernetes.io/arch": "amd64"}
    assert spec["tolerations"] == [{"operator": "Exists"}]
    assert "nodeAffinity" in spec["affinity"]
    assert "topologySpreadConstraints" not in spec
    assert spec["volumes"][1]["secret"]["secretName"] == "signing"
    assert metadata["labels"] == {
        "app.kubernetes.io/name": "strake-operator",  # the selector's counts, whatever podLabels say
        "part": "pods",
        "team": "platform",
    }
    assert metadata["annotations"]["example.com/pods"] == "yes"


def test_every_object_has_the_labels_and_annotations_for_all(everything):
    for key, each in everything.items():
        assert each["metadata"]["labels"]["team"] == "platform", key
        assert each["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "Helm", key
        assert each["metadata"]["annotations"]["example.com/owner"] == "platform", key


def test_network_policies_get_rules_and_keep_theirs(everything):
    policy = everything["NetworkPolicy", "platform", "strake-operator"]["spec"]
    assert policy["ingress"] == [{"ports": [{"port": 8081}]}]
    assert policy["egress"][-1] == {"ports": [{"port": 4318}]}
    assert len(policy["egress"]) == 3
    for namespace in ("team-a", "team-b"):
        egress = everything["NetworkPolicy", namespace, "strake-builders"]["spec"]["egress"]
        assert egress[-1] == {"ports": [{"port": 5000}]}
        assert "10.0.0.0/8" in str(egress[1])


def test_the_dashboard_is_what_grafana_reads(everything):
    dashboard = everything["ConfigMap", "platform", "strake-dashboard"]
    assert dashboard["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert yaml.safe_load(dashboard["data"]["strake.json"])["panels"]
    monitor = everything["PodMonitor", "platform", "strake-operator"]
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert monitor["spec"]["podMetricsEndpoints"][0]["interval"] == "1m"


def test_the_operator_alone_makes_objects_with_its_labels_wherever_it_is(everything):
    policy = everything["ValidatingAdmissionPolicy", "", "strake-origin"]
    (operator,) = [each for each in policy["spec"]["variables"] if each["name"] == "operator"]
    assert operator["expression"] == "'system:serviceaccount:platform:strake-operator'"
    for kind, namespace in (("ClusterRoleBinding", ""), ("RoleBinding", "platform")):
        (subject,) = everything[kind, namespace, "strake-operator"]["subjects"]
        assert subject["namespace"] == "platform"


@pytest.mark.parametrize(
    ("values", "gone"),
    [
        ("crds.install=false", "CustomResourceDefinition"),
        ("admission.install=false", "ValidatingAdmissionPolicy"),
        ("podDisruptionBudget.enabled=false", "PodDisruptionBudget"),
    ],
)
def test_what_is_off_is_not_there(values, gone):
    assert gone not in {kind for kind, _, _ in rendered(f"--set={values}")}


def test_roles_for_people_can_be_left_out():
    names = {name for kind, _, name in rendered("--set=rbac.aggregate=false") if kind == "ClusterRole"}
    assert names == {"strake-operator"}


def test_crds_stay_when_the_release_goes():
    for (kind, _, name), each in rendered().items():
        if kind == "CustomResourceDefinition":
            assert each["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}, name


def test_a_changed_setting_restarts_the_operator_and_nothing_else_does():
    def checksums(*words):
        (found,) = [each for key, each in rendered(*words).items() if key[0] == "Deployment"]
        return found["spec"]["template"]["metadata"]["annotations"]

    before = checksums()
    assert checksums("--set=replicas=1") == before
    assert checksums("--set=settings.attempts=1") != before
    assert checksums("--set=registries.settings.registries.a\\.test.insecure=true") != before


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("replica=3", "'replica' not allowed"),
        ("settings.maxrun=3", "at '/settings': additional properties 'maxrun' not allowed"),
        ("settings.maxRuns=many", "at '/settings/maxRuns': got string"),
        ("settings.isolation=none", "at '/settings/isolation': value must be one of 'auto'"),
        ("settings.leaseSeconds=1", "at '/settings/leaseSeconds'"),
        ("settings.baseImages={debian:12}", "at '/settings/baseImages/0'"),
        ("buildPolicies.a.destinatons={x}", "'destinatons' not allowed"),
        ("registries.settings.registries.a.mirror={x}", "'mirror' not allowed"),
        ("image.digest=sha256:12", "at '/image/digest'"),
        ("networkPolicy.builders.namespaces=builds", "got string, want array"),
        ("imagePullSecrets={pull}", "at '/imagePullSecrets/0': got string, want object"),
        ("registries.files.registries\\.yaml=x", "made of registries.settings"),
    ],
)
def test_a_mistake_in_values_is_refused(value, message):
    done = template(f"--set={value}")
    assert done.returncode == 1
    assert message in done.stderr
    assert not done.stdout


@pytest.mark.parametrize(
    "value",
    [
        'image.tag=1"\n          command: [sh]',
        "settings.runtimeClass=a\n  STRAKE_EVENTS_URL: http://evil.test",
        "builderImage.repository=a: {{ .Values }}",
    ],
)
def test_a_value_with_lines_of_its_own_is_refused(value):
    assert template(f"--set-string={value}").returncode == 1


def test_a_free_text_stays_one_value():
    text = 'registry.test/logs"\nSTRAKE_ISOLATION: chroot\nx: {{ .Release.Name }}'
    data = rendered(f"--set-string=settings.logRepository={text}")[
        "ConfigMap", "strake-system", "strake-operator"
    ]["data"]
    assert data["STRAKE_LOG_REPOSITORY"] == text
    assert data["STRAKE_ISOLATION"] == "auto"
