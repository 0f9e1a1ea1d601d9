"""Who refused: a rule that said no, or a cluster that could not ask."""

from __future__ import annotations

import pytest

from strake_operator.reconcile.ends.refuser import is_denied, is_trouble, unreachable_webhook

CALL = 'Internal error occurred: failed calling webhook "w.example": failed to call webhook: Post "https://w/?timeout=1s"'


@pytest.mark.parametrize(
    ("words", "denied", "trouble", "webhook"),
    [
        ('admission webhook "w.example" denied the request: no builds here', True, False, None),
        ('admission webhook "w.example" denied the request without explanation', True, False, None),
        ('admission webhook "w.example" denied the request: set a timeout, failed calling webhook "x"', True, False, None),
        ("jobs \"x\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: unavailable", True, False, None),
        ("jobs \"x\" is forbidden: ValidatingAdmissionPolicy 'p' denied request: no", True, False, None),
        (f"{CALL}: connection refused", False, True, "w.example"),
        (f"{CALL}: no endpoints available for service", False, True, "w.example"),
        (f"{CALL}: context deadline exceeded", False, True, "w.example"),
        ("the server is currently unavailable", False, True, None),
        ('pods "x" is forbidden: status unknown for quota: q', False, True, None),
        ('pods "x" is forbidden: violates PodSecurity', False, False, None),
    ],
)  # fmt: skip
def test_denials_and_trouble_are_told_apart(words, denied, trouble, webhook):
    assert (is_denied(words), is_trouble(words), unreachable_webhook(words)) == (denied, trouble, webhook)
