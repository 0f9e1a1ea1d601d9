"""Checks of the image, as flags for one of few words and as a file for the rest."""

from __future__ import annotations

import argparse
import csv
import shlex
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from strake_builder.cli.validation import read_bounded, validated
from strake_builder.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from strake_api.models.verification import Check

_LIMIT: Final = 1 << 20
_KINDS: Final = ("test", "scan")
_TEXTS: Final = {"name": "name", "image": "image", "network": "network", "fail-on": "failOn"}
_COMMANDS: Final = frozenset({"command", "args"})
_TRUE: Final = frozenset({"", "true", "1"})
_FALSE: Final = frozenset({"false", "0"})
_HINT: Final = (
    "write --verify type=test,command='/app --version' or --verify type=scan,image=IMAGE,fail-on=critical"
)


def add_verification_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that `read_checks` reads."""
    group = parser.add_argument_group("checks before tags move")
    group.add_argument(
        "--verify",
        metavar="type=test|scan,…",
        action="append",
        default=[],
        help="run a test in the image, or a scanner's image over its files, before tags move: "
        "name=, image=, command=, args=, env=NAME=VALUE, secret=ID, network=none|default, fail-on=SEVERITY, "
        "ignore=CVE, warn-only; repeatable",
    )
    group.add_argument(
        "--verify-file",
        metavar="FILE",
        action="append",
        default=[],
        help="checks in YAML, as in an ImageBuild: a list, or a map with the list under `verify`",
    )


def read_checks(arguments: argparse.Namespace) -> tuple[Check, ...]:
    """Return the checks that the flags ask for, those of files first.

    Raises:
        InvalidRequestError: a flag is malformed, or a file cannot be read or is none.
    """
    if not (arguments.verify or arguments.verify_file):
        return ()
    from strake_api.models.verification import Check

    checks: list[Check] = []
    for path in arguments.verify_file:
        for document in _read_file(path):
            with validated(f"the checks in {path}"):
                checks.append(Check.model_validate(document))
    for number, text in enumerate(arguments.verify, len(checks) + 1):
        with validated(f"--verify {text}"):
            checks.append(Check.model_validate(_of_flag(text, number)))
    for name, times in Counter(each.name for each in checks).items():
        if times > 1:
            raise InvalidRequestError(f"{times} checks are called {name}", hint="give each a name of its own")
    return tuple(checks)


def _of_flag(text: str, number: int) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    lists: dict[str, list[Any]] = {"env": [], "ignore": [], "secrets": []}
    for part in _parts(text):
        name, equals, value = part.partition("=")
        name = name.strip()
        key = "kind" if name == "type" else _TEXTS.get(name, name)
        if key in fields or (not equals and name != "warn-only"):
            raise _misunderstood(text, part)
        if name == "type" or name in _TEXTS:
            fields[key] = value
        elif name in _COMMANDS:
            fields[name] = _words(text, value)
        elif name == "env":
            variable, _, content = value.partition("=")
            lists["env"].append({"name": variable, "value": content})
        elif name == "ignore":
            lists["ignore"].append({"id": value})
        elif name == "secret":
            lists["secrets"].append(value)
        elif name == "warn-only" and value.lower() in _TRUE | _FALSE:
            fields["warnOnly"] = value.lower() in _TRUE
        else:
            raise _misunderstood(text, part)
    if fields.get("kind") not in _KINDS:
        raise InvalidRequestError(f"--verify {text}: type is test or scan", hint=_HINT)
    return {"name": f"{fields['kind']}-{number}", **fields, **lists}


def _misunderstood(text: str, part: str) -> InvalidRequestError:
    return InvalidRequestError(f"--verify {text}: {part!r} is not understood", hint=_HINT)


def _parts(text: str) -> list[str]:
    try:
        (row,) = csv.reader([text], strict=True) if text else ([],)
    except (csv.Error, ValueError):
        raise InvalidRequestError(f"--verify {text} is not understood", hint=_HINT) from None
    return row


def _words(text: str, value: str) -> list[str]:
    try:
        return shlex.split(value)
    except ValueError as error:
        raise InvalidRequestError(f"--verify {text}: {error}", hint="close what a quote opens") from error


def _read_file(path: str) -> Iterator[object]:
    import yaml

    content = read_bounded(f"the file of checks {path}", path, _LIMIT)
    try:
        document = yaml.safe_load(content)
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError) as error:
        raise InvalidRequestError(f"the checks {path} are no YAML: {error}") from error
    if isinstance(document, dict) and set(document) == {"verify"}:
        document = document["verify"]
    if not isinstance(document, list) or not document:
        raise InvalidRequestError(f"the checks {path} are no list", hint="write them as spec.verify has them")
    yield from document
