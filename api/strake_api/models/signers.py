"""Who must have signed an image without a key of their own, in the words of policy-controller and cosign."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from strake_api.models.document import Document
from strake_api.models.regexp import MAX_PATTERN, MAX_TEXT, RegularExpression
from strake_api.models.rule import Rule, cel_rules, checked, obeying

_ROOT_TYPE = "application/vnd.dev.sigstore.trustedroot"
MAX_ROOT = 1 << 15
"""Characters of a trusted root; that of the public instance has some 7,000."""


def _expression(text: str) -> str:
    try:
        RegularExpression(text)
    except ValueError as error:
        raise ValueError(f"{text[:60]!r} cannot be used as a regular expression: {error}") from error
    return text


AN_EXPRESSION: Rule[str] = Rule(
    "''.matches(self) in [true, false]",
    "it is no regular expression",
    lambda _: True,  # RE2 takes more than Strake, which tells what it does not know
)
ONE_ISSUER: Rule[SigningIdentity] = Rule(
    "has(self.issuer) != has(self.issuerRegExp)",
    "an identity has one of issuer and issuerRegExp: who may vouch for its subject",
    lambda identity: (identity.issuer is None) != (identity.issuer_reg_exp is None),
)
ONE_SUBJECT: Rule[SigningIdentity] = Rule(
    "has(self.subject) != has(self.subjectRegExp)",
    "an identity has one of subject and subjectRegExp",
    lambda identity: (identity.subject is None) != (identity.subject_reg_exp is None),
)
A_TRUSTED_ROOT: Rule[str] = Rule(
    f"self.contains('{_ROOT_TYPE}')",
    "trustedRoot is trusted_root.json of a Sigstore instance, as `cosign trusted-root create` writes it, or "
    "its ClientTrustConfig",
    lambda text: _ROOT_TYPE in text,
)

Exact = Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]
Expression = Annotated[
    str, Field(min_length=1, max_length=MAX_PATTERN), AfterValidator(_expression), *checked(AN_EXPRESSION)
]
TrustedRoot = Annotated[str, Field(max_length=MAX_ROOT), *checked(A_TRUSTED_ROOT)]


class SigningIdentity(Document):
    """Somebody for whom Fulcio makes certificates. Regular expressions must match the whole text."""

    model_config = ConfigDict(json_schema_extra=cel_rules(ONE_ISSUER, ONE_SUBJECT))

    issuer: Exact | None = None
    """The URL of the issuer of OpenID Connect that vouched for the subject."""
    issuer_reg_exp: Expression | None = None
    """In its place a regular expression."""
    subject: Exact | None = None
    """The certificate's subject: an e-mail address, or a URI."""
    subject_reg_exp: Expression | None = None
    """In its place a regular expression."""

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        return obeying(self, ONE_ISSUER, ONE_SUBJECT)

    @property
    def shown(self) -> str:
        """The identity for people."""
        issuer = self.issuer or f"an issuer like {self.issuer_reg_exp}"
        return f"{self.subject or f'a subject like {self.subject_reg_exp}'}, as {issuer} knows it"

    def is_issuer(self, text: str) -> bool:
        """Tell whether an issuer may vouch."""
        return _fits(text, self.issuer, self.issuer_reg_exp)

    def is_subject(self, text: str) -> bool:
        """Tell whether a subject is meant."""
        return _fits(text, self.subject, self.subject_reg_exp)


def _fits(text: str, exact: str | None, expression: str | None) -> bool:
    if exact is not None:
        return text == exact
    return expression is not None and RegularExpression(expression).matches(text)


SigningIdentities = Annotated[tuple[SigningIdentity, ...], Field(min_length=1, max_length=8)]
