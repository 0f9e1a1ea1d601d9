"""A program of its own, for git: standard input and output become a connection through the proxy of a build.

git starts it for git:// with a host and a port. It imports nothing of Strake's, so that it starts at once.
"""

from __future__ import annotations

import os
import socket
import sys
import threading

_PIECE = 1 << 16


def main(proxy_port: int, host: str, port: str) -> int:
    """Connect by CONNECT (RFC 9110, section 9.3.6), and pass bytes on; return the exit status."""
    if ":" in host:
        host = f"[{host}]"
    with socket.create_connection(("127.0.0.1", proxy_port)) as proxy:
        proxy.sendall(f"CONNECT {host}:{port} HTTP/1.1\r\nStrake-Direct: 1\r\n\r\n".encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            if not (piece := proxy.recv(1)):
                return 1
            answer += piece
        if answer.split()[1] != b"200":
            return 1
        threading.Thread(target=_send, args=(proxy,), daemon=True).start()
        while piece := proxy.recv(_PIECE):
            _write(piece)
    return 0


def _send(proxy: socket.socket) -> None:
    while piece := os.read(0, _PIECE):
        proxy.sendall(piece)
    proxy.shutdown(socket.SHUT_WR)


def _write(piece: bytes) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(1, rest) :]


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2], sys.argv[3]))
