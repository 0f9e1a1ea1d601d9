"""Where a git repository is, and which commit of it is meant."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from strake_api.models.document import Document
from strake_api.models.rule import Rule, cel_rules, checked, obeying
from strake_api.spec.named import LocalReference
from strake_api.spec.paths import inside

NO_CREDENTIALS: Rule[str] = Rule(
    "!self.contains('://') || !self.split('://')[1].split('/')[0].contains('@')",
    "git.url must not carry a user name or password, which everyone who may read the ImageBuild would see: "
    "name a Secret in git.secret",
    lambda url: "@" not in url.partition("://")[2].partition("/")[0],
)
_URL = r"^(https?|git)://[^\s/]+/\S*$"
A_GIT_URL: Rule[str] = Rule(
    "self.matches('^(https?|git)://[^\\\\s/]+/[^\\\\s]*$')",
    "git.url is written https://HOST/PATH (http and git are possible, too); SSH is not supported: use https, "
    "with git.secret for a private repository",
    lambda url: re.fullmatch(_URL, url) is not None,
)
SECRET_OVER_HTTPS: Rule[GitRepository] = Rule(
    "!has(self.secret) || self.url.startsWith('https://')",
    "git.secret needs an https URL: over any other the password could be read on its way",
    lambda git: git.secret is None or git.url.startswith("https://"),
)


class GitRepository(Document):
    """A commit of a git repository."""

    model_config = ConfigDict(json_schema_extra=cel_rules(SECRET_OVER_HTTPS))

    url: Annotated[str, Field(max_length=2048), *checked(A_GIT_URL, NO_CREDENTIALS)]
    """Where to clone from: https, http or git."""
    ref: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._/+@#-]*$", max_length=255)] = "HEAD"
    """A branch, a tag or a full commit hash."""
    path: Annotated[str, Field(max_length=1024), *checked(inside("git.path"))] = "."
    """The directory of the repository that is the build context."""
    submodules: bool = True
    """Whether submodules are checked out, too, and theirs."""
    depth: Annotated[int, Field(ge=0, le=1_000_000)] = 1
    """How many commits of history the context has; 0 for all of it, with tags, as git describe needs it."""
    secret: LocalReference | None = None
    """A Secret of type kubernetes.io/basic-auth, whose key `host` names the server; a token is a password."""

    @model_validator(mode="after")
    def _rules(self) -> Self:
        return obeying(self, SECRET_OVER_HTTPS)
