"""The operators of the test cluster: which are there, which of them acts, and the end of them."""

from __future__ import annotations

from typing import Any

from strake_operator.settings.lease import NAME as LEASE
from tests.cluster.kubectl import kubectl
from tests.cluster.objects import get, read
from tests.demo.installation import NAMESPACE

OPERATOR = "app.kubernetes.io/name=strake-operator"


def operators() -> list[Any]:
    """Return the operators' pods."""
    items: list[Any] = read("pods", NAMESPACE, labels=OPERATOR)["items"]
    return items


def leader() -> str:
    """Return the name of the operator's pod that acts; "" while none does."""
    holder = get("lease", LEASE, "-n", NAMESPACE)["spec"].get("holderIdentity") or ""
    return str(holder).partition("_")[0]


def restarts() -> int:
    """Return how often the containers of the operators' pods were started again."""
    return sum(each["restartCount"] for pod in operators() for each in pod["status"]["containerStatuses"])


def kill_operator() -> None:
    """End the operators' pods at once, as a crash of their node would."""
    kubectl("-n", NAMESPACE, "delete", "pod", "-l", OPERATOR, "--grace-period=0", "--force")
