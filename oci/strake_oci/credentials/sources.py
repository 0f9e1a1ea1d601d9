"""Where credentials are looked for, in order; the first that has one wins.

`default_credentials()` is what a command-line tool wants. A builder that is given pull secrets names their
files itself: `Credentials.from_files([("secret team/pull", path), …])`.
"""

from __future__ import annotations

import os
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Self

from strake_oci.credentials.aws import ECRCredentials
from strake_oci.credentials.azure import ACRCredentials
from strake_oci.credentials.docker_config import DockerConfig, find
from strake_oci.credentials.gcp import GoogleCredentials
from strake_oci.credentials.helper import HelperCache, is_installed
from strake_oci.credentials.variables import GitLabVariables, KanikoVariables
from strake_oci.lazy_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from strake_oci.credentials.credential import Credential, CredentialSource
    from strake_oci.spec.reference import Repository

_CONFIG_FILE: Final = "config.json"
_CLOUDS: Final[Mapping[str, Callable[[], CredentialSource]]] = MappingProxyType(
    {
        "ecr-login": ECRCredentials,
        "gcr": GoogleCredentials,
        "gcloud": GoogleCredentials,
        "acr-env": ACRCredentials,
    }
)
"""By the names of the clouds' helper programs."""


class DockerConfigSource:
    """The credentials of Docker configs as one, helper programs included. Thread-safe.

    Configs name the clouds' helper programs, which kaniko's image has. One that is not installed here needs
    not be: the cloud's own library is asked in its place, with the same identity.

    Args:
        *configs: The parsed files. Of all of them the most specific key wins, as in Kubernetes.
        helpers: Runs the programs they name.
    """

    def __init__(self, *configs: DockerConfig, helpers: HelperCache | None = None) -> None:
        self._configs = configs
        self._helpers = helpers or HelperCache()
        self._clouds = {name: make() for name, make in _CLOUDS.items()}

    def lookup(self, repository: Repository) -> Credential | None:
        """Return the credential for a repository: a helper's if one is named for it, else the files'."""
        for config in self._configs:
            helper = config.helper(repository.registry)
            found = self._asked(helper, repository, config) if helper else None
            if found is not None:
                return found
        return find(self._configs, repository)

    def _asked(self, helper: str, repository: Repository, config: DockerConfig) -> Credential | None:
        if helper in self._clouds and not is_installed(helper):
            return self._clouds[helper].lookup(repository)
        return self._helpers.get(helper, repository.registry, config.name)

    def describe(self) -> str:
        """Return the files' names."""
        return ", ".join(config.name for config in self._configs)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Several sources, asked in order. Thread-safe if they are.

    Attributes:
        sources: The first that has a credential wins.
    """

    sources: Sequence[CredentialSource] = ()

    @classmethod
    def from_files(cls, files: Iterable[tuple[str, Path]], *, then: Sequence[CredentialSource] = ()) -> Self:
        """Return the credentials of Docker config files, merged as Kubernetes merges pull secrets.

        Of all files the most specific key wins, of equal keys the first file's. A file that names helper
        programs is not merged: it comes in its turn.

        Args:
            files: A name for people ("secret team/pull") and the file; files that are missing are passed
                over.
            then: Sources to ask after them.

        Raises:
            CredentialError: A file cannot be read, or is no Docker config.
        """
        helpers = HelperCache()
        read = (DockerConfig.read(path, name) for name, path in files)
        grouped = groupby((config for config in read if config is not None), lambda each: each.has_helpers)
        found: list[CredentialSource] = []
        for has_helpers, group in grouped:
            together = [(config,) for config in group] if has_helpers else [tuple(group)]
            found += [DockerConfigSource(*configs, helpers=helpers) for configs in together]
        return cls((*found, *then))

    def lookup(self, repository: Repository) -> Credential | None:
        """Return the first source's credential for a repository that has one, or None."""
        for source in self.sources:
            found = source.lookup(repository)
            if found is not None:
                return found
        return None

    def describe(self) -> str:
        """Return where was looked."""
        return ", ".join(source.describe() for source in self.sources) or "no Docker config was found"


@dataclass(frozen=True, slots=True)
class ConfinedCredentials:
    """A source that is asked for some repositories only.

    Attributes:
        source: Has the credentials.
        repositories: Where they may be used.
    """

    source: CredentialSource
    repositories: frozenset[Repository]

    def lookup(self, repository: Repository) -> Credential | None:
        """Return the source's credential for one of the repositories, or None."""
        return self.source.lookup(repository) if repository in self.repositories else None

    def describe(self) -> str:
        """Return where the source looks, and that it does not for everything."""
        return f"{self.source.describe()} (for the build's own repositories only)"


def default_credentials(
    environment: Mapping[str, str] | None = None, *, then: Sequence[CredentialSource] = ()
) -> Credentials:
    """Return the credentials that a user of Docker expects to be used.

    In order: the content of DOCKER_AUTH_CONFIG; `$DOCKER_CONFIG/config.json`, or `~/.docker/config.json`
    without that variable; podman's `$REGISTRY_AUTH_FILE` or `$XDG_RUNTIME_DIR/containers/auth.json`.

    Args:
        environment: Instead of the process's.
        then: Sources to ask after them, such as a cloud's.

    Raises:
        CredentialError: One of them is there but is no Docker config.
    """
    environment = os.environ if environment is None else environment
    helpers = HelperCache()
    sources: list[CredentialSource] = []
    if inline := environment.get("DOCKER_AUTH_CONFIG"):
        config = DockerConfig.parse(inline.encode(), "DOCKER_AUTH_CONFIG")
        sources.append(DockerConfigSource(config, helpers=helpers))
    for name, path in _config_paths(environment):
        found = DockerConfig.read(path, name)
        if found is not None:
            sources.append(DockerConfigSource(found, helpers=helpers))
    return Credentials((*sources, *then))


def cloud_credentials() -> tuple[CredentialSource, ...]:
    """Return the sources for the registries of AWS, Google and Azure.

    Each imports its library when its registry is first asked for.
    Meant for `default_credentials(then=cloud_credentials())`: what a Docker config says goes first.
    """
    return ECRCredentials(), GoogleCredentials(), ACRCredentials()


HELPERS: Final[Mapping[str, Callable[[], CredentialSource]]] = MappingProxyType(
    {
        "env": KanikoVariables,
        "google": GoogleCredentials,
        "ecr": ECRCredentials,
        "acr": ACRCredentials,
        "gitlab": GitLabVariables,
    }
)
"""Sources by the names that kaniko's `--credential-helpers` has for them, in its order."""


def config_path(environment: Mapping[str, str] | None = None) -> Path:
    """Return the Docker config file that `login` writes to."""
    environment = os.environ if environment is None else environment
    home = Path(environment.get("HOME") or Path.home())
    return Path(environment.get("DOCKER_CONFIG") or home / ".docker") / _CONFIG_FILE


def _config_paths(environment: Mapping[str, str]) -> Iterable[tuple[str, Path]]:
    path = config_path(environment)
    yield str(path), path
    if file := environment.get("REGISTRY_AUTH_FILE"):
        yield f"REGISTRY_AUTH_FILE={file}", Path(file)
    elif runtime := environment.get("XDG_RUNTIME_DIR"):
        found = Path(runtime) / "containers" / "auth.json"
        yield str(found), found
