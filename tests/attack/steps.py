"""What a RUN step tries: each attack is a script that succeeds where the attacker gets something.

All of them run in one build, one after the other, in each way of isolation that they apply to; and in the
`privileged` build (`privileged.py`), which keeps nothing from a step, to show that they are such as succeed.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import dataclass

from strake_oci.spec.platform import host
from tests.fixtures.building.call_programs import (
    OPENED,
    Argument,
    call_program,
    call_program_32,
    number,
    socketcall_program,
)

SECRET = "the-builders-own-secret"
"""In the environment of the builder's process, and in a file of its machine."""
EVERYWHERE = frozenset({"root", "nested", "masked", "chroot"})
NAMESPACES = EVERYWHERE - {"chroot"}
"""The ways in which a step has namespaces of its own; docs/isolation.md says what is open in a chroot."""
MAKES_NODES = "mknod {0} {1} && "


@dataclass(frozen=True)
class Attack:
    """An attack by a step.

    Attributes:
        script: for busybox's shell. Its status is 0 where the attacker got something. `$SECRET_FILE` is the
            file of the machine that has the secret.
        ways: where it must get nothing.
        program: a file `/p/program` that the script may run.
        flags: of the RUN.
        before: a RUN before it, with its flags.
    """

    script: str
    ways: frozenset[str] = EVERYWHERE
    program: bytes = b""
    flags: str = ""
    before: str = ""


def _opens(path: str, kind: str, major: int, minor: int) -> str:
    """Return a script that makes a device node and opens it."""
    return f"mknod {path} {kind} {major} {minor} && (: < {path}) 2> /dev/null"


def _writes(path: str) -> str:
    """Return a script that opens a file for writing, and changes nothing."""
    return f"test -e {path} && (: >> {path}) 2> /dev/null"


def _of_builder(then: str) -> str:
    """Return a script that does something with the directory `$p` of the builder in /proc."""
    return (
        "for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline 2> /dev/null | grep -qa -- '--destinatio[n]' "
        f"&& {then} && exit 0; done; exit 1"
    )


LOOK: dict[str, Attack] = {
    "environment of the builder": Attack(
        f"cat /proc/[0-9]*/environ 2> /dev/null | grep -qa {SECRET}", NAMESPACES
    ),
    "files by the root of a process": Attack(
        f"for r in /proc/[0-9]*/root; do cat $r$SECRET_FILE 2> /dev/null; done | grep -qa {SECRET}",
        NAMESPACES,
    ),
    "files by the working directory of a process": Attack(
        f"for r in /proc/[0-9]*/cwd; do cat $r/../../../../../../..$SECRET_FILE 2> /dev/null; done"
        f" | grep -qa {SECRET}",
        NAMESPACES,
    ),
    "command lines of the builder": Attack(
        "cat /proc/[0-9]*/cmdline 2> /dev/null | tr '\\0' ' ' | grep -qa -- '--destinatio[n]'",
        frozenset({"root", "nested"}),
    ),
    "signals to the builder": Attack(
        "for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline 2> /dev/null | grep -qa -- '--destinatio[n]' "
        "&& kill -0 ${p#/proc/} 2> /dev/null && exit 0; done; exit 1",
        frozenset({"root", "nested"}),
    ),
    "memory of the builder": Attack(_of_builder("(: < $p/mem) 2> /dev/null"), frozenset({"root", "nested"})),
    "descriptors of the builder": Attack(
        _of_builder("ls $p/fd/1 2> /dev/null"), frozenset({"root", "nested"})
    ),
    "being killed last": Attack(
        _of_builder("(: >> $p/oom_score_adj) 2> /dev/null"), frozenset({"root", "nested"})
    ),
    "caches of the kernel": Attack(_writes("/proc/sys/vm/drop_caches")),
    "core pattern": Attack(_writes("/proc/sys/kernel/core_pattern")),
    "host names of the kernel": Attack(_writes("/proc/sys/kernel/hostname")),
    "interrupts": Attack(
        "for f in /proc/irq/*/smp_affinity; do test -e $f && (: >> $f) 2> /dev/null && exit 0; done; exit 1"
    ),
    "kernel settings in sysfs": Attack(_writes("/sys/kernel/mm/transparent_hugepage/enabled")),
    "the machine's loopback without a network": Attack(
        "nc -w 2 127.0.0.1 $REGISTRY_PORT < /dev/null", NAMESPACES, flags="--network=none"
    ),
    "interfaces without a network": Attack(
        "test $(grep -c : /proc/net/dev) -gt 1", NAMESPACES, flags="--network=none"
    ),
    "writing to a read-only bind": Attack(
        "(: >> /c/Dockerfile) 2> /dev/null", NAMESPACES, flags="--mount=type=bind,target=/c"
    ),
    "making a read-only bind writable": Attack(
        "mount -o remount,bind,rw /c && (: >> /c/Dockerfile) 2> /dev/null",
        NAMESPACES,
        flags="--mount=type=bind,target=/c",
    ),
}
DEVICES: dict[str, Attack] = {
    "kernel log as a device": Attack(_opens("/kmsg", "c", 1, 11)),
    "a device in the root": Attack(_opens("/d", "c", 1, 5)),
    "a device in /dev": Attack(_opens("/dev/d", "c", 1, 5)),
    "a device in /tmp": Attack(_opens("/tmp/d", "c", 1, 5)),
    "a device in /dev/shm": Attack(_opens("/dev/shm/d", "c", 1, 5)),
    "a device in a tmpfs mount": Attack(_opens("/m/d", "c", 1, 5), flags="--mount=type=tmpfs,target=/m"),
    "a device in a cache mount": Attack(_opens("/m/d", "c", 1, 5), flags="--mount=type=cache,target=/m"),
    "a device in a writable bind": Attack(_opens("/m/d", "c", 1, 5), flags="--mount=type=bind,target=/m,rw"),
    "a device of a layer before": Attack(
        "(: < /before) 2> /dev/null", before="RUN mknod /before c 1 5 || true"
    ),
}
MOUNTS: dict[str, Attack] = {
    "mounting a file system": Attack("mkdir -p /m && mount -t tmpfs x /m 2> /dev/null"),
    "mounting a new /proc": Attack("mkdir -p /m && mount -t proc x /m 2> /dev/null"),
    "mounting sysfs": Attack("mkdir -p /m && mount -t sysfs x /m 2> /dev/null"),
    "binding over a file": Attack("mount -o bind /etc/passwd /etc/group 2> /dev/null"),
    "a user namespace": Attack("unshare -U true 2> /dev/null"),
    "a mount namespace": Attack("unshare -m true 2> /dev/null"),
    "namespaces of the first process": Attack("nsenter -t 1 -u true 2> /dev/null"),
    "the host name": Attack("hostname evil 2> /dev/null", NAMESPACES),
}
ALL, IP, ICMP, HIGH = 0x0300, 0x0800, 1, 1 << 32
FLAGS = 0o2000000 | 0o4000


