"""`kubectl strake ui` on the command line, and the page that it writes of one build."""

from __future__ import annotations

import builtins
import socket
import stat
from importlib.resources import files

import pytest

from strake_kubectl.commands import ui
from strake_kubectl.ui.image import ImageFacts
from tests.unit.strake_kubectl.conftest import DIGEST, IMAGE, failed, pod, strake, succeeded
from tests.unit.strake_kubectl.ui.conftest import api

__all__ = ["api", "strake"]
LOG = b"== steps: 1\n#1/1 [build] RUN make\n#1 | ok\n#1 done in 4.2 s\n"


def test_a_report_has_all_in_one_file_that_nobody_else_reads(api, strake, tmp_path, monkeypatch):
    layers = [{"mediaType": "layer", "digest": "sha256:l1", "size": 3_000_000}]
    described = {
        "size": 3_000_500,
        "images": [{"digest": DIGEST, "mediaType": "m", "size": 3_000_500, "layers": layers}],
    }
    monkeypatch.setattr(ui, "_image", lambda _, name: {IMAGE: ImageFacts(described, ())}[name])
    ended = {"number": 3, "generation": 2, "phase": "Succeeded", "reason": "Pushed"}
    api.put(succeeded(history=[ended]))
    api.pods.append(pod("api-1"))
    api.logs["api-1"] = LOG
    done = strake("ui", "--report", str(tmp_path / "api.html"), "api")
    assert done.status == 0, done.err
    page = (tmp_path / "api.html").read_text()
    for words in ("Succeeded", "RUN make", "4.2", "#1 | ok", "3.0 MB", "git.example"):
        assert words in page
    for outside in ("<script", "<link", "href=", "<form", " src="):
        assert outside not in page
    assert stat.S_IMODE((tmp_path / "api.html").stat().st_mode) == 0o600


def test_a_report_tells_what_it_could_not_read(api, strake, tmp_path):
    api.put(succeeded(image="127.0.0.1:1/app@" + DIGEST))
    done = strake("ui", "--report", str(tmp_path / "api.html"), "api", "--insecure-registry", "127.0.0.1:1")
    assert done.status == 0, done.err
    page = (tmp_path / "api.html").read_text()
    assert "Layers and attestations are not shown: cannot read 127.0.0.1:1/app" in page
    assert "has no log yet" in page


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--report", "x.html"), "name it"),
        (("--report", "x.html", "api", "--port", "1"), "drop --port"),
        (("api",), "a name goes with --report"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(strake, words, told):
    done = strake("ui", *words)
    assert (done.status, told in done.err) == (2, True)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--port", "70000"), "is no port"),
        (("--address", "all"), "is no IP address"),
        (("--address", "0.0.0.0"), "cannot tell its own names"),
        (("--address", "::"), "cannot tell its own names"),
    ],
)
def test_values_that_are_none_are_refused(strake, capsys, words, told):
    with pytest.raises(SystemExit) as ended:
        strake("ui", *words)
    assert (ended.value.code, told in capsys.readouterr().err) == (2, True)


def test_the_url_that_is_printed_takes_connections_at_once(api, strake, monkeypatch):
    def served(server, sockets):
        with socket.create_connection(sockets[0].getsockname(), timeout=180):
            raise KeyboardInterrupt

    monkeypatch.setattr("uvicorn.Server.run", served)
    api.put(failed())
    done = strake("ui", "--no-browser")
    assert (done.status, done.out.startswith("http://127.0.0.1:")) == (0, True)
    assert "?token=" in done.out


def test_an_address_that_is_taken_is_told(api, strake):
    api.put(failed())
    port = api.url.rpartition(":")[2]
    done = strake("ui", "--no-browser", "--port", port)
    assert done.status == 1
    assert f"cannot listen on 127.0.0.1:{port}" in done.err
    assert "--port" in done.err


def test_a_library_that_is_missing_is_one_sentence(strake, monkeypatch):
    original = builtins.__import__

    def without(name, *rest):
        if name == "uvicorn":
            raise ModuleNotFoundError(name=name)
        return original(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    done = strake("ui")
    assert (done.status, done.out) == (1, "")
    assert "a library is not installed: uvicorn" in done.err
    assert "strake[ui]" in done.err


def test_the_package_has_the_files_that_pages_need():
    found = files("strake_kubectl.ui")
    assert found.joinpath("templates", "page.html").is_file()
    assert found.joinpath("static", "ui.css").is_file()
