"""A small process that starts the contestants and weighs them.

A child inherits the peak memory of the process that it was forked from, so the (large) bench
driver must not start them itself: it talks to this one, one JSON object a line.

request   {"argvs": [[...]...], "parallel": N, "cwd", "out", "timeout", "env": {...} or null}
answer    {"wall", "user", "sys", "rss", "codes": [...], "timedout"}

`user` and `sys` are those of the whole trees (each child with all that it waited for), `rss` is the
largest single process in KiB, `wall` runs from the first spawn to the last exit.
"""

import json
import os
import signal
import sys
import time


def spawn(argv, req, out):
    actions = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
               (os.POSIX_SPAWN_DUP2, out, 1), (os.POSIX_SPAWN_DUP2, out, 2)]
    env = req.get("env") or {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": req["cwd"],
                             "LC_ALL": "C.UTF-8"}
    return os.posix_spawn(argv[0], argv, env, file_actions=actions, setsid=True)


def serve(req):
    out = os.open(req["out"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.chdir(req["cwd"])
    todo = list(enumerate(req["argvs"]))[::-1]
    codes, live, total = [None] * len(todo), {}, [0.0, 0.0, 0]
    timedout = False

    def late(*_):
        nonlocal timedout
        timedout = True
        for pid in live:
            os.killpg(pid, signal.SIGKILL)

    signal.signal(signal.SIGALRM, late)
    signal.alarm(int(req.get("timeout", 600)))
    begin = time.monotonic()
    try:
        while todo and not timedout or live:
            while todo and not timedout and len(live) < req.get("parallel", 1):
                index, argv = todo.pop()
                live[spawn(argv, req, out)] = index
            pid, status, use = os.wait4(-1, 0)
            codes[live.pop(pid)] = os.waitstatus_to_exitcode(status)
            total[0] += use.ru_utime
            total[1] += use.ru_stime
            total[2] = max(total[2], use.ru_maxrss)
        wall = time.monotonic() - begin
    finally:
        for pid in live:                # only when we are interrupted
            os.killpg(pid, signal.SIGKILL)
    signal.alarm(0)
    os.close(out)
    return {"wall": wall, "user": total[0], "sys": total[1], "rss": total[2], "codes": codes,
            "timedout": timedout}


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    for line in sys.stdin:
        try:
            answer = serve(json.loads(line))
        except OSError as e:
            answer = {"error": str(e)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
