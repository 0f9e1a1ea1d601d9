"""The pure parts of the registry client: challenges, retries, proxies, settings, the replay window."""

import threading
from typing import ClassVar

import pytest

from strake_oci.cancellation import Cancellation
from strake_oci.errors import (
    ConnectionFailedError,
    DeniedError,
    ErrorContext,
    InvalidReferenceError,
    InvalidValueError,
    OCIError,
    ProtocolError,
    RateLimitedError,
    ServerError,
    TLSError,
)
from strake_oci.http.endpoint import Endpoint
from strake_oci.http.proxy import proxy_for
from strake_oci.http.url_policy import check_url, origin, redacted
from strake_oci.registry.auth.challenge import Scope, merge_scopes, parse_challenges, parse_scopes
from strake_oci.registry.blobs.replay_buffer import ReplayWindow, WindowPassedError
from strake_oci.registry.retry import Retrier, RetryPolicy, parse_retry_after
from strake_oci.registry.settings import ClientSettings, Mirror, RegistrySettings
from strake_oci.spec.reference import Repository


class TestChallenges:
    @pytest.mark.parametrize(
        ("header", "expected"),
        [
            (
                'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a:pull,push"',
                [
                    (
                        "bearer",
                        {
                            "realm": "https://auth.docker.io/token",
                            "service": "registry.docker.io",
                            "scope": "repository:a:pull,push",
                        },
                    )
                ],
            ),
            ('Basic realm="Registry Realm"', [("basic", {"realm": "Registry Realm"})]),
            ("BASIC realm=plain", [("basic", {"realm": "plain"})]),
            ('Bearer realm = "x" , error="a\\"b"', [("bearer", {"realm": "x", "error": 'a"b'})]),
            ('Basic realm="a", Bearer realm="b"', [("basic", {"realm": "a"}), ("bearer", {"realm": "b"})]),
            ("Negotiate, Basic realm=x", [("negotiate", {}), ("basic", {"realm": "x"})]),
            ("NTLM TlRMTVNTUAAC==, Basic realm=x", [("ntlm", {}), ("basic", {"realm": "x"})]),
            ("Bearer", [("bearer", {})]),
            ("", []),
            (",,,", []),
            ('Bearer realm="unclosed', [("bearer", {})]),
        ],
    )
    def test_grammar(self, header, expected):
        read = [(challenge.scheme, challenge.parameters) for challenge in parse_challenges([header])]
        assert read[: len(expected)] == expected

    def test_several_headers(self):
        assert [one.scheme for one in parse_challenges(["Basic realm=a", "Bearer realm=b"])] == [
            "basic",
            "bearer",
        ]

    def test_scopes(self):
        assert parse_scopes("repository:host:5000/a:push,pull registry:catalog:* junk") == (
            Scope("repository", "host:5000/a", ("pull", "push")),
            Scope("registry", "catalog", ("*",)),
        )

    def test_scopes_merge(self):
        merged = merge_scopes(
            [Scope.repository("b", "push", "pull")],
            [Scope.repository("a", "pull"), Scope.repository("b", "pull")],
        )
        assert [str(scope) for scope in merged] == ["repository:a:pull", "repository:b:pull,push"]


def error(kind, **context):
    return kind(ErrorContext("r.io", **context), "it failed")


