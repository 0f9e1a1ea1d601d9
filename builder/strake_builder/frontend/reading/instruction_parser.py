"""From a logical line to an instruction: metadata, variables and stages.

RUN, COPY and ADD have a module of their own, `step_parser`. What each instruction accepts is what
BuildKit's instructions package accepts; flags where it silently takes none are refused.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from strake_builder.frontend.errors import Code, FaultError
from strake_builder.frontend.model.syntax import (
    Arg,
    ArgDefinition,
    Cmd,
    CommandForm,
    Entrypoint,
    Env,
    ExecForm,
    Expose,
    From,
    Healthcheck,
    KeyValue,
    Label,
    Maintainer,
    OnBuild,
    Position,
    Shell,
    ShellForm,
    StopSignal,
    User,
    Volume,
    Workdir,
)
from strake_builder.frontend.reading import arguments
from strake_builder.frontend.reading.durations import parse_duration
from strake_builder.frontend.reading.flags import Flags, Kind
from strake_builder.frontend.text.whitespace import SPACE
from strake_oci.lazy_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence

_STAGE_NAME: Final = re.compile(r"[a-z][a-z0-9\-_.]*\Z")
_HEALTH_FLAGS: Final = dict.fromkeys(
    ("interval", "timeout", "start-period", "start-interval", "retries"), Kind.VALUE
)
_MILLISECOND: Final = 1_000_000
_MAX_RETRIES: Final = (1 << 31) - 1
_FROM_AS: Final = 3


@dataclass(frozen=True, slots=True)
class Request:
    """One instruction, cut into flags and the text behind them."""

    position: Position
    flags: Sequence[str]
    rest: str
    escape: str

    def no_flags(self) -> None:
        """Refuse flags."""
        Flags({}, self.flags)

    @property
    def name(self) -> str:
        """The instruction in upper case."""
        return self.position.keyword.upper()

    def one_argument(self) -> str:
        """Return everything behind the keyword, which must not be nothing."""
        self.no_flags()
        if not self.rest:
            raise FaultError(Code.MISSING_ARGUMENT, f"{self.name} requires exactly one argument")
        return self.rest

    def command(self) -> CommandForm:
        """Return the exec form when it is valid JSON, the shell form otherwise."""
        args = arguments.parse_json_strings(self.rest)
        return ShellForm(self.rest) if args is None else ExecForm(args)

    def words(self) -> list[str]:
        """Return the JSON array's strings, or the words between white space."""
        args = arguments.parse_json_strings(self.rest)
        return arguments.split_spaces(self.rest) if args is None else list(args)

    def pairs(self) -> tuple[KeyValue, ...]:
        """Return the assignments of ENV and LABEL."""
        self.no_flags()
        found = arguments.split_assignments(self.rest, self.escape, self.name)
        return tuple(KeyValue(*pair) for pair in found)


def parse_from(request: Request) -> From:
    """FROM [--platform=…] image [AS name]."""
    flags = Flags({"platform": Kind.VALUE}, request.flags)
    platform = flags.value("platform") or None  # BuildKit takes an empty flag for none
    words = arguments.split_spaces(request.rest)
    if len(words) == 1:
        return From(request.position, words[0], platform)
    if len(words) != _FROM_AS or words[1].lower() != "as":
        code = Code.MISSING_ARGUMENT if not words else Code.INVALID_ARGUMENT
        raise FaultError(
            code,
            "FROM requires either one or three arguments",
            hint="write FROM image, or FROM image AS name",
            needle=words[1] if len(words) > 1 else "",
        )
    base, as_keyword, written = words
    name = written.lower()
    if not _STAGE_NAME.match(name):
        raise FaultError(
            Code.INVALID_STAGE_NAME,
            f"invalid name for build stage: {written[:80]!r}",
            hint="it must start with a letter and consist of letters, digits, '-', '_' and '.'",
            needle=written,
        )
    return From(request.position, base, platform, name, written, as_keyword)


def parse_arg(request: Request) -> Arg:
    """ARG name[=default] …."""
    request.no_flags()
    words = arguments.split_words(request.rest, request.escape)
    if not words:
        raise FaultError(Code.MISSING_ARGUMENT, "ARG requires at least one argument")
    definitions = []
    for word in words:
        name, equals, default = word.partition("=")
        if not name:
            raise FaultError(Code.INVALID_ASSIGNMENT, "ARG names can not be blank", needle=word)
        definitions.append(ArgDefinition(name, default if equals else None))
    return Arg(request.position, tuple(definitions))


def parse_env(request: Request) -> Env:
    """ENV name=value …, or ENV name value."""
    return Env(request.position, request.pairs())


def parse_label(request: Request) -> Label:
    """LABEL name=value …, or LABEL name value."""
    return Label(request.position, request.pairs())


def parse_cmd(request: Request) -> Cmd:
    """CMD, in exec or shell form."""
    request.no_flags()
    return Cmd(request.position, request.command())


def parse_entrypoint(request: Request) -> Entrypoint:
    """ENTRYPOINT, in exec or shell form."""
    request.no_flags()
    return Entrypoint(request.position, request.command())


