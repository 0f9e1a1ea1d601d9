"""STOPSIGNAL: names and numbers of Linux signals (moby/sys/signal)."""

from __future__ import annotations

import re
from typing import Final

from strake_builder.frontend.errors import Code, FaultError
from strake_builder.frontend.text.suggest import did_you_mean

_NAMES: Final = frozenset(
    (
        *("ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL"),
        *("PIPE", "POLL", "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP"),
        *("TTIN", "TTOU", "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ", "RTMIN", "RTMAX"),
        *(f"RTMIN+{n}" for n in range(1, 16)),
        *(f"RTMAX-{n}" for n in range(1, 15)),
    )
)
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,9}\Z")


def check_signal(text: str) -> None:
    """Refuse what is no signal. Any number but 0 is one.

    Raises:
        FaultError: It is neither a number nor the name of a signal.
    """
    name = text.upper().removeprefix("SIG")
    if not (int(text) if _NUMBER.match(text) else name in _NAMES):
        raise FaultError(
            Code.INVALID_SIGNAL,
            f"invalid signal: {text[:40]!r}",
            hint=did_you_mean(name, sorted(_NAMES)) or "write a name such as SIGTERM, or a number",
            needle=text,
        )
