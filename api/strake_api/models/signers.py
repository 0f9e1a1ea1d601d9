"""Who must have signed an image without a key of their own, in the words of policy-controller and cosign."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from strake_api.models.document import Document
from strake_api.models.rule import Rule, checked
from strake_api.values.pattern import matches

_ROOT_TYPE = "application/vnd.dev.sigstore.trustedroot"
MAX_TEXT = 1024
MAX_ROOT = 1 << 15
"""Characters of a trusted root; that of the public instance has some 7,000."""


A_TRUSTED_ROOT: Rule[str] = Rule(
    f"self.contains('{_ROOT_TYPE}')",
    "trustedRoot is trusted_root.json of a Sigstore instance, as `cosign trusted-root create` writes it, or "
    "its ClientTrustConfig",
    lambda text: _ROOT_TYPE in text,
)

Pattern = Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]
TrustedRoot = Annotated[str, Field(max_length=MAX_ROOT), *checked(A_TRUSTED_ROOT)]


class SigningIdentity(Document):
    """Somebody for whom Fulcio makes certificates. In both fields `*` stands for any characters."""

    issuer: Pattern
    """The URL of the issuer of OpenID Connect that vouches for the subject."""
    subject: Pattern
    """The certificate's subject: an e-mail address, or a URI."""

    @property
    def shown(self) -> str:
        """The identity for people."""
        return f"{self.subject}, as {self.issuer} knows it"

    def is_issuer(self, text: str) -> bool:
        """Tell whether an issuer may vouch."""
        return matches([self.issuer], [text])

    def is_subject(self, text: str) -> bool:
        """Tell whether a subject is meant."""
        return matches([self.subject], [text])


SigningIdentities = Annotated[tuple[SigningIdentity, ...], Field(min_length=1, max_length=8)]
