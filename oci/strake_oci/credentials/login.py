"""Logging in and out, in Docker's file and format, so that every tool finds the credentials.

Whatever else is in the file stays as it is. Where the file names a helper program for the registry, the
helper keeps the secret and the file only its name.
"""

from __future__ import annotations

import base64
import json
import os
import tempfile
from typing import TYPE_CHECKING, Any

from strake_oci.credentials import helper
from strake_oci.credentials.docker_config import DockerConfig, spellings
from strake_oci.errors import CredentialError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def save_login(path: Path, registry: str, username: str, password: str) -> str:
    """Keep a credential; return where, for people.

    It is not tried out here: `RegistryClient.check_login` does that.

    Args:
        path: The config file; made if it is not there, readable by its owner alone.
        registry: Host and port, "docker.io" for Docker Hub.
        username: May not hold a colon.
        password: Or token.

    Raises:
        CredentialError: The file cannot be read or written, or a helper failed.
    """
    if ":" in username:
        raise CredentialError("a user name cannot hold a colon")
    document, program = _open(path, registry)
    auths = _auths(document, path)
    for key in spellings(registry):
        auths.pop(key, None)
    key = next(iter(spellings(registry)))
    if program:
        helper.store(program, registry, username, password, str(path))
        auths[key] = {}
    else:
        pair = f"{username}:{password}".encode()
        auths[key] = {"auth": base64.b64encode(pair).decode()}
    _write(path, document)
    return f"docker-credential-{program}" if program else str(path)


def forget_login(path: Path, registry: str) -> bool:
    """Forget a registry's credentials; return whether there were any in the file.

    Raises:
        CredentialError: The file cannot be read or written, or a helper failed.
    """
    document, program = _open(path, registry)
    auths = _auths(document, path)
    there = [key for key in spellings(registry) if key in auths]
    if program:
        helper.erase(program, registry, str(path))
    for key in there:
        del auths[key]
    if there:
        _write(path, document)
    return bool(there)


def _open(path: Path, registry: str) -> tuple[dict[str, Any], str]:
    """Return the file's document and the helper program that it names for a registry."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return {}, ""
    except OSError as error:
        raise CredentialError(f"{path} cannot be read: {error.strerror}") from error
    config = DockerConfig.parse(data, str(path))
    document: dict[str, Any] = json.loads(data)
    return document, config.helper(registry)


def _auths(document: dict[str, Any], path: Path) -> dict[str, Any]:
    if document.get("auths") is None:
        document["auths"] = {}
    auths = document["auths"]
    if not isinstance(auths, dict):
        raise CredentialError(f"{path}: `auths` is not an object")
    return auths


def _write(path: Path, document: Mapping[str, Any]) -> None:
    target = path.resolve()
    try:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, name = tempfile.mkstemp(prefix=".config-", dir=target.parent)  # made with mode 0600
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(document, file, indent="\t", ensure_ascii=False)
                file.write("\n")
            os.replace(name, target)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        raise CredentialError(f"{path} cannot be written: {error.strerror}") from error
