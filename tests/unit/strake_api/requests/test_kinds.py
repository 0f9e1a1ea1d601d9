"""Requests of other kinds than builds: which one a document is, and what each refuses."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from strake_api.requests.build import BuildRequest
from strake_api.requests.index import IndexRequest
from strake_api.requests.kinds import parse_request
from strake_api.requests.sources import SourceRequest

A = f"sha256:{'a' * 64}"
NAMED: dict[str, object] = {"destinations": ["r.example/a:1"]}
GIT: dict[str, object] = {"git": {"url": "https://git.example/app", "ref": "main"}}
BUILD: dict[str, object] = {
    "kind": "BuildRequest",
    "source": GIT,
    "output": NAMED,
    "workDirectory": "/work",
}
SOURCE: dict[str, object] = {"kind": "SourceRequest", "source": GIT, "workDirectory": "/work"}
INDEX: dict[str, object] = {
    "kind": "IndexRequest",
    "images": [{"platform": "linux/amd64", "digest": A}],
    "output": NAMED,
    "workDirectory": "/work",
}


@pytest.mark.parametrize(
    ("document", "kind"), [(BUILD, BuildRequest), (SOURCE, SourceRequest), (INDEX, IndexRequest)]
)
def test_the_kind_decides(document, kind):
    parsed = parse_request(json.dumps(document))

    assert type(parsed) is kind
    assert parse_request(parsed.to_json()) == parsed


def test_without_a_kind_it_is_a_build():
    """So it was before there were others."""
    del (unnamed := dict(BUILD))["kind"]
    assert type(parse_request(json.dumps(unnamed))) is BuildRequest


@pytest.mark.parametrize(
    "document",
    [
        {**SOURCE, "kind": "Other"},
        {**SOURCE, "output": NAMED},
        {**SOURCE, "source": {"git": {"url": "https://x.example", "credentials": "relative"}}},
        {**SOURCE, "source": {"git": {"url": "https://x.example", "resolved": True}}},
        {**SOURCE, "source": {"git": {"url": "https://x.example", "commit": "abcdef0", "resolved": True}}},
        {**SOURCE, "registries": {"gateway": "relative"}},
        {**INDEX, "images": []},
        {**INDEX, "images": [{"platform": "linux/amd64", "digest": "1.0"}]},
        {**INDEX, "revision": "main"},
        {**INDEX, "source": GIT},
        {**INDEX, "output": {**NAMED, "sign": {"key": "relative"}}},
        {**BUILD, "platform": "linux/amd64,linux/arm64", "output": {**NAMED, "byDigest": True}},
    ],
    ids=lambda document: json.dumps(document)[:60],
)
def test_refused(document):
    with pytest.raises(ValidationError):
        parse_request(json.dumps(document))
