"""Credential helper programs, and logging in and out, which may be left to them."""

import base64
import contextlib
import json
import os
import signal
import stat
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from strake_oci.credentials import Credentials
from strake_oci.credentials.helper import HelperCache
from strake_oci.credentials.helper import get as ask_helper
from strake_oci.credentials.login import forget_login, save_login
from strake_oci.errors import CredentialError
from strake_oci.spec.reference import Repository
from tests.fixtures.narrow import present

ECR = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
TOKEN = {
    "authorizationToken": base64.b64encode(b"AWS:of the role").decode(),
    "expiresAt": datetime.now(UTC) + timedelta(hours=12),
}


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
        assert (present(credential).username, present(credential).password) == ("u", "s")
        assert present(credential).source == "docker-credential-test (named in file)"
        assert (tmp_path / "asked").read_text() == "ghcr.io"
        assert present(credentials.lookup(Repository.parse("quay.io/a"))).username == "q"

    def test_store_is_for_all_registries_and_docker_hub_has_its_name(self, helper, tmp_path):
        helper("all", f'cat > {tmp_path}/asked; echo \'{{"Username":"<token>","Secret":"s"}}\'')
        path = tmp_path / "config.json"
        path.write_text('{"credsStore":"all"}')
        credential = Credentials.from_files([("file", path)]).lookup(Repository.parse("alpine"))
        assert present(credential).identity_token == "s"
        assert (tmp_path / "asked").read_text() == "https://index.docker.io/v1/"

    def test_not_found_falls_back_to_the_file(self, helper, tmp_path):
        helper("none", "echo credentials not found in native keychain; exit 1")
        path = tmp_path / "config.json"
        path.write_text('{"credsStore":"none","auths":{"a.io":{"username":"u","password":"p"}}}')
        assert (
            present(Credentials.from_files([("file", path)]).lookup(Repository.parse("a.io/x"))).username
            == "u"
        )

    @pytest.mark.parametrize(
        "config", ['{"credsStore":"ecr-login"}', json.dumps({"credHelpers": {ECR: "ecr-login"}})]
    )
    def test_a_clouds_program_need_not_be_installed(self, config, tmp_path, monkeypatch):
        """Configs for kaniko name those that its image has."""
        monkeypatch.setattr(
            "strake_oci.credentials.aws._ask", lambda *_, **__: {"authorizationData": [TOKEN]}
        )
        path = tmp_path / "config.json"
        path.write_text(config)
        credentials = Credentials.from_files([("file", path)])
        found = present(credentials.lookup(Repository.parse(f"{ECR}/app")))
        assert (found.username, found.password) == ("AWS", "of the role")
        assert credentials.lookup(Repository.parse("quay.io/app")) is None, "it is of no cloud"

    def test_a_clouds_program_that_is_installed_is_asked(self, helper, tmp_path):
        helper("ecr-login", 'echo \'{"Username":"u","Secret":"of the program"}\'')
        path = tmp_path / "config.json"
        path.write_text('{"credsStore":"ecr-login"}')
        found = Credentials.from_files([("file", path)]).lookup(Repository.parse(f"{ECR}/app"))
        assert present(found).password == "of the program"

    @pytest.mark.parametrize(
        ("script", "words"),
        [
            ("echo it broke; exit 3", "it broke"),
            ("echo it broke >&2; exit 3", "it broke"),
            ("echo nonsense", "not valid"),
            ("exit 2", "status 2"),
            ("kill -9 $$", "status -9"),
            ("printf '\\033[2Jfake'; exit 1", r"\?\[2Jfake"),
            ("exec sleep 60", "more than 1 seconds"),
            ("sleep 60", "more than 1 seconds"),
            ("exec yes", "more than 262144 bytes"),
            ("exec yes >&2", "more than 262144 bytes"),
        ],
    )
    def test_failures(self, helper, script, words):
        helper("bad", script)
        with pytest.raises(CredentialError, match=words):
            ask_helper("bad", "a.io", "file", time_limit=1)

    def test_what_a_stopped_helper_has_started_ends_with_it(self, helper, tmp_path):
        helper("slow", f"sleep 60 & echo $! > {tmp_path}/child; wait")
        with pytest.raises(CredentialError, match="took more than"):
            ask_helper("slow", "a.io", "file", time_limit=0.5)
        running = Path(f"/proc/{(tmp_path / 'child').read_text().strip()}/stat")
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            while running.read_text().split()[2] != "Z":  # killed: it is as good as gone
                time.sleep(0.01)  # between looks: the kernel ends a killed process in its own time

    def test_agent_that_a_helper_leaves_behind_is_not_waited_for(self, helper, tmp_path):
        helper("agent", f'sleep 60 & echo $! > {tmp_path}/child; echo \'{{"Username":"u","Secret":"s"}}\'')
        begun = time.monotonic()
        assert present(ask_helper("agent", "a.io", "file", time_limit=30)).username == "u"
        assert time.monotonic() - begun < 20
        os.kill(int((tmp_path / "child").read_text()), signal.SIGKILL)

    def test_helper_may_ignore_what_it_is_asked(self, helper):
        helper("deaf", 'exec <&-; echo \'{"Username":"u","Secret":"s"}\'')
        assert present(ask_helper("deaf", "a.io", "file")).username == "u"

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
        assert present(credentials.lookup(Repository.parse("ghcr.io/a"))).password == "p:w"
        assert present(credentials.lookup(Repository.parse("alpine"))).username == "hub"

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

    def test_full_disk_leaves_no_secret_behind(self, tmp_path, monkeypatch):
        def full(*_):
            raise OSError(28, "No space left on device")

        save_login(tmp_path / "config.json", "ghcr.io", "u", "p")
        monkeypatch.setattr("strake_oci.credentials.login.os.replace", full)
        with pytest.raises(CredentialError, match="No space left"):
            save_login(tmp_path / "config.json", "quay.io", "u", "p")
        assert [path.name for path in tmp_path.iterdir()] == ["config.json"]
        assert "quay.io" not in (tmp_path / "config.json").read_text()

    def test_colon_in_the_name(self, tmp_path):
        with pytest.raises(CredentialError):
            save_login(tmp_path / "config.json", "ghcr.io", "a:b", "p")
