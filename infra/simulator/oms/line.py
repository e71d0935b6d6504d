"""A TCP line on loopback that can be cut, mended and made silent."""

from __future__ import annotations

import contextlib
import socket
import threading
import time


class TcpLine:
    """A line between the two sides that can be cut: bytes pass until it is."""

    def __init__(self, target_port: int) -> None:
        self._target = target_port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self._open: list[socket.socket] = []
        self._is_cut = threading.Event()
        self._is_silent = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Reset what is connected and refuse what comes."""
        self._is_cut.set()
        for each in self._open:
            _reset(each)
        self._open.clear()

    def mend(self) -> None:
        """Let connections through again."""
        self._is_cut.clear()
        self._is_silent.clear()

    def silence(self) -> None:
        """Let nothing through and say nothing: the line is half open."""
        self._is_silent.set()

    def close(self) -> None:
        """End it."""
        self.cut()
        self._server.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            if self._is_cut.is_set():
                _reset(near)
                continue
            try:
                far = socket.create_connection(("127.0.0.1", self._target), 2.0)
            except OSError:
                _reset(near)
                continue
            self._open += [near, far]
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                while self._is_silent.is_set():
                    time.sleep(0.05)
                target.sendall(data)
        for each in (source, target):
            _reset(each)


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _reset(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
