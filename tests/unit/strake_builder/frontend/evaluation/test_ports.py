"""Arguments of EXPOSE."""

from __future__ import annotations

import pytest

from strake_builder.frontend import FaultError
from strake_builder.frontend.evaluation.ports import parse_port


@pytest.mark.parametrize(
    ("text", "ports", "mapping"),
    [
        ("80", ["80/tcp"], False),
        ("80/UDP", ["80/udp"], False),
        ("1-3/sctp", ["1/sctp", "2/sctp", "3/sctp"], False),
        ("5-5", ["5/tcp"], False),
        ("8080:80", ["80/tcp"], True),
        ("127.0.0.1:1:2/udp", ["2/udp"], True),
        ("[::1]:1:2", ["2/tcp"], True),
        ("1-3:7", ["7/tcp"], True),
        ("1-2:3-4", ["3/tcp", "4/tcp"], True),
    ],
)
def test_port(text, ports, mapping):
    spec = parse_port(text)
    assert (spec.ports(), spec.is_mapping) == (ports, mapping)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/tcp",
        "x",
        "-1",
        "65536",
        "3-1",
        "1-",
        "80/http",
        "1.2.3:4:5",
        "a:80",
        "1-3:4-5",
        "8 0",
        "\u0668\u0660",
    ],
)
def test_no_port(text):
    with pytest.raises(FaultError, match="invalid port"):
        parse_port(text)
