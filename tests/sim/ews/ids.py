"""Ids, change keys and sync states: opaque base64 to clients, case-sensitive, checked when they come back."""

import base64
import binascii
import hashlib
import json
import struct
import zlib

from soap import EwsError

# Leading bytes of an id by what it names, as a store id's type tells.
KINDS = {"folder": 1, "item": 2, "occurrence": 3, "attachment": 4}
_CASE = 0x1A           # in the last sextet: 'A' and 'a', so that neighbours differ by letter case only


def _seal(mailbox, kind, body):
    head = b"\x00\x03\x24\x00" + hashlib.sha256(mailbox.lower().encode()).digest()[:16] + bytes([KINDS[kind]])
    tail = hashlib.sha256(head + body).digest()[:6]
    return head + struct.pack(">H", len(body)) + body + tail


def _text(data):
    """Base64 without padding needed, so that all sextets count."""
    data += b"\x00" * (-len(data) % 3)
    return base64.b64encode(data).decode()


def make(mailbox, kind, number, extra=b""):
    """The id of object `number`. Numbers 2n and 2n+1 give texts that are equal but for one letter's case."""
    half, odd = divmod(number, 2)
    return _text(_seal(mailbox, kind, struct.pack(">Q", half) + extra)) + _text(bytes([0, 0, _CASE * odd]))


def owner(text, addresses):
    """Which of these mailboxes an id belongs to; None if it is none's or no id at all."""
    try:
        mark = base64.b64decode(text, validate=True)[4:20]
    except (binascii.Error, ValueError):
        return None
    for a in addresses:
        if hashlib.sha256(a.lower().encode()).digest()[:16] == mark:
            return a
    return None


def parse(mailbox, text, want):
    """(number, extra) of an id that make() made for this mailbox; `want`: the kinds that fit here."""
    if not text:
        raise EwsError("ErrorInvalidIdEmpty")
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise EwsError("ErrorInvalidIdMalformed")
    try:
        kind = {v: k for k, v in KINDS.items()}[data[20]]
        size = struct.unpack(">H", data[21:23])[0]
        body = data[23:23 + size]
        half = struct.unpack(">Q", body[:8])[0]
    except (IndexError, KeyError, struct.error):
        raise EwsError("ErrorInvalidIdMalformed")
    odd = {0: 0, _CASE: 1}.get(data[-1])
    if odd is None or len(data) != (29 + size + 2) // 3 * 3 + 3 or \
            hashlib.sha256(data[:21] + body).digest()[:6] != data[23 + size:29 + size]:
        raise EwsError("ErrorInvalidIdMalformed")
    if kind not in want:
        if kind == "folder":
            raise EwsError("ErrorCannotUseFolderIdForItemId", "A folder id was given where an item id is needed.")
        if want == ("folder",):
            raise EwsError("ErrorCannotUseItemIdForFolderId", "An item id was given where a folder id is needed.")
        raise EwsError("ErrorInvalidIdMalformed")
    if data[4:20] != hashlib.sha256(mailbox.lower().encode()).digest()[:16]:
        return None, b""
    return half * 2 + odd, body[8:]


_LEAD = {"folder": 1, "Message": 9, "CalendarItem": 15, "Contact": 17, "Task": 19, "DistributionList": 18}


def change_key(kind, cn):
    return base64.b64encode(bytes([_LEAD.get(kind, 9), 0, 0, 0, 0x16, 0, 0, 0]) +
                            b"\x5f\x2a\x9c\x11\x6b\x0e\x4d\x37" + struct.pack(">QI", cn, 0)).decode()


def check_key(text):
    """The number of the change that a key stands for."""
    try:
        data = base64.b64decode(text or "", validate=True)
    except (binascii.Error, ValueError):
        raise EwsError("ErrorInvalidChangeKey", "The change key is invalid.")
    if len(data) != 28:
        raise EwsError("ErrorInvalidChangeKey", "The change key is invalid.")
    return struct.unpack(">Q", data[16:24])[0]


class Ranges:
    """A set of positive integers, kept as sorted runs."""

    def __init__(self, runs=()):
        self.runs = [list(r) for r in runs]

    def __contains__(self, n):
        lo, hi = 0, len(self.runs)
        while lo < hi:
            mid = (lo + hi) // 2
            if self.runs[mid][1] < n:
                lo = mid + 1
            else:
                hi = mid
        return lo < len(self.runs) and self.runs[lo][0] <= n

    def members(self):
        for a, b in self.runs:
            yield from range(a, b + 1)

    @classmethod
    def of(cls, numbers):
        r = cls()
        for n in sorted(set(numbers)):
            if r.runs and r.runs[-1][1] == n - 1:
                r.runs[-1][1] = n
            else:
                r.runs.append([n, n])
        return r


def write_state(mailbox, what, folder, epoch, sets):
    """A sync state: which ids the client has, which changes it saw. `sets`: name -> Ranges."""
    body = json.dumps({"w": what, "f": folder, "e": epoch, "s": {k: v.runs for k, v in sets.items()}},
                      separators=(",", ":")).encode()
    data = zlib.compress(body)
    seal = hashlib.sha256(mailbox.lower().encode() + data).digest()[:8]
    return base64.b64encode(b"H4sI" + seal + data).decode()


def read_state(mailbox, what, folder, epoch, text):
    """The sets of a state that write_state() made for the same folder in the same epoch."""
    try:
        data = base64.b64decode(text, validate=True)
        if data[:4] != b"H4sI" or hashlib.sha256(mailbox.lower().encode() + data[12:]).digest()[:8] != data[4:12]:
            raise ValueError
        state = json.loads(zlib.decompress(data[12:]))
        if (state["w"], state["f"], state["e"]) != (what, folder, epoch):
            raise ValueError
    except (ValueError, KeyError, binascii.Error, zlib.error):
        raise EwsError("ErrorInvalidSyncStateData")
    return {k: Ranges(v) for k, v in state["s"].items()}
