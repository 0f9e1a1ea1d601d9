"""Reads the file of STRAKE_REGISTRIES_FILE. A mistake is reported with file, field, why and what to do."""

from __future__ import annotations

import difflib
import os
from typing import TYPE_CHECKING, Any, Final

import yaml
from pydantic import ValidationError

from strake_api.models.document import Document
from strake_operator.errors import SettingsError
from strake_operator.registries.document import PlatformRegistries, PlatformRegistry, Proxy

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from pydantic_core import ErrorDetails

FILE_VARIABLE: Final = "STRAKE_REGISTRIES_FILE"
INSECURE_VARIABLE: Final = "STRAKE_INSECURE_REGISTRIES"
_SIZE_LIMIT: Final = 1 << 20
"""Bytes of a file: more than a ConfigMap holds."""
_PROBLEMS_SHOWN: Final = 5
_RULE: Final = "Value error, "
# In the words of somebody who writes YAML, not of one who programs.
_KINDS: Final = {
    "model_type": "it must be a mapping",
    "dict_type": "it must be a mapping",
    "tuple_type": "it must be a list",
    "string_type": "it must be a text; put it in quotes if it looks like something else",
    "bool_type": "it must be true or false",
    "bool_parsing": "it must be true or false",
}


def read_registries(path: str, insecure: Iterable[str] = ()) -> tuple[PlatformRegistries, frozenset[str]]:
    """Return what a file says, and the paths of all files that were read.

    Args:
        path: the file; "" reads none.
        insecure: more registries that are spoken to over plain HTTP, from the environment.

    Raises:
        SettingsError: a file cannot be read, or what it says makes no sense.
    """
    # A ConfigMap's files are links into a directory that is replaced as a whole: all come from the same one.
    file = os.path.realpath(path) if path else ""
    given = _document(file, path) if path else {}
    try:
        found = PlatformRegistries.model_validate(given)
    except ValidationError as error:
        raise _mistake(path, error) from error
    whole = found.to_dict()
    hosts: dict[str, Any] = whole["registries"]
    files = {path} - {""}
    for field, each in (("caFile", whole), *((f"registries[{name}].caFile", hosts[name]) for name in hosts)):
        if (name := each.pop("caFile", None)) is not None:
            authority = os.path.join(os.path.dirname(file), name)
            each["ca"] = _content(authority, f"{FILE_VARIABLE} {path}: {field}")
            files.add(authority)
    _add_insecure(hosts, insecure)
    try:
        return PlatformRegistries.model_validate(whole), frozenset(files)
    except ValidationError as error:
        raise _mistake(path, error) from error


def _document(file: str, path: str) -> dict[str, Any]:
    text = _content(file, f"{FILE_VARIABLE} {path}")
    try:
        given = yaml.load(text, _UniqueKeys)  # noqa: S506 - derived from the safe loader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise SettingsError(f"{FILE_VARIABLE} {path}: it is no YAML: {error.problem}{where}") from error
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError) as error:
        # Of a value with a tag that it does not fit (!!int x) PyYAML raises what happens to come.
        raise SettingsError(f"{FILE_VARIABLE} {path}: it is no YAML: {error}") from error
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise SettingsError(
            f"{FILE_VARIABLE} {path}: it must be a mapping with the keys registries and proxy"
        )
    return given


def _content(file: str, what: str) -> str:
    try:
        with open(file, encoding="utf-8") as opened:
            text = opened.read(_SIZE_LIMIT + 1)
    except OSError as error:
        raise SettingsError(
            f"{what}: cannot read {file}: {error.strerror}; is the ConfigMap mounted, with this key?"
        ) from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{what}: {file} is no text: certificates must be PEM, not DER") from error
    if len(text) > _SIZE_LIMIT:
        raise SettingsError(f"{what}: {file} is larger than {_SIZE_LIMIT >> 20} MiB")
    return text


def _add_insecure(hosts: dict[str, Any], insecure: Iterable[str]) -> None:
    """Add registries that the environment names."""
    for host in insecure:
        given = {**hosts.get(host, {}), "insecure": True}
        try:
            PlatformRegistries.model_validate({"registries": {host: given}})
        except ValidationError as error:
            why = error.errors()[0]["msg"].removeprefix(_RULE)
            raise SettingsError(f"{INSECURE_VARIABLE}: {host}: {why}") from error
        hosts[host] = given


def _mistake(path: str, error: ValidationError) -> SettingsError:
    # Without the input, which may be a secret in the wrong place.
    found = error.errors(include_url=False, include_input=False)
    problems = "; ".join(_problem(each) for each in found[:_PROBLEMS_SHOWN])
    return SettingsError(f"{FILE_VARIABLE} {path}: {problems}")


def _problem(found: ErrorDetails) -> str:
    where = [part for part in found["loc"] if part != "[key]"]
    why = _KINDS.get(found["type"]) or found["msg"].removeprefix(_RULE)
    if found["type"] == "extra_forbidden":
        why = f"there is no such field; {_meant(where)}"
    return f"{_path(where)}: {why}" if where else why


def _path(parts: list[int | str]) -> str:
    path = ""
    for number, part in enumerate(parts):
        is_host = number == 1 and parts[0] == "registries"
        if is_host or isinstance(part, int):
            path += f"[{part}]"
        else:
            path += f".{part}" if path else part
    return path


def _meant(where: list[int | str]) -> str:
    models: dict[int, type[Document]] = {1: PlatformRegistries, 2: Proxy}
    model = models.get(len(where), PlatformRegistry)
    known = [field.alias or name for name, field in model.model_fields.items()]
    near = difflib.get_close_matches(str(where[-1]), known, 1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"


class _UniqueKeys(yaml.SafeLoader):
    """YAML whose mappings have each key once: of two, one would be ignored without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT002 - PyYAML's
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key.value!r} is there twice", key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)
