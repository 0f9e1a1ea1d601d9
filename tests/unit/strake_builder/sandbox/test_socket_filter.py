"""The filter program is one that the kernel can take: whole instructions, jumps that go forward and end."""

import struct

import pytest

from strake_builder.sandbox.socket_filter import filtered, socket_filter


@pytest.mark.parametrize("own_network", [False, True])
@pytest.mark.parametrize("by_pointer", [False, True])
def test_every_path_ends_inside_the_program(own_network, by_pointer):
    program = socket_filter(own_network=own_network, by_pointer=by_pointer)
    lines = list(struct.iter_unpack("=HBBI", program))
    assert lines[-1][0] == 0x06
    for position, (code, equal, other, _) in enumerate(lines):
        if code == 0x15:
            assert position + 1 + max(equal, other) < len(lines)


def test_what_cannot_be_started_says_so():
    def start():
        raise FileNotFoundError("crun")

    with pytest.raises(FileNotFoundError, match="crun"):
        filtered(socket_filter(own_network=True, by_pointer=False), start)
