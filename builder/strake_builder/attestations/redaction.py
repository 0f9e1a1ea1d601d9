"""Takes out of a build's facts what nobody may read in an image's attestation.

An attestation is as public as its image. What a build was given as a secret must not be in it, wherever a
Dockerfile carried it: into a URL, a path or a command.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import quote, quote_plus, urlsplit, urlunsplit

from strake_builder.attestations.facts import (
    ArtifactMaterial,
    BuildFacts,
    BuildStep,
    FileMaterial,
    GitMaterial,
    ImageMaterial,
    Material,
)

MASK: Final = "xxxxx"
"""BuildKit's, too."""
PROXIES: Final = frozenset({"all_proxy", "ftp_proxy", "http_proxy", "https_proxy", "no_proxy"})
"""Predefined arguments, in lower case. They are the platform's, and may hold a password."""
_SHORTEST: Final = 4
"""Characters: what is shorter is in words that mean something else, and is masked only where it is all."""
_USER: Final = re.compile(r"(?<=://)[^/\s\"'@]*@")
_QUERY: Final = re.compile(r"(https?://[^\s\"'?#]*)\?[^\s\"'#]*")
_SCP: Final = re.compile(r"[^/@:]*@(?=[^/@]+:)")


def public_url(url: str) -> str:
    """Return a URL without what may open it: user, password and query. Paths of `git@host:path` stay."""
    if "://" not in url:
        return _SCP.sub("", url, count=1)
    try:
        parts = urlsplit(url)
    except ValueError:
        return MASK
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", parts.fragment))


class Redaction:
    """Masks secrets.

    Args:
        secrets: what must not be read, each as it is.
        arguments: names of build arguments whose values are secret.
    """

    def __init__(self, secrets: Iterable[str] = (), arguments: Iterable[str] = ()) -> None:
        self._arguments = frozenset(arguments)
        whole = {each for secret in secrets for each in (secret, secret.strip()) if each}
        lines = {line.strip() for secret in whole for line in secret.splitlines()}
        written = {form for each in whole | lines if each for form in _forms(each)}
        self._exact = frozenset(written)
        inside = sorted((each for each in written if len(each) >= _SHORTEST), key=len, reverse=True)
        self._inside = re.compile("|".join(map(re.escape, inside))) if inside else None

    def text(self, text: str) -> str:
        """Return a text with every secret masked."""
        if text in self._exact:
            return MASK
        return self._inside.sub(MASK, text) if self._inside else text

    def _written(self, text: str) -> str:
        """Return a Dockerfile, or a command, with secrets masked, and what opens the URLs that are in it."""
        return self.text(_QUERY.sub(rf"\1?{MASK}", _USER.sub(f"{MASK}@", text)))

    def facts(self, facts: BuildFacts) -> BuildFacts:
        """Return facts that anybody may read."""
        return replace(
            facts,
            context=None if facts.context is None else self._material(facts.context),
            dockerfile=self.text(facts.dockerfile),
            text=self._written(facts.text),
            target=None if facts.target is None else self.text(facts.target),
            arguments={
                name: MASK if name in self._arguments else self.text(_without_password(value))
                for name, value in facts.arguments.items()
                if name.lower() not in PROXIES
            },
            labels={name: self.text(value) for name, value in facts.labels.items()},
            contexts={name: self.text(_without_password(value)) for name, value in facts.contexts.items()},
            materials=tuple(map(self._material, facts.materials)),
            steps=tuple(map(self._step, facts.steps)),
        )

    def _material(self, material: Material) -> Material:
        match material:
            case ImageMaterial() | ArtifactMaterial():
                return replace(material, reference=self.text(material.reference))
            case GitMaterial(url, _, ref, subdirectory):
                return replace(
                    material,
                    url=self.text(public_url(url)),
                    ref=self.text(ref),
                    subdirectory=self.text(subdirectory),
                )
            case FileMaterial(url):
                return replace(material, url=self.text(public_url(url)))

    def _step(self, step: BuildStep) -> BuildStep:
        return replace(step, operation={name: self._value(value) for name, value in step.operation.items()})

    def _value(self, value: object) -> object:
        """Return a value of a step with every text in it masked; the names of fields are ours."""
        if isinstance(value, str):
            return self._written(value)
        if isinstance(value, Mapping):
            return {name: self._value(each) for name, each in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._value(each) for each in value]
        return value


def _forms(secret: str) -> tuple[str, ...]:
    """Return how a secret may be spelled: as it is, and in a URL."""
    return (secret, quote(secret, safe=""), quote(secret), quote_plus(secret))


def _without_password(value: str) -> str:
    """Return a value, of which a URL with a user is public only without."""
    return public_url(value) if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://[^/]*@", value) else value
