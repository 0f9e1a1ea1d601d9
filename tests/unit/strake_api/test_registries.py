"""How registries are reached: what may be set for one, and what contradicts itself."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from strake_api.registries import CA_LIMIT, RequestedRegistry
from strake_api.requests.base import Registries
from strake_api.requests.build import BuildRequest

CERTIFICATE = {"secret": "registry-client", "directory": "/strake/certificates/registry-client"}


@pytest.fixture
def pem(certificates):
    return {"ca": certificates.ca.read_text(), "key": certificates.client_key.read_text()}


def read(**fields) -> RequestedRegistry:
    return RequestedRegistry.model_validate(fields)


def test_silence_is_plain_tls():
    assert read().to_dict() == {
        "mirrors": [],
        "mirrorsOnly": False,
        "insecure": False,
        "insecureCredentials": False,
        "insecureSkipTLSVerify": False,
    }


def test_a_request_carries_it_there_and_back(pem):
    registry = {
        "mirrors": ["mirror.example/hub", "[fd00::1]:5000"],
        "mirrorsOnly": True,
        "insecureSkipTLSVerify": True,
        "ca": pem["ca"],
        "clientCertificate": CERTIFICATE,
    }
    request = BuildRequest.model_validate(
        {
            "source": {"directory": {"path": "/c"}},
            "output": {"destinations": ["r.example/a"]},
            "workDirectory": "/w",
            "registries": {"hosts": {"r.example:5000": registry}},
        }
    )
    again = BuildRequest.model_validate_json(request.to_json())
    assert again == request
    assert registry.items() <= again.registries.to_dict()["hosts"]["r.example:5000"].items()


@pytest.mark.parametrize("host", ["docker.io", "r.example", "localhost:5000", "10.0.0.1:5000", "[::1]:5000"])
def test_registries(host):
    assert list(Registries(hosts={host: read()}).hosts) == [host]


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("https://r.example", "without https://"),
        ("r.example/team", "host or host:port"),
        ("r.example:0", "host or host:port"),
        ("r.example:70000", "host or host:port"),
        ("user:password@r.example", "host or host:port"),
        ("*.example", "host or host:port"),
        ("r.example\n", "host or host:port"),
        ("r.example\0", "host or host:port"),
        ("", "host or host:port"),
        ("index.docker.io", "write docker.io"),
        ("registry-1.docker.io", "write docker.io"),
        ("a" * 300, "at most 261"),
    ],
)
def test_what_is_no_registry(host, message):
    with pytest.raises(ValidationError, match=message):
        Registries.model_validate({"hosts": {host: {}}})


@pytest.mark.parametrize(
    "mirror",
    ["https://m.example", "m.example/", "m.example/UPPER", "m.example/../x", "m.example/a//b", "", "a b"],
)
def test_what_is_no_mirror(mirror):
    with pytest.raises(ValidationError, match=r"write host\[:port\]"):
        read(mirrors=[mirror])


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"mirrorsOnly": True}, "mirrorsOnly needs mirrors"),
        ({"insecure": True, "insecureSkipTLSVerify": True}, "plain HTTP"),
        ({"insecure": True, "clientCertificate": CERTIFICATE}, "plain HTTP"),
        ({"mirrors": ["m.example"] * 17}, "at most 16"),
        ({"mirror": ["m.example"]}, "Extra inputs"),
        ({"clientCertificate": {**CERTIFICATE, "directory": "certificates"}}, "absolute"),
        ({"clientCertificate": {**CERTIFICATE, "secret": "../other"}}, "pattern"),
        ({"clientCertificate": {**CERTIFICATE, "key": "-----BEGIN PRIVATE KEY-----"}}, "Extra inputs"),
    ],
    ids=str,
)
def test_what_contradicts_itself(fields, why):
    with pytest.raises(ValidationError, match=why):
        read(**fields)


def test_plain_http_has_no_authority(pem):
    with pytest.raises(ValidationError, match="plain HTTP"):
        read(insecure=True, ca=pem["ca"])


def test_of_a_bundle_only_the_certificates_stay(pem):
    bundle = f"# Grüße from the platform team\n{pem['ca']}\nsubject: x\n{pem['ca']}"
    kept = read(ca=bundle).ca
    assert kept == f"{pem['ca'].strip()}\n" * 2


def test_a_private_key_is_not_spread(pem):
    with pytest.raises(ValidationError, match="private key"):
        read(ca=pem["ca"] + pem["key"])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "company-ca.crt",
        "-----BEGIN CERTIFICATE-----\n",
        "-----BEGIN TRUSTED CERTIFICATE-----\nAAAA\n-----END TRUSTED CERTIFICATE-----\n",
    ],
)
def test_what_is_no_certificate(text):
    with pytest.raises(ValidationError, match="PEM certificates"):
        read(ca=text)


def test_a_damaged_certificate(pem):
    head, *body = pem["ca"].splitlines()
    for text in (
        "\n".join([head, *body[3:]]),
        "\n".join([head, "!!!", *body[-1:]]),
        pem["ca"] + "\n".join([head, *body[3:]]),
    ):
        with pytest.raises(ValidationError, match="damaged"):
            read(ca=text)


def test_a_bundle_without_end():
    with pytest.raises(ValidationError, match=f"at most {CA_LIMIT}"):
        read(ca="-----BEGIN CERTIFICATE-----\n" * (CA_LIMIT // 20))
