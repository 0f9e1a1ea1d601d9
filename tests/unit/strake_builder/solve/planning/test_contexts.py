"""Named contexts of a request: their kinds for planning, and what cannot be meant."""

from __future__ import annotations

import pytest

from strake_api.models.source import DirectorySource, LayoutImage, NamedContext, Source
from strake_builder.errors import InvalidRequestError
from strake_builder.frontend.model.named_contexts import FilesContext, ImageContext
from strake_builder.solve.planning.contexts import RequestedContexts

DIGEST = f"sha256:{'a' * 64}"
FILES = NamedContext(name="lib", source=Source(directory=DirectorySource(path="/lib")))


def test_kinds():
    layout = LayoutImage(path="/layout", tag="v1", digest=DIGEST)
    contexts = RequestedContexts.of(
        (
            FILES,
            NamedContext(name="docker.io/library/alpine", image="registry.example/alpine:3"),
            NamedContext(name="none", image="scratch"),
            NamedContext(name="img:1", layout=layout),
        )
    )
    stands_for = f"oci-layout:///layout:v1@{DIGEST}"
    assert contexts.kinds.kinds == {
        "lib": FilesContext(),
        "alpine": ImageContext("registry.example/alpine:3"),
        "none": ImageContext(""),
        "img:1": ImageContext(stands_for),
    }
    assert contexts.layouts == {stands_for: layout}
    assert contexts.unused(frozenset({"alpine"})) == ["lib", "none", "img:1"]


@pytest.mark.parametrize(
    ("contexts", "words"),
    [
        ((NamedContext(name="Lib", image="x"),), "'Lib'.*lower-case"),
        ((NamedContext(name="lib", image="a b"),), "the named context 'lib': 'a b' is not"),
        ((FILES, NamedContext(name="docker.io/library/lib:latest", image="x")), "have the same name"),
    ],
)
def test_what_cannot_be_meant(contexts, words):
    with pytest.raises(InvalidRequestError, match=words):
        RequestedContexts.of(contexts)
