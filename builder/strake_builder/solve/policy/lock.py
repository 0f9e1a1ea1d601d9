"""A lock: a source policy that pins what a build was made from, for the next one to be made from the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import assert_never
from urllib.parse import urlsplit

from strake_api.models.source_policy import SourcePolicy, SourceRule, SourceSelector, SourceUpdate
from strake_builder.attestations.facts import (
    ArtifactMaterial,
    FileMaterial,
    GitMaterial,
    ImageMaterial,
    Material,
)
from strake_builder.solve.policy.sources import CHECKSUM, IMAGE, git_identity
from strake_oci.errors import InvalidValueError
from strake_oci.spec.reference import Reference

_CHECKSUM_KIND = "sha256:"


def locked(lock: SourcePolicy | None, materials: Iterable[Material]) -> SourcePolicy:
    """Return a lock with what a build was made from. What it pinned before stays, in its order.

    Args:
        lock: the lock of the build; None where there was none.
        materials: what the build was made from. What its name proves already needs no rule, and an artifact
            or a URL with a password can have none.
    """
    known = () if lock is None else lock.rules
    rules = {rule.selector.identifier: rule for rule in known}
    for rule in sorted(_rules(materials), key=lambda rule: rule.selector.identifier):
        rules.setdefault(rule.selector.identifier, rule)
    return SourcePolicy(rules=tuple(rules.values()))


def _rules(materials: Iterable[Material]) -> Iterator[SourceRule]:
    for material in materials:
        match material:
            case ImageMaterial(reference, digest):
                named = _image(reference)
                if named is not None and named.digest is None:
                    yield _pin(f"{IMAGE}{named}", f"{IMAGE}{named}@{digest}")
            case FileMaterial(url, checksum):
                if checksum.startswith(_CHECKSUM_KIND) and not urlsplit(url).username:
                    yield _pin(url, url, {CHECKSUM: checksum})
            case GitMaterial(url, commit, ref, subdirectory):
                asked = git_identity(url, ref, subdirectory).identifier
                if ref != commit and not urlsplit(url).password:
                    # Not by checksum: a branch that moved on would fail the build.
                    yield _pin(asked, git_identity(url, commit, subdirectory).identifier)
            case ArtifactMaterial():
                continue
            case _:
                assert_never(material)


def _image(reference: str) -> Reference | None:
    """Return the image that a reference names; None for one of a layout."""
    try:
        return Reference.parse(reference).with_default_tag()
    except InvalidValueError:
        return None


def _pin(identifier: str, pinned: str, attrs: dict[str, str] | None = None) -> SourceRule:
    selector = SourceSelector(identifier=identifier, match_type="EXACT")
    return SourceRule(
        action="CONVERT", selector=selector, updates=SourceUpdate(identifier=pinned, attrs=attrs or {})
    )
