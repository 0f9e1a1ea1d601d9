"""deploy/seccomp: the profile is what the sources say, and its DaemonSet brings this file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

PLACE = Path(__file__).parents[3] / "deploy/seccomp"
PROFILE = json.loads((PLACE / "strake-builder.json").read_text())
NESTING = {
    "unshare",
    "clone",
    "clone3",
    "mount",
    "umount2",
    "pivot_root",
    "mount_setattr",
    "sethostname",
    "setns",
}
NEVER = {"bpf", "keyctl", "kexec_load", "init_module", "open_by_handle_at", "perf_event_open", "userfaultfd"}


def generate(*flags):
    command = [sys.executable, PLACE / "generate.py", *flags]
    return subprocess.run(command, capture_output=True, text=True)


def names(profile, action):
    rules = [rule for rule in profile["syscalls"] if "args" not in rule and rule["action"] == action]
    return {name for rule in rules for name in rule["names"]}


def test_the_file_is_what_the_sources_say():
    done = generate("--check")
    assert done.returncode == 0, done.stderr


def test_it_allows_to_nest_and_nothing_that_reaches_the_node():
    allowed, refused = names(PROFILE, "SCMP_ACT_ALLOW"), names(PROFILE, "SCMP_ACT_ERRNO")
    assert allowed >= NESTING
    assert refused >= NEVER
    assert not allowed & refused


def test_no_rule_limits_what_another_allows():
    """What libseccomp makes of rules that overlap depends on their order."""
    allowed = names(PROFILE, "SCMP_ACT_ALLOW")
    conditional = {name for rule in PROFILE["syscalls"] if "args" in rule for name in rule["names"]}
    assert not allowed & conditional
    assert conditional == {"personality", "socket"}


def test_another_processor():
    done = generate("--machine", "s390x")
    assert json.loads(done.stdout)["architectures"] == ["SCMP_ARCH_S390X", "SCMP_ARCH_S390"]
    assert "vax are not known" in generate("--machine", "vax").stderr


def test_the_daemon_set_copies_the_file_that_the_setting_names():
    kustomization = yaml.safe_load((PLACE / "kustomization.yaml").read_text())
    (files,) = [each["files"] for each in kustomization["configMapGenerator"]]
    assert files == ["strake-builder.json"]
    pod = yaml.safe_load((PLACE / "daemonset.yaml").read_text())["spec"]["template"]["spec"]
    (path,) = [each["hostPath"]["path"] for each in pod["volumes"] if "hostPath" in each]
    assert path == "/var/lib/kubelet/seccomp", "where a kubelet looks for localhost/ profiles"
    assert "localhost/strake-builder.json" in (PLACE.parents[1] / "docs/operator.md").read_text()


@pytest.mark.parametrize("file", sorted(PLACE.glob("*.yaml")), ids=lambda path: path.name)
def test_resources_are_named_after_what_is_there(file):
    document = yaml.safe_load(file.read_text())
    assert all((PLACE / each).exists() for each in document.get("resources", ()))
