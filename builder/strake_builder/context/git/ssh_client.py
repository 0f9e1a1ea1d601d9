"""A program of its own, which git starts in place of ssh: it says to which server it goes as whom.

A repository decides which submodules are fetched, and so which host stands in the command line that git
makes. A key is for one server. And where ssh goes through a proxy command, a shell reads that with the host
in it, so only what can be a host's name gets there.

It imports nothing of Strake's, so that it starts at once.
"""

from __future__ import annotations

import json
import os
import re
import sys

_DESTINATION = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.+-]*@)?([A-Za-z0-9][A-Za-z0-9._-]*|[0-9A-Fa-f:.]+)")
_WITH_VALUE = ("-o", "-p")


def command(settings: dict[str, object], words: list[str]) -> tuple[list[str], str]:
    """Return the command line of ssh, and the socket of the agent that it may ask, "" for none.

    Args:
        settings: `server` as "host:port", the options `known` for it and `others` for any other, and `agent`.
        words: what git would start ssh with: options, where to, and what to run there.

    Raises:
        ValueError: where to is no host.
    """
    at, port = 0, "22"
    while at < len(words) and words[at].startswith("-"):
        if words[at] == "-p" and at + 1 < len(words):
            port = words[at + 1]
        at += 2 if words[at] in _WITH_VALUE else 1
    found = _DESTINATION.fullmatch(words[at]) if at < len(words) else None
    if found is None or not port.isdecimal():
        raise ValueError(f"ssh: {' '.join(words[at : at + 1])[:100]!r} is no host")
    is_known = f"{found[1].lower()}:{int(port)}" == settings["server"]
    options = settings["known" if is_known else "others"]
    assert isinstance(options, list)  # noqa: S101 - narrows the type
    return ["ssh", *options, *words], str(settings["agent"]) if is_known else ""


def main(settings: str, words: list[str]) -> int:
    """Become ssh; return the exit status that ssh has where it cannot begin."""
    try:
        line, agent = command(json.loads(settings), words)
        environment = {name: value for name, value in os.environ.items() if name != "SSH_AUTH_SOCK"}
        os.execvpe(line[0], line, environment | ({"SSH_AUTH_SOCK": agent} if agent else {}))  # noqa: S606 - no shell
    except FileNotFoundError:
        sys.stderr.write("ssh is not installed\n")
    except (ValueError, OSError) as error:
        sys.stderr.write(f"{error}\n")
    return 255


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
