"""in-toto statements: a predicate, and the image that it is about.

Source: in-toto attestation framework, "Statement v1".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from strake_builder.attestations.facts import Subject
from strake_builder.attestations.predicate import without_surrogates
from strake_builder.attestations.purl import image_purl
from strake_oci.attestations import STATEMENT_TYPE
from strake_oci.spec.wire import encode


def statement(subject: Subject, predicate_type: str, predicate: Mapping[str, Any]) -> bytes:
    """Return a statement about an image; each of its names is a subject, "_" for one without any."""
    names = [image_purl(str(name), subject.platform) for name in subject.names] or ["_"]
    digest = {subject.digest.algorithm: subject.digest.encoded}
    return encode(
        {
            "_type": STATEMENT_TYPE,
            "predicateType": predicate_type,
            "subject": [{"name": name, "digest": digest} for name in dict.fromkeys(names)],
            "predicate": without_surrogates(predicate),
        }
    )
