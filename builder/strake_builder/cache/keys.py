"""Cache keys: what a step's result depends on, hashed without ambiguity.

A key is the SHA-256 of a value in which every part carries its type and its length, so that no two
different values are the same bytes. The state under a step is of one of two kinds:

- a *definition* state, known before anything runs: the base image's layers and the steps above them;
- a *content* state, known once the lower layers are: their diff IDs.

A step has one key over each. The first finds the results of a build in which nothing changed; the
second finds those of a build in which something changed and made no difference.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final, TypeAlias

from strake_oci.lazy_dataclass import dataclass
from strake_oci.spec.digest import DiffID

FORMAT: Final = "strake-step-4"
"""Part of every key; another one makes all old entries unreachable."""

_HEX: Final = re.compile(r"[0-9a-f]{64}")

Value: TypeAlias = "str | bytes | int | bool | tuple[Value, ...] | None"


@dataclass(frozen=True, slots=True)
class Key:
    """A SHA-256 in hexadecimal digits; its own type, since many things are."""

    hex: str

    def __post_init__(self) -> None:
        if not _HEX.fullmatch(self.hex):
            raise ValueError(f"{self.hex[:80]!r} is not a key")

    def __str__(self) -> str:
        return self.hex


def encode(value: Value) -> bytes:
    """Return the bytes of a value: a letter for the type, eight bytes of length, then the content."""
    match value:
        case None:
            kind, body = b"n", b""
        case bool():
            kind, body = b"t", b"1" if value else b"0"
        case int():
            kind, body = b"i", str(value).encode()
        case str():
            kind, body = b"s", value.encode(errors="surrogateescape")
        case bytes():
            kind, body = b"b", value
        case tuple():
            kind, body = b"l", b"".join(map(encode, value))
    return kind + len(body).to_bytes(8, "big") + body


def key_of(*parts: Value) -> Key:
    """Return the key of a value that consists of parts."""
    return Key(hashlib.sha256(encode((FORMAT, *parts))).hexdigest())


def layers_state(diff_ids: tuple[DiffID, ...]) -> Key:
    """Return the content state of a stack of layers, bottom first; of none at all for scratch."""
    return key_of("layers", tuple(map(str, diff_ids)))


def step_key(state: Key | None, definition: Value, inputs: tuple[Value, ...]) -> Key:
    """Return the key of a step.

    Args:
        state: of what it runs over; None where the result does not depend on that (`--link`).
        definition: the instruction, with nothing left to expand.
        inputs: what the files that it reads are, in the order of the definition.
    """
    return key_of("step", state.hex if state else None, definition, inputs)


def state_after(state: Key, key: Key) -> Key:
    """Return the definition state after a step."""
    return key_of("state", state.hex, key.hex)


def occurrence_key(definition: Value, inputs: tuple[Value, ...]) -> Key:
    """Return the key under which it is noted that a step was cached at all, whatever it ran over.

    Where there is no such note, no content key can be a hit, and nothing needs to be waited for.
    """
    return key_of("occurrence", definition, inputs)


def outline_key(lowers: tuple[DiffID, ...], destination: str, *, accounts: bool) -> Key:
    """Return the key of what a COPY must know of its lower layers (`rootfs.outline`)."""
    return key_of("outline", layers_state(lowers).hex, destination, accounts)
