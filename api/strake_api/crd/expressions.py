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


def bucket_refusals(spec: str, allowed: str) -> str:
    """Return what is refused of the buckets of a source and of named contexts, as a list.

    Args:
        spec: The expression of the spec.
        allowed: That of `sources` of a policy.
    """
    contexts = f"{spec}.contexts"
    at = f"'contexts[' + string({contexts}.indexOf(e)) + ']"
    found = []
    for kind in ("s3", "gs", "azure"):
        own = f"{{'path': 'source.{kind}', 'name': {_bucket(f'{spec}.source', kind)}}}"
        found.append(f"(has({spec}.source.{kind}) ? [{own}] : [])")
        named = f"{{'path': {at}.{kind}', 'name': {_bucket('e', kind)}}}"
        found.append(f"(has({contexts}) ? {contexts}.filter(e, has(e.{kind})).map(e, {named}) : [])")
    patterns = f"{allowed}.buckets"
    words = f"'spec.' + b.path + ': bucket \\'' + b.name + '\\'' + {none_of(patterns)}"
    refused = f"({' + '.join(found)}).filter(b, !{fits(patterns, '[b.name]')}).map(b, {words})"
    return f"has({allowed}) && has({patterns}) ? {refused} : []"


def _bucket(source: str, kind: str) -> str:
    """Return which bucket an object is in, as `bucket_url` does."""
    given = f"{source}.{kind}"
    if kind == "s3":
        return f"(has({given}.endpoint) ? string({given}.endpoint) + '/' : 's3://') + string({given}.bucket)"
    if kind == "gs":
        return f"'gs://' + string({given}.bucket)"
    parts = f"string({given}.url).split('/')"
    return f"'https://' + {parts}[2] + '/' + {parts}[3]"
