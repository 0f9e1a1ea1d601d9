"""Instructions that change nothing but the image configuration.

Each function changes the state and returns the text for the image's history, as BuildKit writes it.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeAlias

from strake_builder.frontend.errors import Code, FaultError
from strake_builder.frontend.evaluation import go_text
from strake_builder.frontend.evaluation.ports import parse_port
from strake_builder.frontend.evaluation.signals import check_signal
from strake_builder.frontend.evaluation.state import NO_VARIABLES, check_count
from strake_builder.frontend.model.syntax import (
    Arg,
    ArgDefinition,
    Cmd,
    CommandForm,
    Entrypoint,
    Env,
    ExecForm,
    Expose,
    Healthcheck,
    KeyValue,
    Label,
    Position,
    Shell,
    ShellForm,
    StopSignal,
    User,
    Volume,
)
from strake_oci.spec.image import Healthcheck as HealthConfig

if TYPE_CHECKING:
    from strake_builder.frontend.evaluation.state import StageState

Metadata: TypeAlias = (
    Arg | Env | Label | Cmd | Entrypoint | Shell | Expose | Volume | User | Healthcheck | StopSignal
)
_MAX_PORTS: Final = 200_000
_SECRET: Final = re.compile(
    r"(?:_|^)(?:apikey|auth|credential|credentials|key|password|pword|passwd|secret|token)(?:_|$)",
    re.IGNORECASE,
)
_NO_SECRET: Final = re.compile(r"(?:_|^)(?:public|file|version)(?:_|$)", re.IGNORECASE)


def apply(state: StageState, instruction: Metadata) -> str:  # noqa: C901 one line an instruction
    """Carry out one instruction.

    Raises:
        FaultError: A value is invalid, or a word cannot be expanded.
    """
    match instruction:
        case Arg():
            return arg(state, instruction)
        case Env():
            return env(state, instruction)
        case Label():
            return label(state, instruction)
        case Cmd():
            return cmd(state, instruction)
        case Entrypoint():
            return entrypoint(state, instruction)
        case Shell():
            return shell(state, instruction)
        case Expose():
            return expose(state, instruction)
        case Volume():
            return volume(state, instruction)
        case User():
            return user(state, instruction)
        case Healthcheck():
            return healthcheck(state, instruction)
        case StopSignal():
            return stop_signal(state, instruction)


def env(state: StageState, instruction: Env) -> str:
    """ENV: all values are expanded before any is set."""
    pairs = _expanded(state, instruction.pairs, instruction.position)
    for key, _ in pairs:
        _note_secret(state, "ENV", key, instruction.position)
    state.set_env(pairs)
    return _assignments("ENV", pairs)


def label(state: StageState, instruction: Label) -> str:
    """LABEL."""
    pairs = _expanded(state, instruction.pairs, instruction.position)
    labels = {**state.config.labels, **dict(pairs)}
    check_count("labels", labels)
    state.change(labels=labels)
    return _assignments("LABEL", pairs)


def _expanded(state: StageState, pairs: tuple[KeyValue, ...], position: Position) -> list[tuple[str, str]]:
    if any(pair.legacy for pair in pairs):
        keyword = position.keyword
        message = f'"{keyword} key=value" should be used instead of legacy "{keyword} key value" format'
        state.note("LegacyKeyValueFormat", message, position)
    return [(state.expand(pair.key, position), state.expand(pair.value, position)) for pair in pairs]


def _assignments(keyword: str, pairs: list[tuple[str, str]]) -> str:
    return " ".join((keyword, *(f"{key}={value}" for key, value in pairs)))


def arg(state: StageState, instruction: Arg) -> str:
    """ARG: one definition after the other, so that a default may use those before it."""
    shown = []
    for definition in instruction.definitions:
        _note_secret(state, "ARG", definition.name, instruction.position)
        value = _argument(state, definition, instruction.position)
        if value is not None and definition.name not in NO_VARIABLES:
            state.set_value(definition.name, value)
        state.arguments.setdefault(definition.name, "")
        if value is not None:
            state.arguments[definition.name] = value
        shown.append(definition.name if value is None else f"{definition.name}={value}")
    return " ".join(("ARG", *shown))


def _argument(state: StageState, definition: ArgDefinition, position: Position) -> str | None:
    """A build argument wins over the default, the default over a global argument."""
    if definition.name in state.scope.build_args:
        return state.scope.build_args[definition.name]
    if definition.default is not None:
        return state.expand(definition.default, position)
    return state.scope.global_args.get(definition.name)


def _note_secret(state: StageState, keyword: str, name: str, position: Position) -> None:
    if _SECRET.search(name) and not _NO_SECRET.search(name):
        message = f'Do not use ARG or ENV instructions for sensitive data ({keyword} "{name}")'
        state.note("SecretsUsedInArgOrEnv", message, position)


def command(state: StageState, form: CommandForm, position: Position) -> tuple[str, ...]:
    """Return the argument vector of CMD or ENTRYPOINT."""
    match form:
        case ExecForm(args):
            return args
        case ShellForm(text):
            if state.config.shell is None:
                message = (
                    f"JSON arguments recommended for {position.keyword} to prevent unintended behavior "
                    "related to OS signals"
                )
                state.note("JSONArgsRecommended", message, position)
            return (*state.shell, text)


def cmd(state: StageState, instruction: Cmd) -> str:
    """CMD."""
    _note_used_once(state, instruction.position)
    args = command(state, instruction.form, instruction.position)
    state.cmd_set = True
    state.change(cmd=args)
    return f"CMD {go_text.quoted_list(args)}"


def entrypoint(state: StageState, instruction: Entrypoint) -> str:
    """ENTRYPOINT: takes back a CMD that the base brought in."""
    _note_used_once(state, instruction.position)
    args = command(state, instruction.form, instruction.position)
    state.change(entrypoint=args or None)
    if not state.cmd_set:
        state.change(cmd=None)
    return f"ENTRYPOINT {go_text.quoted_list(args)}"


def healthcheck(state: StageState, instruction: Healthcheck) -> str:
    """HEALTHCHECK: replaces the base's as a whole."""
    _note_used_once(state, instruction.position)
    check = HealthConfig(
        test=instruction.test,
        interval=instruction.interval,
        timeout=instruction.timeout,
        start_period=instruction.start_period,
        start_interval=instruction.start_interval,
        retries=instruction.retries,
    )
    state.change(healthcheck=check)
    times = " ".join(
        f"{name}:{go_text.duration(value)}"
        for name, value in (
            ("Interval", check.interval),
            ("Timeout", check.timeout),
            ("StartPeriod", check.start_period),
            ("StartInterval", check.start_interval),
        )
    )
    return f"HEALTHCHECK {{Test:{go_text.plain_list(check.test)} {times} Retries:{check.retries}}}"