def _sockets() -> Iterator[tuple[str, bytes]]:
    call = number(41, 198)
    yield "packets, raw", call_program(call, 17, 3, ALL)
    yield "packets, datagrams", call_program(call, 17, 2, ALL)
    yield "packets, with flags", call_program(call, 17, 3 | FLAGS, ALL)
    yield "packets, high bits", call_program(call, HIGH | 17, 3, ALL)
    yield "packets, the old way", call_program(call, 2, 10, ALL)
    yield "raw", call_program(call, 2, 3, ICMP)
    yield "raw, high bits", call_program(call, 2, HIGH | 3, ICMP)
    yield "raw, IPv6", call_program(call, 10, 3, 58)
    if host().architecture == "amd64":
        yield "packets, 32 bits", call_program_32(359, 17, 3, ALL)
        yield "packets, by socketcall", socketcall_program(17, 3, ALL)


def _calls() -> Iterator[tuple[str, int, tuple[Argument, ...]]]:
    yield "keyctl", number(250, 219), (0, -3, 0)
    yield "add_key", number(248, 217), (0, 0, 0, 0, -3)
    yield "request_key", number(249, 218), (0, 0, 0, 0)
    yield "bpf", number(321, 280), (0, 0, 0)
    yield "perf_event_open", number(298, 241), (0, 0, -1, -1)
    yield "userfaultfd", number(323, 282), (0,)
    yield "io_uring_setup", 425, (8, 0)
    yield "open_by_handle_at", number(304, 265), (-1, 0, 0)
    yield "init_module", number(175, 105), (0, 0, 0)
    yield "kexec_load", number(246, 104), (0, 1, 0, -1)
    yield "swapon", number(167, 224), (0, 0)
    yield "acct", number(163, 89), (b"/none",)
    yield "quotactl", number(179, 60), (-1, 0, 0)
    yield "clone into a user namespace", number(56, 220), (0x10000000 | 17, 0, 0, 0, 0)


SOCKETS = {
    f"a socket: {name}": Attack(f"/p/program; test $? -ge {OPENED.start}", program=program)
    for name, program in _sockets()
}
CALLS = {
    f"the call {name}": Attack(
        f"/p/program; test $? != {errno.EPERM}", program=call_program(call, *arguments)
    )
    for name, call, arguments in _calls()
}
"""A call that was not refused was looked at, whatever the kernel thinks of its arguments."""
ATTACKS = {**LOOK, **DEVICES, **MOUNTS, **SOCKETS, **CALLS}


def dockerfile(attacks: dict[str, Attack], values: dict[str, str]) -> tuple[str, dict[str, bytes]]:
    """Return a Dockerfile that tries attacks, and the files of its context.

    Each leaves a line `TRIED number`, and `GOT number` where it succeeds.

    Args:
        attacks: what to try.
        values: what the scripts know beforehand.
    """
    lines, files = ["FROM TINY", "COPY attacks /attacks"], {}
    known = "".join(f"{name}={value}\n" for name, value in values.items())
    together: list[str] = []
    for place, attack in enumerate(attacks.values()):
        files[f"{place}.sh"] = f"{known}{attack.script}\n".encode()
        files[f"{place}.program"] = attack.program or b"#!/bin/sh\n"
        script = (
            f"echo TRIED {place}; mkdir -p /p; cp /attacks/{place}.program /p/program; "
            f"timeout 20 sh /attacks/{place}.sh > /dev/null && echo GOT {place}"
        )
        if attack.flags or attack.before:
            lines += [*filter(None, [attack.before]), f"RUN {attack.flags} {script}; true"]
        else:
            together.append(script)
    files["together.sh"] = "\n".join(together).encode()
    lines.append("RUN sh /attacks/together.sh; true")
    return "\n".join(lines) + "\n", files
