"""Parts of the CEL of the ValidatingAdmissionPolicy: patterns, what is allowed, and buckets."""

from __future__ import annotations

from typing import Final

_SPECIAL: Final = "\\.+()[]{}^$|?"
"""What regular expressions give a meaning, but for the `*`; the backslash first, which escapes the others."""


def fits(patterns: str, texts: str) -> str:
    """Return whether a pattern fits the whole of one of some texts, as `strake_api.values.pattern` does."""
    escaped = "p.replace('{namespace}', request.namespace)"
    for character in _SPECIAL:
        escaped += f".replace({text(character)}, {text(chr(92) + character)})"
    return (
        f"{patterns}.exists(p, {texts}.exists(t, t.matches('^(?s:' + {escaped}.replace('*', '.*') + ')$')))"
    )


def text(value: str) -> str:
    """Return a text as a literal of CEL."""
    return "'" + value.replace("\\", "\\\\") + "'"


def listed(patterns: str) -> str:
    """Return what is allowed, for people."""
    return f"(size({patterns}) == 0 ? 'what is allowed, which is nothing' : {patterns}.join(', '))"


def none_of(patterns: str) -> str:
    """Return the end of a refusal: what is allowed."""
    return f"' is none of ' + {listed(patterns)}"


def bucket_refusals(source: str, allowed: str) -> str:
    """Return what is refused of the bucket of a source, as a list.

    Args:
        source: The expression of the source.
        allowed: That of `sources` of a policy.
    """
    s3, gs, azure = (f"{source}.{kind}" for kind in ("s3", "gs", "azure"))
    endpoint = f"(has({s3}.endpoint) ? string({s3}.endpoint) + '/' : 's3://')"
    parts = f"string({azure}.url).split('/')"
    names = {
        "s3": f"{endpoint} + string({s3}.bucket)",
        "gs": f"'gs://' + string({gs}.bucket)",
        "azure": f"'https://' + {parts}[2] + '/' + {parts}[3]",
    }
    found = " + ".join(
        f"(has({source}.{kind}) ? [{{'kind': '{kind}', 'name': {name}}}] : [])"
        for kind, name in names.items()
    )
    patterns = f"{allowed}.buckets"
    words = f"'spec.source.' + b.kind + ': bucket \\'' + b.name + '\\'' + {none_of(patterns)}"
    refused = f"({found}).filter(b, !{fits(patterns, '[b.name]')}).map(b, {words})"
    return f"has({allowed}) && has({patterns}) ? {refused} : []"
