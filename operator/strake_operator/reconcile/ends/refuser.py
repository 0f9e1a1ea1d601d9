"""Who refused an object: a rule of the cluster, whose word is final, or a cluster that cannot ask its rules.

Of both the API server and the Job controller tell in words alone. A rule may have any words in its message,
so who denies is looked for before what sounds like trouble.
"""

from __future__ import annotations

import re
from typing import Final

_DENIED: Final = re.compile(
    r'admission webhook "[^"]+" denied the request|ValidatingAdmissionPolicy \S+ .{0,300}?denied request',
    re.DOTALL,
)
"""apiserver, pkg/admission/plugin/webhook/errors and plugin/policy/validating. The status of a denial is the
rule's choice: 400 by default of a webhook, 422 of a policy."""
_TROUBLE: Final = re.compile(
    r"Internal error occurred|failed calling webhook|timed out|timeout|Too Many Requests|unavailable"
    r"|status unknown for quota|Operation cannot be fulfilled|object is being deleted",
    re.IGNORECASE,
)
"""What an API server says that cannot do something at the moment."""
_UNREACHABLE: Final = re.compile(r'failed calling webhook "([^"]+)"')


def is_denied(words: str) -> bool:
    """Return whether a rule of the cluster looked at an object and said no."""
    return _DENIED.search(words) is not None


def is_trouble(words: str) -> bool:
    """Return whether the cluster is in trouble, and no rule of it said no."""
    return not is_denied(words) and _TROUBLE.search(words) is not None


def unreachable_webhook(words: str) -> str | None:
    """Return the name of the webhook that the API server cannot ask; None for other trouble."""
    found = None if is_denied(words) else _UNREACHABLE.search(words)
    return found and found[1]


def no_answer_of(webhook: str, what: str) -> str:
    """Return a clause for a person: which webhook is not to be had, and what waits for it."""
    return f"admission webhook {webhook} does not answer, and no {what} is taken without it; tried again"
