"""Makes Dockerfiles at random: plausible ones, odd ones and broken ones, the same for the same seed."""

from __future__ import annotations

import random

from tests.oracles.texts.vocabulary import (
    COMMANDS,
    FLAGS,
    FORMS,
    GOOD_FLAGS,
    GOOD_FORMS,
    KEYWORDS,
    SOUND,
    WORDS,
)


class Generator:
    """Draws from one seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._sound = seed % 3 != 0

    def dockerfile(self) -> str:
        """Return one file."""
        choice = self._random.choice
        lines = []
        if self._chance(0.15):
            lines.append(
                choice(("# escape=`", "# syntax=x/y:1", "#escape = \\", "# check=skip=all", "# escape=x"))
            )
        lines += [f"ARG {self._fill(choice(FORMS['ARG']))}" for _ in range(self._random.randint(0, 2))]
        lines.append(
            choice(("FROM base AS one", "FROM plain AS one", "from rich as one", "FROM scratch AS one"))
        )
        for _ in range(self._random.randint(1, 9)):
            lines += self._line()
        end = choice(("\n", "\n", "\r\n"))
        return ("\ufeff" if self._chance(0.03) else "") + end.join(lines) + choice(("", end))

    def _chance(self, probability: float) -> bool:
        return self._random.random() < probability

    def _fill(self, form: str) -> str:
        while "{w}" in form:
            words = SOUND if self._sound and self._chance(0.97) else WORDS
            form = form.replace("{w}", self._random.choice(words), 1)
        return form.replace("{c}", self._random.choice(COMMANDS), 1)

    def _line(self) -> list[str]:
        choice = self._random.choice
        if self._chance(0.1):
            return [
                choice(
                    (
                        "",
                        "# a comment",
                        "  # one note",
                        "#",
                        "   ",
                        "\t",
                        "# check=skip=UndefinedVar",
                        "RUNN x",
                    )
                )
            ]
        keyword = choice(KEYWORDS)
        prefix = ""
        if keyword == "ONBUILD":
            prefix, keyword = "ONBUILD ", choice(KEYWORDS)
        forms = FORMS.get(keyword, ("{c}",))
        if self._sound and self._chance(0.95):
            forms = GOOD_FORMS.get(keyword, forms)
        form = self._fill(choice(forms))
        if keyword in GOOD_FLAGS and self._chance(0.4):
            flags = GOOD_FLAGS[keyword] if self._sound and self._chance(0.95) else FLAGS
            form = f"{choice(flags)} {form}"
        if self._chance(0.15):
            keyword = choice((keyword.lower(), keyword.title()))
        text = f"{prefix}{keyword}{choice((' ', ' ', '  ', chr(9)))}{form}"
        lines = [text]
        if keyword.upper() == "RUN" and self._chance(0.25):
            lines = [
                f"{text} {choice(('<<E', '<<-E', chr(60) * 2 + chr(39) + 'E' + chr(39), '3<<E', '<<E <<F', '<< E'))}"
            ]
        if "<<" in lines[0]:
            lines += [
                choice(("body $A", "\ttabbed", "#!/bin/x", "\\$A '")),
                choice(("E", "E", "E", "\tE", "E ")),
            ]
            lines += ["F"] if "<<F" in lines[0] else []
        elif self._chance(0.2) and " " in text:
            head, _, tail = text.rpartition(" ")
            middle = choice(([], [], ["# comment"], [""], ["\\"], ["  # indented"]))
            lines = [head + choice((" \\", "\\", " \\ ", " `", " \\\\")), *middle, tail]
        return lines


def dockerfiles(count: int, first: int = 0) -> list[str]:
    """Return files of consecutive seeds."""
    return [Generator(seed).dockerfile() for seed in range(first, first + count)]
