"""Commands and round trips, from what a proxy between client and server recorded.

A round trip here is a time that the client had nothing under way and sent something: it waited for
all that it had asked before. A literal sent only after the server's "+" is one more. The greeting
is not counted. `turns` is the cruder number: how often the client spoke after the server had.
"""

import re

LITERAL = re.compile(rb"\{(\d+)\+?\}$")
COMMAND = re.compile(rb"^\S+ [A-Za-z]+")
TAGGED = re.compile(rb"^(?![*+] )\S+ (?:OK|NO|BAD)\b", re.I)


class Lines:
    """Lines of one direction, literals left out."""

    def __init__(self):
        self.tail, self.skip, self.joined = b"", 0, False

    def feed(self, data):
        """Yields (line, is the beginning of a command or response)."""
        if self.skip >= len(data):
            self.skip -= len(data)
            return
        data = self.tail + data[self.skip:]
        self.skip, at = 0, 0
        while True:
            end = data.find(b"\r\n", at)
            if end < 0:
                break
            line = data[at:end]
            at = end + 2
            m = LITERAL.search(line)
            yield line, not self.joined
            self.joined = bool(m)
            if m:
                n = int(m.group(1))
                if n > len(data) - at:
                    self.skip, at = n - (len(data) - at), len(data)
                    break
                at += n
        self.tail = data[at:]


class Side:
    def __init__(self):
        self.up, self.down = Lines(), Lines()
        self.open = self.commands = self.waits = self.turns = 0
        self.spoke, self.asked = None, False

    def event(self, way, data):
        if way == "up":
            self.turns += self.spoke == "down"
            new = sum(first and bool(COMMAND.match(line)) for line, first in self.up.feed(data))
            if self.asked or new and not self.open:
                self.waits += 1
            self.asked = False
            self.open += new
            self.commands += new
        else:
            for line, first in self.down.feed(data):
                if first and line.startswith(b"+"):
                    self.asked = True
                elif first and TAGGED.match(line):
                    self.open = max(0, self.open - 1)
        self.spoke = way


def count(*proxies):
    """{"commands", "trips", "turns", "connections"} summed over what the proxies have seen."""
    total = {"commands": 0, "trips": 0, "turns": 0, "connections": 0}
    for p in proxies:
        with p.lock:
            log = list(p.log)
        sides = {}
        for conn, way, data in log:
            sides.setdefault(conn, Side()).event(way, data)
        total["connections"] += len(sides)
        for s in sides.values():
            total["commands"] += s.commands
            total["trips"] += s.waits
            total["turns"] += s.turns
    return total