class TestRetries:
    POLICY = RetryPolicy(attempts=4, base=1, cap=3, deadline=10, jitter=0)

    @pytest.mark.parametrize(("attempt", "delay"), [(1, 1), (2, 2), (3, 3), (4, None)])
    def test_delays_double_up_to_a_cap(self, attempt, delay):
        assert self.POLICY.delay(attempt, 0, error(ServerError, status=503), 0.5) == delay

    def test_jitter_shortens(self):
        policy = RetryPolicy(base=1, jitter=0.5)
        assert policy.delay(1, 0, error(ConnectionFailedError), 0.5) == 0.75

    def test_nothing_begins_after_the_deadline(self):
        assert self.POLICY.delay(1, 9.5, error(ConnectionFailedError), 0) is None

    def test_registry_may_ask_for_more(self):
        assert self.POLICY.delay(1, 0, error(RateLimitedError, status=429, retry_after=7), 0) == 7
        assert self.POLICY.delay(1, 0, error(RateLimitedError, status=429, retry_after=11), 0) is None

    @pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 520, 524, 599])
    def test_some_failures_pass(self, status):
        assert self.POLICY.delay(1, 0, error(ServerError, status=status), 0) == 1

    @pytest.mark.parametrize(
        "failure",
        [
            error(DeniedError, status=403),
            error(TLSError),
            *(error(ServerError, status=s) for s in (501, 505, 511)),
        ],
    )
    def test_some_failures_stay(self, failure):
        assert self.POLICY.delay(1, 0, failure, 0) is None

    @pytest.mark.parametrize(
        ("value", "seconds"),
        [
            ("", 0),
            ("120", 120),
            ("-5", 0),
            ("soon", 0),
            ("Thu, 01 Jan 1970 00:01:40 GMT", 90),
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("9" * 400, 999_999_999),
        ],
    )
    def test_retry_after(self, value, seconds):
        assert parse_retry_after(value, now=10) == seconds

    def test_stop_ends_the_wait(self):
        cancellation = Cancellation()
        retrier = Retrier(RetryPolicy(base=60, cap=60), cancellation)
        cancellation.cancel(OCIError("stopped"))
        calls = []

        def attempt():
            calls.append(1)
            raise error(ConnectionFailedError)

        with pytest.raises(ConnectionFailedError):
            retrier.run(attempt)
        assert len(calls) == 1


class TestProxies:
    PROXY: ClassVar = {"HTTPS_PROXY": "http://proxy:3128", "http_proxy": "proxy:3128"}

    @pytest.mark.parametrize(
        ("url", "no_proxy", "used"),
        [
            ("https://ghcr.io/v2/", "", "http://proxy:3128"),
            ("http://registry/v2/", "", "http://proxy:3128"),
            ("https://localhost/", "", None),
            ("https://127.0.0.1:5000/", "", None),
            ("https://[::1]/", "", None),
            ("https://ghcr.io/", "*", None),
            ("https://ghcr.io/", "ghcr.io", None),
            ("https://GHCR.io/", "ghcr.IO", None),
            ("https://pkg.ghcr.io/", "ghcr.io", None),
            ("https://pkg.ghcr.io/", ".ghcr.io", None),
            ("https://ghcr.io/", ".ghcr.io", "http://proxy:3128"),
            ("https://pkg.ghcr.io/", "*.ghcr.io", None),
            ("https://notghcr.io/", "ghcr.io", "http://proxy:3128"),
            ("https://10.1.2.3/", "10.0.0.0/8", None),
            ("https://11.1.2.3/", "10.0.0.0/8", "http://proxy:3128"),
            ("https://10.1.2.3/", "10.1.2.3", None),
            ("https://reg.local:5000/", "reg.local:5000", None),
            ("https://reg.local:5001/", "reg.local:5000", "http://proxy:3128"),
            ("https://reg.local/", "reg.local:443", None),
            ("https://[fd00::1]/", "fd00::/8", None),
            ("https://[fd00::1]:5000/", "[fd00::1]:5000", None),
            ("https://a.svc/", " x , .svc ,", None),
            ("https://a/", "1.2.3.4/99,x/y", "http://proxy:3128"),
        ],
    )
    def test_rules_of_go(self, url, no_proxy, used):
        assert proxy_for(url, {**self.PROXY, "NO_PROXY": no_proxy}) == used

    def test_all_proxy(self):
        assert proxy_for("https://ghcr.io/", {"ALL_PROXY": "http://p:1"}) == "http://p:1"

    def test_other_kinds_are_refused(self):
        with pytest.raises(InvalidValueError):
            proxy_for("https://ghcr.io/", {"HTTPS_PROXY": "socks5://p:1"})


