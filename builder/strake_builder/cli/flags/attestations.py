"""Flags of what is attested of an image, in buildx's words."""

from __future__ import annotations

import argparse
import csv
from typing import TYPE_CHECKING, Any, Final

from strake_builder.errors import InvalidRequestError
from strake_builder.output.targets import ArchiveTarget, FileTarget, LayoutTarget

if TYPE_CHECKING:
    from strake_api.requests.output import Attestations

_DISABLED: Final = frozenset({"false", "0", "none"})
_DEFAULT: Final = frozenset({"true", "1", ""})
_MODES: Final = frozenset({"min", "max"})
_FIELDS: Final = frozenset({"mode", "builder-id", "disabled"})
_HINT: Final = "write --provenance=min, --provenance=max or --attest type=provenance,mode=max"


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
        "--attest",
        metavar="type=provenance,…",
        action="append",
        default=[],
        help="the same in buildx's long form: type=provenance,mode=min|max,builder-id=URI",
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
    if asked is None:
        if arguments.attestation_form is not None and arguments.provenance is None and not arguments.attest:
            raise InvalidRequestError("--attestation-form: nothing is attested", hint="add --provenance=min")
        return None
    from strake_api.requests.output import Attestations

    form = arguments.attestation_form or "referrers"
    _refuse_nowhere(form, files, push=push)
    return Attestations(form=form, **asked)


def _asked(arguments: argparse.Namespace) -> dict[str, Any] | None:
    given = [_provenance(arguments.provenance)] if arguments.provenance is not None else []
    given += [_attest(text) for text in arguments.attest]
    if len(given) > 1 and any(each != given[0] for each in given):
        raise InvalidRequestError("provenance is asked for in two ways that differ", hint="drop one of them")
    return given[0] if given else None


def _provenance(text: str) -> dict[str, Any] | None:
    if text.lower() in _DISABLED:
        return None
    if text.lower() in _DEFAULT:
        return {"provenance": "max"}
    if text in _MODES:
        return {"provenance": text}
    return _fields(f"--provenance={text}", text)


def _attest(text: str) -> dict[str, Any] | None:
    kind, rest = "", []
    for part in _parts(f"--attest {text}", text):
        name, _, value = part.partition("=")
        if name.strip() == "type":
            kind = value
        else:
            rest.append(part)
    if kind == "sbom":
        raise InvalidRequestError(
            f"--attest {text}: an SBOM is not made here",
            hint="make one of the pushed image with syft or trivy",
        )
    if kind != "provenance":
        raise InvalidRequestError(f"--attest {text}: the type {kind!r} is not known", hint=_HINT)
    return _fields(f"--attest {text}", ",".join(rest))


def _fields(shown: str, text: str) -> dict[str, Any] | None:
    fields: dict[str, str] = {}
    for part in _parts(shown, text):
        name, equals, value = part.partition("=")
        name = name.strip()
        if not equals or name not in _FIELDS or name in fields:
            raise InvalidRequestError(f"{shown}: {part!r} is not understood", hint=_HINT)
        fields[name] = value
    mode = fields.get("mode", "max")
    if mode not in _MODES:
        raise InvalidRequestError(f"{shown}: the mode {mode!r} is not known", hint=_HINT)
    if fields.get("disabled", "false").lower() not in _DISABLED:
        return None
    return {"provenance": mode, "builder_id": fields.get("builder-id") or None}


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
