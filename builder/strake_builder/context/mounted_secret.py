"""Reads keys of a mounted Secret, of which no error shows anything but the key's name."""

from __future__ import annotations

import os
from typing import Final

from strake_builder.errors import InvalidRequestError

_LIMIT: Final = 64 * 1024
"""Characters; a longer text is cut short."""


def secret_text(directory: str, key: str, whose: str, limit: int = _LIMIT) -> str:
    """Return the text of a key; "" without such a key.

    Args:
        directory: where the Secret is mounted.
        key: its name.
        whose: what the Secret is named by, for errors: "source.git".
        limit: characters.

    Raises:
        InvalidRequestError: it cannot be read, or is no text.
    """
    try:
        with open(os.path.join(directory, key), encoding="utf-8") as file:
            return file.read(limit)
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError:
        why = "it is no text in UTF-8"
    except OSError as error:
        why = error.strerror or type(error).__name__
    raise InvalidRequestError(f"cannot read {key} of the Secret of {whose}: {why}")
