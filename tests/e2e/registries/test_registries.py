"""Registries behind a private CA, a client certificate, a mirror and a proxy, as the platform names them."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from strake_oci.registry import ClientSettings, RegistryClient, RegistrySettings, TLSSettings
from strake_oci.registry.images import RegistryImages
from strake_oci.spec.reference import Reference
from strake_oci.stores.layout import Layout
from strake_oci.transfers.copying import copy_image
from tests.cluster.kubectl import kubectl
from tests.cluster.objects import apply, get
from tests.cluster.settings import NODE_IP, REGISTRY
from tests.demo.installation import NAMESPACE
from tests.e2e.builds import build, finished, manifest, pods, run_image, status_of, until
from tests.fixtures.servers.certificates import Certificates, make_certificates
from tests.fixtures.servers.proxy import Proxy, running_proxy
from tests.fixtures.servers.registry import LocalRegistry, running_registry
from tests.fixtures.servers.web import make_repository, running_web_server
from tests.images.layouts import image_layout

SECRET = "registry-client"


@dataclass(frozen=True)
class Company:
    """A network as companies have it.

    Attributes:
        private: shows a certificate of the company's CA and asks for one.
        mirror: of registry.invalid, below a prefix; has the company's certificate, too.
        proxy: the only way to registry.example, which is the mirror.
    """

    certificates: Certificates
    private: LocalRegistry
    mirror: LocalRegistry
    proxy: Proxy

    @property
    def outside(self) -> str:
        return f"registry.example:{self.mirror.host.rpartition(':')[2]}"

    def files(self, **more) -> dict[str, str]:
        """The platform's ConfigMap."""
        registries = {
            "registry.invalid": {"mirrors": [f"{self.mirror.host}/hub"], "mirrorsOnly": True},
            self.private.host: {"ca": self.certificates.ca.read_text(), "clientCertificateSecret": SECRET},
            **more,
        }
        proxy = {"httpsProxy": self.proxy.url, "noProxy": f"{NODE_IP},.svc"}
        settings = {"caFile": "company-ca.crt", "registries": registries, "proxy": proxy}  # JSON is YAML
        return {"registries.yaml": json.dumps(settings), "company-ca.crt": self.certificates.ca.read_text()}

    def client(self) -> RegistryClient:
        made = self.certificates
        tls = TLSSettings((made.ca,), client_certificate=made.client, client_key=made.client_key)
        entry = RegistrySettings(tls=tls)
        return RegistryClient(ClientSettings({self.private.host: entry, self.mirror.host: entry}))


@pytest.fixture(scope="module")
def company(platform, tmp_path_factory):
    """Strake installed for such a network; as it was before afterwards."""
    made = make_certificates(tmp_path_factory.mktemp("certificates"), f"IP:{NODE_IP}", "DNS:registry.example")
    with (
        running_registry(tls=made.demanding_client(), address=NODE_IP) as private,
        running_registry(tls=made, address=NODE_IP) as mirror,
        running_proxy(NODE_IP) as proxy,
    ):
        company = Company(made, private, mirror, proxy)
        with company.client() as client:
            place = RegistryImages(client, mirror.repository("hub/team/tiny"))
            copy_image(Layout(image_layout("tiny")), "latest", place, "1")
        with platform.changed(registries=company.files()):
            yield company


@pytest.fixture
def patient(platform, company):
    """An operator that waits as long as the slowest machine takes."""
    with platform.changed(STRAKE_GRACE_SECONDS="100"):
        yield


def make_secret(company: Company, namespace: str) -> None:
    files = (f"--cert={company.certificates.client}", f"--key={company.certificates.client_key}")
    kubectl("create", "secret", "tls", SECRET, "-n", namespace, *files)


BASE = "FROM registry.invalid/team/tiny:1\n"


def test_from_a_mirror_to_a_private_registry_and_back(company, namespace):
    make_secret(company, namespace)
    name = f"{company.private.host}/{namespace}/app:1"
    status = build(
        namespace,
        f"{BASE}RUN echo private > /made\n",
        output={"destinations": [name]},
        cache={"repository": f"{company.private.host}/{namespace}/cache"},
    )
    assert status["phase"] == "Succeeded", status
    assert status["baseImages"][0]["reference"] == "registry.invalid/team/tiny:1"
    with company.client() as client:
        assert str(client.resolve(Reference.parse(name)).digest) == status["digest"]
    log = kubectl("logs", f"job/{status['job']}", "-n", namespace)
    assert "PRIVATE KEY" not in log + json.dumps(get("configmaps", "-n", namespace))

    open_to_all = {"destinations": [f"{REGISTRY}/{namespace}/copy:1"]}
    apply(manifest(f'FROM {name}\nCMD ["cat", "/made"]\n', name="copy", output=open_to_all), namespace)
    status = finished(namespace, name="copy")
    assert status["phase"] == "Succeeded", status
    assert run_image(namespace, status["image"]) == "private\n"


