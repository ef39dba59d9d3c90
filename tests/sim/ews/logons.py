"""How a request says who it is from: Basic, NTLM, Negotiate or a bearer token, as `settings auth` demands.

NTLM and Negotiate log a connection on, as IIS does: what follows on it needs no word of it, what comes on another one
does. Only NTLMv2 is taken (MS-NLMP 3.3.2), and a challenge is good for one answer. With `settings epa` the channel must be
bound as well, which no client by libcurl 7 can.
"""

import base64
import binascii
import hmac
import os
import struct
import time

import access

NAMES = {"basic": 'Basic realm="127.0.0.1"', "ntlm": "NTLM", "negotiate": "Negotiate", "oauth": 'Bearer realm=""'}
# unicode, target, NTLM, domain, extended session security, target info, 128, 56
FLAGS = 0x1 | 0x4 | 0x200 | 0x10000 | 0x80000 | 0x800000 | 0x20000000 | 0x80000000
DOMAIN = "CORP"


def md4(data):
    """RFC 1320; OpenSSL 3 has it no more."""
    def rot(x, n):
        x &= 0xffffffff
        return (x << n | x >> 32 - n) & 0xffffffff
    rounds = ((lambda x, y, z: x & y | ~x & z, 0, range(16), (3, 7, 11, 19)),
              (lambda x, y, z: x & y | x & z | y & z, 0x5a827999, [i % 4 * 4 + i // 4 for i in range(16)], (3, 5, 9, 13)),
              (lambda x, y, z: x ^ y ^ z, 0x6ed9eba1, (0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15),
               (3, 9, 11, 15)))
    state = [0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476]
    data += b"\x80" + b"\0" * ((55 - len(data)) % 64) + struct.pack("<Q", 8 * len(data))
    for at in range(0, len(data), 64):
        words, v = struct.unpack("<16I", data[at:at + 64]), list(state)
        for f, add, order, shifts in rounds:
            for i, k in enumerate(order):
                v[-i % 4] = rot(v[-i % 4] + f(v[(1 - i) % 4], v[(2 - i) % 4], v[(3 - i) % 4]) + words[k] + add, shifts[i % 4])
        state = [(a + b) & 0xffffffff for a, b in zip(state, v)]
    return struct.pack("<4I", *state)


def _pairs(data):
    """The AV_PAIRs of a target information."""
    out = {}
    while len(data) >= 4:
        kind, n = struct.unpack("<HH", data[:4])
        if kind == 0:
            break
        out[kind], data = data[4:4 + n], data[4 + n:]
    return out


class Refused(Exception):
    pass


class Ntlm:
    """The server's half of one handshake."""

    def __init__(self):
        self.nonce = None

    def challenge(self):
        self.nonce = os.urandom(8)
        name = DOMAIN.encode("utf-16-le")
        stamp = struct.pack("<Q", int((time.time() + 11644473600) * 10000000))
        info = b"".join(struct.pack("<HH", k, len(v)) + v for k, v in ((2, name), (1, "EX1".encode("utf-16-le")), (7, stamp)))
        info += struct.pack("<HH", 0, 0)
        self.info = info
        return b"NTLMSSP\0" + struct.pack("<IHHII", 2, len(name), len(name), 56, FLAGS) + self.nonce + bytes(8) + struct.pack(
            "<HHI", len(info), len(info), 56 + len(name)) + bytes(8) + name + info

    def answer(self, org, data):
        """The User of a type 3 message."""
        nonce, self.nonce = self.nonce, None
        if nonce is None or len(data) < 64:
            raise Refused("an answer to no challenge")

        def field(at):
            n, _, start = struct.unpack("<HHI", data[at:at + 8])
            if start + n > len(data):
                raise Refused("a field beyond the end")
            return data[start:start + n]
        nt, domain, name = field(20), field(28).decode("utf-16-le"), field(36).decode("utf-16-le")
        user = org.users.get((domain + "\\" + name if domain else name).lower()) or org.users.get(name.lower())
        if len(nt) <= 24:
            raise Refused("not NTLMv2")
        if user is None:
            raise Refused("nobody of that name")
        proof, blob = nt[:16], nt[16:]
        key = hmac.new(md4(user.password.encode("utf-16-le")), (name.upper() + domain).encode("utf-16-le"), "md5").digest()
        if not hmac.compare_digest(hmac.new(key, nonce + blob, "md5").digest(), proof):
            raise Refused("a wrong password")
        pairs = _pairs(blob[28:])
        if blob[:2] != b"\1\1" or pairs.get(2) != DOMAIN.encode("utf-16-le"):
            raise Refused("an answer to another challenge")
        if org.settings.get("epa") and not any(pairs.get(10, b"")):
            raise Refused("the channel is not bound")
        return user


class Gss:
    """A Kerberos ticket for HTTP/<host>, by python3-gssapi and the keytab in $KRB5_KTNAME."""

    def __init__(self):
        import gssapi
        self.context = gssapi.SecurityContext(creds=gssapi.Credentials(usage="accept"), usage="accept")

    def step(self, org, data):
        """(User, None) or (None, the next token)."""
        import gssapi
        try:
            token = self.context.step(data)
        except gssapi.exceptions.GSSError as e:
            raise Refused(str(e)) from None
        if not self.context.complete:
            return None, token
        if str(self.context.mech) == "" or "@" not in str(self.context.initiator_name):
            raise Refused("no Kerberos")
        return org.users.get(str(self.context.initiator_name).split("@")[0].lower()), token


class Connection:
    """What one connection has said so far."""

    def __init__(self, org):
        self.org, self.user, self.state, self.offer, self.extra = org, None, None, None, None

    def _refuse(self, why):
        self.org.refused.append(why)
        self.state = self.user = None

    def _ntlm(self, token):
        if self.state is None or token[8:12] == b"\1\0\0\0":
            self.state = Ntlm()
        if token[:8] != b"NTLMSSP\0":
            raise Refused("no NTLM")
        if token[8:12] == b"\1\0\0\0":
            self.user, self.offer = None, "NTLM " + base64.b64encode(self.state.challenge()).decode()
        elif token[8:12] == b"\3\0\0\0":
            self.user = self.state.answer(self.org, token)
        else:
            raise Refused("a message of no client")

    def _negotiate(self, token):
        if self.state is None:
            self.state = Gss()
        self.user, token = self.state.step(self.org, token)
        self.extra = "Negotiate " + base64.b64encode(token or b"").decode() if token else None
        if self.user is None:
            self.offer, self.extra = self.extra, None
        else:
            self.state = None

    def check(self, header):
        """The User, or None: then `offer` is what to answer. `extra` goes with an answer that is none."""
        way = self.org.settings.get("auth", "basic")
        self.offer, self.extra = NAMES[way], None
        scheme, _, rest = (header or "").partition(" ")
        if way == "basic":
            return access.logon(self.org, header)
        if way == "oauth":
            token = self.org.tokens.get(rest) if scheme.lower() == "bearer" else None
            return token[0] if token and token[1] > time.time() else None
        if not header:
            return self.user
        if scheme.lower() != way:
            self._refuse("another way to log on: " + scheme)
            return None
        try:
            (self._ntlm if way == "ntlm" else self._negotiate)(base64.b64decode(rest, validate=True))
        except (Refused, binascii.Error, struct.error, UnicodeDecodeError) as e:
            self._refuse(str(e))
        return self.user


def grant(org, form):
    """(status, JSON) of a token endpoint: client credentials (RFC 6749 4.4) of a user, for as long as `token_seconds`."""
    org.counts["token"] = org.counts.get("token", 0) + 1
    user = org.users.get(form.get("client_id", "").lower())
    if form.get("grant_type") != "client_credentials" or not form.get("scope"):
        return 400, {"error": "invalid_request", "error_description": "grant_type and scope are needed"}
    if user is None or user.password != form.get("client_secret"):
        return 401, {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided."}
    token = base64.b64encode(os.urandom(96)).decode()
    seconds = org.settings["token_seconds"]
    org.tokens[token] = (user, time.time() + seconds)
    return 200, {"token_type": "Bearer", "expires_in": seconds, "access_token": token}
