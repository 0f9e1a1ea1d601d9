import base64
import json

import pytest

from strake_oci.credentials import Credentials, default_credentials
from strake_oci.credentials.docker_config import DockerConfig
from strake_oci.errors import CredentialError
from strake_oci.spec.reference import Repository
from tests.fixtures.narrow import present


def config(auths, **rest):
    encoded = {
        key: {"auth": base64.b64encode(value.encode()).decode()} if isinstance(value, str) else value
        for key, value in auths.items()
    }
    return DockerConfig.parse(json.dumps({"auths": encoded, **rest}).encode(), "the file")


def found(docker_config, repository):
    credential = docker_config.find(Repository.parse(repository))
    return credential and credential.username


class TestDockerConfig:
    @pytest.mark.parametrize(
        ("key", "repository"),
        [
            ("ghcr.io", "ghcr.io/team/app"),
            ("https://ghcr.io", "ghcr.io/team/app"),
            ("http://ghcr.io/", "ghcr.io/team/app"),
            ("ghcr.io/team", "ghcr.io/team/app"),
            ("*.example.com", "registry.example.com/app"),
            ("registry.*.com", "registry.example.com/app"),
            ("*.example.com:5000", "registry.example.com:5000/app"),
            ("localhost:5000", "localhost:5000/app"),
            ("https://index.docker.io/v1/", "alpine"),
            ("docker.io", "team/app"),
            ("registry-1.docker.io", "team/app"),
            ("[::1]:5000", "[::1]:5000/app"),
            ("https://ghcr.io/v1/", "ghcr.io/team/app"),
            ("https://ghcr.io/v2/", "ghcr.io/team/app"),
            ("ghcr.io/v2/team/", "ghcr.io/team/app"),
            ("docker.io/team", "team/app"),
            ("*.*.example.com/team", "eu.reg.example.com/team/app"),
            ("REG.example.com", "reg.example.com/app"),
        ],
    )
    def test_key_fits(self, key, repository):
        assert found(config({key: "u:p"}), repository) == "u"

    @pytest.mark.parametrize(
        ("key", "repository"),
        [
            ("ghcr.io", "ghcr.io.evil.com/app"),
            ("ghcr.io/team", "ghcr.io/teamwork/app"),
            ("*.example.com", "a.b.example.com/app"),
            ("*.example.com", "example.com/app"),
            ("*", "ghcr.io/app"),
            ("localhost:5000", "localhost:5001/app"),
            ("localhost", "localhost:5000/app"),
            ("docker.io", "ghcr.io/app"),
            ("https://index.docker.io/v1/", "quay.io/app"),
            ("ghcr.io/v2/team", "ghcr.io/other/app"),
            ("docker.io/team", "other/app"),
            ("reg-?.example.com", "reg-1.example.com/app"),
            ("*.example.com:5000", "reg.example.com/app"),
            ("*.example.com", "reg.example.com:5000/app"),
            ("reg.*", "reg.example.com/app"),
        ],
    )
    def test_key_does_not_fit(self, key, repository):
        assert found(config({key: "u:p"}), repository) is None

    def test_most_specific_key_wins(self):
        docker_config = config(
            {"ghcr.io": "host:p", "ghcr.io/team": "team:p", "ghcr.io/team/app": "app:p", "*.io": "star:p"}
        )
        assert found(docker_config, "ghcr.io/team/app") == "app"
        assert found(docker_config, "ghcr.io/team/other") == "team"
        assert found(docker_config, "ghcr.io/x") == "host"
        assert found(docker_config, "quay.io/x") == "star"

    @pytest.mark.parametrize("host", ["a.io", "a-long-name.io"])
    def test_a_name_goes_before_wildcards_whatever_their_lengths(self, host):
        docker_config = config({host: "host:p", "*.io/team": "team:p", "*.io": "star:p"})
        assert found(docker_config, f"{host}/team/app") == "host"
        assert found(docker_config, "other.io/team/app") == "team"
        assert found(docker_config, "other.io/app") == "star"

    def test_password_may_hold_colons(self):
        credential = config({"ghcr.io": "u:p:q:"}).find(Repository.parse("ghcr.io/a"))
        assert credential.password == "p:q:"

    def test_identity_and_registry_tokens(self):
        entries = {
            "a.io": {"identitytoken": "long"},
            "b.io": {"registrytoken": "raw"},
            "c.io": "<token>:long",
        }
        docker_config = config(entries)
        assert docker_config.find(Repository.parse("a.io/x")).identity_token == "long"
        assert docker_config.find(Repository.parse("b.io/x")).registry_token == "raw"
        assert docker_config.find(Repository.parse("c.io/x")).identity_token == "long"

    def test_empty_entry_is_no_credential(self):
        assert found(config({"ghcr.io": {}}), "ghcr.io/a") is None

    @pytest.mark.parametrize(
        "text", ["", "[]", '{"auths": []}', '{"auths":{"x":{"auth":"%%%s3cret"}}}', '{"auths":{"x":5}}']
    )
    def test_file_that_is_none(self, text):
        with pytest.raises(CredentialError, match="the file") as raised:
            DockerConfig.parse(text.encode(), "the file")
        assert "s3cret" not in str(raised.value)

    def test_secret_does_not_show(self):
        docker_config = config({"ghcr.io": "u:s3cret"})
        assert "s3cret" not in repr(docker_config)
        assert "s3cret" not in repr(docker_config.find(Repository.parse("ghcr.io/a")))


