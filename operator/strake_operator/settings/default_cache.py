"""The cluster's cache repository, for builds that name none: one for each namespace.

A user who may write to a cache repository decides what is in the images of those who read it. So the template
must hold `{namespace}`: builds of one namespace share their Secrets anyway, those of two trust each other in
nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from strake_api.cache import A_REPOSITORY
from strake_operator.errors import SettingsError

if TYPE_CHECKING:
    from strake_api.imagebuild import ImageBuildSpec

_NAMESPACE: Final = "{namespace}"
_LONGEST_NAMESPACE: Final = "n" * 63
_WHY: Final = (
    "a tenant who can write to a cache decides what is in images built with it; each namespace has its own"
)
_LONGEST_REPOSITORY: Final = 255


@dataclass(frozen=True, slots=True)
class RepositoryTemplate:
    """A repository with `{namespace}` in its name.

    Two namespaces never get the same one: all that is around the placeholder is fixed.
    """

    text: str

    @classmethod
    def parse(cls, text: str, variable: str, why: str = _WHY) -> RepositoryTemplate:
        """Read a template.

        Args:
            text: Such as "registry.example/cache/{namespace}".
            variable: Where it was found, for messages.
            why: Why namespaces must not share one.

        Raises:
            SettingsError: It has no `{namespace}`, or does not make a repository.
        """
        if _NAMESPACE not in text:
            raise SettingsError(
                f"{variable} must hold {{namespace}}, as in registry.example/cache/{{namespace}}: {why}"
            )
        made = cls(text).repository(_LONGEST_NAMESPACE)
        if not A_REPOSITORY.holds(made) or len(made) > _LONGEST_REPOSITORY:
            raise SettingsError(
                f"{variable} must make a repository, as registry.example/cache/{{namespace}} does, in lower "
                f"case, without a tag, of at most {_LONGEST_REPOSITORY} characters; {text!r} does not"
            )
        return cls(text)

    def repository(self, namespace: str) -> str:
        """Return the repository of a namespace."""
        return self.text.replace(_NAMESPACE, namespace)


def cache_repository(spec: ImageBuildSpec, namespace: str, default: RepositoryTemplate | None) -> str | None:
    """Return where a build's results are kept: its own repository, or the cluster's if it does not object."""
    if spec.cache is not None and (spec.cache.repository is not None or not spec.cache.enabled):
        return spec.cache.repository
    return None if default is None else default.repository(namespace)
