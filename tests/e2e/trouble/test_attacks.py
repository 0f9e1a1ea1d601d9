"""Commands that take all they can get, under the platform's default limits: each ends as a clear failure.

They go on at the same time in one namespace, and a build that wants nothing special goes on beside them.
"""

from __future__ import annotations

import re
import secrets
from typing import NamedTuple

import pytest

from tests.cluster.objects import apply, get, read
from tests.e2e.builds import UID, finished, manifest, status_of, until
from tests.e2e.isolation.test_security import owners_of


class Attack(NamedTuple):
    """A command, and how its build ends."""

    command: str
    reason: str
    words: str
    """A pattern in the message, or in the last lines of the output."""
    timeout: str = "4m"
    memory: str | None = None
    cpu: str | None = None
    """Its own limits, where the platform's are too much for the machine of a test."""

    @property
    def limits(self) -> dict[str, str]:
        return {name: limit for name in ("cpu", "memory") if (limit := getattr(self, name))}


HALF = "500m"
"""Of a processor, for what takes all that it gets until its time is over."""
MARK = str(secrets.randbelow(10**6) + 10**6)
"""Seconds that no other process of the machine sleeps for."""
ATTACKS = {
    "fork-bomb": Attack(
        # Its first shell may be the one that cannot fork, and ends.
        "bomb() { bomb | bomb; }; while :; do bomb; done 2> /dev/null",
        "TimedOut|RunStepFailed",
        "timeout|exit code",
        "20s",
        cpu=HALF,
    ),
    "crowd": Attack(f"while :; do sleep {MARK} & done", "RunStepFailed", "can't fork", cpu=HALF),
    "disk-filler": Attack(
        f"dd if=/dev/zero of=/large bs=1M count=400 && sleep {MARK}", "OutOfDisk", "limits.ephemeral-storage"
    ),
    "many-files": Attack(
        "mkdir /many && cd /many && i=0 && while mkdir $i; do i=$((i+1)); done", "OutOfDisk", "storage"
    ),
    "memory-hog": Attack("tail /dev/zero", "OutOfMemory", "limits.memory", memory="256Mi"),
    "flood": Attack("yes", "TimedOut", "timeout", "20s", cpu=HALF),
    "endless-line": Attack("tr '\\000' x < /dev/zero", "TimedOut", "timeout", "20s", cpu=HALF),
    "sleeper": Attack(f"sleep {MARK}", "TimedOut", "timeout", "20s"),
    "deaf-sleeper": Attack(
        f"trap '' TERM INT HUP QUIT; setsid sleep {MARK} & while :; do sleep 1; done",
        "TimedOut",
        "timeout",
        "20s",
    ),
}
LIMITS = {  # a disk of 20 GiB takes a while to fill, and the node has room for all at a time
    "STRAKE_DEFAULT_CPU_REQUEST": "50m",
    "STRAKE_DEFAULT_DISK_LIMIT": "200Mi",
    "STRAKE_DEFAULT_DISK_REQUEST": "10Mi",
    "STRAKE_LEASE_SECONDS": "15",  # as installed: other tests have a shorter one, which needs a processor sooner
}
BYSTANDER = "FROM TINY\nRUN echo well > /well\n"


WAYS = {"nested": tuple(ATTACKS), "chroot": ("fork-bomb", "crowd", "disk-filler", "deaf-sleeper")}
"""In a chroot those whose end is another one there: processes without a namespace, a disk without a volume."""


@pytest.mark.parametrize("way", WAYS)
def test_each_ends_as_a_clear_failure_and_the_node_stays_well(platform, changing, namespace, way):
    attacks = {name: ATTACKS[name] for name in WAYS[way]}
    with platform.changed(STRAKE_ISOLATION=way, **LIMITS):
        apply(
            [
                manifest(
                    f"FROM TINY\nRUN {attack.command}\n",
                    name=name,
                    timeout=attack.timeout,
                    resources={"limits": attack.limits},
                )
                for name, attack in attacks.items()
            ],
            namespace,
        )
        until(lambda: started(namespace, way), "every attack to begin", lambda: phases(namespace, way))
        apply(manifest(BYSTANDER, name="bystander"), namespace)
        well = finished(namespace, name="bystander")
        assert well["phase"] == "Succeeded", well
        for name, attack in attacks.items():
            status = finished(namespace, name=name)
            failure = status["failure"]
            assert re.fullmatch(attack.reason, failure["reason"]), (name, status)
            words = failure["message"] + failure.get("logTail", "")
            assert re.search(attack.words, words), (name, failure)
            assert status["attempts"] == 1, (name, status)
            assert status["isolation"]["kind"] == way, (name, status)
        until(lambda: running(namespace) == [], "the pods' end", lambda: running(namespace))
        apply(manifest(BYSTANDER, name="later"), namespace)
        assert finished(namespace, name="later")["phase"] == "Succeeded"
        assert restarts() == 0, "the operator has been well, too"
    assert owners_of("sleep", MARK) == []
    conditions = {each["type"]: each["status"] for each in get("node", "node")["status"]["conditions"]}
    assert conditions.pop("Ready") == "True"
    assert set(conditions.values()) == {"False"}, conditions


def phases(namespace, way):
    return {name: status_of(namespace, name).get("phase") for name in WAYS[way]}


def started(namespace, way):
    waiting = {None, "Pending", "Fetching", "Pulling"}
    return all(phase not in waiting for phase in phases(namespace, way).values())


def running(namespace):
    """Return the builder pods that have not ended."""
    items = read("pods", namespace, labels=UID)["items"]
    return [each["metadata"]["name"] for each in items if each["status"]["phase"] in {"Pending", "Running"}]


def restarts():
    (pod,) = get("pods", "-n", "strake-system", "-l", "app.kubernetes.io/name=strake-operator")["items"]
    return sum(each["restartCount"] for each in pod["status"]["containerStatuses"])
