"""An archive on a web server: what may be named."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from strake_api.spec.source import Source

CHECKSUM = f"sha256:{'0' * 64}"


@pytest.mark.parametrize(
    "http",
    [
        {"url": "https://x.example/a.tar.gz"},
        {"url": "http://x.example:8080/a?b=c", "checksum": CHECKSUM},
        {"url": "https://x.example/a", "path": "app-1.2/src"},
    ],
)
def test_good_archives(http):
    assert Source.model_validate({"http": http}).http is not None


@pytest.mark.parametrize(
    ("http", "words"),
    [
        ({"url": "http://x.example/a"}, "needs http.checksum"),
        ({"url": "https://user:pw@x.example/a"}, "without a user name or password"),
        ({"url": "ftp://x.example/a"}, "https://HOST/PATH"),
        ({"url": "https://x.example"}, "https://HOST/PATH"),
        ({"url": "https://x.example/a b"}, "https://HOST/PATH"),
        ({"url": "https://x.example/a", "checksum": "md5:0"}, "checksum"),
        ({"url": "https://x.example/a", "path": "../x"}, "cannot leave it"),
        ({"url": "https://x.example/a", "secret": {"name": "x"}}, "secret"),
    ],
)
def test_what_cannot_be_meant(http, words):
    with pytest.raises(ValidationError, match=words):
        Source.model_validate({"http": http})
