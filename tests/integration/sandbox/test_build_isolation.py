"""A Dockerfile is hostile: its steps find nothing of the builder, and their images hold no secret."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import zlib

import pytest


def output(done) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stderr


def test_the_builders_environment_is_not_the_steps(builder):
    builder.context("FROM TINY\nRUN env > /env; cat /proc/1/environ | tr '\\0' '\\n' >> /env\nRUN cat /env")
    text = output(builder.run(AWS_SECRET_ACCESS_KEY="hunter2", STRAKE_WORK_DIR="/x"))
    assert "hunter2" not in text
    assert "STRAKE" not in text
    assert "PYTHON" not in text


def test_a_step_sees_only_its_own_processes(builder):
    builder.context(
        "FROM TINY\nRUN ls -d /proc/[0-9]* | wc -l; for p in /proc/[0-9]*; do cat $p/cmdline; echo; done"
    )
    text = output(builder.run())
    assert "strake_builder" not in text
    assert "crun" not in text
    assert "python" not in text


def test_a_step_has_no_descriptor_of_the_builder(builder):
    builder.context("FROM TINY\nRUN for fd in /proc/1/fd/*; do echo FD $fd $(readlink $fd); done")
    lines = [line.split(" | FD ")[1] for line in output(builder.run()).splitlines() if " | FD " in line]
    targets = {line.split()[0].rpartition("/")[2]: line.split()[1:] for line in lines}
    assert targets["0"] == ["/dev/null"]
    assert all(targets[fd][0].startswith("pipe:") for fd in ("1", "2"))
    assert all("/" not in " ".join(target) or target == ["/dev/null"] for target in targets.values()), targets


def test_a_step_finds_no_socket_of_the_machine(builder, tmp_path):
    path = str(tmp_path / "agent.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        builder.context("FROM TINY\nRUN find / -xdev -type s | sed 's/^/SOCKET /'")
        assert "| SOCKET" not in output(builder.run())


def test_a_step_cannot_see_files_outside_its_root(builder, tmp_path):
    (tmp_path / "outside").write_text("machine")
    path = tmp_path / "outside"
    builder.context(
        f"FROM TINY\nRUN cat {path} ../../../../..{path} /proc/1/root{path} /proc/self/cwd{path} 2>&1 | sed 's/^/READ /'\n"
        "RUN ln -s / /l && ls /l/l/l && mkdir /m && (chroot /m / 2>&1 || true)"
    )
    text = output(builder.run())
    assert "machine" not in text.replace("No such file", "")


@pytest.mark.parametrize(
    "command",
    [
        "mount -t tmpfs t /mnt",
        "mount -t proc p /mnt",
        "mount --bind / /mnt",
        "mount -o remount,rw /sys",
        "umount /proc/kcore",
        "echo x > /proc/sys/kernel/hostname",
        "echo b > /proc/sysrq-trigger",
        "echo 1 > /proc/sys/net/ipv4/ip_forward",
        "cat /proc/kcore | head -c 1 | grep .",
        "mknod /dev/sda9 b 8 0 && head -c 1 /dev/sda9 | grep .",
        "swapoff -a && false",
        "hostname hacked",
        "insmod /x.ko",
        "chroot /proc/1/root/../.. ls /var/lib/dpkg",
        "nsenter -t 1 -m true && false",
        "dmesg | grep .",
    ],
)
def test_what_a_container_may_not_do_fails(builder, command):
    builder.context(f"FROM TINY\nRUN mkdir -p /mnt; if {command} >/dev/null 2>&1; then echo ESCAPED; fi")
    assert "| ESCAPED" not in output(builder.run())


def test_secrets_are_in_no_layer_no_config_and_no_log(builder):
    secret = "s3cr3t-of-the-test"
    builder.context(
        "FROM TINY\n"
        "RUN --mount=type=secret,id=tok test -s /run/secrets/tok && cp /run/secrets/tok /dev/shm/x\n"
        'RUN --mount=type=secret,id=tok,env=TOK test -n "$TOK"\n'
        "RUN ls -a /run /run/secrets /dev/shm; true\n"
    )
    before = set(builder.registry.root.rglob("data"))
    done = builder.run("--secret", "id=tok,env=GIVEN", GIVEN=secret)
    output(done)
    assert secret not in done.stderr + done.stdout
    pushed = set(builder.registry.root.rglob("data")) - before
    assert pushed
    for path in pushed:
        content = path.read_bytes()
        assert secret.encode() not in content
        assert secret.encode() not in decompressed(content)
    assert not [p for p in builder.built().paths if "secret" in p]


def decompressed(content: bytes) -> bytes:
    """As much of a layer as can be had: uploads that were given up on are cut short, or broken on purpose."""
    decoder, plain = zlib.decompressobj(wbits=31), bytearray()
    with contextlib.suppress(zlib.error):
        for start in range(0, len(content), 1 << 16):
            plain += decoder.decompress(content[start : start + (1 << 16)])
    return bytes(plain)


def test_a_secret_never_touches_the_disk(builder):
    builder.context(
        "FROM TINY\nRUN --mount=type=secret,id=tok grep run/secrets/tok /proc/self/mountinfo | sed 's/^/M /'"
    )
    text = output(builder.run("--secret", "id=tok,env=GIVEN", GIVEN="x"))
    mount = next(line for line in text.splitlines() if "| M " in line)
    assert " tmpfs " in mount


def test_no_network_means_none(builder):
    builder.context(
        "FROM TINY\nRUN --network=none cat /proc/net/dev | tail -n +3 | sed 's/^/IF /'; ip addr || true"
    )
    lines = [line for line in output(builder.run()).splitlines() if "| IF " in line]
    assert len(lines) == 1
    assert "lo:" in lines[0]


def test_a_context_link_cannot_bring_files_of_the_machine(builder, tmp_path):
    (tmp_path / "machine-secret").write_text("m")
    context = builder.context("FROM TINY\nCOPY . /w/\nRUN cat /w/dir/machine-secret /w/file 2>&1; true")
    (context / "dir").symlink_to(tmp_path)
    (context / "file").symlink_to(tmp_path / "machine-secret")
    output(builder.run())
    paths = builder.built().paths
    assert paths["/w/file"]["type"] == "symlink"
    assert paths["/w/dir"]["type"] == "symlink"


@pytest.mark.parametrize("name", ["Dockerfile", ".dockerignore"])
def test_a_dockerfile_that_links_to_a_secret_does_not_show_it(builder, tmp_path, name):
    (tmp_path / "machine-secret").write_text("hunter2 [unclosed\n")
    context = builder.context("FROM TINY\nCOPY . /c\n")
    (context / name).unlink(missing_ok=True)
    (context / name).symlink_to(tmp_path / "machine-secret")
    done = builder.run()
    assert "hunter2" not in done.stdout + done.stderr
    assert done.returncode == (3 if name == "Dockerfile" else 0), done.stderr


@pytest.mark.parametrize("path", ["../machine-secret", "/machine-secret"])
def test_a_request_cannot_name_a_dockerfile_outside_the_context(builder, tmp_path, path):
    (tmp_path / "machine-secret").write_text("hunter2\n")
    request = {
        "source": {"directory": {"path": str(builder.context("FROM TINY"))}},
        "dockerfile": path,
        "output": {"destinations": [builder.destination]},
        "workDirectory": str(builder.work),
    }
    (tmp_path / "request.json").write_text(json.dumps(request))
    command = [*builder.command()[:1], "execute", "--request", str(tmp_path / "request.json")]
    done = subprocess.run(command, capture_output=True, text=True, env=builder.environment(), timeout=180)
    assert done.returncode == 3
    assert "hunter2" not in done.stdout + done.stderr


def test_a_mounted_context_shows_nothing_that_is_ignored(builder):
    context = builder.context(
        "FROM TINY\nRUN --mount=target=/c ls -a /c | sed 's/^/SEEN /'",
        **{".dockerignore": "hidden\n", "hidden": "h"},
    )
    assert (context / "hidden").exists()
    text = output(builder.run())
    assert "SEEN Dockerfile" in text
    assert "SEEN hidden" not in text


def test_a_step_that_prints_without_end_does_not_hurt(builder):
    builder.context("FROM TINY\nRUN yes strake | head -c 80000000; head -c 30000000 /dev/zero; echo end")
    done = builder.run(timeout=180)
    text = output(done)
    assert "not shown" in text
    assert len(text) < 64 << 20


def test_terminal_controls_do_not_pass_as_lines_of_ours(builder):
    builder.context("FROM TINY\nRUN printf 'a\\rb\\n\\033[2J'")
    assert "#1 | b" in output(builder.run())


def test_stages_run_side_by_side(builder):
    """Each waits for a file that only the other's start makes, through a shared cache mount."""
    meet = "RUN --mount=type=cache,id=meet,target=/m touch /m/{me}; i=0; while [ ! -e /m/{other} ] && [ $i -lt 300 ]; do sleep 0.1; i=$((i+1)); done; test -e /m/{other} && touch /{me}"
    builder.context(
        f"FROM TINY AS a\n{meet.format(me='a', other='b')}\n"
        f"FROM TINY AS b\n{meet.format(me='b', other='a')}\n"
        "FROM scratch\nCOPY --from=a /a /\nCOPY --from=b /b /\n"
    )
    output(builder.run(timeout=180))
    assert {"/a", "/b"} <= set(builder.built().paths)