class TestSources:
    def test_files_are_asked_in_order_and_named(self, tmp_path):
        for name, user in (("one", "first"), ("two", "second")):
            auth = base64.b64encode(f"{user}:p".encode()).decode()
            (tmp_path / name).write_text(json.dumps({"auths": {f"{name}.io": {"auth": auth}}}))
        files = [
            ("secret a", tmp_path / "one"),
            ("none", tmp_path / "missing"),
            ("secret b", tmp_path / "two"),
        ]
        credentials = Credentials.from_files(files)
        assert present(credentials.lookup(Repository.parse("two.io/a"))).source == "secret b (two.io)"
        assert credentials.lookup(Repository.parse("three.io/a")) is None
        assert credentials.describe() == "secret a, secret b"

    def test_pull_secrets_are_merged_as_kubernetes_merges_them(self, tmp_path):
        """One secret for the registry, another for a team's part of it: their order says nothing."""
        for name, auths in {
            "one": {"ghcr.io": "registry"},
            "two": {"ghcr.io/team": "team", "ghcr.io": "late"},
        }.items():
            entries = {key: {"username": user, "password": "p"} for key, user in auths.items()}
            (tmp_path / name).write_text(json.dumps({"auths": entries}))
        for order in (["one", "two"], ["two", "one"]):
            credentials = Credentials.from_files([(name, tmp_path / name) for name in order])
            credential = credentials.lookup(Repository.parse("ghcr.io/team/app"))
            assert present(credential).source == "two (ghcr.io/team)"
            first = credentials.lookup(Repository.parse("ghcr.io/other"))
            assert present(first).source == f"{order[0]} (ghcr.io)"

    def test_environment_before_file(self, tmp_path):
        auths = {
            "ghcr.io": {"username": "file", "password": "p"},
            "quay.io": {"username": "file", "password": "p"},
        }
        (tmp_path / "config.json").write_text(json.dumps({"auths": auths}))
        inline = json.dumps({"auths": {"ghcr.io": {"username": "env", "password": "p"}}})
        credentials = default_credentials({"DOCKER_CONFIG": str(tmp_path), "DOCKER_AUTH_CONFIG": inline})
        assert present(credentials.lookup(Repository.parse("ghcr.io/a"))).username == "env"
        assert present(credentials.lookup(Repository.parse("quay.io/a"))).username == "file"

    def test_home_without_docker_config(self, tmp_path):
        (tmp_path / ".docker").mkdir()
        (tmp_path / ".docker/config.json").write_text('{"auths":{"a.io":{"username":"u","password":"p"}}}')
        assert (
            present(default_credentials({"HOME": str(tmp_path)}).lookup(Repository.parse("a.io/x"))).username
            == "u"
        )

    def test_nothing_is_said_so(self, tmp_path):
        credentials = default_credentials({"HOME": str(tmp_path)})
        assert credentials.lookup(Repository.parse("a.io/x")) is None
        assert credentials.describe() == "no Docker config was found"


def test_older_dockercfg_secret():
    auth = base64.b64encode(b"u:p").decode()
    docker_config = DockerConfig.parse(
        json.dumps({"https://ghcr.io": {"auth": auth}, "x": 1}).encode(), "secret"
    )
    assert found(docker_config, "ghcr.io/a") == "u"