def parse_shell(request: Request) -> Shell:
    """SHELL ["program", …]."""
    request.no_flags()
    match request.command():
        case ExecForm(args) if args:
            return Shell(request.position, args)
        case ShellForm(text) if text:
            raise FaultError(
                Code.INVALID_ARGUMENT,
                "SHELL requires the arguments to be in JSON form",
                hint='write SHELL ["/bin/bash", "-c"]',
                needle=text[:20],
            )
        case _:
            raise FaultError(Code.MISSING_ARGUMENT, "SHELL requires at least one argument")


def parse_expose(request: Request) -> Expose:
    """EXPOSE port[/protocol] …."""
    request.no_flags()
    ports = arguments.split_spaces(request.rest)
    if not ports:
        raise FaultError(
            Code.MISSING_ARGUMENT, "EXPOSE requires at least one argument", hint="write EXPOSE 8080"
        )
    return Expose(request.position, tuple(sorted(ports)))


def parse_volume(request: Request) -> Volume:
    """VOLUME path …, or VOLUME ["path", …]."""
    request.no_flags()
    paths = tuple(path.strip(SPACE) for path in request.words())
    if not paths:
        raise FaultError(Code.MISSING_ARGUMENT, "VOLUME requires at least one argument")
    if not all(paths):
        raise FaultError(Code.INVALID_ARGUMENT, "a VOLUME can not be an empty string", needle='""')
    return Volume(request.position, paths)


def parse_user(request: Request) -> User:
    """USER name[:group]."""
    return User(request.position, request.one_argument())


def parse_workdir(request: Request) -> Workdir:
    """WORKDIR path."""
    return Workdir(request.position, request.one_argument())


def parse_stopsignal(request: Request) -> StopSignal:
    """STOPSIGNAL signal."""
    return StopSignal(request.position, request.one_argument())


def parse_maintainer(request: Request) -> Maintainer:
    """MAINTAINER text."""
    return Maintainer(request.position, request.one_argument())


def parse_healthcheck(request: Request) -> Healthcheck:
    """HEALTHCHECK NONE, or HEALTHCHECK [flags] CMD command."""
    flags = Flags(_HEALTH_FLAGS, request.flags)
    kind, command = _first_word(request.rest)
    if not kind:
        raise FaultError(
            Code.MISSING_ARGUMENT,
            "HEALTHCHECK requires at least one argument",
            hint="write HEALTHCHECK CMD …, or HEALTHCHECK NONE",
        )
    times = {
        name.replace("-", "_"): _interval(name, flags.value(name))
        for name in _HEALTH_FLAGS
        if name != "retries"
    }
    retries = _retries(flags.value("retries"))
    match kind.upper():
        case "NONE" if command:
            raise FaultError(
                Code.TOO_MANY_ARGUMENTS, "HEALTHCHECK NONE takes no arguments", needle=command[:20]
            )
        case "NONE":
            return Healthcheck(request.position, ("NONE",))
        case "CMD":
            args = arguments.parse_json_strings(command)
            if args == () or not command:
                raise FaultError(Code.MISSING_ARGUMENT, "Missing command after HEALTHCHECK CMD")
            test = ("CMD-SHELL", command) if args is None else ("CMD", *args)
            return Healthcheck(request.position, test, retries=retries, **times)
        case _:
            raise FaultError(
                Code.INVALID_ARGUMENT,
                f"unknown type {kind[:40]!r} in HEALTHCHECK",
                hint="try HEALTHCHECK CMD …",
                needle=kind,
            )


def _first_word(text: str) -> tuple[str, str]:
    match = re.match(f"[^{SPACE}]+", text)
    return (match.group(), text[match.end() :].lstrip(SPACE)) if match else ("", "")


def _interval(name: str, text: str | None) -> int:
    value = parse_duration(text) if text else 0
    if value and value < _MILLISECOND:
        raise FaultError(
            Code.INVALID_FLAG,
            f"--{name} cannot be less than 1ms",
            needle=f"--{name}",
            hint=f"write --{name}=30s",
        )
    return value


def _retries(text: str | None) -> int:
    if not text:
        return 0
    if not re.fullmatch(r"[+-]?[0-9]{1,19}", text) or abs(int(text)) > _MAX_RETRIES:
        raise FaultError(
            Code.INVALID_FLAG, f"--retries must be a number, not {text[:40]!r}", needle="--retries"
        )
    if int(text) < 0:
        raise FaultError(Code.INVALID_FLAG, f"--retries cannot be negative ({text})", needle="--retries")
    return int(text)


def parse_onbuild(request: Request, keyword: str, line: str) -> OnBuild:
    """ONBUILD instruction.

    Args:
        request: The ONBUILD.
        keyword: That of the trigger.
        line: The logical line, white space at its end included: it becomes part of the image.
    """
    request.no_flags()
    trigger = keyword.upper()
    if not trigger:
        raise FaultError(Code.MISSING_ARGUMENT, "ONBUILD requires at least one argument")
    if trigger == "ONBUILD":
        raise FaultError(
            Code.INVALID_TRIGGER, "chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed", needle=keyword
        )
    if trigger in ("MAINTAINER", "FROM"):
        raise FaultError(
            Code.INVALID_TRIGGER, f"{trigger} isn't allowed as an ONBUILD trigger", needle=keyword
        )
    text = re.sub(r"\A[\t\n\f\r ]*onbuild[\t\n\f\r ]*", "", line, flags=re.IGNORECASE)
    bodies = "".join(f"\n{doc.body}{doc.name}" for doc in request.position.heredocs)
    return OnBuild(request.position, text + bodies)
