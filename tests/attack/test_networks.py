"""What a build reaches by what it names: the platform's own network, in every way in which it can be named.

A service that believes whoever reaches it, as a cloud's metadata service does, listens at an address that the
build's request denies. Each attack reaches it where the list is empty.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.attack.test_secrets import TRUSTING
from tests.fixtures.building.builds import STRAKE
from tests.fixtures.content.git_repository import git_daemon
from tests.fixtures.servers.gateway import running_gateway
from tests.fixtures.servers.registry import free_port

HERE, INSIDE = "127.0.0.1", "127.0.0.2"
"""Where servers of the attacker's are, and where the service is."""
DENIED = {"denied": ["127.0.0.0/8", "::1/128"], "allowed": [f"{HERE}/32"]}


@dataclass
class Servers:
    """The service, and a server of the attacker's.

    Attributes:
        service: the service's port; `reached` tells who connected to it.
        port: the attacker's.
        git: the port of their git daemon.
        repositories: what the attacker's has besides redirects to the service.
        reached: the addresses of those who connected to the service.
    """

    service: int
    port: int
    git: int
    repositories: Path
    reached: list[str] = field(default_factory=list)


class _Service(ThreadingHTTPServer):
    daemon_threads = True
    servers: Servers

    def process_request(self, request, client_address):
        self.servers.reached.append(str(client_address))
        super().process_request(request, client_address)

    def handle_error(self, *_: object) -> None:
        """Nobody's business: a client that speaks TLS, for one."""


