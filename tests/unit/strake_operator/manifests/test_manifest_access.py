"""What the platform says about registries, as it arrives in the request and in the pod."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from strake_api.imagebuild import ImageBuildSpec
from strake_api.requests.build import BuildRequest
from strake_operator.handlers.follower import Follower
from strake_operator.handlers.reconciler import Reconciler
from strake_operator.manifests.job import builder_job
from strake_operator.manifests.objects import RunIdentity
from strake_operator.manifests.request import request_config_map
from strake_operator.registries.document import PlatformRegistries
from strake_operator.registries.source import RegistriesSource
from strake_operator.settings.environment import Settings
from tests.unit.strake_operator.builders import NOW, SETTINGS, SPEC, no_log
from tests.unit.strake_operator.handlers.recorded import KEY, Cluster

RUN = RunIdentity("team", "hello", "uid-1", 3, 2, "hello-abc-3-2")
PROXY = {
    "httpProxy": "http://p.example:3128",
    "httpsProxy": "http://p.example:3129",
    "noProxy": ".svc,10.0.0.0/8",
}


def settings(**document) -> Settings:
    return Settings("image", registries=PlatformRegistries.model_validate(document))


def spec(**changes) -> ImageBuildSpec:
    base = {
        "source": {"inline": {"Dockerfile": "FROM scratch"}},
        "output": {"destinations": ["r.example/app"]},
    }
    return ImageBuildSpec.model_validate({**base, **changes})


def request_of(platform: Settings, build: ImageBuildSpec = SPEC) -> BuildRequest:
    return BuildRequest.model_validate_json(request_config_map(RUN, build, platform)["data"]["request.json"])


def pod_of(platform: Settings, build: ImageBuildSpec = SPEC) -> dict:
    return builder_job(RUN, build, platform)["spec"]["template"]["spec"]


def environment_of(platform: Settings) -> dict[str, str]:
    (container,) = pod_of(platform)["containers"]
    return {each["name"]: each["value"] for each in container["env"]}


def test_a_platform_that_says_nothing():
    assert request_of(SETTINGS).registries.hosts == {}
    assert request_of(SETTINGS).ca is None
    assert environment_of(SETTINGS) == {}


def test_registries_reach_the_builder(certificates):
    ca = certificates.ca.read_text()
    platform = settings(
        registries={
            "docker.io": {"mirrors": ["m.example/hub", "n.example"], "mirrorsOnly": True},
            "r.example": {"ca": ca, "clientCertificateSecret": "client"},
            "s.example": {"insecureSkipTLSVerify": True},
            "t.example:5000": {"insecure": True},
        }
    )
    hosts = request_of(platform).registries.hosts
    assert (hosts["docker.io"].mirrors, hosts["docker.io"].mirrors_only) == (
        ("m.example/hub", "n.example"),
        True,
    )
    assert hosts["r.example"].ca == ca
    assert hosts["s.example"].insecure_skip_tls_verify
    assert hosts["t.example:5000"].insecure


def test_a_ca_for_everything_reaches_the_builder(certificates):
    ca = certificates.ca.read_text()
    assert request_of(settings(ca=ca)).ca == ca


def certificates_of(platform: Settings, build: ImageBuildSpec) -> dict[str, bool]:
    """The Secrets that the pod mounts, and whether it waits for them."""
    pod = pod_of(platform, build)
    mounts = {each["name"]: each for each in pod["initContainers"][0]["volumeMounts"]}
    found = {}
    for volume in pod["volumes"]:
        if volume["name"].startswith("certificate-"):
            secret = volume["secret"]
            assert {item["key"] for item in secret["items"]} == {"tls.crt", "tls.key"}
            assert secret["defaultMode"] == 0o444, "another user than root runs the gateway"
            mount = mounts[volume["name"]]
            assert mount["readOnly"]
            directories = {
                each.client_certificate.directory
                for each in request_of(platform, build).registries.hosts.values()
                if each.client_certificate and each.client_certificate.secret == secret["secretName"]
            }
            assert directories == {mount["mountPath"]}
            found[secret["secretName"]] = not secret["optional"]
    return found


@pytest.mark.parametrize(
    ("build", "waits"),
    [
        (spec(), {"for-r": True, "shared": False}),
        (spec(output={"destinations": ["a/b", "other.example/x"]}), {"for-r": False, "shared": True}),
        (spec(output={"destinations": ["x.example/a"]}), {"for-r": False, "shared": False}),
        (
            spec(output={"destinations": ["x.example/a"]}, cache={"repository": "s.example/cache"}),
            {"for-r": False, "shared": False},
        ),
    ],
)
def test_a_pod_waits_for_the_certificates_of_its_destinations(build, waits):
    platform = settings(
        registries={
            "r.example": {"clientCertificateSecret": "for-r"},
            "s.example": {"clientCertificateSecret": "shared"},
            "docker.io": {"clientCertificateSecret": "shared"},
        }
    )
    assert certificates_of(platform, build) == waits


def test_a_volume_tells_its_secret_where_its_name_may():
    secrets = ("a", "dots.in.it", "x" * 200)
    platform = settings(
        registries={f"r{number}.example": {"clientCertificateSecret": s} for number, s in enumerate(secrets)}
    )
    names = [each["name"] for each in pod_of(platform)["volumes"] if each["name"].startswith("certificate")]
    assert names == ["certificate-0-a", "certificate-1", "certificate-2"]


def test_keys_never_leave_their_secret(certificates):
    platform = settings(
        registries={"r.example": {"ca": certificates.ca.read_text(), "clientCertificateSecret": "client"}}
    )
    assert "PRIVATE KEY" not in request_config_map(RUN, spec(), platform)["data"]["request.json"]


def test_the_builder_gets_proxies_in_both_cases():
    assert environment_of(settings(proxy=PROXY)) == {
        "HTTP_PROXY": "http://p.example:3128",
        "http_proxy": "http://p.example:3128",
        "HTTPS_PROXY": "http://p.example:3129",
        "https_proxy": "http://p.example:3129",
        "NO_PROXY": ".svc,10.0.0.0/8",
        "no_proxy": ".svc,10.0.0.0/8",
    }


def test_steps_get_proxies_as_arguments_and_a_build_may_say_others():
    build = spec(args=[{"name": "A", "value": "1"}, {"name": "https_proxy", "value": ""}])
    args = [(each.name, each.value) for each in request_of(settings(proxy=PROXY), build).args]
    assert args == [
        ("A", "1"),
        ("https_proxy", ""),
        ("HTTP_PROXY", "http://p.example:3128"),
        ("NO_PROXY", ".svc,10.0.0.0/8"),
    ]


@pytest.mark.parametrize(
    "field", ["registries", "insecure", "mirrors", "ca", "proxy", "clientCertificateSecret"]
)
def test_an_imagebuild_cannot_ask_for_any_of_it(field):
    with pytest.raises(ValueError, match="Extra inputs are not permitted"):
        spec(**{field: {}})


def test_a_run_starts_with_what_the_file_says_now(tmp_path):
    made = []

    class Recorder(Cluster):
        async def create(self, manifest):
            made.append(manifest)
            return "uid"

    async def start(registries) -> list[str]:
        follower = Follower(no_log)
        cluster: Any = Recorder()
        reconciler = Reconciler(cluster, follower, SETTINGS, print, lambda: NOW, registries=registries)
        await reconciler.reconcile(KEY)
        await follower.close()
        request = BuildRequest.model_validate_json(made[-2]["data"]["request.json"])
        return list(request.registries.hosts)

    file = tmp_path / "registries.yaml"
    file.write_text("registries: {a.example: {insecure: true}}")
    source = RegistriesSource(str(file), ["c.example"])
    assert asyncio.run(start(source)) == ["a.example", "c.example"]
    file.write_text("registries: {bb.example: {insecure: true}}")
    assert asyncio.run(start(source)) == ["bb.example", "c.example"]
