"""Which packet filter rules are the cluster's."""

from __future__ import annotations

import sys

import pytest

from tests.cluster import network

RULES = """\
*nat
:PREROUTING ACCEPT [0:0]
:KUBE-SERVICES - [0:0]
:MINE - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A PREROUTING -j MINE
-A POSTROUTING -m comment --comment "name: \\"strake\\" id: \\"x\\"" -j CNI-0123
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
