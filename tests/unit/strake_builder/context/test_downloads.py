"""What is kept of ADD's downloads is used while the server, or a checksum, says that it still counts."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from strake_builder.context.downloads import Downloads, remove_download
from strake_builder.errors import SourceError
from strake_oci.http.denied_networks import DeniedNetworks
from tests.fixtures.servers.proxy import running_proxy

WHEN = "Sun, 09 Sep 2001 01:46:40 GMT"
NANOSECONDS = 1_000_000_000 * 10**9


@dataclass
class Web:
    """A server of one file.

    Attributes:
        content: of the file.
        headers: of the answer.
        asked: status and conditions of each request so far.
    """

    url: str = ""
    content: bytes = b"first"
    headers: dict[str, str] = field(default_factory=lambda: {"ETag": '"one"', "Last-Modified": WHEN})
    asked: list[tuple[int, str | None, str | None]] = field(default_factory=list)

    def answers(self) -> list[int]:
        found = [status for status, _, _ in self.asked]
        self.asked.clear()
        return found


@pytest.fixture
def web():
    served = Web()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            tag, since = self.headers["If-None-Match"], self.headers["If-Modified-Since"]
            if self.path == "/away":
                self.send_response(302)
                self.send_header("Location", "file:///etc/passwd")
                self.end_headers()
                return
            same = tag == served.headers.get("ETag") if tag else since == served.headers.get("Last-Modified")
            status = 304 if (tag or since) and same else 200
            served.asked.append((status, tag, since))
            self.send_response(status)
            for name, value in served.headers.items():
                self.send_header(name, value)
            if status == 200:
                self.send_header("Content-Length", str(len(served.content)))
            self.end_headers()
            if status == 200:
                self.wfile.write(served.content)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        served.url = f"http://127.0.0.1:{server.server_port}/file"
        yield served
        server.shutdown()
        thread.join()


@pytest.fixture
def fetch(tmp_path, web):
    """Download into a new file and return content and time; every call is a build of its own."""
    numbers = iter(range(1000))

    def fetched(checksum: str | None = None, **limits) -> tuple[bytes, int | None]:
        path = tmp_path / str(next(numbers))
        modified = Downloads(str(tmp_path / "kept")).fetch(web.url, str(path), checksum, **limits).modified
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        return path.read_bytes(), modified

    return fetched


@pytest.mark.parametrize(
    "headers", [{"ETag": '"one"'}, {"Last-Modified": WHEN}, {"ETag": 'W/"weak"', "Last-Modified": WHEN}]
)
def test_what_has_not_changed_is_not_sent_again(web, fetch, headers):
    web.headers = headers
    time = NANOSECONDS if "Last-Modified" in headers else None
    assert fetch() == fetch() == (b"first", time)
    assert web.answers() == [200, 304]


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "GZIP"])
@pytest.mark.parametrize("kept_compressed", [False, True])
def test_a_content_encoding_is_undone(web, fetch, coding, kept_compressed):
    """Object stores send an object that was stored so, whatever the client accepts."""
    plain = os.urandom(3 << 20)
    file = gzip.compress(plain) if kept_compressed else plain  # an archive may be compressed once more
    web.content = gzip.compress(file[:99]) + gzip.compress(file[99:])  # members, as RFC 1952 allows
    web.headers = {"ETag": '"one"', "Content-Encoding": coding}
    checksum = f"sha256:{hashlib.sha256(file).hexdigest()}"
    assert fetch(checksum)[0] == file
    assert fetch()[0] == file
    assert web.answers() == [200, 304]


def test_what_is_encoded_in_an_unknown_way_stays(web, fetch):
    web.headers["Content-Encoding"] = "br"
    assert fetch()[0] == b"first"


def test_an_archive_that_is_not_encoded_stays_an_archive(web, fetch):
    web.content = gzip.compress(b"first")
    assert fetch()[0] == web.content


def test_a_broken_encoding_is_an_error(web, fetch):
    whole = gzip.compress(os.urandom(3 << 20))
    web.headers["Content-Encoding"] = "gzip"
    for content in (b"first", whole[:-4], whole[: len(whole) // 2], whole[:5000] + b"x" * 100 + whole[5100:]):
        web.content = content
        with pytest.raises(SourceError, match=r"/file was sent as gzip, (but|and)"):
            fetch()


def test_the_limit_holds_for_what_an_encoding_hides(web, fetch):
    web.content = gzip.compress(bytes(50 << 20))
    web.headers["Content-Encoding"] = "gzip"
    with pytest.raises(SourceError, match="larger than 16 MiB"):
        fetch(limit=16 << 20)


def test_what_has_changed_is(web, fetch):
    fetch()
    web.content, web.headers = b"second", {"ETag": '"two"'}
    assert fetch() == fetch() == (b"second", None)
    assert web.answers() == [200, 200, 304]


def test_without_a_way_to_ask_it_is_sent_again(web, fetch):
    web.headers = {}
    assert fetch() == fetch()
    assert web.answers() == [200, 200]


def test_a_checksum_that_is_kept_needs_no_question(web, fetch):
    checksum = "sha256:" + hashlib.sha256(b"first").hexdigest()
    fetch()
    web.content = b"second"
    assert fetch(checksum) == (b"first", NANOSECONDS)
    assert web.answers() == [200]


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_kept_file_is_compared_with_its_checksum(web, fetch, algorithm):
    fetch()
    with pytest.raises(SourceError, match="has the checksum"):
        fetch(f"{algorithm}:" + "0" * 64)
    assert fetch(f"{algorithm}:" + hashlib.new(algorithm, b"first").hexdigest())[0] == b"first"


@pytest.mark.parametrize("harm", ["content", "metadata", "gone", "nonsense"])
def test_a_kept_file_that_is_damaged_is_fetched_anew(web, fetch, harm, tmp_path):
    fetch()
    (content,) = [path for path in (tmp_path / "kept").iterdir() if path.suffix != ".json"]
    match harm:
        case "content":
            content.write_bytes(b"wrong")
        case "metadata":
            content.with_name(content.name + ".json").write_text('{"sha256": 1}')
        case "gone":
            content.unlink()
        case "nonsense":
            content.with_name(content.name + ".json").write_bytes(b"\xff" * 100_000)
    assert fetch() == (b"first", NANOSECONDS)
    assert web.answers()[-1] == 200
    assert fetch() == (b"first", NANOSECONDS)
    assert web.answers() == [304]


def test_the_limit_holds_for_what_is_kept(web, fetch):
    fetch()
    with pytest.raises(SourceError, match="larger than"):
        fetch(limit=4)


def test_many_builds_at_once(web, fetch):
    with ThreadPoolExecutor(8) as pool:
        got = {result.result() for result in [pool.submit(fetch) for _ in range(40)]}
    assert got == {(b"first", NANOSECONDS)}


def test_nothing_is_kept_without_a_directory(web, tmp_path):
    for name in "ab":
        Downloads().fetch(web.url, str(tmp_path / name), None)
    assert web.answers() == [200, 200]


def test_what_is_used_is_told_and_can_be_removed(web, tmp_path):
    held: list[tuple[str, int | None]] = []
    downloads = Downloads(str(tmp_path / "kept"), lambda name, size: held.append((name, size)))
    downloads.fetch(web.url, str(tmp_path / "a"), None)
    name = held[0][0]
    assert held == [(name, None), (name, 5)]
    assert remove_download(str(tmp_path / "kept"), name)
    assert os.listdir(tmp_path / "kept") == []
    assert not remove_download(str(tmp_path / "kept"), "layer-x")


def test_a_download_tells_its_bytes_and_no_secret_of_its_url(web, tmp_path):
    web.content = bytes(9 << 20)
    heard: list[tuple[str, int, int | None]] = []
    downloads = Downloads(watch=lambda *told: heard.append(told))
    downloads.fetch(f"{web.url}?token=secret", str(tmp_path / "a"), None)
    assert {(source, total) for source, _, total in heard} == {(web.url, 9 << 20)}
    assert heard[0][1] >= 4 << 20
    assert [done for _, done, _ in heard].count(9 << 20) == 1, "the end is told once"
    assert heard[-1][1] == 9 << 20


def test_a_redirect_leads_to_no_file(web, tmp_path):
    url = web.url.replace("/file", "/away")
    with pytest.raises(SourceError, match="scheme 'file' refused"):
        Downloads(str(tmp_path / "kept")).fetch(url, str(tmp_path / "a"), None)


LITERALS = ["169.254.169.254", "[::ffff:a9fe:a9fe]", "2852039166", "169.254.169.254.", "%3169.254.169.254"]


@pytest.mark.parametrize("host", LITERALS)
def test_a_proxy_is_not_asked_for_an_address_that_is_denied(tmp_path, monkeypatch, host):
    networks = DeniedNetworks.parse(["169.254.0.0/16"])
    with running_proxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(SourceError, match=r"169\.254\.0\.0/16, a network that builds may not reach"):
            Downloads(networks=networks).fetch(f"https://{host}/latest", str(tmp_path / "x"), None)
        assert proxy.asked == []
