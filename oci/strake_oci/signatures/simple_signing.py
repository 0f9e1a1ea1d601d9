"""The form `legacy`: a signed payload that names the image, under a tag made of the image's digest.

Sources: cosign, `specs/SIGNATURE_SPEC.md`; containers/image, `containers-signature(5)`. The tag is a manifest
whose layers are the payloads, each with its signature in an annotation; every signer adds a layer.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field

from strake_oci.errors import OCIError
from strake_oci.spec import mediatype
from strake_oci.spec.descriptor import Descriptor
from strake_oci.spec.digest import Digest
from strake_oci.spec.manifest import Manifest
from strake_oci.spec.reference import DEFAULT_REGISTRY
from strake_oci.spec.wire import WireModel, decode, encode

if TYPE_CHECKING:
    from strake_oci.signatures.keys import PrivateKey, VerificationKey
    from strake_oci.spec.reference import Repository

MEDIA_TYPE: Final = "application/vnd.dev.cosign.simplesigning.v1+json"
MAX_PAYLOAD: Final = 64 << 10
"""Bytes; a payload has some 250, and what its signer notes."""
_SIGNATURE: Final = "dev.cosignproject.cosign/signature"
_TYPE: Final = "cosign container image signature"
_TYPES: Final = frozenset({_TYPE, "atomic container signature"})
_HUB: Final = "index.docker.io"
"""Docker Hub's name in cosign's payloads."""
_NO_TIME: Final = "0001-01-01T00:00:00Z"


def signature_tag(digest: Digest) -> str:
    """Return the tag that has the signatures of a manifest."""
    return f"{digest.algorithm}-{digest.encoded}.sig"


def payload(repository: Repository, digest: Digest) -> bytes:
    """Return what is signed: an image's digest, and the repository that it was signed in."""
    registry = _HUB if repository.registry == DEFAULT_REGISTRY else repository.registry
    return encode(
        {
            "critical": {
                "identity": {"docker-reference": f"{registry}/{repository.path}"},
                "image": {"docker-manifest-digest": str(digest)},
                "type": _TYPE,
            },
            "optional": None,
        }
    )


def is_about(content: bytes, digest: Digest) -> bool:
    """Tell whether a payload names a manifest."""
    try:
        critical = decode(_Payload, content, what="payload", limit=MAX_PAYLOAD).critical
    except OCIError:
        return False
    return critical.type in _TYPES and critical.image.digest == str(digest)


def signed_layer(content: bytes, key: PrivateKey) -> Descriptor:
    """Return the layer of a payload, with the signature beside it."""
    signature = base64.b64encode(key.sign(content)).decode()
    plain = Descriptor.of(MEDIA_TYPE, content)
    return Descriptor(plain.media_type, plain.digest, plain.size, annotations={_SIGNATURE: signature})


def is_signed(layer: Descriptor, content: bytes, key: VerificationKey) -> bool:
    """Tell whether a key made the signature that a layer carries for its payload."""
    try:
        signature = base64.b64decode(layer.annotations.get(_SIGNATURE, ""), validate=True)
    except binascii.Error:
        return False
    return bool(signature) and key.verifies(signature, content)


def with_layer(manifest: Manifest | None, layer: Descriptor) -> tuple[bytes, bytes]:
    """Return config and manifest of an image's signatures with one more.

    Args:
        manifest: What the tag has; None where there is no such tag yet.
        layer: The new one.
    """
    layers = (*(manifest.layers if manifest else ()), layer)
    config = encode(
        {
            "architecture": "",
            "created": _NO_TIME,
            "history": [{"created": _NO_TIME} for _ in layers],
            "os": "",
            "rootfs": {"type": "layers", "diff_ids": [str(each.digest) for each in layers]},
            "config": {},
        }
    )
    annotations = manifest.annotations if manifest else {}
    document = Manifest(Descriptor.of(mediatype.OCI_CONFIG, config), layers, annotations=annotations)
    return config, document.serialize()


class _Image(WireModel):
    digest: Annotated[str, Field(alias="docker-manifest-digest")]


class _Critical(WireModel):
    image: _Image
    type: str


class _Payload(WireModel):
    critical: _Critical
