"""An HTTP proxy that knows CONNECT only, as the gateway's own outgoing one; it may want a logon of its own or refuse."""

import socket
import threading


class ConnectProxy:
    def __init__(self, refuse=None):
        self.refuse = refuse                    # a status line instead of "200 ..."
        self.heads, self.through = [], b""      # what was asked; what went through afterwards, upwards
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer):
        head = b""
        while b"\r\n\r\n" not in head:
            data = peer.recv(4096)
            if not data:
                return
            head += data
        self.heads.append(head)
        method, where, _ = head.split(b"\r\n")[0].decode().split(" ")
        if self.refuse or method != "CONNECT":
            peer.sendall(("HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n" % (self.refuse or "405 No")).encode())
            return peer.close()
        host, _, port = where.rpartition(":")
        server = socket.create_connection((host.strip("[]"), int(port)), 10)
        peer.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        threading.Thread(target=self._copy, args=(server, peer, False), daemon=True).start()
        self._copy(peer, server, True)

    def _copy(self, a, b, up):
        try:
            while True:
                data = a.recv(65536)
                if not data:
                    break
                if up:
                    self.through += data
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def stop(self):
        self.listener.close()
