"""What the artifacts of a release share: errors, and archives that are the same whenever they are made.

A release that is made twice from one commit has the same digests, so that anybody can check one. Nothing in
an archive tells when, where or by whom it was made.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
_EARLIEST: Final = 315532800  # 1980: a zip knows no earlier time


class ReleaseError(Exception):
    """A release cannot be made; the message tells why, and what to do."""


def write_archive(path: Path, files: Mapping[str, tuple[bytes, bool]], moment: int) -> None:
    """Write a .tar.gz of regular files.

    Args:
        path: The archive.
        files: Name in the archive → content, and whether it is executable.
        moment: Seconds since the epoch that every member has.
    """
    # The header of gzip has neither the archive's name nor a time of its own.
    with (
        path.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=raw, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for name, (content, is_executable) in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(content), moment
            member.mode = 0o755 if is_executable else 0o644
            archive.addfile(member, io.BytesIO(content))


def sha256(path: Path) -> str:
    """Return the digest of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def commit_time(root: Path) -> int:
    """Return the time that the files of a release have: $SOURCE_DATE_EPOCH, or that of the commit.

    Raises:
        ReleaseError: There is neither.
    """
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given is None:
        command = ["git", "log", "-1", "--format=%ct"]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
        given = done.stdout.strip()
    if not given.isdecimal():
        raise ReleaseError("no time to give to the files: this is no git checkout; set $SOURCE_DATE_EPOCH")
    return max(int(given), _EARLIEST)


def uncommitted(root: Path) -> list[str]:
    """Return the files of a checkout that no commit has as they are; none where it is no checkout."""
    command = ["git", "status", "--porcelain", "--untracked-files=normal"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    return [line[3:] for line in done.stdout.splitlines()] if done.returncode == 0 else []


def run(command: list[str], what: str, cwd: Path, **environment: str) -> str:
    """Run a program; return its standard output.

    Args:
        command: The program and its arguments.
        what: It is for, in the message of an error.
        cwd: Where it runs.
        **environment: Variables beside those of this process.

    Raises:
        ReleaseError: It is missing, or failed; the message has the end of what it wrote.
    """
    try:
        done = subprocess.run(
            command, cwd=cwd, capture_output=True, text=True, check=False, env={**os.environ, **environment}
        )
    except FileNotFoundError:
        raise ReleaseError(f"{what}: there is no program {command[0]}") from None
    if done.returncode:
        raise ReleaseError(
            f"{what}: {command[0]} ended with status {done.returncode}: {done.stderr.strip()[-2000:]}"
        )
    return done.stdout
