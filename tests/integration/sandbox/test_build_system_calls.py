"""What a step may ask of the kernel: a container's calls, and no socket that hears the machine's traffic."""

from __future__ import annotations

import ctypes
import errno
import subprocess

import pytest

from strake_oci.spec.platform import host
from tests.fixtures.building.call_programs import (
    OPENED,
    call_program,
    call_program_32,
    number,
    socketcall_program,
)

ALL, IP, ICMP = 0x0300, 0x0800, 1
HIGH = 1 << 32
FLAGS = 0o2000000 | 0o4000


def sockets() -> dict[str, bytes]:
    """Every way to a packet or raw socket that this kind of machine has."""
    call = number(41, 198)
    found = {
        "packet-raw": call_program(call, 17, 3, ALL),
        "packet-datagram": call_program(call, 17, 2, ALL),
        "packet-flags": call_program(call, 17, 3 | FLAGS, ALL),
        "packet-high-family": call_program(call, HIGH | 17, 3, ALL),
        "packet-old": call_program(call, 2, 10, ALL),
        "raw": call_program(call, 2, 3, ICMP),
        "raw-flags": call_program(call, 2, 3 | FLAGS, ICMP),
        "raw-high-type": call_program(call, 2, HIGH | 3, ICMP),
        "raw-high-family": call_program(call, HIGH | 2, 3, ICMP),
        "raw6": call_program(call, 10, 3, 58),
    }
    if host().architecture == "amd64":
        found |= {
            "packet-32": call_program_32(359, 17, 3, ALL),
            "raw-32": call_program_32(359, 2, 3, ICMP),
            "packet-socketcall": socketcall_program(17, 3, ALL),
            "raw-socketcall": socketcall_program(2, 3 | FLAGS, ICMP),
        }
    return found


def results(builder, programs: dict[str, bytes], flags: str = "", before: str = "") -> dict[str, int]:
    """Run each program in a step; return its exit status by name."""
    context = builder.context(
        f'FROM TINY\n{before}\nCOPY p /p\nRUN {flags} cd /p; for n in *; do "./$n"; echo "GOT $n $?"; done'
    )
    (context / "p").mkdir(exist_ok=True)
    for name, program in programs.items():
        (context / "p" / name).write_bytes(program)
        (context / "p" / name).chmod(0o755)
    done = builder.run()
    assert done.returncode == 0, done.stderr
    lines = [line.split("| GOT ")[1].split() for line in done.stderr.splitlines() if "| GOT " in line]
    return {name: int(status) for name, status in lines}


def outside(directory, program: bytes) -> int:
    """Run a program as it is on this machine, without a sandbox."""
    path = directory / "program"
    path.write_bytes(program)
    path.chmod(0o755)
    return subprocess.run([str(path)], timeout=180).returncode


def test_each_way_to_a_raw_socket_is_one(tmp_path):
    """What the next test refuses succeeds where nothing refuses it."""
    assert {name: outside(tmp_path, program) in OPENED for name, program in sockets().items()} == (
        dict.fromkeys(sockets(), True)
    )


@pytest.mark.parametrize("flags", ["", "--network=default", "--network=host"])
def test_no_step_opens_a_raw_socket_of_the_machines_network(builder, flags):
    assert results(builder, sockets(), flags) == dict.fromkeys(sockets(), errno.EPERM)


def test_a_network_of_its_own_is_the_steps_to_read(builder):
    found = results(builder, sockets(), "--network=none")
    assert {name for name, status in found.items() if status not in OPENED} == (
        {name for name in sockets() if name.endswith("socketcall")}
    )


def test_ordinary_sockets_open(builder):
    call = number(41, 198)
    ordinary = {
        "stream": call_program(call, 2, 1, 0),
        "stream6": call_program(call, 10, 1 | FLAGS, 0),
        "datagram": call_program(call, 2, 2 | FLAGS, 0),
        "unix": call_program(call, 1, 1, 0),
        "netlink": call_program(call, 16, 3, 0),
    }
    assert all(status in OPENED for status in results(builder, ordinary).values())


X86 = ["386"] if host().architecture == "amd64" else []


@pytest.mark.parametrize("architecture", X86)
def test_images_for_32_bit_x86_open_ordinary_sockets_alone(builder, architecture):
    def status(program: bytes) -> int:
        context = builder.context(f'FROM --platform=linux/{architecture} scratch\nCOPY p /p\nRUN ["/p"]')
        (context / "p").write_bytes(program)
        (context / "p").chmod(0o755)
        return int(builder.run().stderr.split("ended with exit code ")[1].split()[0].strip(".,"))

    assert status(socketcall_program(2, 1, 0)) in OPENED
    assert status(socketcall_program(2, 3, ICMP)) == errno.EPERM
    assert status(socketcall_program(17, 3, ALL)) == errno.EPERM


