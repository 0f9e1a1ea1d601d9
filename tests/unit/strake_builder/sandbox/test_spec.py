"""What the runtime is given: a container's ordinary powers and not one more."""

import pytest

from strake_builder.sandbox.process import Bind, Device, Identity, Network, Process, Tmpfs
from strake_builder.sandbox.spec import Surroundings, runtime_spec


def spec(**fields):
    return runtime_spec(Process(("sh",), **fields), "/root-of-step")


def test_root_has_a_containers_capabilities():
    capabilities = spec()["process"]["capabilities"]
    assert capabilities["effective"] == capabilities["bounding"]
    assert len(capabilities["bounding"]) == 14
    assert not {"CAP_SYS_ADMIN", "CAP_NET_ADMIN", "CAP_SYS_PTRACE"} & set(capabilities["bounding"])
    assert capabilities["ambient"] == capabilities["inheritable"] == []


def test_others_have_none_but_may_gain_them_through_set_uid_programs():
    process = spec(identity=Identity(1000, 1000))["process"]
    assert process["capabilities"]["effective"] == []
    assert process["capabilities"]["bounding"]
    assert process["noNewPrivileges"] is False


def test_namespaces():
    def kinds(**fields):
        return {n["type"] for n in spec(**fields)["linux"]["namespaces"]}

    assert kinds() == {"pid", "ipc", "uts", "mount"}
    assert kinds(network=Network.NONE) == {"pid", "ipc", "uts", "mount", "network"}


def test_the_kernels_doors_are_closed():
    linux = spec()["linux"]
    assert {"/proc/kcore", "/proc/keys", "/sys/firmware"} <= set(linux["maskedPaths"])
    assert {"/proc/sys", "/proc/sysrq-trigger"} <= set(linux["readonlyPaths"])
    sysfs = next(m for m in spec()["mounts"] if m["destination"] == "/sys")
    assert "ro" in sysfs["options"]


def test_mounts_come_after_the_runtimes_own_in_order():
    file = Bind("/src", "/f", is_file=True)
    binds = (file, Bind("/src", "/a"), Bind("/src", "/b", read_only=False))
    zeroth, first, second, third = spec(mounts=(*binds, Tmpfs("/t", 4096)))["mounts"][-4:]
    assert (zeroth["destination"], "ro" in zeroth["options"]) == ("/f", True)
    assert (first["destination"], first["options"]) == ("/a", ["rbind", "rro", "rnosuid", "rnodev"])
    assert (second["destination"], "rw" in second["options"]) == ("/b", True)
    assert (third["type"], "size=4096" in third["options"]) == ("tmpfs", True)
    assert all("nosuid" in m["options"] and "nodev" in m["options"] for m in (zeroth, third))
    assert second["options"] == ["rbind", "rw", "rnosuid", "rnodev"]


def test_only_the_runtimes_devices_are_where_devices_open():
    mounts = spec(mounts=(Bind("/src", "/a"), Device("/nodes/null", "/dev/null"), Tmpfs("/t")))["mounts"]
    opening = {m["destination"] for m in mounts if not {"nodev", "rnodev"} & set(m["options"])}
    assert opening == {"/dev/pts", "/dev/null"}


@pytest.mark.parametrize("known", [True, False])
def test_terminals_are_their_groups(known):
    """A group that the namespace does not have cannot be named: the kernel refuses the mount."""
    mounts = runtime_spec(Process(("sh",)), "/root-of-step", Surroundings(terminal_group=known))["mounts"]
    terminals = next(m for m in mounts if m["destination"] == "/dev/pts")
    assert ("gid=5" in terminals["options"]) is known


def test_binds_without_mount_setattr():
    """Linux before 5.12: what is mounted inside keeps its own access, and the bind itself is as it should be."""
    binds = (Bind("/src", "/a"), Bind("/src", "/b", read_only=False))
    first, second = runtime_spec(
        Process(("sh",), mounts=binds), "/root-of-step", Surroundings(recursive=False)
    )["mounts"][-2:]
    assert first["options"] == ["rbind", "nosuid", "nodev", "ro"]
    assert second["options"] == ["rbind", "nosuid", "nodev", "rw"]
