"""Credentials in variables of the environment, as CI systems and pipelines made for kaniko have them.

Sources: kaniko's helper `env` (osscontainertools/kaniko, pkg/creds); GitLab, "Predefined CI/CD variables
reference".
"""

from __future__ import annotations

import os
from dataclasses import field
from typing import TYPE_CHECKING

from strake_oci.credentials.credential import Credential
from strake_oci.lazy_dataclass import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from strake_oci.spec.reference import Repository


@dataclass(frozen=True, slots=True)
class KanikoVariables:
    """`KANIKO_<HOST>_USER` and `KANIKO_<HOST>_PASSWORD`.

    Dots and dashes of the host are underscores there, and leading parts of it may be left out:
    KANIKO_EXAMPLE_COM_USER is for registry.example.com, too.

    Attributes:
        environment: The variables.
    """

    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)

    def lookup(self, repository: Repository) -> Credential | None:
        """Return the credential for a repository's registry, by the longest name that has both variables."""
        parts = repository.registry.upper().replace("-", "_").replace(":", "_").split(".")
        for position in range(len(parts)):
            name = f"KANIKO_{'_'.join(parts[position:])}"
            user, password = (self.environment.get(f"{name}_{each}") for each in ("USER", "PASSWORD"))
            if user is not None and password is not None:
                return Credential(f"${name}_USER", user, password)
        return None

    def describe(self) -> str:
        """Return the variables' names."""
        return "$KANIKO_<HOST>_USER"


@dataclass(frozen=True, slots=True)
class GitLabVariables:
    """What a job of GitLab CI has for its own registry, and for the dependency proxy.

    Attributes:
        environment: The job's variables.
    """

    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)

    def lookup(self, repository: Repository) -> Credential | None:
        """Return the job's credential for a repository of one of the two."""
        for host, user, password in (
            ("CI_REGISTRY", "CI_REGISTRY_USER", "CI_REGISTRY_PASSWORD"),
            (
                "CI_DEPENDENCY_PROXY_SERVER",
                "CI_DEPENDENCY_PROXY_USER",
                "CI_DEPENDENCY_PROXY_PASSWORD",
            ),
        ):
            found = self.environment.get(host, "").partition("/")[0]
            if found and found in {repository.registry, f"{repository.registry}:443"}:
                name, secret = self.environment.get(user, ""), self.environment.get(password, "")
                if name and secret:
                    return Credential(f"${user}", name, secret)
        return None

    def describe(self) -> str:
        """Return the variables' names."""
        return "$CI_REGISTRY_USER"
