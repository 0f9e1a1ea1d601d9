"""Reads YAML that a person names: manifests, and CI files with tags of their own."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from strake_kubectl.errors import CommandError

_MOST: Final = 16 << 20
_STDIN: Final = "-"


class _Loader(yaml.SafeLoader):
    """Takes what has an unknown tag, such as GitLab's `!reference`, for nothing."""


def documents(path: str) -> Iterator[Mapping[str, Any]]:
    """Yield the mappings in a file; "-" is standard input.

    Raises:
        CommandError: It cannot be read, or is no YAML.
    """
    try:
        with Path(path).open("rb") if path != _STDIN else sys.stdin.buffer as file:
            content = file.read(_MOST + 1)
        if len(content) > _MOST:
            raise CommandError(f"{path} is larger than {_MOST >> 20} MiB", exit_status=2)
        loaded = yaml.load_all(content, _Loader)
        yield from (each for each in loaded if isinstance(each, Mapping))
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}", exit_status=2) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise CommandError(f"{path} is no YAML: {' '.join(str(error).split())}", exit_status=2) from error


_Loader.add_multi_constructor("!", lambda *_: None)
