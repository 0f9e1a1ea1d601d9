"""Attacks by RUN steps, in each way of isolation, and in a build that keeps nothing from them."""

from __future__ import annotations

import re
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from tests.attack.steps import ATTACKS, SECRET, dockerfile
from tests.fixtures.building.builds import Builder
from tests.fixtures.building.containers import Container, Kind

WAYS = {
    "nested": Kind(own_users=True, unmasked=True),
    "masked": Kind(own_users=True),
    "chroot": Kind("default", own_users=True),
}
"""The containers in which the builder goes these ways; `root` is this machine."""
FILE = "machine-secret"
pytestmark = pytest.mark.timeout(300)


class Battlefield:
    """A builder beside a secret, and what was got from it in each way.

    Args:
        base: a registry with base images.
        directory: for contexts and work directories.
    """

    def __init__(self, base, directory: Path) -> None:
        self._builder = Builder(base, directory, f"result/{uuid.uuid4().hex}")
        self._got: dict[str, dict[str, bool]] = {}
        self._failed: dict[str, str] = {}
        self._secret = directory / FILE
        self._secret.write_text(SECRET)

    def got(self, way: str) -> dict[str, bool]:
        """Return which attacks succeeded in a way."""
        assert way not in self._failed, self._failed[way]
        if way not in self._got:
            self._failed[way] = "the build of this way failed, see the first test of it"
            tried = {name: each for name, each in ATTACKS.items() if way == "privileged" or way in each.ways}
            place = f"/strake/context/{FILE}" if way in WAYS else str(self._secret)
            values = {
                "SECRET_FILE": place,
                "REGISTRY_PORT": self._builder.registry.host.rpartition(":")[2],
            }
            text, files = dockerfile(tried, values)
            context = self._builder.context(text, **{FILE: SECRET})
            (context / ".dockerignore").write_text(f"{FILE}\n")
            (context / "attacks").mkdir(exist_ok=True)
            for name, content in files.items():
                (context / "attacks" / name).write_bytes(content)
                (context / "attacks" / name).chmod(0o755)
            log = self._log(way)
            lines = re.findall(r"\| (TRIED|GOT) (\d+)$", log, re.MULTILINE)
            names = list(tried)
            assert {names[int(each)] for word, each in lines if word == "TRIED"} == set(tried), log
            successes = {names[int(each)] for word, each in lines if word == "GOT"}
            self._got[way] = {name: name in successes for name in tried}
            del self._failed[way]
        return self._got[way]

    def _log(self, way: str) -> str:
        if way in WAYS:
            done = self._contained(WAYS[way])
        elif way == "root":
            done = self._builder.run("--no-push", "--isolation=root", timeout=250, OWN_SECRET=SECRET)
        else:
            privileged = Path(__file__).with_name("privileged.py")
            command = [
                sys.executable,
                str(privileged),
                *self._builder.command("--no-push", "--isolation=root")[1:],
            ]
            environment = self._builder.environment(OWN_SECRET=SECRET)
            done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=250)
        assert done.returncode == 0, done.stderr
        return done.stderr

    def _contained(self, kind: Kind) -> subprocess.CompletedProcess[str]:
        host = self._builder.registry.host
        command = ["/strake/strake", "build", "--context", "/strake/context", "--destination", f"{host}/x:1"]
        return Container(kind).run(
            [*command, "--insecure-registry", host, "--no-push"],
            {"/strake/context": self._builder.directory / "context"},
            {"OWN_SECRET": SECRET},
            timeout=250,
        )


@pytest.fixture(scope="session")
def battlefield(base_registry, tmp_path_factory) -> Battlefield:
    return Battlefield(base_registry, tmp_path_factory.mktemp("battlefield"))


def cases() -> list[tuple[str, str]]:
    return [(way, name) for way in ("root", *WAYS) for name, each in ATTACKS.items() if way in each.ways]


@pytest.mark.parametrize(("way", "name"), cases())
def test_it_gets_nothing(battlefield, way, name):
    assert not battlefield.got(way)[name]


@pytest.mark.parametrize("name", ATTACKS)
def test_it_succeeds_where_nothing_is_in_its_way(battlefield, name):
    assert battlefield.got("privileged")[name]
