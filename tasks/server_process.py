"""The Prefect server as a child process that ends with its parent.

The parent binds the socket and hands it down, so no port is ever raced for, and holds the other
end of standard input: when the parent dies, however it dies, that pipe closes and the server
stops.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from typing import Final

_STOP_SECONDS_MAX: Final = 10.0


def main() -> None:
    """Serve the Prefect API on the listening socket whose descriptor is the first argument."""
    import uvicorn
    from prefect.server.api.server import create_app

    listening = socket.socket(fileno=int(sys.argv[1]))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    config = uvicorn.Config(
        create_app, factory=True, log_level="error", timeout_graceful_shutdown=3
    )
    uvicorn.Server(config).run(sockets=[listening])


def _end_with_parent() -> None:
    # Read without Python's buffer, whose lock would be held when the interpreter shuts down.
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_STOP_SECONDS_MAX)
    os._exit(1)


if __name__ == "__main__":
    main()