@pytest.mark.parametrize("_architecture", X86)
def test_images_with_32_bit_programs_open_ordinary_sockets_by_pointer(builder, _architecture):
    """The loader of such programs tells; the step lacks CAP_NET_RAW then, and others of its calls stay seen."""
    programs = sockets() | {"stream-socketcall": socketcall_program(2, 1, 0)}
    assert results(builder, programs) == dict.fromkeys(programs, errno.EPERM)
    found = results(builder, programs, before="RUN mkdir -p /lib; : > /lib/ld-linux.so.2")
    assert found.pop("stream-socketcall") in OPENED
    assert found == dict.fromkeys(sockets(), errno.EPERM)
    found = results(builder, programs, "--network=none", before="RUN mkdir -p /lib; : > /lib/ld-linux.so.2")
    assert {name for name, status in found.items() if status not in OPENED} == set()


@pytest.mark.parametrize("flags", ["", "--network=none"])
def test_what_a_container_may_not_ask_is_refused(builder, flags):
    refused = {
        "keyctl": call_program(number(250, 219), 0, -3, 0),
        "add_key": call_program(number(248, 217), 0, 0, 0, 0, -3),
        "request_key": call_program(number(249, 218), 0, 0, 0, 0),
        "bpf": call_program(number(321, 280), 0, 0, 0),
        "mount": call_program(number(165, 40), 0, 0, 0, 0, 0),
        "io_uring_setup": call_program(425, 8, 0),
        "userfaultfd": call_program(number(323, 282), 0),
        "unshare_user": call_program(number(272, 97), 0x10000000),
        "clone_user": call_program(number(56, 220), 0x10000000 | 17, 0, 0, 0, 0),
        "alg": call_program(number(41, 198), 38, 5, 0),
        "alg-high": call_program(number(41, 198), HIGH | 38, 5, 0),
        "vsock": call_program(number(41, 198), 40, 1, 0),
        "personality": call_program(number(135, 92), 0x40000),
        "open_by_handle_at": call_program(number(304, 265), -1, 0, 0),
        "pivot_root": call_program(number(155, 41), 0, 0),
    }
    if host().architecture == "amd64":
        refused |= {
            "mount-32": call_program_32(21, 0, 0, 0, 0),
            "clone_user-32": call_program_32(120, 0x10000000 | 17, 0, 0, 0),
            "keyctl-32": call_program_32(288, 0, -3, 0),
            "alg-socketcall": socketcall_program(38, 5, 0),
            "vsock-socketcall": socketcall_program(40, 1, 0),
        }
    assert results(builder, refused, flags) == dict.fromkeys(refused, errno.EPERM)


def test_calls_that_are_newer_than_the_filter_look_missing(builder):
    """EPERM would be final: C libraries fall back to older calls on ENOSYS alone."""
    found = results(builder, {"clone3": call_program(435, 0, 0), "unknown": call_program(900)})
    assert found == {"clone3": errno.ENOSYS, "unknown": errno.ENOSYS}
    # fchmodat2, setxattrat: known to newer machines, which answer, and never refused
    newer = {
        "452": call_program(452, -100, b"/none", 0o644, 0),
        "463": call_program(463, -100, b"/none", 0, 0, 0),
    }
    assert set(results(builder, newer).values()) <= {errno.ENOSYS, errno.ENOENT, errno.EINVAL, errno.EFAULT}


def test_personalities_of_ordinary_programs(builder):
    question = number(135, 92)
    assert results(builder, {"linux": call_program(question, 0), "32": call_program(question, 8)}) == {
        "linux": 0,
        "32": 0,
    }


def test_a_step_reads_no_key_of_the_caller(builder, tmp_path):
    """The key is in a session keyring of this thread alone, which what it starts inherits."""
    libc = ctypes.CDLL(None, use_errno=True)
    session, search = ctypes.c_long(-3), number(250, 219)
    assert libc.syscall(search, 1, None) > 0
    key = libc.syscall(number(248, 217), b"user", b"strake:test", b"hunter2", 7, session)
    assert key > 0
    describe = call_program(search, 6, key, 0, 0)
    assert outside(tmp_path, describe) in OPENED
    assert results(builder, {"describe": describe}) == {"describe": errno.EPERM}
