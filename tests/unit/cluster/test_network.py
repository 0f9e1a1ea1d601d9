"""Which packet filter rules are the cluster's."""

from __future__ import annotations

import sys

import pytest

from tests.cluster import network
from tests.cluster.requirements import MissingRequirementsError

RULES = """\
*nat
:PREROUTING ACCEPT [0:0]
:KUBE-SERVICES - [0:0]
:MINE - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A PREROUTING -j MINE
-A POSTROUTING -m comment --comment "name: \\"strake\\" id: \\"x\\"" -j CNI-0123
COMMIT
*mangle
-A INPUT -i strake0 -m conntrack --ctstate NEW -j NFQUEUE --queue-num 100
-A FORWARD ! -i strake0 -o strake0 -m conntrack --ctstate NEW -j NFQUEUE --queue-num 100
-A INPUT -i eth0 -j NFQUEUE --queue-num 7
COMMIT
"""


@pytest.fixture
def restored(monkeypatch, tmp_path):
    (tmp_path / "rules").write_text(RULES)
    save, restore = tmp_path / "iptables-save", tmp_path / "iptables-restore"
    save.write_text(f"#!{sys.executable}\nprint(open({str(tmp_path / 'rules')!r}).read(), end='')\n")
    restore.write_text(
        f"#!{sys.executable}\nimport sys\nopen({str(tmp_path / 'restored')!r}, 'w').write(sys.stdin.read())\n"
    )
    for program in (save, restore):
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    network._remove_rules("iptables")
    return (tmp_path / "restored").read_text()


def test_foreign_rules_stay(restored):
    assert ":MINE - [0:0]" in restored
    assert "-A PREROUTING -j MINE" in restored


def test_the_clusters_rules_go(restored):
    assert "KUBE-" not in restored
    assert "CNI-" not in restored
    assert "--queue-num 100" not in restored
    assert "--queue-num 7" in restored


def test_a_kernel_without_a_queue_is_named(monkeypatch, tmp_path):
    """Without it the policies would be in force nowhere, and tests of them would say nothing."""
    broken = tmp_path / "iptables"
    broken.write_text("#!/bin/sh\necho 'Extension NFQUEUE is not supported' >&2; exit 4\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(MissingRequirementsError, match=r"cannot queue packets .*NFQUEUE is not supported"):
        network._ask_for_policies()
