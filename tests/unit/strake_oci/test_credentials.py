import base64
import json
import os
import stat
import threading

import pytest

from strake_oci.credentials import Credentials, default_credentials
from strake_oci.credentials.docker_config import DockerConfig
from strake_oci.credentials.helper import HelperCache
from strake_oci.credentials.helper import get as ask_helper
from strake_oci.credentials.login import forget_login, save_login
from strake_oci.errors import CredentialError
from strake_oci.reference import Repository


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
        assert credentials.lookup(Repository.parse("two.io/a")).source == "secret b (two.io)"
        assert credentials.lookup(Repository.parse("three.io/a")) is None
        assert credentials.describe() == "secret a, secret b"

    def test_environment_before_file(self, tmp_path):
        auths = {
            "ghcr.io": {"username": "file", "password": "p"},
            "quay.io": {"username": "file", "password": "p"},
        }
        (tmp_path / "config.json").write_text(json.dumps({"auths": auths}))
        inline = json.dumps({"auths": {"ghcr.io": {"username": "env", "password": "p"}}})
        credentials = default_credentials({"DOCKER_CONFIG": str(tmp_path), "DOCKER_AUTH_CONFIG": inline})
        assert credentials.lookup(Repository.parse("ghcr.io/a")).username == "env"
        assert credentials.lookup(Repository.parse("quay.io/a")).username == "file"

    def test_home_without_docker_config(self, tmp_path):
        (tmp_path / ".docker").mkdir()
        (tmp_path / ".docker/config.json").write_text('{"auths":{"a.io":{"username":"u","password":"p"}}}')
        assert default_credentials({"HOME": str(tmp_path)}).lookup(Repository.parse("a.io/x")).username == "u"

    def test_nothing_is_said_so(self, tmp_path):
        credentials = default_credentials({"HOME": str(tmp_path)})
        assert credentials.lookup(Repository.parse("a.io/x")) is None
        assert credentials.describe() == "no Docker config was found"


@pytest.fixture
def helper(tmp_path, monkeypatch):
    """Puts a credential helper on the PATH: a shell script."""

    def install(name, script):
        path = tmp_path / "bin" / f"docker-credential-{name}"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{path.parent}{os.pathsep}{os.environ['PATH']}")
        return path

    return install


