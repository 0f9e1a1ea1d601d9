"""What changes while a stage is evaluated, and the few operations that change it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from strake_builder.frontend.errors import Code, Fault
from strake_builder.frontend.findings import Finding
from strake_builder.frontend.suggest import nearest
from strake_builder.frontend.words import WordLexer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from strake_builder.frontend.ignore import IgnoreMatcher
    from strake_builder.frontend.needs import StageNames
    from strake_builder.frontend.planned import ArgumentScope
    from strake_builder.frontend.syntax import Place
    from strake_oci.image import RuntimeConfig

DEFAULT_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DEFAULT_SHELL: Final = ("/bin/sh", "-c")
_MAX_VARIABLES: Final = 8 << 20
# Arguments that steer BuildKit's attestations and are no variables.
_NO_VARIABLES: Final = frozenset({"BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"})


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
        workdir_set: WORKDIR was given in this file, for this stage or those below.
        base_is_known: The base's configuration is the real one.
        ignore: What .dockerignore leaves out, for lint.
        triggers: ONBUILD instructions of this stage.
        findings: For lint.
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
    findings: list[Finding] = field(default_factory=list)
    last: dict[str, Place] = field(default_factory=dict)

    @property
    def shell(self) -> tuple[str, ...]:
        """What runs the shell form."""
        return self.config.shell or DEFAULT_SHELL

    def expand(self, text: str, place: Place) -> str:
        """Expand variables as they stand before the instruction's own line.

        Raises:
            Fault: See `WordLexer.expand`.
        """
        expansion = self.lexer.expand(text, self.values)
        self.note_unset(expansion.unmatched, place)
        return expansion.text

    def words(self, text: str) -> tuple[str, ...]:
        """Expand and split into words (EXPOSE)."""
        return self.lexer.expand(text, self.values).words

    def expand_body(self, text: str, place: Place) -> str:
        r"""Expand variables in a heredoc's body; quotes are ordinary, "\" escapes."""
        expansion = WordLexer(quotes=False).expand(text, self.values)
        self.note_unset(expansion.unmatched, place)
        return expansion.text

    def note_unset(self, names: frozenset[str], place: Place) -> None:
        """Report the use of variables that nothing defines."""
        for name in sorted(names - self.arguments.keys() - _NO_VARIABLES):
            meant = nearest(name, self.values)
            if self.base_is_known or meant:
                hint = f" (did you mean ${meant}?)" if meant else ""
                self.note("UndefinedVar", f"Usage of undefined variable '${name}'{hint}", place)

    def note(self, rule: str, message: str, place: Place) -> None:
        """Report something for lint."""
        self.findings.append(Finding(rule, message, place.span, place.comments))

    def set_value(self, name: str, value: str) -> None:
        """Set a variable.

        Raises:
            Fault: All variables together become larger than 8 MiB.
        """
        if name in _NO_VARIABLES:
            return
        self.values.pop(name, None)
        self.values[name] = value
        if len(value) + len(name) > _MAX_VARIABLES // 64 and self._size() > _MAX_VARIABLES:
            raise Fault(Code.TOO_LARGE, f"the variables of the stage exceed {_MAX_VARIABLES} characters")

    def set_env(self, name: str, value: str) -> None:
        """Set a variable of the image."""
        self.set_value(name, value)
        self.config = self.config.with_env(name, value)

    def change(self, **fields: object) -> None:
        """Replace fields of the configuration."""
        self.config = replace(self.config, **fields)  # type: ignore[arg-type]  # replace checks the names

    def _size(self) -> int:
        return sum(len(name) + len(value) for name, value in self.values.items())


def variables_of(config: RuntimeConfig) -> Mapping[str, str]:
    """Return the variables of an image."""
    return {name: value for name, _, value in (entry.partition("=") for entry in config.env)}
