"""Global object ids: the binary form of an event's UID."""

import base64
import re
import struct

HEAD = bytes.fromhex("040000008200E00074C5B7101A82E008")
VCAL = b"vCal-Uid\x01\x00\x00\x00"


def blob(uid, date=None):
    """The bytes for a UID; `date` of an occurrence, else the clean form."""
    stamp = struct.pack(">HBB", date.year, date.month, date.day) if date else b"\0\0\0\0"
    if re.fullmatch("(?i)040000008200E00074C5B7101A82E008[0-9A-F]+", uid) and len(uid) % 2 == 0 and len(uid) >= 80:
        data = bytes.fromhex(uid)
        return data[:16] + stamp + data[20:]
    body = VCAL + uid.encode("utf-8") + b"\0"
    return HEAD + stamp + b"\0" * 16 + struct.pack("<I", len(body)) + body


def text(uid, date=None):
    return base64.b64encode(blob(uid, date)).decode()


def uid(b64):
    """The UID that a blob stands for, None if it is none."""
    data = base64.b64decode(b64)
    if data[:16] != HEAD or len(data) < 40:
        return None
    if data[40:52] == VCAL:
        return data[52:].rstrip(b"\0").decode("utf-8", "replace")
    return (data[:16] + b"\0\0\0\0" + data[20:]).hex().upper()


def fresh(number, filetime):
    """A UID as Exchange makes them."""
    body = struct.pack(">QQ", 0x5f2a9c116b0e4d37, number)
    return (HEAD + b"\0" * 4 + struct.pack("<Q", filetime) + b"\0" * 8 + struct.pack("<I", 16) + body).hex().upper()
