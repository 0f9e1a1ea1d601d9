"""The pull Secret that a BuildPolicy gives to builds which name none.

It is an object of the build's namespace, as any Secret of a build: a pod can mount no other, and the operator
reads none. A spec does not name it, so no list of Secrets that specs may name is asked about it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from strake_api.imagebuild import ImageBuildSpec
    from strake_operator.settings.environment import Settings


def pull_secret(spec: ImageBuildSpec, settings: Settings) -> str | None:
    """Return the Secret by which a build pulls: its own, or that of its namespace's policies."""
    return settings.default_pull_secret if spec.pull_secret is None else spec.pull_secret.name
