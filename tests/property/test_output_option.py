"""`--output` in any words is understood or refused in words."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from strake_builder.cli.flags.output_option import OutputOption, parse_output
from strake_builder.errors import InvalidRequestError

KINDS = st.sampled_from(["local", "tar", "oci", "docker", "image", "registry", "x", ""])
NAMES = st.sampled_from(
    ["dest", "name", "push", "tar", "compression", "compression-level", "oci-mediatypes", "annotation.a", "y"]
)
VALUES = st.one_of(
    st.sampled_from(["true", "false", "gzip", "zstd", "9", "r.example/a:1", "/x", "-", ""]),
    st.text(max_size=8),
)
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=5)


def answer(text: str) -> OutputOption | str:
    try:
        return parse_output(text)
    except InvalidRequestError as error:
        return error.message


def understood(text: str) -> None:
    found = answer(text)
    assert isinstance(found, OutputOption) or found.startswith("--output ")


@given(st.text(max_size=60))
def test_any_text(text):
    understood(text)


@given(KINDS, FIELDS)
def test_any_fields(kind, fields):
    understood(",".join([f"type={kind}", *(f"{name}={value}" for name, value in fields)]))
