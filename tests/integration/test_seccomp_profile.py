"""deploy/seccomp/strake-builder.json, loaded into a kernel: what a nested builder needs works under it."""

from __future__ import annotations

import json
import secrets
import subprocess
from pathlib import Path

import pytest

from strake_builder.sandbox.spec import CAPABILITIES
from strake_builder.sandbox.system_calls import seccomp

PROFILE = Path(__file__).parents[2] / "deploy/seccomp/strake-builder.json"
SYSTEM = ("usr", "bin", "sbin", "lib", "lib64", "etc")
NESTED = ["unshare", "--user", "--map-root-user", "--mount", "--uts", "--ipc", "--net", "--pid", "--fork"]
WORK = "mount -t tmpfs x /tmp && hostname nested && umount /tmp && mount -t proc x /proc && echo done"


@pytest.fixture
def contained(tmp_path):
    """Runs a command in a container with the capabilities of an ordinary one, and a filter."""

    def run(filters, *command):
        root = tmp_path / "root"
        for name in ("proc", "dev", "tmp", *SYSTEM):
            (root / name).mkdir(parents=True, exist_ok=True)
        binds = [
            {"destination": f"/{name}", "source": f"/{name}", "type": "bind", "options": ["rbind", "ro"]}
            for name in SYSTEM
            if Path("/", name).exists()
        ]
        capabilities = dict.fromkeys(("bounding", "effective", "permitted"), CAPABILITIES)
        config = {
            "ociVersion": "1.0.2",
            "root": {"path": str(root)},
            "process": {
                "cwd": "/",
                "user": {"uid": 0, "gid": 0},
                "args": list(command),
                "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
                "capabilities": capabilities,
            },
            "mounts": [
                # A /proc of which nothing is masked, as an unmasked pod has it: the kernel wants to see one.
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
                *binds,
            ],
            "linux": {
                "namespaces": [{"type": kind} for kind in ("mount", "pid", "uts", "ipc", "network")],
                "seccomp": filters,
            },
        }
        (tmp_path / "config.json").write_text(json.dumps(config))
        name = f"test-{secrets.token_hex(4)}"
        # crun refuses to run where both cgroup versions are mounted, even when it is to leave them alone.
        alone = [
            "unshare",
            "--mount",
            "sh",
            "-c",
            'umount /sys/fs/cgroup/unified 2>/dev/null; exec "$@"',
            "sh",
        ]
        runtime = ["crun", "--cgroup-manager=disabled", f"--root={tmp_path}/state", "run", "--no-new-keyring"]
        return subprocess.run(
            [*alone, *runtime, f"--bundle={tmp_path}", name],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )

    return run


def test_a_builder_can_nest_under_it(contained):
    done = contained(json.loads(PROFILE.read_text()), *NESTED, "sh", "-c", WORK)
    assert done.stdout == "done\n", done.stderr


def test_it_is_the_filter_that_an_ordinary_one_lacks(contained):
    done = contained(seccomp(), *NESTED, "sh", "-c", WORK)
    assert done.returncode
    assert "unshare failed" in done.stderr


def test_it_is_still_a_filter(contained):
    """dmesg reads the kernel's log by syslog(2); outside, root may."""
    done = contained(json.loads(PROFILE.read_text()), "dmesg", "--syslog")
    assert done.returncode
    assert "Operation not permitted" in done.stderr
