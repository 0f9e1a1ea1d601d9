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
    "self.startsWith('ssh://') ? !self.matches('^ssh://[^/]*:[^/]*@')"
    " : (!self.contains('://') || !self.split('://')[1].split('/')[0].contains('@'))",
    "git.url must not carry a user name or password, which everyone who may read the ImageBuild would see: "
    "name a Secret in git.secret",
    lambda url: (
        re.match(r"^ssh://[^/]*:[^/]*@", url) is None
        if url.startswith("ssh://")
        else "@" not in url.partition("://")[2].partition("/")[0]
    ),
)
_URL = r"^((https?|git|ssh)://[^\s/]+/\S*|[A-Za-z0-9_][A-Za-z0-9_.-]*@[A-Za-z0-9][A-Za-z0-9.-]*:[^\s:]\S*)$"
_CEL_URL = _URL.replace(r"\S", r"[^\s]").replace("\\", "\\\\")
A_GIT_URL: Rule[str] = Rule(
    f"self.matches('{_CEL_URL}')",
    "git.url is written https://HOST/PATH, ssh://USER@HOST/PATH or USER@HOST:PATH"
    " (http and git are possible, too)",
    lambda url: re.fullmatch(_URL, url) is not None,
)
_CEL_SSH = "(self.url.startsWith('ssh://') || !self.url.contains('://'))"
SECRET_OVER_HTTPS: Rule[GitRepository] = Rule(
    f"!has(self.secret) || self.url.startsWith('https://') || {_CEL_SSH}",
    "git.secret needs an https or ssh URL: over any other the password could be read on its way",
    lambda git: git.secret is None or git.url.startswith("https://") or git.is_ssh,
)
SECRET_FOR_SSH: Rule[GitRepository] = Rule(
    f"has(self.secret) || !{_CEL_SSH}",
    "an ssh URL needs git.secret, a Secret of type kubernetes.io/ssh-auth with the keys ssh-privatekey and "
    "known_hosts",
    lambda git: git.secret is not None or not git.is_ssh,
)


class GitRepository(Document):
    """A commit of a git repository."""

    model_config = ConfigDict(json_schema_extra=cel_rules(SECRET_OVER_HTTPS, SECRET_FOR_SSH))

    url: Annotated[str, Field(max_length=2048), *checked(A_GIT_URL, NO_CREDENTIALS)]
    """Where to clone from: https, ssh, http or git."""
    ref: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._/+@#-]*$", max_length=255)] = "HEAD"
    """A branch, a tag or a full commit hash."""
    path: Annotated[str, Field(max_length=1024), *checked(inside("git.path"))] = "."
    """The directory of the repository that is the build context."""
    submodules: bool = True
    """Whether submodules are checked out, too, and theirs."""
    depth: Annotated[int, Field(ge=0, le=1_000_000)] = 1
    """How many commits of history the context has; 0 for all of it, with tags, as git describe needs it."""
    secret: LocalReference | None = None
    """Of type basic-auth with a key `host` for the server; for ssh of type ssh-auth with known_hosts."""

    @property
    def is_ssh(self) -> bool:
        """Whether it is fetched by ssh: ssh://… or user@host:path."""
        return self.url.startswith("ssh://") or "://" not in self.url

    @model_validator(mode="after")
    def _rules(self) -> Self:
        return obeying(self, SECRET_OVER_HTTPS, SECRET_FOR_SSH)