class TestHelpers:
    def test_helper_is_asked_for_its_registry(self, helper, tmp_path):
        helper("test", f'cat > {tmp_path}/asked; echo \'{{"ServerURL":"x","Username":"u","Secret":"s"}}\'')
        path = tmp_path / "config.json"
        path.write_text(
            '{"credHelpers":{"ghcr.io":"test"},"auths":{"quay.io":{"username":"q","password":"p"}}}'
        )
        credentials = Credentials.from_files([("file", path)])
        credential = credentials.lookup(Repository.parse("ghcr.io/team/app"))
        assert (credential.username, credential.password) == ("u", "s")
        assert credential.source == "docker-credential-test (named in file)"
        assert (tmp_path / "asked").read_text() == "ghcr.io"
        assert credentials.lookup(Repository.parse("quay.io/a")).username == "q"

    def test_store_is_for_all_registries_and_docker_hub_has_its_name(self, helper, tmp_path):
        helper("all", f'cat > {tmp_path}/asked; echo \'{{"Username":"<token>","Secret":"s"}}\'')
        path = tmp_path / "config.json"
        path.write_text('{"credsStore":"all"}')
        credential = Credentials.from_files([("file", path)]).lookup(Repository.parse("alpine"))
        assert credential.identity_token == "s"
        assert (tmp_path / "asked").read_text() == "https://index.docker.io/v1/"

    def test_not_found_falls_back_to_the_file(self, helper, tmp_path):
        helper("none", "echo credentials not found in native keychain; exit 1")
        path = tmp_path / "config.json"
        path.write_text('{"credsStore":"none","auths":{"a.io":{"username":"u","password":"p"}}}')
        assert Credentials.from_files([("file", path)]).lookup(Repository.parse("a.io/x")).username == "u"

    @pytest.mark.parametrize(
        ("script", "words"),
        [
            ("echo it broke; exit 3", "it broke"),
            ("echo nonsense", "not valid"),
            ("exit 2", "status 2"),
            ("sleep 60", "more than"),
        ],
    )
    def test_failures(self, helper, script, words):
        helper("bad", f"exec 2>/dev/null; {script}" if "sleep" not in script else "exec sleep 60")
        with pytest.raises(CredentialError, match=words):
            ask_helper("bad", "a.io", "file", time_limit=1)

    def test_missing_program(self):
        with pytest.raises(CredentialError, match="not installed"):
            ask_helper("does-not-exist", "a.io", "file")

    @pytest.mark.parametrize("name", ["../evil", "a b", "", "/bin/sh", "-x"])
    def test_name_that_is_none(self, name):
        with pytest.raises(CredentialError, match="not the name"):
            ask_helper(name, "a.io", "file")

    def test_many_threads_start_it_once(self):
        asked = []
        now = [0.0]
        cache = HelperCache(lambda *arguments: asked.append(arguments), lambda: now[0])
        threads = [threading.Thread(target=cache.get, args=("x", "a.io", "file")) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(asked) == 1
        now[0] = 301.0
        cache.get("x", "a.io", "file")
        assert len(asked) == 2


class TestLogin:
    def test_file_keeps_what_else_is_in_it(self, tmp_path):
        path = tmp_path / "new" / "config.json"
        save_login(path, "ghcr.io", "u", "p:w")
        document = json.loads(path.read_text())
        document["HttpHeaders"] = {"X": "y"}
        path.write_text(json.dumps(document))
        save_login(path, "docker.io", "hub", "pw")
        document = json.loads(path.read_text())
        assert document["HttpHeaders"] == {"X": "y"}
        assert set(document["auths"]) == {"ghcr.io", "https://index.docker.io/v1/"}
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        credentials = Credentials.from_files([("f", path)])
        assert credentials.lookup(Repository.parse("ghcr.io/a")).password == "p:w"
        assert credentials.lookup(Repository.parse("alpine")).username == "hub"

    def test_logout(self, tmp_path):
        path = tmp_path / "config.json"
        save_login(path, "ghcr.io", "u", "p")
        save_login(path, "quay.io", "u", "p")
        assert forget_login(path, "ghcr.io")
        assert not forget_login(path, "ghcr.io")
        assert set(json.loads(path.read_text())["auths"]) == {"quay.io"}

    def test_logging_out_where_there_is_no_file(self, tmp_path):
        assert not forget_login(tmp_path / "config.json", "ghcr.io")

    def test_helper_keeps_the_secret(self, helper, tmp_path):
        helper("keep", f'echo "$1" >> {tmp_path}/log; cat >> {tmp_path}/log')
        path = tmp_path / "config.json"
        path.write_text('{"credsStore":"keep"}')
        assert save_login(path, "ghcr.io", "u", "s3cret") == "docker-credential-keep"
        assert "s3cret" not in path.read_text()
        assert json.loads((tmp_path / "log").read_text().removeprefix("store\n")) == {
            "ServerURL": "ghcr.io",
            "Username": "u",
            "Secret": "s3cret",
        }
        assert forget_login(path, "ghcr.io")

    def test_link_to_the_file_stays_a_link(self, tmp_path):
        (tmp_path / "real.json").write_text("{}")
        (tmp_path / "config.json").symlink_to("real.json")
        save_login(tmp_path / "config.json", "ghcr.io", "u", "p")
        assert (tmp_path / "config.json").is_symlink()
        assert "ghcr.io" in (tmp_path / "real.json").read_text()

    def test_colon_in_the_name(self, tmp_path):
        with pytest.raises(CredentialError):
            save_login(tmp_path / "config.json", "ghcr.io", "a:b", "p")


def test_older_dockercfg_secret():
    auth = base64.b64encode(b"u:p").decode()
    docker_config = DockerConfig.parse(
        json.dumps({"https://ghcr.io": {"auth": auth}, "x": 1}).encode(), "secret"
    )
    assert found(docker_config, "ghcr.io/a") == "u"
