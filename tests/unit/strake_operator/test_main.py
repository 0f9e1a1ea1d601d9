"""The operator's program: settings that make no sense end it at once."""

from __future__ import annotations

import pytest

from strake_operator.main import main


def test_a_mistake_in_the_settings_ends_it_with_a_sentence(tmp_path, monkeypatch):
    file = tmp_path / "registries.yaml"
    file.write_text("registries: {docker.io: {mirror: [m.example]}}")
    monkeypatch.setenv("STRAKE_BUILDER_IMAGE", "r.example/strake:1")
    monkeypatch.setenv("STRAKE_REGISTRIES_FILE", str(file))
    monkeypatch.setenv("LOGNAME", "somebody")
    with pytest.raises(SystemExit) as raised:
        main()
    message = f"strake-operator: STRAKE_REGISTRIES_FILE {file}: registries[docker.io].mirror: there is no such field"
    assert str(raised.value).startswith(message)
