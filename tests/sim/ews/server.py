#!/usr/bin/python3
"""A strict Exchange Web Services server for tests: the program.

server.py --port P [--tls CERT KEY] [--data FILE.json] [--control /PATH] [--check] [--version V]
Prints "ready PORT" when it listens (port 0: any free one). Ends with its standard input if --stdin is given.
"""

import argparse
import json
import os
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import control  # noqa: E402
import faults  # noqa: E402
import schema  # noqa: E402
import store  # noqa: E402
import web  # noqa: E402


def start(port=0, tls=None, data=None, control_path="/control", **settings):
    """A web.Server that listens; the caller serves. data: what control.run() takes as {"do": "load"}."""
    org = store.Org()
    org.settings.update(settings)
    server = web.Server(port, org, faults.Faults(), schema.load(), tls, control_path)
    if data:
        control.run(server, dict(data, do="load"))
    return server


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--port", type=int, default=0)
    p.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"))
    p.add_argument("--data", metavar="FILE", help="mailboxes, users, items to begin with (JSON)")
    p.add_argument("--control", default="/control", metavar="PATH")
    p.add_argument("--check", action="store_true", help="validate the answers too")
    p.add_argument("--version", default="15.2.2562.17", help="of Exchange, four numbers")
    p.add_argument("--stdin", action="store_true", help="end when standard input does")
    a = p.parse_args()
    data = None
    if a.data:
        with open(a.data, encoding="utf-8") as f:
            data = json.load(f)
    server = start(a.port, a.tls, data, a.control, check=a.check, version=a.version)
    print("ready", server.server_address[1], flush=True)
    if a.stdin:
        threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    try:
        server.serve_forever(0.2)
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