class TestSettings:
    def test_docker_hub_lives_elsewhere(self):
        assert ClientSettings().endpoint("docker.io").base == "https://registry-1.docker.io"

    def test_plain_http_only_where_asked(self):
        settings = ClientSettings.insecure("localhost:5000")
        assert settings.endpoint("localhost:5000").base == "http://localhost:5000"
        assert settings.endpoint("localhost:5001").base == "https://localhost:5001"

    def test_one_gateway_serves_all_registries(self):
        settings = ClientSettings(default=RegistrySettings(location="http://gateway/{registry}/"))
        endpoint = settings.endpoint("ghcr.io")
        assert (
            endpoint.url(Repository("ghcr.io", "a/b"), "tags/list")
            == "http://gateway/ghcr.io/v2/a/b/tags/list"
        )

    def test_location_must_be_a_url(self):
        settings = ClientSettings(registries={"x.io": RegistrySettings(location="x.io")})
        with pytest.raises(InvalidValueError):
            settings.endpoint("x.io")

    @pytest.mark.parametrize(
        ("text", "repository"),
        [
            ("mirror.io", "mirror.io/library/alpine"),
            ("mirror.io:5000/proxy/hub/", "mirror.io:5000/proxy/hub/library/alpine"),
        ],
    )
    def test_mirror(self, text, repository):
        assert str(Mirror.parse(text).repository(Repository.parse("alpine"))) == repository

    @pytest.mark.parametrize("text", ["", "http://mirror.io", "mirror.io/UPPER", "a b"])
    def test_mirror_that_is_none(self, text):
        with pytest.raises(InvalidReferenceError):
            Mirror.parse(text)


class TestURLs:
    @pytest.mark.parametrize(
        ("url", "shown"),
        [
            ("https://u:p@reg.io:5000/v2/a?token=s#f", "https://reg.io:5000/v2/a"),
            ("http://[::1]:5000/v2/", "http://[::1]:5000/v2/"),
        ],
    )
    def test_secrets_are_cut_off(self, url, shown):
        assert redacted(url) == shown

    def test_origin_counts_the_default_port(self):
        assert origin("https://reg.io/a") == origin("https://reg.io:443/b") != origin("http://reg.io/a")
        assert origin("https://reg.io") != origin("https://reg.io.evil.com")

    @pytest.mark.parametrize(
        "target", ["http://169.254.169.254/latest", "http://[::ffff:127.0.0.1]/", "http://0.0.0.0/"]
    )
    def test_addresses_of_this_machine_are_refused_to_strangers(self, target):
        stranger = Endpoint("reg.example", "http://203.0.113.7")
        with pytest.raises(ProtocolError, match="this machine"):
            check_url(stranger, target, ErrorContext("reg.example"), what="redirect")

    @pytest.mark.parametrize("target", ["http://10.0.0.5/x", "http://127.0.0.1:9/x"])
    def test_neighbours_are_allowed(self, target):
        neighbour = Endpoint("localhost:5000", "http://localhost:5000")
        check_url(neighbour, target, ErrorContext("l"), what="redirect")
        with pytest.raises(ProtocolError, match="scheme"):  # it is looked at all the same
            check_url(neighbour, f"file:{target}", ErrorContext("l"), what="redirect")


class TestWindow:
    def test_sent_bytes_can_be_had_again_for_a_while(self):
        window = ReplayWindow(ahead=100, kept=4)
        for piece in (b"ab", b"cd", b"ef", b"gh"):
            assert window.write(piece)
        window.close()
        assert b"".join(window.read_from(0)) == b"abcdefgh"
        assert b"".join(window.read_from(5)) == b"fgh"
        assert b"".join(window.read_from(5, 2)) == b"fg"
        assert not window.is_whole
        with pytest.raises(WindowPassedError):
            next(window.read_from(1))

    def test_writer_waits_for_the_reader(self):
        window = ReplayWindow(ahead=4, kept=0)
        written = []

        def write():
            for number in range(10):
                window.write(b"xxxx")
                written.append(number)
            window.close()

        thread = threading.Thread(target=write)
        thread.start()
        reader = window.read_from(0)
        assert next(reader) == b"xxxx"
        assert len(written) <= 3
        assert sum(map(len, reader)) == 36
        thread.join()

    def test_abandoned_writer_is_let_go(self):
        window = ReplayWindow(ahead=1)
        window.write(b"x")
        results = []
        thread = threading.Thread(target=lambda: results.append(window.write(b"y")))
        thread.start()
        window.abandon()
        thread.join()
        assert results == [False]

    def test_waiting_for_bytes(self):
        window = ReplayWindow(ahead=10)
        window.write(b"12345")
        assert window.await_bytes(0, 3) == 3
        window.close()
        assert window.await_bytes(2, 100) == 3
        assert window.await_bytes(5, 1) == 0