def _note_used_once(state: StageState, position: Position) -> None:
    keyword = position.keyword.upper()
    before = state.last.get(keyword)
    if before is not None:
        message = (
            f"Multiple {position.keyword} instructions should not be used in the same stage because only "
            "the last one will be used"
        )
        # The earlier one is the one without effect.
        state.note("MultipleInstructionsDisallowed", message, replace(before, comments=position.comments))
    state.last[keyword] = position


def shell(state: StageState, instruction: Shell) -> str:
    """SHELL."""
    state.change(shell=instruction.argv)
    return f"SHELL {go_text.plain_list(instruction.argv)}"


def expose(state: StageState, instruction: Expose) -> str:
    """EXPOSE."""
    ports: list[str] = []
    for text in instruction.ports:
        for word in state.words(text, instruction.position):
            spec = parse_port(word)
            if spec.protocol != spec.protocol.lower():
                message = f"Defined protocol '{word}' in EXPOSE instruction should be lowercase"
                state.note("ExposeProtoCasing", message, instruction.position)
            if spec.is_mapping:
                message = (
                    f"EXPOSE instruction should not define an IP address or host-port mapping, found '{word}'"
                )
                state.note("ExposeInvalidFormat", message, instruction.position)
            state.ports += spec.last - spec.first + 1
            if state.ports > _MAX_PORTS:
                raise FaultError(Code.TOO_LARGE, f"the stage names more than {_MAX_PORTS} ports")
            ports += spec.ports()
    state.change(exposed_ports=tuple(sorted({*state.config.exposed_ports, *ports})))
    return f"EXPOSE {go_text.plain_list(ports)}"


def volume(state: StageState, instruction: Volume) -> str:
    """VOLUME."""
    paths = [state.expand(path, instruction.position) for path in instruction.paths]
    if not all(paths):
        raise FaultError(
            Code.INVALID_ARGUMENT,
            "a VOLUME can not be an empty string",
            hint="a variable in it is empty or not set",
        )
    volumes = {*state.config.volumes, *paths}
    check_count("volumes", volumes)
    state.change(volumes=tuple(sorted(volumes)))
    return f"VOLUME {go_text.plain_list(paths)}"


def user(state: StageState, instruction: User) -> str:
    """USER."""
    name = state.expand(instruction.user, instruction.position)
    state.change(user=name)
    return f"USER {name}"


def stop_signal(state: StageState, instruction: StopSignal) -> str:
    """STOPSIGNAL."""
    signal = state.expand(instruction.signal, instruction.position)
    check_signal(signal)
    state.change(stop_signal=signal)
    return f"STOPSIGNAL {signal}"
