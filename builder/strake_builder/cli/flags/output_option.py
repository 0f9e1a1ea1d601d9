"""`--output` in buildx's syntax: comma-separated fields, of which the type says what the others may be."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any, Final

from strake_builder.errors import InvalidRequestError
from strake_builder.output.targets import (
    STANDARD_OUTPUT,
    ArchiveTarget,
    FileTarget,
    LayoutTarget,
    TreeArchiveTarget,
    TreeTarget,
)
from strake_oci.lazy_dataclass import dataclass

if TYPE_CHECKING:
    from strake_oci.spec.reference import Reference

_FORM: Final = frozenset({"compression", "compression-level", "oci-mediatypes", "rewrite-timestamp"})
_ANNOTATION: Final = "annotation."
_KNOWN: Final[Mapping[str, frozenset[str]]] = {
    "local": frozenset({"dest"}),
    "tar": frozenset({"dest"}),
    "oci": _FORM | {"dest", "name", "tar"},
    "docker": _FORM | {"dest", "name"},
    "image": _FORM | {"name", "push"},
    "registry": _FORM | {"name", "push"},
}
_BOOLEANS: Final = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True, slots=True)
class OutputOption:
    """What one `--output` asks for.

    Attributes:
        destinations: to push to.
        file: to write.
        form: fields of `strake_api.models.form.ImageForm` that it sets.
    """

    destinations: tuple[str, ...] = ()
    file: FileTarget | None = None
    form: Mapping[str, Any] = field(default_factory=dict)


def parse_output(text: str) -> OutputOption:
    """Read one `--output`.

    Raises:
        InvalidRequestError: it is malformed, or has a field that its type does not know.
    """
    fields = _fields(text)
    kind = fields.pop("type", "")
    if kind not in _KNOWN:
        reason = f"the type {kind!r} is not known" if kind else "it has no type"
        raise InvalidRequestError(
            f"--output {text!r}: {reason}", hint=f"type is one of {', '.join(sorted(_KNOWN))}"
        )
    known = _KNOWN[kind]
    for name in fields:
        if name not in known and not (name.startswith(_ANNOTATION) and known > _FORM):
            more = " and annotation.NAME" if known > _FORM else ""
            raise InvalidRequestError(
                f"--output {text!r}: type={kind} has no field {name!r}",
                hint=f"it has {', '.join(sorted(known))}{more}",
            )
    return _Reading(text, kind, fields).read()


def _fields(text: str) -> dict[str, str]:
    if "=" not in text and "," not in text:
        return {"type": "tar" if text == STANDARD_OUTPUT else "local", "dest": text}
    try:
        (row,) = csv.reader([text], strict=True)
    except (csv.Error, ValueError):
        raise InvalidRequestError(
            f"--output {text!r} is not understood", hint="write type=…,dest=… (quote a field with a comma)"
        ) from None
    fields: dict[str, str] = {}
    for part in row:
        name, equals, value = part.partition("=")
        name = name.strip().lower() if not name.startswith(_ANNOTATION) else name
        if not equals or not name or name in fields:
            wrong = "is given twice" if name in fields else "is not NAME=VALUE"
            raise InvalidRequestError(f"--output {text!r}: {part!r} {wrong}")
        fields[name] = value
    return fields


@dataclass(frozen=True, slots=True)
class _Reading:
    text: str
    kind: str
    fields: Mapping[str, str]

    def read(self) -> OutputOption:
        if self.kind in {"image", "registry"}:
            return self._registry()
        form = self._form()
        is_layout = self.kind == "oci" and not self._boolean("tar", default=True)
        if (is_layout or self.kind == "local") and self._dest() == STANDARD_OUTPUT:
            raise self._wrong("a directory cannot go to the standard output", "write an archive")
        if self.kind == "local":
            return OutputOption(file=TreeTarget(self._dest()))
        if self.kind == "tar":
            return OutputOption(file=TreeArchiveTarget(self._dest()))
        if is_layout:
            return OutputOption(file=LayoutTarget(self._dest(), self._names()), form=form)
        target = ArchiveTarget(self._dest(), docker=self.kind == "docker", names=self._names())
        return OutputOption(file=target, form=form)

    def _registry(self) -> OutputOption:
        names = tuple(name.strip() for name in self.fields.get("name", "").split(",") if name.strip())
        if not self._boolean("push", default=self.kind == "registry"):
            raise self._wrong(
                f"type={self.kind} without push=true goes nowhere: there is no image store here",
                "add push=true, or use type=oci,dest=FILE",
            )
        return OutputOption(names, form=self._form())

    def _dest(self) -> str:
        dest = self.fields.get("dest", "")
        if not dest:
            what = "a Docker daemon to load it into is not at hand; " if self.kind == "docker" else ""
            raise self._wrong(
                f"{what}dest is missing", f"add dest={'DIR' if self.kind == 'local' else 'FILE'}"
            )
        return absolute(dest)

    def _names(self) -> tuple[Reference, ...]:
        from strake_oci.errors import InvalidValueError
        from strake_oci.spec.reference import Reference

        try:
            return tuple(
                Reference.parse(name.strip()).with_default_tag()
                for name in self.fields.get("name", "").split(",")
                if name.strip()
            )
        except InvalidValueError as error:
            raise self._wrong(error.message, error.hint) from error

    def _form(self) -> dict[str, Any]:
        form: dict[str, Any] = {}
        if "compression" in self.fields:
            form["compression"] = read_compression(self.fields["compression"], f"--output {self.text!r}")
        if "compression-level" in self.fields:
            level = self.fields["compression-level"]
            if not (level.isascii() and level.isdecimal()):
                raise self._wrong(f"compression-level is a number, not {level!r}", "")
            form["compression_level"] = int(level)
        if "oci-mediatypes" in self.fields:
            form["media_types"] = "oci" if self._boolean("oci-mediatypes", default=True) else "docker"
        if not self._boolean("rewrite-timestamp", default=True):
            raise self._wrong(
                "times of files are always limited by SOURCE_DATE_EPOCH", "leave rewrite-timestamp out"
            )
        notes = {n.removeprefix(_ANNOTATION): v for n, v in self.fields.items() if n.startswith(_ANNOTATION)}
        return {**form, "annotations": notes} if notes else form

    def _boolean(self, name: str, *, default: bool) -> bool:
        text = self.fields.get(name)
        if text is None:
            return default
        if text.lower() not in _BOOLEANS:
            raise self._wrong(f"{name} is true or false, not {text!r}", "")
        return _BOOLEANS[text.lower()]

    def _wrong(self, what: str, hint: str) -> InvalidRequestError:
        return InvalidRequestError(f"--output {self.text!r}: {what}", hint=hint)


def absolute(path: str) -> str:
    """Return a path as an absolute one, but for the standard output's."""
    return path if path == STANDARD_OUTPUT else os.path.abspath(path)


def read_compression(text: str, flag: str) -> str:
    """Return a compression under its own name; BuildKit calls none `uncompressed`.

    Raises:
        InvalidRequestError: there is no such compression; the message names the flag.
    """
    name = "none" if text == "uncompressed" else text
    if name not in {"gzip", "zstd", "none"}:
        hint = "it is gzip, zstd or none"
        raise InvalidRequestError(f"{flag}: the compression {text!r} is not known", hint=hint)
    return name
