"""Called by the names of kaniko's programs."""

from __future__ import annotations

import ssl
import sys
from pathlib import Path

import pytest

from strake_builder.cli import kaniko, session
from strake_builder.cli.main import main
from strake_builder.cli.registries.registry_credentials import user_credentials
from strake_builder.errors import InvalidRequestError


def test_words_of_the_executor_and_of_the_warmer():
    assert kaniko.words("executor", ["-d", "a"]) == ["build", "--context=/workspace", "-d", "a"]
    assert kaniko.words("executor", []) == ["build", "--context=/workspace"]
    assert kaniko.words("executor", ["version"]) == ["--version"]
    assert kaniko.words("executor", ["login", "r.example"]) == ["login", "r.example"]
    assert kaniko.words("executor", ["completion", "bash"]) == ["completion", "bash"]
    assert kaniko.words("warmer", ["-i", "a"]) == ["warm", "-i", "a"]


def test_help_has_every_flag(capsys):
    with pytest.raises(SystemExit) as ended:
        kaniko.words("executor", ["--help"])
    assert ended.value.code == 0
    written = capsys.readouterr().out
    assert "-f, --dockerfile" in written
    assert "not needed: " in written


def test_pushing_an_archive():
    given = [
        "push",
        "--insecure=true",
        "--skip-tls-verify=false",
        "image.tar",
        "-d=r.example/app",
        "--insecure",
    ]
    expected = ["push", "--insecure", "image.tar", "-d=r.example/app", "--insecure"]
    assert kaniko.words("executor", given) == expected


def test_certificates_that_were_put_beside_the_systems_are_trusted(tmp_path, certificates):
    environment: dict[str, str] = {}
    (tmp_path / "ca-certificates.crt").symlink_to("/etc/ssl/certs/ca-certificates.crt")
    kaniko.trust_mounted(environment, str(tmp_path))
    assert environment == {}
    (tmp_path / "additional-ca-cert-bundle.crt").write_bytes(certificates.ca.read_bytes())
    kaniko.trust_mounted(environment, str(tmp_path))
    trusted = Path(environment["SSL_CERT_FILE"]).read_text()
    assert certificates.ca.read_text() in trusted
    ssl.create_default_context(cadata=trusted)
    kaniko.trust_mounted({}, str(tmp_path / "missing"))


@pytest.mark.parametrize(("program", "trusts"), [("warmer", True), ("executor", True), ("strake", False)])
def test_which_programs_trust_the_mounted_certificates(program, trusts, tmp_path, monkeypatch):
    reasons = []

    def trust(environment):
        reasons.append(environment)

    def prepare_alone(prepare, **_):
        prepare()
        return 0

    monkeypatch.setattr(kaniko, "trust_mounted", trust)
    monkeypatch.setattr(kaniko, "enter", lambda: None)
    monkeypatch.setattr(session, "run_build", prepare_alone)
    monkeypatch.setattr(sys, "argv", [program])
    flags = [f"--cache-dir={tmp_path}/cache", f"--work-dir={tmp_path}/work"]
    words = {"warmer": ["--image=scratch"], "executor": ["--no-push"], "strake": ["warm", "--image=scratch"]}
    with pytest.raises(SystemExit) as ended:
        main([*words[program], *flags])
    assert ended.value.code == 0
    assert bool(reasons) == trusts


@pytest.mark.parametrize(
    ("given", "mounted", "found"),
    [
        ("KANIKO", "kaniko", "kaniko"),
        ("KANIKO/", "kaniko", "kaniko"),
        ("", "kaniko", "kaniko"),
        ("KANIKO", "home", ""),
        ("KANIKO", "kaniko home", "kaniko"),
        ("KANIKO", "", "kaniko"),
        ("", "home", ""),
        ("", "", ""),
        ("/elsewhere", "kaniko home", "/elsewhere"),
    ],
)
def test_where_dockers_config_is(given, mounted, found, tmp_path):
    directory = tmp_path / "kaniko"
    (tmp_path / "strake").mkdir()
    directory.symlink_to(tmp_path / "strake")
    (tmp_path / "home/.docker").mkdir(parents=True)
    for name in mounted.split():
        (tmp_path / name / (".docker/config.json" if name == "home" else "config.json")).touch()
    environment = {"DOCKER_CONFIG": given.replace("KANIKO", str(directory)), "HOME": str(tmp_path / "home")}
    kaniko.find_docker_config(environment, str(directory))
    expected = str(tmp_path / "strake") if found == "kaniko" else found
    assert environment.get("DOCKER_CONFIG", "") == expected


@pytest.mark.parametrize(
    ("names", "asked"),
    [([""], 0), (["env", "gitlab"], 2), (["ecr,google"], 2), (["env", "env"], 1)],
)
def test_credential_helpers(names, asked, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("DOCKER_CONFIG", "DOCKER_AUTH_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    assert len(user_credentials(names).sources) == asked


def test_a_helper_that_is_not_known():
    with pytest.raises(InvalidRequestError, match="'vault' is not known"):
        user_credentials(["vault"])
