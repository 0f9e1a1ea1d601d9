"""What the command line says and with which status it ends, without building anything."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures.servers.registry import running_registry

STRAKE = Path(sys.executable).parent / "strake"


def strake(*words, stdin: str | None = None, cwd=None, **environment) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [STRAKE, *map(str, words)],
        capture_output=True,
        text=True,
        input=stdin,
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", **environment},
        timeout=180,
    )


@pytest.mark.parametrize(
    "command", ["build", "run", "execute", "copy", "push", "inspect", "verify", "lint", "login", "logout"]
)
def test_every_command_explains_itself(command):
    assert command in strake("--help").stdout
    done = strake(command, "--help")
    assert done.returncode == 0
    assert "usage: strake " + command in done.stdout
    assert len(done.stdout.partition("\n\n")[0].splitlines()) <= 2, (
        "the shortest form that is of use is first"
    )


def test_the_exit_statuses_are_in_the_help_and_in_the_docs():
    documented = (Path(__file__).parents[4] / "docs/cli.md").read_text()
    usage = strake("--help").stdout
    for status in [*range(14), 143]:
        assert f"| {status} |" in documented
        assert f" {status}  " in usage


@pytest.mark.parametrize(
    "words",
    [[], ["nonsense"], ["build", "--nonsense"], ["build", "--insecure-reg", "x"], ["run"], ["copy", "a"]],
)
def test_wrong_words_are_status_2(words):
    done = strake(*words)
    assert done.returncode == 2
    assert (
        f"  try: strake{' ' + words[0] if words and words[0] in {'build', 'run', 'copy'} else ''} --help\n"
        in done.stderr
    )
    assert len(done.stderr.splitlines()) == 2


def test_flags_without_a_command_are_those_of_build(tmp_path):
    done = strake(f"--context=dir://{tmp_path}/missing", "--dockerfile=Dockerfile", "--no-push")
    assert done.returncode == 4
    assert f"the context {tmp_path}/missing is no directory" in done.stderr
    assert strake("--version").stdout.startswith("strake ")


def test_lint_finds_and_can_fail(tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM scratch as x\nMAINTAINER me\n")
    done = strake("lint", "--context", tmp_path)
    assert done.returncode == 0
    assert "MaintainerDeprecated" in done.stdout
    assert strake("lint", "-c", tmp_path, "--error").returncode == 1
    assert "MaintainerDeprecated" in strake("lint", tmp_path / "Dockerfile").stdout
    found = json.loads(strake("lint", "-c", tmp_path, "--format", "json").stdout)
    assert {w["ruleName"] for w in found["warnings"]} == {"MaintainerDeprecated", "FromAsCasing"}
    assert json.loads(strake("lint", "-c", tmp_path, "--format", "sarif").stdout)["version"] == "2.1.0"


def test_lint_refuses_what_cannot_be_built(tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM scratch\nRUNN x\n")
    done = strake("lint", cwd=tmp_path)
    assert done.returncode == 3
    assert "did you mean RUN" in done.stderr


def test_lint_without_a_dockerfile(tmp_path):
    done = strake("lint", cwd=tmp_path)
    assert done.returncode == 3
    assert "no Dockerfile" in done.stderr


def test_login_keeps_what_works_and_only_that(tmp_path):
    with running_registry(htpasswd={"ci": "right"}) as registry:
        environment = {"DOCKER_CONFIG": str(tmp_path)}
        words = ("login", registry.host, "--insecure", "--username", "ci", "--password-stdin")
        wrong = strake(*words, stdin="wrong\n", **environment)
        assert wrong.returncode == 1
        assert not (tmp_path / "config.json").exists()
        assert "wrong" not in wrong.stderr
        right = strake(*words, stdin="right\n", **environment)
        assert right.returncode == 0, right.stderr
        kept = json.loads((tmp_path / "config.json").read_text())
        assert list(kept["auths"]) == [registry.host]
        assert (tmp_path / "config.json").stat().st_mode & 0o077 == 0
        assert "logged out" in strake("logout", registry.host, **environment).stdout
        assert json.loads((tmp_path / "config.json").read_text())["auths"] == {}


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        ("kind: ConfigMap\n", "0 ImageBuild manifests"),
        ("{{{", "no YAML"),
        ("kind: !!timestamp x", "no YAML"),
        (
            "apiVersion: strake.dev/v1alpha1\nkind: ImageBuild\nmetadata: {name: x}\nspec: {nonsense: 1}\n",
            "nonsense",
        ),
        (
            (
                "apiVersion: strake.dev/v1alpha1\nkind: ImageBuild\nmetadata: {name: x}\n"
                "spec: {source: {configMap: {name: missing}}, output: {destinations: ['r.example/x:1']}}\n"
            ),
            "'missing' is not in the file",
        ),
    ],
)
def test_a_manifest_with_a_mistake_is_refused(tmp_path, manifest, words):
    (tmp_path / "ib.yaml").write_text(manifest)
    done = strake("run", "-f", tmp_path / "ib.yaml")
    assert done.returncode == 2, done.stderr
    assert words in done.stderr


@pytest.mark.parametrize("content", ['{"source": {}}', "[" * 10_000, "", "\x00" * 100])
def test_a_request_in_the_place_of_another_is_refused_before_it_is_read(tmp_path, content):
    (tmp_path / "request.json").write_text(content)
    expected = f"sha256:{hashlib.sha256(b'{}').hexdigest()}"
    done = strake(
        *("execute", "--request", tmp_path / "request.json", "--request-digest", expected),
        *("--result", tmp_path / "result"),
    )
    assert done.returncode == 2
    result = json.loads((tmp_path / "result").read_text())
    assert (result["reason"], expected in result["message"]) == ("InvalidRequest", True)
    assert "is not the one" in result["message"]


def test_a_request_with_an_unknown_field_is_refused(tmp_path):
    (tmp_path / "request.json").write_text('{"surprise": 1}')
    done = strake("execute", "--request", tmp_path / "request.json", "--result", tmp_path / "result")
    assert done.returncode == 2
    assert json.loads((tmp_path / "result").read_text())["reason"] == "InvalidRequest"
