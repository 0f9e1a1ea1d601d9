"""The values of `RUN --mount=…`: comma-separated `key=value` fields.

Fields may hold variables, so only a little can be checked when the file is parsed; `parse_mount`
reads all of it once the variables are known. Rules and defaults: BuildKit's commands_runmount.go.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from strake_builder.frontend.errors import Code, FaultError
from strake_builder.frontend.text.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable

_Name = TypeVar("_Name", bound=str)
_TYPES: Final = ("bind", "cache", "tmpfs", "secret", "ssh")
_SHARING: Final[tuple[Literal["shared", "private", "locked"], ...]] = ("shared", "private", "locked")
_ALIASES: Final = {
    "src": "source",
    "dst": "target",
    "destination": "target",
    "ro": "readonly",
    "rw": "readwrite",
}
_KEYS: Final = (
    *("type", "from", "source", "target", "readonly", "readwrite", "id", "sharing", "required", "size"),
    *("mode", "uid", "gid", "env", *_ALIASES),
)
_TRUE: Final = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_UNITS: Final = {unit: 1024**power for power, unit in enumerate("kmgtp", 1)}
_SIZE: Final = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+) ?(?:([kmgtp])(?:i?b)?|b)?\Z", re.IGNORECASE)
_MAX_ID: Final = (1 << 32) - 1


@dataclass(slots=True)
class MountSpec:
    """What a `--mount` says; None and "" where it says nothing."""

    type: str = "bind"
    from_: str = ""
    source: str = ""
    target: str = ""
    read_only: bool | None = None
    size: int | None = None
    id: str = ""
    sharing: Literal["", "shared", "private", "locked"] = ""
    required: bool = False
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    env: str | None = None


def check_mount(text: str) -> None:
    """Refuse what is wrong whatever the variables are.

    Raises:
        FaultError: The quotes are not balanced, or `from` has a variable in it.
    """
    mount_from(text)


def mount_from(text: str) -> str:
    """Return the stage or image that a mount names, "" for none.

    Raises:
        FaultError: As `check_mount`.
    """
    found = ""
    for field in split_fields(text):
        key, equals, value = field.partition("=")
        if equals and key.lower() == "from":
            if "$" in value[:-1]:
                raise FaultError(
                    Code.INVALID_MOUNT,
                    "'from' doesn't support variable expansion",
                    hint="define a stage with FROM $… AS name above, and mount from that name",
                    needle=field,
                )
            found = value
    return found


def split_fields(text: str) -> list[str]:
    """Split at commas; a field in double quotes may hold commas, and a doubled quote in it.

    Raises:
        FaultError: A quote stands inside a field that does not start with one, or is not closed.
    """
    fields: list[str] = []
    position = 0
    while True:
        if text.startswith('"', position):
            match = re.compile(r'"((?:[^"]|"")*)"(?=,|\Z)').match(text, position)
            if match is None:
                break
            fields.append(match[1].replace('""', '"'))
            position = match.end()
        else:
            end = text.find(",", position)
            end = len(text) if end < 0 else end
            if '"' in text[position:end]:
                break
            fields.append(text[position:end])
            position = end
        if position >= len(text):
            return fields
        position += 1
        if position == len(text):
            return [*fields, ""]
    raise FaultError(
        Code.INVALID_MOUNT, "failed to parse csv mounts: a double quote is out of place", needle="--mount"
    )


def parse_mount(text: str, expand: Callable[[str], str]) -> MountSpec:
    """Read a mount.

    Args:
        text: The flag's value.
        expand: Expands variables in the value of one field.

    Raises:
        FaultError: A key or value is not known or does not go with the mount's type.
    """
    spec = MountSpec()
    for field in split_fields(text):
        written, equals, value = field.partition("=")
        key = _ALIASES.get(written.lower(), written.lower())
        if not equals:
            _set_switch(spec, key, field)
        else:
            _set(spec, key, expand(value), field)
    _check(spec)
    if spec.read_only is None:
        spec.read_only = spec.type not in ("cache", "tmpfs")
    return spec


def _set_switch(spec: MountSpec, key: str, field: str) -> None:
    match key:
        case "readonly":
            spec.read_only = True
        case "readwrite":
            spec.read_only = False
        case "required":
            _only(spec, key, "secret", "ssh")
            spec.required = True
        case _:
            raise FaultError(
                Code.INVALID_MOUNT,
                f"invalid field {field[:60]!r} must be a key=value pair",
                hint=did_you_mean(key, _KEYS),
                needle=field,
            )


def _set(spec: MountSpec, key: str, value: str, field: str) -> None:
    match key:
        case "type":
            spec.type = _choice("mount type", value, _TYPES)
        case "sharing":
            spec.sharing = _choice("sharing value", value, _SHARING)
        case "source" | "target" | "id" | "env":
            setattr(spec, key, value)
        case "from":
            spec.from_ = value
        case "readonly" | "readwrite":
            spec.read_only = _bool(key, value) is (key == "readonly")
        case "required":
            _only(spec, key, "secret", "ssh")
            spec.required = _bool(key, value)
        case "size":
            _only(spec, key, "tmpfs")
            spec.size = _size(value)
        case "mode" | "uid" | "gid":
            setattr(spec, key, _number(key, value))
        case _:
            raise FaultError(
                Code.INVALID_MOUNT,
                f"unexpected key {key[:60]!r} in {field[:60]!r}",
                hint=did_you_mean(key, _KEYS) or "known keys: " + ", ".join(_KEYS[:14]),
                needle=field,
            )


def _check(spec: MountSpec) -> None:
    if spec.type in ("bind", "tmpfs"):
        for key in ("mode", "uid", "gid"):
            if getattr(spec, key) is not None:
                raise _invalid(f"{key} not allowed for {spec.type!r} type mounts", key)
    if spec.type == "secret":
        _check_secret(spec)
    if spec.type == "ssh" and spec.source:
        raise _invalid("an ssh mount does not support source", "source")
    if spec.sharing and spec.type != "cache":
        raise _invalid(f"sharing goes with cache mounts, not with {spec.type!r}", "sharing")


def _check_secret(spec: MountSpec) -> None:
    if spec.from_:
        raise _invalid("secret mount should not have a from", "from")
    if not (spec.source or spec.target or spec.id):
        hint = "write --mount=type=secret,id=name"
        raise _invalid("a secret mount needs an id or a target", "--mount", hint)
    if spec.source and spec.id:
        raise _invalid("a secret mount cannot have both source and id", "source", "keep id")


def _invalid(message: str, needle: str, hint: str = "") -> FaultError:
    return FaultError(Code.INVALID_MOUNT, message, hint=hint, needle=needle)


def _only(spec: MountSpec, key: str, *types: str) -> None:
    if spec.type not in types:
        raise _invalid(
            f"unexpected key {key!r} for mount type {spec.type!r}",
            key,
            f"it goes with {' and '.join(types)} mounts; type=… must stand before it",
        )


def _choice(what: str, value: str, names: tuple[_Name, ...]) -> _Name:
    for name in names:
        if name == value.lower():
            return name
    hint = did_you_mean(value, names) or f"use {', '.join(names)}"
    raise _invalid(f"unsupported {what} {value[:60]!r}", value, hint)


def _bool(key: str, value: str) -> bool:
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise _invalid(f"invalid value for {key}: {value[:60]!r}", f"{key}=", "use true or false")


def _number(key: str, value: str) -> int:
    octal = key == "mode"
    digits = "[0-7]{1,11}" if octal else "[0-9]{1,10}"
    if re.fullmatch(digits, value) and (number := int(value, 8 if octal else 10)) <= _MAX_ID:
        return number
    kind = "an octal" if octal else "a decimal"
    raise _invalid(f"invalid value {value[:60]!r} for {key}", f"{key}=", f"it must be {kind} number")


def _size(value: str) -> int:
    match = _SIZE.match(value)
    if match is None or len(value) > 40:  # noqa: PLR2004 more digits than any size
        raise _invalid(f"invalid value for size: {value[:60]!r}", "size=", "write 64m or 1g")
    unit = _UNITS[match[2].lower()] if match[2] else 1
    return int(float(match[1]) * unit)
