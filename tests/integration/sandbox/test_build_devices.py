"""A step opens the six devices of a container and no other, whatever nodes it makes and wherever."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from strake_oci.spec.platform import host
from tests.fixtures.building.call_programs import call_program, call_program_32, number
from tests.fixtures.narrow import present

MOUNTS = (
    "--mount=type=cache,target=/cache --mount=type=tmpfs,target=/tmpfs --mount=type=bind,target=/bind,rw "
    "--mount=type=bind,from=TINY,target=/image,rw"
)
PLACES = ("/d", "/dev/d", "/dev/shm/d", "/tmp/d", "/cache/d", "/tmpfs/d", "/bind/d", "/image/d")


def output(done) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stderr


@pytest.mark.parametrize("rootfs", ["overlay", "scan"])
def test_a_node_that_a_step_makes_does_not_open(builder, rootfs):
    """The twin of /dev/zero: wherever it opened, it would be read from."""
    builder.context(
        f"FROM TINY\nRUN {MOUNTS} mkdir -p /tmp; for p in {' '.join(PLACES)}; do mknod $p c 1 5 || exit 9; "
        "head -c 1 $p >/dev/null 2>/err && echo OPENED $p; grep -q 'Permission denied' /err && echo REFUSED $p; "
        "done; true"
    )
    text = output(builder.run("--rootfs", rootfs))
    assert "| OPENED" not in text
    assert [line.split()[-1] for line in text.splitlines() if "| REFUSED" in line] == list(PLACES)


@pytest.mark.parametrize("rootfs", ["overlay", "scan"])
def test_nodes_are_in_the_layer_and_in_bases(builder, rootfs):
    builder.context(
        "FROM TINY AS a\nRUN mknod /c c 1 5; mknod /b b 7 0; mkfifo /f\n"
        "FROM a\nRUN head -c 1 /c && exit 9; echo more > /more; echo x > /f & cat /f\n"
    )
    output(builder.run("--rootfs", rootfs))
    types = {path: entry["type"] for path, entry in builder.built().paths.items()}
    assert (types["/c"], types["/b"], types["/f"]) == ("char", "block", "fifo")


@pytest.mark.parametrize("rootfs", ["overlay", "scan"])
def test_the_disk_of_the_machine_stays_closed(builder, tmp_path, rootfs):
    disk = tmp_path / "disk"
    disk.write_bytes(b"machine-disk".ljust(1 << 20, b"\0"))
    loop = subprocess.run(
        ["losetup", "-f", "--show", str(disk)], capture_output=True, text=True, check=True
    ).stdout.strip()
    try:
        minor = os.minor(Path(loop).stat().st_rdev)
        builder.context(
            f"FROM TINY\nRUN for p in /d /dev/d; do mknod $p b 7 {minor}; head -c 12 $p; echo x > $p; done; true"
        )
        assert "machine-disk" not in output(builder.run("--rootfs", rootfs)).replace(str(disk), "")
        assert disk.read_bytes().startswith(b"machine-disk")
    finally:
        subprocess.run(["losetup", "-d", loop], check=True)


@pytest.mark.parametrize("user", ["root", "4242"])
def test_the_devices_of_a_container_work(builder, user):
    builder.context(
        f"FROM TINY\nUSER {user}\n"
        "RUN set -e; echo x > /dev/null; head -c 4 /dev/zero | wc -c | grep -q 4; "
        "head -c 4 /dev/random | wc -c | grep -q 4; head -c 4 /dev/urandom | wc -c | grep -q 4; "
        "! echo x > /dev/full; echo out > /dev/stdout; test -c /dev/tty; test -e /dev/ptmx; test -d /dev/fd; "
        "ls -l /dev | sed 's/^/LS /'"
    )
    listed = {line.split()[-1]: line for line in output(builder.run()).splitlines() if "| LS c" in line}
    assert {"null", "zero", "full", "random", "urandom", "tty"} <= set(listed)
    assert all("crw-rw-rw-" in listed[name] for name in ("null", "zero", "tty"))


def test_a_steps_chmod_is_not_the_machines(builder):
    before = stat.S_IMODE(Path("/dev/full").stat().st_mode)
    builder.context(
        "FROM TINY\nRUN chmod 600 /dev/full; chown 1:1 /dev/full\nRUN ls -l /dev/full | sed 's/^/LS /'"
    )
    text = output(builder.run())
    assert "LS crw-rw-rw-" in text
    assert stat.S_IMODE(Path("/dev/full").stat().st_mode) == before


WITHOUT_HYBRID_CGROUPS = [
    "unshare",
    "--mount",
    "sh",
    "-c",
    'umount -l /sys/fs/cgroup/unified 2>/dev/null; exec "$@"',
    "sh",
]
IN_TURN = 'echo ready; read go; exec "$@"'


def test_the_machines_nodes_serve_where_none_can_be_made(builder):
    """In a user namespace, as in a pod of the operator."""
    builder.context(
        "FROM TINY\nRUN echo x > /dev/null; head -c 4 /dev/zero | wc -c | grep -q 4 || exit 9; "
        "head -c 4 /dev/urandom | wc -c | grep -q 4; "
        "mknod /dev/d c 1 5 && echo MADE; test -c /dev/tty\n"
    )
    command = [
        *WITHOUT_HYBRID_CGROUPS,
        "unshare",
        "--user",
        "sh",
        "-c",
        IN_TURN,
        "sh",
        *builder.command("--no-push"),
    ]
    with subprocess.Popen(
        command,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=builder.environment(),
    ) as process:
        assert present(process.stdout).readline() == "ready\n"
        for ids in ("uid_map", "gid_map"):
            Path(f"/proc/{process.pid}/{ids}").write_text("0 0 65536\n")
        _, messages = process.communicate("go\n", timeout=180)
    assert process.returncode == 0, messages
    assert "| MADE" not in messages


@pytest.mark.parametrize("rootfs", ["overlay", "scan"])
def test_no_way_around(builder, rootfs):
    """By links, other names of the root, other file systems in /dev, volumes, and calls of 32-bit programs."""
    character, zero = stat.S_IFCHR | 0o666, os.makedev(1, 5)
    programs = {"at": call_program(number(259, 33), -100, b"/dev/at", character, zero)}
    if host().architecture == "amd64":
        programs |= {
            "32": call_program_32(14, b"/dev/32", character, zero),
            "32at": call_program_32(297, -100, b"/dev/32at", character, zero),
        }
    context = builder.context(
        "FROM TINY\nVOLUME /volume\nWORKDIR /volume\nCOPY p /p\n"
        "RUN tried() { head -c 1 $1 >/dev/null 2>&1 && echo OPENED $1; }; "
        "mknod /volume/d c 1 5 || exit 9; tried d; tried /proc/self/cwd/d; tried /proc/self/root/volume/d; "
        "mknod /dev/d c 1 5 || exit 9; ln /dev/d /dev/e; mv /dev/e /dev/f; ln -s d /dev/g; "
        "for p in /dev/d /dev/f /dev/g /proc/1/root/dev/d; do tried $p; done; "
        "for n in /p/*; do $n; n=/dev/${n#/p/}; test -c $n || exit 8; tried $n; done; "
        "for p in /dev/pts/d /dev/mqueue/d /proc/d /sys/d; do mknod $p c 1 5 2>/dev/null && echo MADE $p; done; "
        "mknod /dev/new c 1 5; mv -f /dev/new /dev/null 2>/dev/null && echo REPLACED; "
        "chroot / head -c 1 /dev/d >/dev/null 2>&1 && echo OPENED by chroot; cp -a /dev/d /run/d; tried /run/d; true\n"
    )
    (context / "p").mkdir()
    for name, program in programs.items():
        (context / "p" / name).write_bytes(program)
        (context / "p" / name).chmod(0o755)
    text = output(builder.run("--no-push", "--rootfs", rootfs))
    for word in ("OPENED", "MADE", "REPLACED"):
        assert f"| {word}" not in text


@pytest.mark.parametrize("access", ["", ",ro", ",rw"])
def test_what_is_mounted_inside_a_context_is_not_written_to(builder, access):
    """In mounts of their own, as `strake build` and the kernel see them; nodes and set-uid do not count either."""
    context = builder.context(
        f"FROM TINY\nRUN --mount=type=bind,target=/c{access} echo OVERWRITTEN > /c/sub/f; echo x > /c/sub/new; "
        "head -c 1 /c/sub/node && echo OPENED; grep ' /c' /proc/self/mountinfo | sed 's/^/MOUNT /'"
    )
    (context / "sub").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "t", str(context / "sub")], check=True)
    try:
        (context / "sub" / "f").write_text("mine")
        os.mknod(context / "sub" / "node", stat.S_IFCHR | 0o666, os.makedev(1, 5))
        text = output(builder.run())
        assert (context / "sub" / "f").read_text() == "mine"
        assert sorted(os.listdir(context / "sub")) == ["f", "node"]
        assert "| OPENED" not in text
    finally:
        subprocess.run(["umount", str(context / "sub")], check=True)
