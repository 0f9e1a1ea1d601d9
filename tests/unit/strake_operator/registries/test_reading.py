"""The platform's file about registries: what it means, and how a mistake is reported."""

from __future__ import annotations

import pytest

from strake_api.registries import CA_LIMIT
from strake_operator.errors import SettingsError
from strake_operator.registries.reading import read_registries


@pytest.fixture
def read(tmp_path):
    def read(text: str, *insecure: str):
        (tmp_path / "registries.yaml").write_text(text)
        return read_registries(str(tmp_path / "registries.yaml"), insecure)[0]

    return read


FULL = """
registries:
  docker.io:
    mirrors: [mirror.example/hub, other.example:5000]
    mirrorsOnly: true
  registry.example:
    caFile: company-ca.crt
    clientCertificateSecret: registry-client
  test.example:
    insecureSkipTLSVerify: true
  registry.internal:5000: {insecure: true}
proxy:
  httpProxy: http://proxy.example:3128
  httpsProxy: http://proxy.example:3128
  noProxy: .svc,.cluster.local,10.0.0.0/8
"""


def test_every_setting(read, tmp_path, certificates):
    (tmp_path / "company-ca.crt").write_text(certificates.ca.read_text())
    found = read(FULL)
    hub, private = found.registries["docker.io"], found.registries["registry.example"]
    assert (hub.mirrors, hub.mirrors_only) == (("mirror.example/hub", "other.example:5000"), True)
    assert private.ca == certificates.ca.read_text()
    assert private.ca_file is None
    assert private.client_certificate_secret == "registry-client"
    assert found.registries["test.example"].insecure_skip_tls_verify
    assert found.registries["registry.internal:5000"].insecure
    assert found.proxy.variables == {
        "HTTP_PROXY": "http://proxy.example:3128",
        "HTTPS_PROXY": "http://proxy.example:3128",
        "NO_PROXY": ".svc,.cluster.local,10.0.0.0/8",
    }


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "registries: {}\n", "proxy: {}\n"])
def test_nothing(read, text):
    found = read(text)
    assert found.registries == {}
    assert found.proxy.variables == {}


def test_a_ca_in_the_file_itself(read, certificates):
    pem = "\n".join(f"      {line}" for line in certificates.ca.read_text().splitlines())
    found = read(f"registries:\n  r.example:\n    ca: |\n{pem}\n")
    assert found.registries["r.example"].ca == certificates.ca.read_text()


def test_a_ca_for_everything(read, tmp_path, certificates):
    (tmp_path / "company-ca.crt").write_text("the company\n" + certificates.ca.read_text())
    assert read("caFile: company-ca.crt").ca == certificates.ca.read_text()


def test_the_environment_adds_registries_without_tls(read):
    found = read("registries: {a.example: {mirrors: [m.example]}}", "a.example", "b.example:5000")
    assert found.registries["a.example"].insecure
    assert found.registries["a.example"].mirrors == ("m.example",)
    assert found.registries["b.example:5000"].insecure


