"""Where Strake reads a Dockerfile differently from BuildKit on purpose, with the reason.

What it merely refuses earlier is `comparison.STRICTER`. Besides, the config never gets `ArgsEscaped`,
a field for Windows that the reference results do not have either.
"""

from __future__ import annotations

DIFFERENT_FILES = {
    "BuildKit loses the text before a nested default in EXPOSE, because two words share a buffer": (
        "FROM base\nEXPOSE 80${x:-80}\n"
    ),
    "a stage's name counts whatever its case in FROM too; BuildKit takes an upper-case name for an image": (
        "FROM base AS One\nFROM One\n"
    ),
    "bytes of a flag beyond ASCII stay what they are; BuildKit reads each as a Latin-1 character": (
        "FROM base\nCOPY --chown=é a /b\n"
    ),
    "a line may be longer than 64 KiB": "FROM base\nRUN echo " + "x" * 70_000 + "\n",
}

DIFFERENT_WORDS = {
    "a dollar sign in the replacement of ${x//p/r} stands for itself; BuildKit's library takes it for a group": (
        "${A//x/\\$y}"
    ),
}

STRICTER_WORDS = {
    "a lone backslash at the end of a ${x%p} pattern is refused, as it is for ${x#p}": "${A%\\?`\\}",
}

DIFFERENT_PATTERNS = {
    "a backslash before a letter stands for the letter; patternmatcher makes \\d a digit": (["a\\d*"], "a7"),
    "a star inside a class is a star; patternmatcher takes it for a wildcard": (["[*]"], "*"),
}
