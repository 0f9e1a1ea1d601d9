"""What a RUN step tries on the machine that builds: devices, keys, other people's packets, what is mounted inside."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

import pytest

SYSCALL = """\
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/syscall.h>
/* Makes a system call with the numbers of its command line and says what came of it. */
int main(int n, char **a) {
    long v[7] = {0};
    for (int i = 1; i < n && i < 8; i++) v[i - 1] = strtol(a[i], 0, 0);
    long r = syscall(v[0], v[1], v[2], v[3], v[4], v[5], v[6]);
    printf("%s\\n", r >= 0 ? "yes" : errno == EPERM ? "EPERM" : errno == ENOSYS ? "ENOSYS" : "other");
    return 0;
}
"""
SOCKET, KEYCTL, UNSHARE, CLONE3, BPF, PERF = 41, 250, 272, 435, 321, 298
INET, INET6, NETLINK, PACKET, ALG, VSOCK = 2, 10, 16, 17, 38, 40
STREAM, DGRAM, RAW, OLD_PACKET = 1, 2, 3, 10
CLOEXEC, NONBLOCK = 0o2000000, 0o4000


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """A static program that makes one system call."""
    directory = tmp_path_factory.mktemp("program")
    (directory / "call.c").write_text(SYSCALL)
    subprocess.run(["gcc", "-static", "-O1", "-o", directory / "call", directory / "call.c"], check=True)
    return (directory / "call").read_bytes()


@pytest.fixture
def call(builder, program):
    """Make system calls in a step and return what came of each."""

    def called(*calls: tuple[int, ...], flags: str = "") -> list[str]:
        lines = "".join(
            f'RUN {flags} echo "returned $(/call {" ".join(map(str, each))})"\n' for each in calls
        )
        context = builder.context(f"FROM TINY\nCOPY call /call\n{lines}")
        (context / "call").write_bytes(program)
        (context / "call").chmod(0o755)
        done = builder.run("--no-push")
        assert done.returncode == 0, done.stderr
        return [
            line.rpartition("| returned ")[2] for line in done.stderr.splitlines() if "| returned " in line
        ]

    return called


RAW_SOCKETS = [
    (SOCKET, PACKET, RAW, 0x300),
    (SOCKET, PACKET, DGRAM, 0x300),
    (SOCKET, PACKET, RAW | CLOEXEC | NONBLOCK, 0x300),
    (SOCKET, INET, RAW, 1),
    (SOCKET, INET, RAW | CLOEXEC, 255),
    (SOCKET, INET, RAW | NONBLOCK, 6),
    (SOCKET, INET6, RAW, 58),
    (SOCKET, INET, OLD_PACKET, 0x300),
]


class TestNetwork:
    def test_no_raw_socket_on_the_machines_network(self, call):
        assert call(*RAW_SOCKETS) == ["EPERM"] * len(RAW_SOCKETS)

    def test_they_open_on_a_network_of_the_steps_own(self, call):
        """And so the calls above are such that work."""
        assert call(*RAW_SOCKETS[:7], flags="--network=none") == ["yes"] * 7

    def test_what_builds_use_opens(self, call):
        plain = [
            (SOCKET, family, kind | CLOEXEC, 0) for family in (1, INET, INET6) for kind in (STREAM, DGRAM)
        ]
        assert call(*plain, (SOCKET, NETLINK, RAW, 0)) == ["yes"] * 7

    @pytest.mark.parametrize("flags", ["", "--network=none"])
    def test_families_that_leave_every_namespace(self, call, flags):
        assert call((SOCKET, ALG, 5, 0), (SOCKET, VSOCK, STREAM, 0), flags=flags) == ["EPERM"] * 2


class TestSystemCalls:
    def test_those_of_no_container_are_refused(self, call):
        new_user = 0x10000000
        refused = [(KEYCTL, 0, -4, 0), (UNSHARE, new_user), (BPF, 0, 0, 0), (PERF, 0, 0, -1, -1, 0)]
        assert call(*refused) == ["EPERM"] * 4

    def test_clone3_seems_to_be_missing(self, call):
        """So that C libraries use clone instead."""
        assert call((CLONE3, 0, 0)) == ["ENOSYS"]


class TestKeys:
    def test_a_key_of_the_session_is_out_of_reach(self, call):
        libc = ctypes.CDLL(None, use_errno=True)
        key = libc.syscall(
            248, b"user", b"strake-test-key", b"s3cret-key", 10, -3
        )  # add_key to the session's
        describe = (KEYCTL, 6, key, 0, 0)
        assert libc.syscall(*describe) > 0  # outside a step the call works
        assert call(describe) == ["EPERM"]


class TestDevices:
    NODES = "mknod /zero c 1 5 && mknod /loop b 7 0 && mknod /mem c 1 1"

    @pytest.mark.parametrize("where", ["", "--mount=type=cache,target=/m", "--mount=type=tmpfs,target=/m"])
    def test_a_node_that_a_step_makes_opens_nothing(self, builder, where):
        home = "/m" if where else ""
        nodes = (
            self.NODES.replace("/zero", f"{home}/zero")
            .replace("/loop", f"{home}/loop")
            .replace("/mem", f"{home}/mem")
        )
        builder.context(
            f"FROM TINY\nRUN {where} {nodes}; "
            f'for d in zero loop mem; do head -c 1 {home}/$d && echo "opened $d"; done; '
            "head -c 1 /dev/zero | wc -c; echo x > /dev/null; head -c 1 /dev/urandom | wc -c\n"
        )
        done = builder.run("--no-push", "--rootfs", "overlay")
        assert done.returncode == 0, done.stderr
        assert "opened" not in done.stderr.replace('echo "opened', "")
        assert done.stderr.count("| 1") == 2

    def test_the_node_is_in_the_layer(self, builder):
        builder.context("FROM TINY\nRUN mknod /zero c 1 5\n")
        assert builder.run().returncode == 0
        assert builder.built().paths["/zero"]["type"] == "char"


def test_a_mount_inside_a_read_only_bind_is_read_only(builder, tmp_path):
    context = builder.context("FROM TINY\nRUN --mount=target=/m cat /m/sub/file && ! echo x > /m/sub/new\n")
    (context / "sub").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", context / "sub"], check=True)
    try:
        (context / "sub/file").write_text("seen\n")
        done = builder.run("--no-push")
        assert done.returncode == 0, done.stderr
        assert "| seen" in done.stderr
        assert os.listdir(context / "sub") == ["file"]
    finally:
        subprocess.run(["umount", context / "sub"], check=True)


def test_the_host_name_is_buildkits(builder):
    builder.context("FROM TINY\nRUN hostname; cat /etc/hosts\n")
    done = builder.run("--no-push")
    assert "| buildkitsandbox" in done.stderr, done.stderr
    assert "| 127.0.0.1\tlocalhost buildkitsandbox" in done.stderr


NO_MOUNT_SETATTR = """\
import errno, os, struct, sys
from strake_builder.sandbox import socket_filter
lines = [(0x20, 0, 0, 0), (0x15, 0, 1, 442), (0x06, 0, 0, 0x50000 | errno.ENOSYS), (0x06, 0, 0, 0x7FFF0000)]
socket_filter.set_filter(b"".join(struct.pack("=HBBI", *line) for line in lines))
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_binds_on_a_kernel_without_mount_setattr(builder):
    """As Linux before 5.12 answers: the build works, and the bind itself is read-only."""
    builder.context("FROM TINY\nRUN --mount=target=/m test -e /m/Dockerfile && ! touch /m/new\n")
    words = [sys.executable, "-c", NO_MOUNT_SETATTR, *builder.command("--no-push")]
    done = subprocess.run(words, capture_output=True, text=True, env=builder.environment(), timeout=180)
    assert done.returncode == 0, done.stderr