def test_a_namespace_without_the_certificate_builds_what_needs_none(company, namespace):
    assert build(namespace, f"{BASE}RUN true\n")["phase"] == "Succeeded"


def test_a_push_without_the_certificate_says_what_to_create(company, namespace):
    output = {"destinations": [f"{company.private.host}/{namespace}/app:1"]}
    failure = build(namespace, BASE, output=output)["failure"]
    assert failure["reason"] == "SecretNotFound"
    assert f'Secret "{SECRET}" does not exist in this namespace' in failure["message"]
    assert f"kubectl create secret tls {SECRET} --cert=FILE --key=FILE" in failure["message"]


def test_a_secret_of_another_type(company, namespace):
    kubectl("create", "secret", "generic", SECRET, "-n", namespace, "--from-literal=a=b")
    output = {"destinations": [f"{company.private.host}/{namespace}/app:1"]}
    failure = build(namespace, BASE, output=output)["failure"]
    assert failure["reason"] == "SecretNotFound"
    assert f'Secret "{SECRET}" in this namespace has no key tls.' in failure["message"]
    assert f"kubectl create secret tls {SECRET} --cert" in failure["message"]


def test_a_base_image_without_the_certificate_says_so_too(company, namespace):
    failure = build(namespace, f"FROM {company.private.host}/any/thing:1\n")["failure"]
    assert failure["reason"] == "SecretNotFound"
    assert f"kubectl create secret tls {SECRET} --cert=FILE --key=FILE" in failure["message"]


def test_a_certificate_that_appears_late_is_not_too_late(company, patient, namespace):
    output = {"destinations": [f"{company.private.host}/{namespace}/late:1"]}
    apply(manifest(BASE, output=output), namespace)
    until(lambda: pods(namespace), "a pod", lambda: status_of(namespace))
    make_secret(company, namespace)
    assert finished(namespace)["phase"] == "Succeeded"


def test_builder_and_steps_go_through_the_proxy(company, namespace):
    company.proxy.asked.clear()
    status = build(
        namespace,
        f"FROM {company.outside}/hub/team/tiny:1\n"
        "RUN env | grep -i _proxy | sort > /seen\n"
        'CMD ["sh", "-c", "cat /seen; env | grep -ci _proxy"]\n',
    )
    assert status["phase"] == "Succeeded", status
    assert set(company.proxy.asked) == {f"CONNECT {company.outside}"}
    # The pod ends with the status of the last command, which finds nothing.
    kubectl("run", "it", f"--image={status['image']}", "--restart=Never", "-n", namespace)
    kubectl("wait", "pod/it", "--for=jsonpath={.status.phase}=Failed", "--timeout=200s", "-n", namespace)
    *seen, in_the_image = kubectl("logs", "it", "-n", namespace).splitlines()
    assert seen == sorted(
        f"{name}={value}"
        for upper, value in (("HTTPS_PROXY", company.proxy.url), ("NO_PROXY", f"{NODE_IP},.svc"))
        for name in (upper, upper.lower())
    )
    assert in_the_image == "0"


def test_a_companys_git_server(company, namespace, tmp_path):
    make_repository(tmp_path / "app.git", Dockerfile="FROM registry.invalid/team/tiny:1\nRUN true\n")
    with running_web_server(tmp_path, company.certificates, NODE_IP) as web:
        status = build(namespace, "", source={"git": {"url": f"{web.url}/app.git/.git"}})
    assert status["phase"] == "Succeeded", status


def test_a_changed_config_map_needs_no_restart(company, namespace):
    (operator,) = get("pods", "-n", NAMESPACE, "-l", "app.kubernetes.io/name=strake-operator")["items"]
    name = next(
        volume["configMap"]["name"] for volume in operator["spec"]["volumes"] if "configMap" in volume
    )
    changed = company.files(**{"second.invalid": {"mirrors": [f"{company.mirror.host}/hub"]}})
    assert build(namespace, "FROM second.invalid/team/tiny:1\n")["phase"] == "Failed"
    kubectl("patch", "configmap", name, "-n", NAMESPACE, "--type=merge", "-p", json.dumps({"data": changed}))

    def mounted() -> str:
        pod = operator["metadata"]["name"]
        return kubectl("exec", pod, "-n", NAMESPACE, "--", "cat", "/etc/strake/registries.yaml")

    until(lambda: "second.invalid" in mounted(), "the changed file", mounted)
    apply(manifest("FROM second.invalid/team/tiny:1\n", name="again"), namespace)
    status = finished(namespace, name="again")
    assert status["phase"] == "Succeeded", status
    (same,) = get("pods", "-n", NAMESPACE, "-l", "app.kubernetes.io/name=strake-operator")["items"]
    assert same["metadata"]["uid"] == operator["metadata"]["uid"]
    assert same["status"]["containerStatuses"][0]["restartCount"] == 0
