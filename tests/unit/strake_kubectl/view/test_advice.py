"""Every reason of a failure has something to do next."""

from __future__ import annotations

from strake_api.reasons import FailureReason
from strake_kubectl.view.advice import ADVICE


def test_every_reason_has_its_advice():
    assert set(ADVICE) == set(FailureReason)