def test_no_file_at_all():
    found, files = read_registries("", ["a.example"])
    assert list(found.registries) == ["a.example"]
    assert not files


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("registries: {r.example: {mirror: [m.example]}}", r"registries\[r.example\].mirror: .* did you mean mirrors"),
        ("registries: {r.example: {x: 1}}", r"registries\[r.example\].x: there is no such field; there are mirrors, "),
        ("registry: {}", r"registry: there is no such field; did you mean registries"),
        ("proxy: {httpsproxy: http://p}", r"proxy.httpsproxy: .* did you mean httpsProxy"),
        ("registries: {https://r.example: {}}", r"registries\[https://r.example\]: .* without https://"),
        ("registries: {docker.io: {mirrors: ['https://m.example']}}", r"registries\[docker.io\].mirrors\[0\]: "),
        ("registries: {r.example: {mirrorsOnly: true}}", r"registries\[r.example\]: mirrorsOnly needs mirrors"),
        ("registries: {r.example: {insecure: perhaps}}", r"registries\[r.example\].insecure: it must be true or false"),
        ("registries: {r.example: {insecure: true, caFile: x}}", r"registries\[r.example\]: insecure is plain HTTP"),
        ("registries: {r.example: {ca: x, caFile: x}}", r"registries\[r.example\].ca: it must hold PEM"),
        ("registries: {r.example: {caFile: none.crt}}", r"registries\[r.example\].caFile: cannot read .*none.crt"),
        ("caFile: none.crt", r"caFile: cannot read .*none.crt"),
        ("ca: x", r"ca: it must hold PEM"),
        ('caFile: "\\0"', r"caFile: it is not the path of a file"),
        ("caFile: /", r"caFile: cannot read /: Is a directory"),
        ("registries: {r.example: {caFile: der.crt}}", r"registries\[r.example\].caFile: .*PEM, not DER"),
        ("registries: {r.example: {caFile: text.crt}}", r"registries\[r.example\].ca: it must hold PEM"),
        ("registries: {r.example: {clientCertificateSecret: A}}", r"\.clientCertificateSecret: "),
        ("registries: {r.example: {mirrors: m.example}}", r"registries\[r.example\].mirrors: it must be a list"),
        ("proxy: {noProxy: 10}", r"proxy.noProxy: it must be a text"),
        ("registries: {r.example:}", r"registries\[r.example\]: it must be a mapping"),
        ("registries: {r.example: {}, r.example: {}}", r"the key 'r.example' is there twice \(line 1, column 29\)"),
        ("registries: [r.example]", r"registries: it must be a mapping"),
        ("- r.example", "must be a mapping"),
        ("registries: {", "it is no YAML: .*line 1"),
        ("a: &a [*a]", "a: there is no such field"),
        ("!!python/object/apply:os.system [true]", "it is no YAML: could not determine a constructor"),
        ("\0", "it is no YAML"),
        ("!!bool x", "it is no YAML"),
        ("!!int ''", "it is no YAML"),
        ("!!timestamp x", "it is no YAML"),
        ("a: " + "[" * 5000, "it is no YAML"),
        ("1" * 5000, "it is no YAML"),
        ("proxy: {httpsProxy: proxy.example}", r"proxy.httpsProxy: .*http://host:port"),
        ("proxy: {httpsProxy: 'socks5://proxy.example'}", r"proxy.httpsProxy: .*http://host:port"),
        ("proxy: {httpsProxy: 'http://[::1'}", r"proxy.httpsProxy: .*http://host:port"),
        ('proxy: {httpProxy: "http://p.example\\nX: y"}', r"proxy.httpProxy: .*http://host:port"),
        ("proxy: {noProxy: 'https://r.example'}", r"proxy.noProxy: .*without https://"),
    ],
)  # fmt: skip
def test_mistakes_name_file_and_field(read, tmp_path, text, message):
    (tmp_path / "der.crt").write_bytes(b"\x30\x82\xff")
    (tmp_path / "text.crt").write_text("no certificate\n")
    with pytest.raises(
        SettingsError, match=rf"^STRAKE_REGISTRIES_FILE {tmp_path}/registries.yaml: .*{message}"
    ):
        read(text)


def test_a_proxys_password_is_refused_and_not_shown(read):
    with pytest.raises(SettingsError, match="must not hold a user name or password") as raised:
        read("proxy: {httpsProxy: 'http://build:hunter2@proxy.example:3128'}")
    assert "hunter2" not in str(raised.value)


def test_a_secret_in_the_wrong_place_is_not_shown(read):
    with pytest.raises(SettingsError) as raised:
        read(
            "registries: {r.example: {password: hunter2, ca: hunter2, clientCertificateSecret: {k: hunter2}}}"
        )
    assert "hunter2" not in str(raised.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(SettingsError, match=r"none.yaml: cannot read .*is the ConfigMap mounted"):
        read_registries(str(tmp_path / "none.yaml"))


@pytest.mark.parametrize(
    ("host", "message"),
    [("http://r", "without https://"), ("docker.io/team", "host or host:port"), ("r.example", "plain HTTP")],
)
def test_mistakes_of_the_environment_name_the_variable(read, host, message):
    with pytest.raises(SettingsError, match=rf"^STRAKE_INSECURE_REGISTRIES: {host}: .*{message}"):
        read("registries: {r.example: {insecureSkipTLSVerify: true}}", host)


def test_bundles_that_no_request_could_carry(read, tmp_path, certificates):
    ca = certificates.ca.read_text()
    (tmp_path / "bundle.crt").write_text(ca * (CA_LIMIT // 3 // len(ca) + 1))
    hosts = "".join(f"  r{number}.example: {{caFile: bundle.crt}}\n" for number in range(3))
    with pytest.raises(SettingsError, match="give a CA for everything once"):
        read(f"registries:\n{hosts}")


def test_a_file_without_end_is_not_read_to_its_end(tmp_path):
    with pytest.raises(SettingsError, match="larger than 1 MiB"):
        read_registries("/dev/zero")