class _Answer(BaseHTTPRequestHandler):
    timeout = 1.0
    """Seconds: what speaks another protocol waits for an answer."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"token")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Attacker(BaseHTTPRequestHandler):
    """Leads to the service as a server and as a registry, and has repositories for git (its dumb protocol)."""

    servers: Servers

    def do_GET(self) -> None:
        path = self.path.partition("?")[0].lstrip("/")
        if path.startswith(("away", "v2/redirect/")):
            self.send_response(302)
            self.send_header("Location", f"http://{INSIDE}:{self.servers.service}/{path}")
            self.end_headers()
            return
        if path.startswith("v2/realm/"):
            self.send_response(401)
            realm = f'Bearer realm="http://{INSIDE}:{self.servers.service}/token",service="x"'
            self.send_header("WWW-Authenticate", realm)
            self.end_headers()
            return
        file = self.servers.repositories / path
        content = file.read_bytes() if file.is_file() else None
        self.send_response(404 if content is None else 200)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        self.wfile.write(content or b"")

    def do_POST(self) -> None:
        self.send_response(202)
        self.send_header("Location", f"http://{INSIDE}:{self.servers.service}/upload")
        self.end_headers()

    def do_HEAD(self) -> None:
        self.send_response(404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def serving(server: ThreadingHTTPServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def servers(tmp_path_factory) -> Iterator[Servers]:
    root = tmp_path_factory.mktemp("repositories")
    handler = type("_Handler", (_Attacker,), {})
    service, attacker = _Service((INSIDE, 0), _Answer), ThreadingHTTPServer((HERE, 0), handler)
    known = Servers(service.server_address[1], attacker.server_address[1], free_port(), root)
    service.servers, handler.servers = known, known  # type: ignore[attr-defined] # made just now
    _repository(root / "app.git", {"Dockerfile": "FROM scratch\nCOPY Dockerfile /\n"})
    submodule = f'[submodule "s"]\npath = s\nurl = http://{INSIDE}:{known.service}/s\n'
    _repository(root / "parent.git", {"Dockerfile": "FROM scratch\n", ".gitmodules": submodule}, link="s")
    with serving(service), serving(attacker), git_daemon(root, known.git):
        yield known


def _repository(path: Path, files: dict[str, str], link: str = "") -> None:
    path.mkdir()
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]

    def git(*arguments: str) -> None:
        subprocess.run(["git", *who, *arguments], cwd=path, check=True, capture_output=True)

    git("init", "-q", "-b", "main")
    for name, content in files.items():
        (path / name).write_text(content)
    git("add", ".")
    if link:
        git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},{link}")
    git("commit", "-qm", "all")
    git("update-server-info")


def carried_out(
    servers: Servers, folder: Path, request: dict, *, denied: bool, without: str = ""
) -> tuple[bool, str]:
    """Carry a request out; return whether the service was reached, and what the builder printed."""
    document = {
        # It speaks no TLS, so that a push fails at once.
        "output": {"destinations": [f"{HERE}:{servers.port}/app:1"], "skipPushPermissionCheck": True},
        "cache": {"enabled": False},
        "workDirectory": str(folder / "work"),
        **request,
    }
    if denied:
        document["networks"] = DENIED
    (folder / "work").mkdir()
    (folder / "request.json").write_text(json.dumps(document))
    program = [sys.executable, str(TRUSTING), without] if without else [str(STRAKE)]
    before = len(servers.reached)
    done = subprocess.run(
        [*program, "execute", "--request", str(folder / "request.json")],
        capture_output=True,
        text=True,
        timeout=240,
    )
    return len(servers.reached) > before, done.stdout + done.stderr


def dockerfile(text: str) -> dict:
    return {"source": {"inline": {"files": {"Dockerfile": text}}}}


def context(url: str) -> dict:
    return {"source": {"git": {"url": url}}}


ADD = "FROM scratch\nADD {} /x\n"
ATTACKS = {
    "ADD of the address": lambda s: dockerfile(ADD.format(f"http://{INSIDE}:{s.service}/")),
    "ADD of the address, decimal": lambda s: dockerfile(ADD.format(f"http://2130706434:{s.service}/")),
    "ADD of the address, shortened": lambda s: dockerfile(ADD.format(f"http://127.2:{s.service}/")),
    "ADD of the address, mapped": lambda s: dockerfile(ADD.format(f"http://[::ffff:{INSIDE}]:{s.service}/")),
    "ADD of the address, with a checksum": lambda s: dockerfile(
        ADD.format(f"--checksum=sha256:{'0' * 64} http://{INSIDE}:{s.service}/")
    ),
    "ADD over TLS": lambda s: dockerfile(ADD.format(f"https://{INSIDE}:{s.service}/")),
    "ADD of a redirect": lambda s: dockerfile(ADD.format(f"http://{HERE}:{s.port}/away")),
    "ADD of a repository": lambda s: dockerfile(ADD.format(f"http://{INSIDE}:{s.service}/a.git")),
    "ADD of a repository that is elsewhere": lambda s: dockerfile(
        ADD.format(f"http://{HERE}:{s.port}/away.git")
    ),
    "ADD of a repository by git://": lambda s: dockerfile(ADD.format(f"git://{INSIDE}:{s.service}/a.git")),
    "ADD of a submodule": lambda s: dockerfile(ADD.format(f"git://{HERE}:{s.git}/parent.git")),
    "a context": lambda s: context(f"http://{INSIDE}:{s.service}/a.git"),
    "a context, mapped": lambda s: context(f"http://[::ffff:{INSIDE}]:{s.service}/a.git"),
    "a context, decimal": lambda s: context(f"http://2130706434:{s.service}/a.git"),
    "a context, octal": lambda s: context(f"http://0177.0.0.2:{s.service}/a.git"),
    "a context over TLS": lambda s: context(f"https://{INSIDE}:{s.service}/a.git"),
    "a context by git://": lambda s: context(f"git://{INSIDE}:{s.service}/a.git"),
    "a context that is elsewhere": lambda s: context(f"http://{HERE}:{s.port}/away.git"),
    "a context with a submodule": lambda s: context(f"git://{HERE}:{s.git}/parent.git"),
    "FROM": lambda s: dockerfile(f"FROM {INSIDE}:{s.service}/app\n"),
    "COPY --from": lambda s: dockerfile(f"FROM scratch\nCOPY --from={INSIDE}:{s.service}/app / /\n"),
    "a destination": lambda s: {
        **dockerfile("FROM scratch\nCOPY Dockerfile /\n"),
        "output": {"destinations": [f"{INSIDE}:{s.service}/app:1"]},
    },
    "a cache": lambda s: {
        **dockerfile("FROM scratch\nCOPY Dockerfile /\n"),
        "cache": {"repository": f"{INSIDE}:{s.service}/cache"},
    },
    "a cached image": lambda s: {
        **dockerfile("FROM scratch\nCOPY Dockerfile /\n"),
        "cache": {"images": [f"{INSIDE}:{s.service}/app:1"]},
    },
}


@pytest.mark.parametrize("name", ATTACKS)
def test_nothing_that_a_build_names_leads_inside(servers, tmp_path, name):
    reached, output = carried_out(servers, tmp_path, ATTACKS[name](servers), denied=True)
    assert not reached
    if "cache" not in name:  # a build goes on without
        assert "in 127.0.0.0/8, a network that builds may not reach" in output
        assert "STRAKE_ALLOW_NETWORKS" in output


@pytest.mark.parametrize("name", ATTACKS)
def test_it_does_where_nothing_is_denied(servers, tmp_path, name):
    assert carried_out(servers, tmp_path, ATTACKS[name](servers), denied=False)[0]


REBINDING = {
    "ADD": lambda s: dockerfile(ADD.format(f"http://rebinding.internal:{s.port}/app.git/Dockerfile")),
    "FROM": lambda s: dockerfile(f"FROM rebinding.internal:{s.port}/app\n"),
    "a context": lambda s: context(f"http://rebinding.internal:{s.port}/app.git/.git"),
}


@pytest.mark.parametrize("name", REBINDING)
@pytest.mark.parametrize("checked", [True, False], ids=["checked", "looked up twice"])
def test_a_name_that_is_another_address_a_moment_later(servers, tmp_path, name, checked):
    """Its resolver answers with the attacker's address first, and from then on with the service's."""
    service = _Service((INSIDE, servers.port), _Answer)
    service.servers = servers
    weakened = "rebinding" if checked else "rebinding,twice"
    with serving(service):
        request = REBINDING[name](servers)
        reached, output = carried_out(servers, tmp_path, request, denied=True, without=weakened)
    assert reached is not checked, output


@pytest.mark.parametrize("denied", [True, False])
def test_ssh_is_no_way_around(servers, tmp_path, denied):
    """It is told to connect through what checks, and git whom to start in place of it."""
    request = context(f"ssh://git@{INSIDE}:{servers.service}/a.git")
    before = len(servers.reached)
    _, output = carried_out(servers, tmp_path, request, denied=denied)
    assert ("in 127.0.0.0/8, a network that builds may not reach" in output) is denied, output
    if denied:
        assert len(servers.reached) == before
    else:
        assert "kex_exchange" in output or "Connection" in output, "ssh itself was there"


class TestGateway:
    """The registries' client of a pod with credentials is the gateway."""

    @pytest.mark.parametrize("denied", [True, False])
    def test_a_base_image_inside(self, servers, tmp_path, denied):
        document = {
            **dockerfile("FROM scratch\n"),
            "output": {"destinations": [f"{HERE}:9/app:1"]},
            "workDirectory": str(tmp_path),
            "registries": {"gateway": str(tmp_path / "gateway.socket")},
            **({"networks": DENIED} if denied else {}),
        }
        (tmp_path / "request.json").write_text(json.dumps(document))
        before = len(servers.reached)
        with running_gateway(tmp_path / "request.json", tmp_path) as gateway:
            status, body, _ = gateway.ask("GET", f"/{INSIDE}:{servers.service}/v2/app/manifests/1")
        assert (len(servers.reached) > before) is not denied
        assert (b"FORBIDDEN_NETWORK" in body) is denied
        assert status != 200


