#!/usr/bin/python3
"""The logon count from the rules alone, against what the core of the supervisor did (logons.c).

usage: logons.py PROGRAM LENGTH 3|4
The rules, as the administrator's guide has them: refused or store not opened: one more; both logged on: none;
anything else leaves it. When it reaches the number of workers or of pairings, whichever is less, the
pool restarts and the count begins anew. Restarts are in a row until somebody logs on to both sides.
"""

import os
import subprocess
import sys
import tempfile

GOOD, OTHER, REFUSED, STORE = range(4)


def table(threshold, length, outcomes):
    """Three bytes per string of outcomes: count, restarts, restarts in a row; depth first."""
    out = bytearray()

    def walk(depth, count, restarts, in_row):
        out.extend((count, restarts, in_row))
        if depth == length:
            return
        for outcome in range(outcomes):
            c, r, w = count, restarts, in_row
            if outcome in (REFUSED, STORE):
                c += 1
            elif outcome == GOOD:
                c, w = 0, 0
            if c >= threshold:
                c, r, w = 0, r + 1, w + 1
            walk(depth + 1, c, r, w)

    walk(0, 0, 0, 0)
    return bytes(out)


def string_at(index, length, outcomes):
    """The outcomes that lead to the node with that number, depth first."""
    sizes = [sum(outcomes ** i for i in range(d + 1)) for d in range(length + 1)]
    out, depth = "", length
    while index > 0:
        index -= 1
        child, index = divmod(index, sizes[depth - 1])
        out += "g-rs"[child]
        depth -= 1
    return out


def main():
    program, length, outcomes = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    with tempfile.TemporaryDirectory() as tmp:
        path = os.path.join(tmp, "out")
        subprocess.run([program, str(length), str(outcomes), path], check=True)
        with open(path, "rb") as f:
            got = f.read()
    tables = {t: table(t, length, outcomes) for t in range(1, 7)}
    size = len(tables[1])
    assert len(got) == 36 * size, "the program wrote %d bytes, not %d" % (len(got), 36 * size)
    bad = 0
    for n in range(36):
        workers, pairings = n // 6 + 1, n % 6 + 1
        have, want = got[n * size:(n + 1) * size], tables[min(workers, pairings)]
        if have == want:
            continue
        bad += 1
        at = next(i for i in range(size) if have[i] != want[i]) // 3
        print("%d workers, %d pairings, outcomes %s: count, restarts, in a row: %s, not %s" % (
            workers, pairings, string_at(at, length, outcomes), list(have[at * 3:at * 3 + 3]), list(want[at * 3:at * 3 + 3])))
    print("%d sequences of up to %d outcomes in each of 36 pools: %s" % (
        size // 3 - 1, length, "all as the rules say" if bad == 0 else "%d pools differ" % bad))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
