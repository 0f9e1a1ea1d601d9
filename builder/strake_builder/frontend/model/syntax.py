"""The syntax tree: what a Dockerfile says, before anything is expanded or resolved.

`Instruction` is a closed union of one frozen dataclass per instruction. Flags and arguments are split
and checked as far as that is possible without knowing the values of variables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from strake_oci.lazy_dataclass import dataclass

if TYPE_CHECKING:
    from strake_builder.frontend.text.source import SourceText, Span


@dataclass(frozen=True, slots=True)
class Heredoc:
    """A heredoc of one instruction.

    Attributes:
        name: The delimiter word, quotes removed.
        body: The lines between, unchanged, each with its line ending.
        expand: False when the delimiter was quoted.
        strip_tabs: True for `<<-`.
        fd: The file descriptor written before `<<`, 0 for none.
    """

    name: str
    body: str
    expand: bool
    strip_tabs: bool
    fd: int = 0


@dataclass(frozen=True, slots=True)
class Position:
    """Where an instruction stands and how it was written.

    Attributes:
        keyword: The instruction's name as written ("from", "RUN").
        span: Its lines, heredoc bodies included.
        text: The instruction on one line: continuations joined, comments inside dropped.
        comments: The comment lines right above it, "#" and surrounding space removed.
        heredocs: In the order of the words that announce them.
    """

    keyword: str
    span: Span
    text: str
    comments: tuple[str, ...] = ()
    heredocs: tuple[Heredoc, ...] = ()


@dataclass(frozen=True, slots=True)
class ShellForm:
    """A command for a shell: everything after the keyword and its flags."""

    text: str


@dataclass(frozen=True, slots=True)
class ExecForm:
    """A command as a JSON array of strings."""

    args: tuple[str, ...]


CommandForm: TypeAlias = ShellForm | ExecForm


@dataclass(frozen=True, slots=True)
class KeyValue:
    """One assignment of ENV or LABEL; `legacy` for the form without "="."""

    key: str
    value: str
    legacy: bool = False


@dataclass(frozen=True, slots=True)
class ArgDefinition:
    """One variable of ARG; `default` is None when none is given."""

    name: str
    default: str | None = None


@dataclass(frozen=True, slots=True)
class From:
    """FROM: opens a stage. `name` is in lower case, `name_as_written` is not."""

    position: Position
    base: str
    platform: str | None = None
    name: str | None = None
    name_as_written: str | None = None
    as_keyword: str | None = None


@dataclass(frozen=True, slots=True)
class Arg:
    """ARG."""

    position: Position
    definitions: tuple[ArgDefinition, ...]


@dataclass(frozen=True, slots=True)
class Env:
    """ENV."""

    position: Position
    pairs: tuple[KeyValue, ...]


@dataclass(frozen=True, slots=True)
class Label:
    """LABEL."""

    position: Position
    pairs: tuple[KeyValue, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """RUN. `mounts` are the values of `--mount`, to be expanded; see `frontend.mounts`."""

    position: Position
    form: CommandForm
    mounts: tuple[str, ...] = ()
    network: Literal["default", "none", "host"] = "default"
    security: Literal["sandbox", "insecure"] = "sandbox"


@dataclass(frozen=True, slots=True)
class Copy:
    """COPY. Heredoc sources are the `contents`, by name; `sources` are the other ones."""

    position: Position
    sources: tuple[str, ...]
    contents: tuple[Heredoc, ...]
    destination: str
    from_: str | None = None
    chown: str = ""
    chmod: str = ""
    link: bool = False
    parents: bool = False
    excludes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Add:
    """ADD; as `Copy`. A flag that is None was not given."""

    position: Position
    sources: tuple[str, ...]
    contents: tuple[Heredoc, ...]
    destination: str
    chown: str = ""
    chmod: str = ""
    link: bool = False
    excludes: tuple[str, ...] = ()
    checksum: str = ""
    keep_git_dir: bool | None = None
    unpack: bool | None = None


@dataclass(frozen=True, slots=True)
class Cmd:
    """CMD."""

    position: Position
    form: CommandForm


@dataclass(frozen=True, slots=True)
class Entrypoint:
    """ENTRYPOINT."""

    position: Position
    form: CommandForm


@dataclass(frozen=True, slots=True)
class Shell:
    """SHELL."""

    position: Position
    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Expose:
    """EXPOSE."""

    position: Position
    ports: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Volume:
    """VOLUME."""

    position: Position
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class User:
    """USER."""

    position: Position
    user: str


@dataclass(frozen=True, slots=True)
class Workdir:
    """WORKDIR."""

    position: Position
    path: str


@dataclass(frozen=True, slots=True)
class Healthcheck:
    """HEALTHCHECK. Durations in nanoseconds, as in the image configuration; 0 inherits.

    Attributes:
        test: ("NONE",), ("CMD", …) or ("CMD-SHELL", text).
    """

    position: Position
    test: tuple[str, ...]
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


@dataclass(frozen=True, slots=True)
class StopSignal:
    """STOPSIGNAL."""

    position: Position
    signal: str


@dataclass(frozen=True, slots=True)
class OnBuild:
    """ONBUILD; `trigger` is the instruction as text, heredocs included."""

    position: Position
    trigger: str


@dataclass(frozen=True, slots=True)
class Maintainer:
    """MAINTAINER."""

    position: Position
    maintainer: str


Instruction: TypeAlias = (
    Arg
    | Env
    | Label
    | Run
    | Copy
    | Add
    | Cmd
    | Entrypoint
    | Shell
    | Expose
    | Volume
    | User
    | Workdir
    | Healthcheck
    | StopSignal
    | OnBuild
    | Maintainer
)


@dataclass(frozen=True, slots=True)
class StageSyntax:
    """A FROM and the instructions up to the next one."""

    from_: From
    instructions: tuple[Instruction, ...]


@dataclass(frozen=True, slots=True)
class Directive:
    """A parser directive (`# name=value` above everything else); `name` is in lower case."""

    name: str
    value: str
    line: int


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """A whole file.

    Attributes:
        source: Its text, for messages.
        directives: The parser directives in force.
        escape: The escape character.
        global_args: The ARG instructions before the first FROM.
        stages: At least one.
        empty_continuations: Lines at which an instruction ends that has an empty line inside.
    """

    source: SourceText
    directives: tuple[Directive, ...]
    escape: str
    global_args: tuple[Arg, ...]
    stages: tuple[StageSyntax, ...]
    empty_continuations: tuple[int, ...] = ()

    def directive(self, name: str) -> str | None:
        """Return the value of a parser directive, or None."""
        return next((d.value for d in self.directives if d.name == name), None)
