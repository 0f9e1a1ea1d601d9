"""What changes while a stage is evaluated, and the few operations that change it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from strake_builder.frontend.errors import Code, FaultError
from strake_builder.frontend.model.findings import Finding
from strake_builder.frontend.text.suggest import nearest
from strake_builder.frontend.words.lexer import Expansion, WordLexer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sized

    from strake_builder.frontend.model.planned import ArgumentScope
    from strake_builder.frontend.model.syntax import Position
    from strake_builder.frontend.patterns.ignore import IgnoreMatcher
    from strake_builder.frontend.reading.needs import StageNames
    from strake_oci.spec.image import RuntimeConfig

DEFAULT_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DEFAULT_SHELL: Final = ("/bin/sh", "-c")
_MAX_TEXT: Final = 64 << 20
_MAX_THINGS: Final = 2000
# Arguments that steer BuildKit's attestations and are no variables.
NO_VARIABLES: Final = frozenset({"BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"})


@dataclass(slots=True)
class StageState:
    """A stage under evaluation.

    Attributes:
        config: The image configuration so far.
        values: ENV and ARG in one name space.
        arguments: ARGs declared so far; "" for one without a value.
        scope: The variables outside the stage.
        names: Finds other stages.
        lexer: Reads words with the file's escape character.
        author: MAINTAINER.
        cmd_set: CMD was given in this stage.
        workdir_set: WORKDIR was given in this file, for this stage or one that it builds on.
        base_is_known: The base's configuration is the real one.
        ignore: What .dockerignore leaves out, for lint.
        triggers: ONBUILD instructions of this stage.
        findings: For lint; None when nobody asks.
        spent: Characters made by expansion so far.
        ports: Ports that EXPOSE has named so far.
        entries: `values` as "K=V", made once for all steps.
        last: Where CMD, ENTRYPOINT and HEALTHCHECK stood last.
    """

    config: RuntimeConfig
    values: dict[str, str]
    arguments: dict[str, str]
    scope: ArgumentScope
    names: StageNames
    lexer: WordLexer
    author: str = ""
    cmd_set: bool = False
    workdir_set: bool = False
    base_is_known: bool = True
    ignore: IgnoreMatcher | None = None
    triggers: list[str] = field(default_factory=list)
    findings: list[Finding] | None = None
    spent: int = 0
    ports: int = 0
    entries: dict[str, str] = field(default_factory=dict)
    last: dict[str, Position] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.entries = {name: f"{name}={value}" for name, value in self.values.items()}

    @property
    def shell(self) -> tuple[str, ...]:
        """What runs the shell form."""
        return self.config.shell or DEFAULT_SHELL

    def expand(self, text: str, position: Position) -> str:
        """Expand variables as they stand before the instruction's own line.

        Raises:
            FaultError: See `WordLexer.expand`; or the stage's budget is spent.
        """
        return self._expand(self.lexer, text, position).text

    def words(self, text: str, position: Position) -> tuple[str, ...]:
        """Expand and split into words (EXPOSE); what is not set there is not reported."""
        expansion = self.lexer.expand(text, self.values)
        self.spend(len(expansion.text) - len(text), position)
        return expansion.words

    def expand_body(self, text: str, position: Position) -> str:
        r"""Expand variables in a heredoc's body; quotes are ordinary, "\" escapes."""
        return self._expand(WordLexer(quotes=False), text, position).text

    def _expand(self, lexer: WordLexer, text: str, position: Position) -> Expansion:
        expansion = lexer.expand(text, self.values)
        self.spend(len(expansion.text) - len(text), position)
        if self.findings is not None and expansion.unmatched:
            self._note_unset(expansion.unmatched, position)
        return expansion

    def spend(self, characters: int, position: Position) -> None:
        """Take from the budget for text that the file does not hold itself.

        Raises:
            FaultError: It is spent: instructions that repeat long values would fill the memory.
        """
        self.spent += max(0, characters)
        if self.spent > _MAX_TEXT:
            message = f"expanding the stage's instructions makes more than {_MAX_TEXT} characters"
            raise FaultError(Code.TOO_LARGE, message, needle=position.keyword)

    def _note_unset(self, names: frozenset[str], position: Position) -> None:
        for name in sorted(names - self.arguments.keys() - NO_VARIABLES):
            meant = nearest(name, self.values)
            if self.base_is_known or meant:
                hint = f" (did you mean ${meant}?)" if meant else ""
                self.note("UndefinedVar", f"Usage of undefined variable '${name}'{hint}", position)

    def note(self, rule: str, message: str, position: Position) -> None:
        """Report something for lint, if anybody wants to know."""
        if self.findings is not None:
            self.findings.append(Finding(rule, message, position.span, position.comments))

    def set_value(self, name: str, value: str) -> None:
        """Set a variable.

        Raises:
            FaultError: There are too many.
        """
        self.values.pop(name, None)
        self.values[name] = value
        self.entries.pop(name, None)
        self.entries[name] = f"{name}={value}"
        check_count("variables", self.values)

    def set_env(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Set variables of the image, each in its old place if it was set before."""
        env = {entry.partition("=")[0]: entry for entry in self.config.env}
        for name, value in pairs:
            self.set_value(name, value)
            env[name] = self.entries[name]
        self.change(env=tuple(env.values()))

    def change(self, **fields: object) -> None:
        """Replace fields of the configuration."""
        self.config = replace(self.config, **fields)  # type: ignore[arg-type]  # replace checks the names


def check_count(what: str, things: Sized) -> None:
    """Bound what every later step's configuration repeats.

    Raises:
        FaultError: There are more than 2,000.
    """
    if len(things) > _MAX_THINGS:
        raise FaultError(Code.TOO_LARGE, f"the stage has more than {_MAX_THINGS} {what}")


def variables_of(config: RuntimeConfig) -> Mapping[str, str]:
    """Return the variables of an image."""
    return {name: value for name, _, value in (entry.partition("=") for entry in config.env)}
