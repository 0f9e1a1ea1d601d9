"""The Docker config file as a source of credentials: `auths`, `credHelpers`, `credsStore`.

The format is docker/cli's `config.json`, which Kubernetes pull secrets (`.dockerconfigjson`) share. Keys are
matched as the kubelet does: a key may carry a path, and `*` in host labels; the most specific wins.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
from dataclasses import field
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field, ValidationError

from strake_oci.credentials.credential import Credential
from strake_oci.errors import CredentialError, InvalidDocumentError, SizeExceededError
from strake_oci.lazy_dataclass import dataclass
from strake_oci.spec.reference import DEFAULT_REGISTRY
from strake_oci.spec.wire import StringMap, Text, WireModel, decode, extra_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from strake_oci.spec.reference import Repository

DOCKER_HUB_KEY: Final = "https://index.docker.io/v1/"
"""What `docker login` files Docker Hub's credentials under."""

_API_VERSIONS: Final = frozenset({"v1", "v2"})
_HUB_HOSTS: Final = frozenset({DEFAULT_REGISTRY, "index.docker.io", "registry-1.docker.io"})
_TOKEN_USER: Final = "<token>"  # noqa: S105 the marker that docker/cli writes for an identity token


class AuthModel(WireModel):
    """docker/cli `types.AuthConfig`."""

    auth: Text = ""
    username: Text = ""
    password: Text = ""
    identity_token: Annotated[Text, Field(alias="identitytoken")] = ""
    registry_token: Annotated[Text, Field(alias="registrytoken")] = ""


class DockerConfigModel(WireModel):
    """docker/cli `configfile.ConfigFile`, as far as it is about credentials."""

    auths: dict[str, AuthModel] | None = None
    cred_helpers: Annotated[StringMap, Field(alias="credHelpers")] = Field(default_factory=dict)
    creds_store: Annotated[Text, Field(alias="credsStore")] = ""


@dataclass(frozen=True, slots=True)
class DockerConfig:
    """One parsed config file.

    Attributes:
        name: Where it is from, for people.
        auths: Credentials by key.
        helpers: Names of helper programs by registry.
        default_helper: Name of the program for all other registries, or "".
    """

    name: str
    auths: Mapping[str, Credential] = field(default_factory=dict, repr=False)
    helpers: Mapping[str, str] = field(default_factory=dict)
    default_helper: str = ""

    @staticmethod
    def parse(data: bytes, name: str) -> DockerConfig:
        """Read the file's content.

        Raises:
            CredentialError: It is no Docker config. The message holds nothing of its content.
        """
        try:
            model = decode(DockerConfigModel, data, what="Docker config")
        except (InvalidDocumentError, SizeExceededError) as error:
            raise CredentialError(
                f"{name}: {error.message}", hint="it must be JSON as `docker login` writes it"
            ) from None
        auths = {key: _credential(auth, f"{name} ({key})") for key, auth in _entries(model).items()}
        kept = {key: credential for key, credential in auths.items() if not credential.is_anonymous}
        return DockerConfig(name, kept, model.cred_helpers, model.creds_store)

    @staticmethod
    def read(path: Path, name: str = "") -> DockerConfig | None:
        """Read a file; None if there is none.

        Raises:
            CredentialError: It cannot be read, or is no Docker config.
        """
        name = name or str(path)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CredentialError(f"{name} cannot be read: {error.strerror}") from error
        return DockerConfig.parse(data, name)

    def find(self, repository: Repository) -> Credential | None:
        """Return the credential filed under the key that fits a repository best, or None."""
        return find((self,), repository)

    @property
    def has_helpers(self) -> bool:
        """Whether the file names any helper program."""
        return bool(self.helpers or self.default_helper)

    def helper(self, registry: str) -> str:
        """Return the name of the helper program for a registry, or ""."""
        for key in spellings(registry):
            if key in self.helpers:
                return self.helpers[key]
        return self.default_helper


def spellings(registry: str) -> Iterator[str]:
    """Yield the keys under which a registry's credentials may be filed, the usual one first."""
    if registry == DEFAULT_REGISTRY:
        yield DOCKER_HUB_KEY
        yield from sorted(_HUB_HOSTS)
        return
    yield registry
    yield f"https://{registry}"
    yield f"http://{registry}"


def find(configs: Iterable[DockerConfig], repository: Repository) -> Credential | None:
    """Return the credential under the key that fits a repository best, of all files; of equals, the first.

    The order is the kubelet's, which tries the last in the alphabet first: a host's longest path, and names
    before wildcards.
    """
    fitting = [
        (_host_and_path(key), credential)
        for config in configs
        for key, credential in config.auths.items()
        if key_fits(key, repository)
    ]
    return max(fitting, key=lambda entry: entry[0])[1] if fitting else None


def key_fits(key: str, repository: Repository) -> bool:
    """Tell whether a key of `auths` is about a repository.

    Source: Kubernetes, "Images", "Interpretation of config.json", and the kubelet's keyring: `*.example.com`
    stands for one label, a path for everything under it, `/v1/` and `/v2/` after the host for nothing. The
    kubelet would also take `ghcr.io/team` for `ghcr.io/teamwork/app`; another team gets nothing here.
    """
    host, path = _host_and_path(key)
    wanted = DEFAULT_REGISTRY if repository.registry in _HUB_HOSTS else repository.registry
    name, port = _name_and_port(host)
    wanted_name, wanted_port = _name_and_port(wanted)
    if port != wanted_port or not _host_fits(name.lower(), wanted_name.lower()):
        return False
    prefix = path if path.endswith("/") else f"{path}/"
    return not path or repository.path == path or repository.path.startswith(prefix)


def _entries(model: DockerConfigModel) -> dict[str, AuthModel]:
    if model.auths is not None:
        return model.auths
    # The older `.dockercfg`, which Kubernetes still takes as a secret, is `auths` without the name.
    found = {}
    for key, value in extra_of(model).items():
        if isinstance(value, dict) and value.keys() & {"auth", "username", "identitytoken"}:
            with contextlib.suppress(ValidationError):
                found[key] = AuthModel.model_validate(value)
    return found


def _host_fits(pattern: str, host: str) -> bool:
    # A wildcard stays within its label. Brackets are not for classes here: IPv6 addresses have them.
    return re.fullmatch(re.escape(pattern).replace(r"\*", "[^.]*"), host) is not None


def _host_and_path(key: str) -> tuple[str, str]:
    host, _, path = key.removeprefix("https://").removeprefix("http://").partition("/")
    first, _, rest = path.partition("/")
    path = rest if first in _API_VERSIONS else path
    return DEFAULT_REGISTRY if host in _HUB_HOSTS else host, path


def _name_and_port(host: str) -> tuple[str, str]:
    if ":" not in host or host.endswith("]"):
        return host, ""
    name, _, port = host.rpartition(":")
    return name, port


def _credential(model: AuthModel, source: str) -> Credential:
    username, password = model.username, model.password
    if model.auth:
        try:
            decoded = base64.b64decode(model.auth, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise CredentialError(f"{source}: `auth` is not base64", hint="log in again") from None
        username, colon, password = decoded.partition(":")
        if not colon:
            raise CredentialError(f"{source}: `auth` holds no user:password", hint="log in again")
        password = password.rstrip("\x00")
    token = model.identity_token
    if username == _TOKEN_USER:
        username, password, token = "", "", token or password
    return Credential(source, username, password, token, model.registry_token)
