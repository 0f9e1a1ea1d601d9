"""Flags of what is attested of an image, in buildx's words."""

from __future__ import annotations

import argparse
import csv
from typing import TYPE_CHECKING, Any, Final

from strake_api.values.attestations import DEFAULT_GENERATOR
from strake_builder.errors import InvalidRequestError
from strake_builder.output.targets import ArchiveTarget, FileTarget, LayoutTarget

if TYPE_CHECKING:
    from strake_api.requests.output import Attestations

_DISABLED: Final = frozenset({"false", "0", "none"})
_DEFAULT: Final = frozenset({"true", "1", ""})
_MODES: Final = frozenset({"min", "max"})
_FIELDS: Final = {
    "provenance": frozenset({"mode", "builder-id", "disabled"}),
    "sbom": frozenset({"generator", "disabled"}),
}
_HINT: Final = (
    "write --provenance=min or --provenance=max, --sbom or --sbom=generator=IMAGE, "
    "--attest type=provenance,mode=max or --attest type=sbom,generator=IMAGE"
)


def add_attestation_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that `read_attestations` reads."""
    group = parser.add_argument_group("attestations")
    group.add_argument(
        "--provenance",
        metavar="min|max|false",
        nargs="?",
        const="true",
        help="attest from what the image was built, as SLSA provenance: min, or max with arguments, "
        "Dockerfile and steps, too (default: false; without a value max, as with BuildKit)",
    )
    group.add_argument(
        "--sbom",
        metavar="generator=IMAGE|false",
        nargs="?",
        const="true",
        help="attest what is in the image: an SBOM, made by a scanner's image of BuildKit's protocol "
        f"(default: false; without a value by {DEFAULT_GENERATOR})",
    )
    group.add_argument(
        "--attest",
        metavar="type=provenance|sbom,…",
        action="append",
        default=[],
        help="the same in buildx's long form: type=provenance,mode=min|max,builder-id=URI or "
        "type=sbom,generator=IMAGE",
    )
    group.add_argument(
        "--attestation-form",
        choices=("referrers", "index"),
        help="referrers: beside the image, whose digest stays; index: in an index with it, as BuildKit "
        "pushes them (default: referrers)",
    )


def read_attestations(
    arguments: argparse.Namespace, files: tuple[FileTarget, ...], *, push: bool
) -> Attestations | None:
    """Return what the flags ask for; None for nothing.

    Args:
        arguments: the flags.
        files: where the image goes besides registries.
        push: whether it goes to some.

    Raises:
        InvalidRequestError: one is malformed, or what is asked for has no place where the image goes.
    """
    asked = _asked(arguments)
    if not any(asked.values()):
        if arguments.attestation_form is not None and not asked:
            raise InvalidRequestError(
                "--attestation-form: nothing is attested", hint="add --provenance=min or --sbom"
            )
        return None
    from strake_api.requests.output import SBOM, Attestations

    form = arguments.attestation_form or "referrers"
    _refuse_nowhere(form, files, push=push)
    provenance, sbom = asked.get("provenance"), asked.get("sbom")
    return Attestations(
        provenance=provenance["mode"] if provenance else "none",
        builder_id=provenance["builder-id"] if provenance else None,
        sbom=SBOM(generator=sbom["generator"]) if sbom else None,
        form=form,
    )


_Fields = dict[str, Any]


def _asked(arguments: argparse.Namespace) -> dict[str, _Fields | None]:
    """Return the fields of each kind that a flag names; None for a kind that is switched off."""
    given: list[tuple[str, _Fields | None]] = []
    if arguments.provenance is not None:
        given.append(("provenance", _of_flag("provenance", arguments.provenance)))
    if arguments.sbom is not None:
        given.append(("sbom", _of_flag("sbom", arguments.sbom)))
    given += [_attest(text) for text in arguments.attest]
    asked = dict(given)
    for kind, fields in given:
        if fields != asked[kind]:
            raise InvalidRequestError(f"{kind} is asked for in two ways that differ", hint="drop one of them")
    return asked


def _of_flag(kind: str, text: str) -> _Fields | None:
    if text.lower() in _DISABLED:
        return None
    if text.lower() in _DEFAULT:
        text = ""
    elif kind == "provenance" and text in _MODES:
        text = f"mode={text}"
    return _fields(kind, f"--{kind}={text}", text)


def _attest(text: str) -> tuple[str, _Fields | None]:
    kind, rest = "", []
    for part in _parts(f"--attest {text}", text):
        name, _, value = part.partition("=")
        if name.strip() == "type":
            kind = value
        else:
            rest.append(part)
    if kind not in _FIELDS:
        raise InvalidRequestError(f"--attest {text}: the type {kind!r} is not known", hint=_HINT)
    return kind, _fields(kind, f"--attest {text}", ",".join(rest))


def _fields(kind: str, shown: str, text: str) -> _Fields | None:
    fields: dict[str, str] = {}
    for part in _parts(shown, text):
        name, equals, value = part.partition("=")
        name = name.strip()
        if not equals or name not in _FIELDS[kind] or name in fields:
            raise InvalidRequestError(f"{shown}: {part!r} is not understood", hint=_HINT)
        fields[name] = value
    mode = fields.get("mode", "max")
    if mode not in _MODES:
        raise InvalidRequestError(f"{shown}: the mode {mode!r} is not known", hint=_HINT)
    if fields.get("disabled", "false").lower() not in _DISABLED:
        return None
    if kind == "sbom":
        return {"generator": fields.get("generator") or DEFAULT_GENERATOR}
    return {"mode": mode, "builder-id": fields.get("builder-id") or None}


def _parts(shown: str, text: str) -> list[str]:
    try:
        (row,) = csv.reader([text], strict=True) if text else ([],)
    except (csv.Error, ValueError):
        raise InvalidRequestError(f"{shown} is not understood", hint=_HINT) from None
    return row


def _refuse_nowhere(form: str, files: tuple[FileTarget, ...], *, push: bool) -> None:
    """Refuse an attestation that would lie nowhere.

    A layout names its images alone: what only refers to one is found by nobody, and makes tools ask for a
    name that took the only image there was.
    """
    if form == "index" and any(isinstance(each, ArchiveTarget) and each.docker for each in files):
        raise InvalidRequestError(
            "an archive for docker load holds an image, and no index with an attestation",
            hint="use type=oci, or --attestation-form=referrers with --destination",
        )
    if push:
        return
    if form == "referrers":
        raise InvalidRequestError(
            "the attestation goes nowhere: nothing is pushed that it could refer to",
            hint="push with --destination IMAGE, or use --attestation-form=index with --output type=oci",
        )
    if not any(isinstance(each, (ArchiveTarget, LayoutTarget)) for each in files):
        raise InvalidRequestError(
            "the attestation goes nowhere: files alone have none",
            hint="push with --destination IMAGE, or add --output type=oci,dest=FILE",
        )