class TestTrustedRegistry:
    """A registry of the platform's may be inside; where its answers lead may not."""

    def test_it_is_reached(self, servers, tmp_path):
        host = f"{INSIDE}:{servers.service}"
        request = {**dockerfile(f"FROM {host}/app\n"), "registries": {"hosts": {host: {}}}}
        reached, output = carried_out(servers, tmp_path, request, denied=True)
        assert reached
        assert "may not reach" not in output

    def test_a_mirror_of_its_is_too(self, servers, tmp_path):
        hosts = {"registry.example": {"mirrors": [f"{INSIDE}:{servers.service}"], "mirrorsOnly": True}}
        request = {**dockerfile("FROM registry.example/app\n"), "registries": {"hosts": hosts}}
        assert carried_out(servers, tmp_path, request, denied=True)[0]

    @pytest.mark.parametrize("denied", [True, False])
    @pytest.mark.parametrize("way", ["redirect", "realm", "upload"])
    def test_its_answers_do_not_lead_inside(self, servers, tmp_path, way, denied):
        """The attacker's server stands for a registry that the platform named, and was taken over."""
        host = f"{HERE}:{servers.port}"
        text = "FROM scratch\nCOPY Dockerfile /\n" if way == "upload" else f"FROM {host}/{way}/app\n"
        request = {
            **dockerfile(text),
            "output": {"destinations": [f"{host}/{way}/app:1"], "skipPushPermissionCheck": True},
            "registries": {"hosts": {host: {"insecure": True}}},
        }
        reached, _ = carried_out(servers, tmp_path, request, denied=denied)
        assert reached is not denied