def test_jobs_bounds_the_stages_that_run_side_by_side(builder):
    """With one job at a time nobody ever sees the other's lock."""
    step = (
        "RUN --mount=type=cache,id=one,target=/m mkdir /m/lock && sleep 0.2 && rmdir /m/lock && touch /{me}"
    )
    stages = "".join(f"FROM TINY AS {me}\n{step.format(me=me)}\n" for me in "abc")
    builder.context(stages + "FROM scratch\n" + "".join(f"COPY --from={me} /{me} /\n" for me in "abc"))
    output(builder.run("--jobs", "1", timeout=180))
    refused = builder.run("--jobs", "0")
    assert refused.returncode == 2
    assert "no number above zero" in refused.stderr


def test_many_waiting_stages_do_not_block_the_one_they_wait_for(builder):
    waiting = "".join(f"FROM TINY AS w{n}\nCOPY --from=first /f /f{n}\n" for n in range(8))
    collect = "FROM scratch\n" + "".join(f"COPY --from=w{n} /f{n} /\n" for n in range(8))
    builder.context(f"FROM TINY AS first\nRUN echo f > /f\n{waiting}{collect}")
    output(builder.run(timeout=180))
    assert len([p for p in builder.built().paths if p.startswith("/f")]) == 8


def test_a_stage_that_nothing_needs_is_not_even_pulled(builder):
    builder.context(f"FROM {builder.registry.host}/no/such:image AS unused\nRUN false\nFROM TINY\nRUN true")
    output(builder.run())


def test_two_destinations_get_the_same_image(builder):
    builder.context("FROM TINY\nRUN echo x > /x")
    done = builder.run("--destination", f"{builder.registry.host}/{builder.name}/other:2")
    output(done)
    first, second = done.stdout.split()
    assert first.partition("@")[2] == second.partition("@")[2]
