"""Free ports of 127.0.0.1, and the wait for a server that is starting."""

import socket
import time


def free(count=1):
    """`count` ports that nothing listened on a moment ago (all held open until all are known)."""
    held = []
    try:
        for _ in range(count):
            s = socket.socket()
            s.bind(("127.0.0.1", 0))
            held.append(s)
        return [s.getsockname()[1] for s in held]
    finally:
        for s in held:
            s.close()


def wait(port, alive, seconds=15):
    """Waits until the port accepts; `alive()` says why the server died, or None while it lives."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        why = alive()
        if why:
            raise RuntimeError(why)
        try:
            with socket.create_connection(("127.0.0.1", port), 1):
                return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError("nothing listens on 127.0.0.1:%d after %d s" % (port, seconds))
