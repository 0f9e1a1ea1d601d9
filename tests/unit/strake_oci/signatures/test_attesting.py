"""Which statements a key signs: provenance of one image, which no reader takes for something else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from strake_oci.attestations import PROVENANCE, STATEMENT_TYPE
from strake_oci.errors import InvalidDocumentError
from strake_oci.signatures.attesting import attestation_tag, check_statement
from strake_oci.spec.digest import Digest

DIGEST, OTHER = Digest.sha256(b"image"), Digest.sha256(b"other")


def subject(digest: Digest = DIGEST, name: str = "_") -> dict[str, Any]:
    return {"name": name, "digest": {"sha256": digest.encoded}}


def statement(**changes: object) -> bytes:
    fields = {"_type": STATEMENT_TYPE, "predicateType": PROVENANCE, "subject": [subject()], "predicate": {}}
    return json.dumps(fields | changes).encode()


def test_the_tag_is_cosigns():
    assert attestation_tag(DIGEST) == f"sha256-{DIGEST.encoded}.att"


@pytest.mark.parametrize(
    "content",
    [
        statement(),
        statement(subject=[subject(name="a"), subject(name="b")]),
        statement(predicateType="https://spdx.dev/Document"),
        statement(predicateType="https://cyclonedx.org/bom"),
        statement(predicate={"a": 1, "A": [{"subject": "none of ours"}]}),
    ],
    ids=["one name", "two names of one image", "SPDX", "CycloneDX", "any predicate"],
)
def test_provenance_is_signed_for_its_image_and_for_no_other(content):
    check_statement(content, DIGEST)
    with pytest.raises(InvalidDocumentError):
        check_statement(content, OTHER)


REFUSED = {
    "another image": statement(subject=[subject(OTHER)]),
    "two images": statement(subject=[subject(), subject(OTHER)]),
    "two digests": statement(subject=[{"name": "_", "digest": {"sha256": DIGEST.encoded, "sha512": "0"}}]),
    "one digest twice": statement().replace(b'{"sha256"', b'{"sha256": "0", "sha256"'),
    "one digest in two spellings": statement().replace(b'{"sha256"', b'{"SHA256": "0", "sha256"'),
    "no subject": statement(subject=[]),
    "a subject that is an object": statement(subject={"name": "digest"}),
    "no list of subjects": statement(subject="sha256"),
    "two lists of subjects": statement()[:-1] + b',"subject":[]}',
    "subjects in another spelling": statement()[:-1] + b',"Subject":[]}',
    "a field that is not in-toto's": statement(more=1),
    "a signature of cosign": statement(predicateType="https://sigstore.dev/cosign/sign/v1"),
    "an SBOM of another kind": statement(predicateType="https://example.com/bom"),
    "no predicate type": statement(predicateType=[]),
    "another statement": statement(_type="https://in-toto.io/Statement/v0.1"),
    "a list": b"[]",
    "no object": b"1",
    "no JSON": b"{",
    "no text": b"\xff",
    "nested too deeply": b"[" * 100_000,
}


@pytest.mark.parametrize("name", REFUSED)
def test_nothing_else_is_signed(name):
    with pytest.raises(InvalidDocumentError):
        check_statement(REFUSED[name], DIGEST)
