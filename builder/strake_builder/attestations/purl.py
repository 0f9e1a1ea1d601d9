"""Images as package URLs, written as BuildKit writes them.

Source: purl-spec, type `docker`; BuildKit v0.34, what its provenance has.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from strake_oci.errors import OCIError
from strake_oci.spec.platform import Platform
from strake_oci.spec.reference import Reference

_LAYOUT: Final = "oci-layout://"


def image_purl(reference: str, platform: Platform | None = None) -> str:
    """Return an image's package URL; `pkg:oci/…` for one of an image layout, without the path to it.

    Args:
        reference: as it is written, with or without tag and digest.
        platform: that is meant, where there are several.
    """
    kind = "docker"
    if reference.startswith(_LAYOUT):
        kind, reference = "oci", reference.rpartition("/")[2].lower()
    try:
        parsed = Reference.parse(reference).with_default_tag()
    except OCIError:  # the last part of a path may be any name
        return f"pkg:{kind}/{quote(reference, safe='')}{_query(None, platform)}"
    tag = f"@{parsed.tag}" if parsed.tag else ""
    digest = str(parsed.digest) if parsed.digest else None
    return f"pkg:{kind}/{parsed.repository.familiar}{tag}{_query(digest, platform)}"


def _query(digest: str | None, platform: Platform | None) -> str:
    fields = [f"digest={digest}"] if digest else []
    if platform is not None:
        fields.append(f"platform={quote(str(platform), safe='')}")
    return "?" + "&".join(fields) if fields else ""
