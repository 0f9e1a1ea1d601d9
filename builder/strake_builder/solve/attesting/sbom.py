"""Reads what a scanner found. A scanner is a program from elsewhere, over files from elsewhere."""

from __future__ import annotations

import itertools
import json
import os
from typing import Final, Never

from strake_builder.attestations.facts import FoundSBOM
from strake_builder.errors import StepError
from strake_builder.rootfs.errors import PathError
from strake_builder.rootfs.files.inside import Root
from strake_builder.solve.planning.scan import DESTINATION
from strake_oci.attestations import CYCLONEDX, MAX_STATEMENT, SPDX

_SUFFIX: Final = ".json"
_MOST: Final = 64
"""SBOMs of an image: one is usual, and one more for each stage that is scanned, too."""
_ENTRIES: Final = 1024
"""Of the directory that are looked at."""
_STATEMENTS: Final = "https://in-toto.io/Statement/"
_HINT: Final = "name a scanner that follows BuildKit's protocol, such as docker/buildkit-syft-scanner"


def read_sboms(directory: str, scanner: str) -> tuple[FoundSBOM, ...]:
    """Return what a scanner wrote into its directory, by the names of the files.

    Args:
        directory: the layer that the scan made, unpacked.
        scanner: the reference of its image, for messages.

    Raises:
        StepError: there is nothing, too much, or something else than statements with SBOMs.
    """
    found: list[FoundSBOM] = []
    left = MAX_STATEMENT
    with Root(directory) as root:
        for name in _names(root, scanner):
            path = os.fsencode(DESTINATION) + b"/" + name
            try:
                content = root.read_file(path, left)
            except PathError as error:
                raise _refused(scanner, f"wrote more than {MAX_STATEMENT >> 20} MiB") from error
            if content is not None:
                left -= len(content)
                found.append(_sbom(content, name, scanner))
    if not found:
        raise _refused(scanner, f"wrote no SBOM to {DESTINATION}")
    return tuple(found)


def _names(root: Root, scanner: str) -> list[bytes]:
    try:
        with root.directory(os.fsencode(DESTINATION)) as directory:
            opened = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
    except PathError:
        return []
    try:
        with os.scandir(opened) as entries:
            names = [os.fsencode(entry.name) for entry in itertools.islice(entries, _ENTRIES + 1)]
    finally:
        os.close(opened)
    found = sorted(name for name in names if name.endswith(os.fsencode(_SUFFIX)))
    if len(names) > _ENTRIES or len(found) > _MOST:
        raise _refused(scanner, f"wrote more than {_MOST} files to {DESTINATION}")
    return found


def _sbom(content: bytes, name: bytes, scanner: str) -> FoundSBOM:
    shown = os.fsdecode(name)
    try:
        document = json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise _refused(scanner, f"wrote {shown!a}, which is no JSON") from error
    if not isinstance(document, dict) or not str(document.get("_type")).startswith(_STATEMENTS):
        raise _refused(scanner, f"wrote {shown!a}, which is no in-toto statement")
    kind, predicate = document.get("predicateType"), document.get("predicate")
    if kind not in (SPDX, CYCLONEDX) or not isinstance(predicate, dict):
        raise _refused(scanner, f"wrote {shown!a}, which is an SBOM neither in SPDX nor in CycloneDX")
    return FoundSBOM(kind, predicate)


def _refuse_constant(text: str) -> Never:
    raise ValueError(f"{text} is no JSON")


def _refused(scanner: str, problem: str) -> StepError:
    return StepError(f"the SBOM scanner {scanner} {problem}", hint=_HINT)
