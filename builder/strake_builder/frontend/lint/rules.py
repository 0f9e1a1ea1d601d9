"""The rules: names and descriptions of `docker build --check`, so that its documentation applies."""

from __future__ import annotations

from typing import Final

from strake_oci.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes:
        name: As in `# check=skip=Name`.
        description: What it asks for.
        page: Last element of its page's URL.
        experimental: Off unless the file switches it on.
    """

    name: str
    description: str
    page: str
    experimental: bool = False

    @property
    def url(self) -> str:
        """Where the rule is explained."""
        return f"https://docs.docker.com/go/dockerfile/rule/{self.page}/"


_ALL: Final = (
    Rule("StageNameCasing", "Stage names should be in lower case", "stage-name-casing"),
    Rule("FromAsCasing", "FROM and AS should be in the same case", "from-as-casing"),
    Rule("NoEmptyContinuation", "No empty line inside an instruction", "no-empty-continuation"),
    Rule(
        "ConsistentInstructionCasing",
        "All instructions should be in the same case, upper or lower",
        "consistent-instruction-casing",
    ),
    Rule("DuplicateStageName", "Stage names should be unique", "duplicate-stage-name"),
    Rule("ReservedStageName", "context and scratch should not name a stage", "reserved-stage-name"),
    Rule(
        "JSONArgsRecommended",
        "CMD and ENTRYPOINT should be in JSON form, so that signals reach the program",
        "json-args-recommended",
    ),
    Rule("MaintainerDeprecated", "A label should name the author, not MAINTAINER", "maintainer-deprecated"),
    Rule("UndefinedArgInFrom", "FROM should use declared arguments only", "undefined-arg-in-from"),
    Rule("UndefinedVar", "Variables should be defined before they are used", "undefined-var"),
    Rule(
        "MultipleInstructionsDisallowed",
        "CMD, ENTRYPOINT and HEALTHCHECK should stand once in a stage",
        "multiple-instructions-disallowed",
    ),
    Rule(
        "WorkdirRelativePath",
        "The first WORKDIR should be absolute: a relative one depends on the base image",
        "workdir-relative-path",
    ),
    Rule("LegacyKeyValueFormat", "ENV and LABEL should be written with =", "legacy-key-value-format"),
    Rule(
        "RedundantTargetPlatform",
        "--platform=$TARGETPLATFORM is the default",
        "redundant-target-platform",
    ),
    Rule("SecretsUsedInArgOrEnv", "Secrets should not be in ARG or ENV", "secrets-used-in-arg-or-env"),
    Rule(
        "InvalidDefaultArgInFrom",
        "The defaults of global arguments should give valid base images",
        "invalid-default-arg-in-from",
    ),
    Rule(
        "FromPlatformFlagConstDisallowed",
        "--platform of FROM should not be a constant",
        "from-platform-flag-const-disallowed",
    ),
    Rule(
        "CopyIgnoredFile",
        "COPY and ADD should not name what .dockerignore leaves out",
        "copy-ignored-file",
    ),
    Rule(
        "InvalidDefinitionDescription",
        "The comment above a named stage or an argument should begin with its name",
        "invalid-definition-description",
        experimental=True,
    ),
    Rule("ExposeProtoCasing", "The protocol in EXPOSE should be in lower case", "expose-proto-casing"),
    Rule(
        "ExposeInvalidFormat",
        "EXPOSE should name no address and no host port",
        "expose-invalid-format",
    ),
)

RULES: Final = {rule.name: rule for rule in _ALL}
