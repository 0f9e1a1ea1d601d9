"""From a logical line to RUN, COPY or ADD."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from strake_builder.frontend.errors import Code, FaultError
from strake_builder.frontend.model.syntax import Add, Copy, Heredoc, Run
from strake_builder.frontend.reading.flags import Flags, Kind
from strake_builder.frontend.reading.heredoc import heredoc_word_or_none, strip_leading_tabs
from strake_builder.frontend.reading.mounts import check_mount
from strake_builder.frontend.text.suggest import did_you_mean

if TYPE_CHECKING:
    from strake_builder.frontend.reading.instruction_parser import Request

_RUN_FLAGS: Final = {
    "mount": Kind.VALUES,
    "network": Kind.VALUE,
    "security": Kind.VALUE,
    "device": Kind.VALUES,
}
_COPY_FLAGS: Final = {
    "from": Kind.VALUE,
    "chown": Kind.VALUE,
    "chmod": Kind.VALUE,
    "link": Kind.SWITCH,
    "parents": Kind.SWITCH,
    "exclude": Kind.VALUES,
}
_ADD_FLAGS: Final = {
    "chown": Kind.VALUE,
    "chmod": Kind.VALUE,
    "link": Kind.SWITCH,
    "keep-git-dir": Kind.SWITCH,
    "checksum": Kind.VALUE,
    "unpack": Kind.SWITCH,
    "exclude": Kind.VALUES,
}


def parse_run(request: Request) -> Run:
    """RUN [flags] command."""
    flags = Flags(_RUN_FLAGS, request.flags)
    mounts = flags.values("mount")
    for mount in mounts:
        check_mount(mount)
    if flags.values("device"):
        raise FaultError(
            Code.UNSUPPORTED,
            "RUN --device is not supported",
            hint="builds run without access to the node's devices; take the flag away",
            needle="--device",
        )
    return Run(
        request.position,
        request.command(),
        mounts,
        _network(flags.value("network")),
        _security(flags.value("security")),
    )


def _network(value: str | None) -> Literal["default", "none", "host"]:
    match value:
        case None:
            return "default"
        case "default" | "none" | "host":
            return value
        case _:
            names = ("default", "none", "host")
            raise FaultError(
                Code.INVALID_FLAG,
                f"invalid network mode {value[:40]!r}",
                hint=did_you_mean(value, names) or "use default, none or host",
                needle="--network",
            )


def _security(value: str | None) -> Literal["sandbox", "insecure"]:
    match value:
        case None:
            return "sandbox"
        case "sandbox" | "insecure":
            return value
        case _:
            raise FaultError(
                Code.INVALID_FLAG,
                f"security {value[:40]!r} is not valid",
                hint="use sandbox or insecure",
                needle="--security",
            )


def parse_copy(request: Request) -> Copy:
    """COPY [flags] source … destination."""
    flags = Flags(_COPY_FLAGS, request.flags)
    sources, contents, destination = _sources(request)
    return Copy(
        request.position,
        sources,
        contents,
        destination,
        from_=flags.value("from") or None,
        chown=flags.value("chown") or "",
        chmod=flags.value("chmod") or "",
        link=bool(flags.switch("link")),
        parents=bool(flags.switch("parents")),
        excludes=flags.values("exclude"),
    )


def parse_add(request: Request) -> Add:
    """ADD [flags] source … destination."""
    flags = Flags(_ADD_FLAGS, request.flags)
    sources, contents, destination = _sources(request)
    return Add(
        request.position,
        sources,
        contents,
        destination,
        chown=flags.value("chown") or "",
        chmod=flags.value("chmod") or "",
        link=bool(flags.switch("link")),
        excludes=flags.values("exclude"),
        checksum=flags.value("checksum") or "",
        keep_git_dir=flags.switch("keep-git-dir"),
        unpack=flags.switch("unpack"),
    )


def _sources(request: Request) -> tuple[tuple[str, ...], tuple[Heredoc, ...], str]:
    """Return plain sources, heredoc sources with their tabs stripped, and the destination."""
    words = request.words()
    if len(words) < 2:  # noqa: PLR2004 a source and a destination
        given = "only one was provided" if words else "none was provided"
        raise FaultError(
            Code.MISSING_ARGUMENT,
            f"{request.name} requires at least two arguments, but {given}",
            hint=f"write {request.name} source destination",
            needle=words[0] if words else "",
        )
    *sources, destination = words
    if heredoc_word_or_none(destination):
        raise FaultError(
            Code.INVALID_HEREDOC,
            f"{request.name} cannot accept a heredoc as a destination",
            hint="the destination comes last",
            needle=destination,
        )
    bodies = {doc.name: doc.body for doc in request.position.heredocs}
    paths: list[str] = []
    contents: list[Heredoc] = []
    for source in sources:
        word = heredoc_word_or_none(source)
        if word is None:
            paths.append(source)
            continue
        body = bodies.get(word.name, "")
        if word.strip_tabs:
            body = strip_leading_tabs(body)
        contents.append(Heredoc(word.name, body, word.expand, word.strip_tabs))
    return tuple(paths), tuple(contents), destination
