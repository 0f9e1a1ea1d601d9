"""What git starts in place of ssh: as whom it goes where, and what can be no host."""

from __future__ import annotations

import pytest

from strake_builder.context.git.ssh_client import command

SETTINGS: dict[str, object] = {
    "server": "git.example:2222",
    "known": ["-i", "key"],
    "others": ["-F", "none"],
    "agent": "/agent",
}


@pytest.mark.parametrize(
    "words",
    [
        ["-o", "SendEnv=GIT_PROTOCOL", "-p", "2222", "git@git.example", "git-upload-pack '/x'"],
        ["-4", "-p", "2222", "GIT.example", "git-upload-pack '/x'"],
    ],
)
def test_the_server_gets_the_key(words):
    assert command(SETTINGS, words) == (["ssh", "-i", "key", *words], "/agent")


@pytest.mark.parametrize(
    "words",
    [
        ["git@git.example", "git-upload-pack '/x'"],
        ["-p", "2223", "git@git.example", "x"],
        ["-p", "2222", "git@other.example", "x"],
        ["-p", "2222", "git.example@other.example", "x"],
        ["::1", "x"],
    ],
)
def test_any_other_gets_nothing(words):
    assert command(SETTINGS, words) == (["ssh", "-F", "none", *words], "")


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["-p", "22"],
        ["-p", "22;x", "git.example"],
        *(["$(x)"], ["a;x"], ["a`x`"], ["a b"], ["a\nb"], ["git@"], ["@h"], ["a'b"], ["%h"], ["a/../b"]),
    ],
)
def test_what_can_be_no_host_is_none(words):
    with pytest.raises(ValueError, match="is no host"):
        command(SETTINGS, words)
