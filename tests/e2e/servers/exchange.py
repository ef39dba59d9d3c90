"""The EWS test server (tests/sim/ews) as a process, and a mailbox on it as Outlook would see and change it."""

import base64
import calendar
import json
import os
import ssl
import subprocess
import sys
import time
import urllib.request

import model

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
PROGRAM = os.path.join(TOP, "tests", "sim", "ews", "server.py")
SERVICE, PASSWORD = "svc-exchange", "Geheim!123"
UNVERIFIED = ssl._create_unverified_context()     # of the tests' own talk with the server
VERBS = {102: "\\Answered", 103: "\\Answered", 104: "$Forwarded"}
GUID = "6b1e5a7c-41f0-4d43-9d2e-7a5f0c8b3e61"


class Exchange:
    """One server; every test has a mailbox of its own."""

    def __init__(self, *args, env=None):
        self.p = subprocess.Popen([sys.executable, PROGRAM, "--stdin", *args], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, env={**os.environ, **(env or {})})
        line = self.p.stdout.readline().split()
        assert line[:1] == [b"ready"], "the EWS server does not start"
        self.port = int(line[1])
        self.root = "%s://127.0.0.1:%d" % ("https" if "--tls" in args else "http", self.port)
        self.url = self.root + "/EWS/Exchange.asmx"
        self.ask("user", login=SERVICE, password=PASSWORD, impersonate=True)

    def ask(self, do, **more):
        data = json.dumps(dict(more, do=do)).encode()
        try:
            with urllib.request.urlopen(self.root + "/control", data, 60, context=UNVERIFIED) as r:
                return json.load(r)
        except urllib.error.HTTPError as e:
            raise AssertionError(e.read().decode()) from None

    def box(self, address):
        self.ask("mailbox", address=address)
        return ExchangeBox(self, address)

    def failures(self):
        return self.ask("failures", reset=True)["failures"]

    def stop(self):
        self.p.stdin.close()
        self.p.wait(10)


def keyword(category):
    return "".join("_" if c == " " else c if 0x20 < ord(c) < 0x7f and c not in "(){%*\"\\]_" else
                   "".join("=%02X" % b for b in c.encode()) for c in category)


def category(word):
    return word.replace("_", " ")


class ExchangeBox:
    kind = "exchange"
    inbox = "Inbox"

    def __init__(self, server, address):
        self.server, self.address = server, address

    def ask(self, do, **more):
        return self.server.ask(do, mailbox=self.address, **more)

    def close(self):
        pass

    def path(self, folder):
        return "Inbox" + folder[5:] if folder == "INBOX" or folder.startswith("INBOX/") else folder

    def items(self, folder=None):
        return [i for i in self.ask("read", folder=folder and self.path(folder), mime=True)["items"]
                if not i["folder"].startswith("Recoverable Items")]

    def folders(self):
        return sorted("INBOX" if f["path"] == "Inbox" else f["path"] for f in self.ask("tree")["folders"]
                      if (f["class"] or "").startswith("IPF.Note"))

    def read(self):
        out = model.Mailbox((f, []) for f in self.folders())
        for i in self.items():
            if i["kind"] not in ("Message", "MeetingRequest", "MeetingCancellation", "MeetingResponse"):
                continue
            f = "INBOX" + i["folder"][5:] if i["folder"].split("/")[0] == "Inbox" else i["folder"]
            out[f].append(self._item(i))
        # what every mailbox has and nobody filled
        return model.Mailbox((f, v) for f, v in out.items() if v or f == "INBOX" or f not in STANDARD)

    def _item(self, i):
        p, flags, words = i["props"], set(), set()
        flags |= {"\\Seen"} if i["read"] else set()
        flags |= {"\\Draft"} if i["draft"] else set()
        if p.get("Flag") and ["FlagStatus", {}, "Flagged"] in p["Flag"]:
            flags.add("\\Flagged")
        for name, values in i["ext"].items():
            if name == "tag/1081/Integer" and int(values[0]) in VERBS:
                v = VERBS[int(values[0])]
                (flags if v[0] == "\\" else words).add(v)
            if name.endswith("/#34160/Integer") and values == ["1"]:
                flags.add("\\Deleted")
            if name.lower().startswith(GUID) and "Keywords" in name:
                words |= set(values[0].split())
        words |= {keyword(c[2]) for c in p.get("Categories", ())}
        received = calendar.timegm(time.strptime(p["DateTimeReceived"], "%Y-%m-%dT%H:%M:%SZ"))
        return model.item(base64.b64decode(i["mime"]), flags, words, received, i["id"])

    # --- as another client changes it ---

    def create(self, folder, cls="IPF.Note"):
        self.ask("folder", path=self.path(folder), cls=cls)

    def delete_folder(self, folder):
        self.ask("delete", folder=self.path(folder))

    def put(self, *messages):
        for m in messages:
            if m.folder not in self.folders():
                self.create(m.folder)
            made = self.ask("put", folder=self.path(m.folder), mime=base64.b64encode(m.body).decode(),
                            read="\\Seen" in m.flags, draft="\\Draft" in m.flags,
                            received=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(m.received)))
            self._flag(made["id"], m.flags, m.keywords, set())

    def _flag(self, ref, flags, words, had):
        xml = ""
        if "\\Flagged" in set(flags) ^ {f for f in had if f == "\\Flagged"}:
            xml += "<t:Flag><t:FlagStatus>%s</t:FlagStatus></t:Flag>" % (
                "Flagged" if "\\Flagged" in flags else "NotFlagged")
        cats = [w for w in words if not w.startswith("$")]
        if cats or any(not w.startswith("$") and w[0] != "\\" for w in had):
            xml += "<t:Categories>%s</t:Categories>" % "".join("<t:String>%s</t:String>" % category(w) for w in cats)
        for tag, kind, value in [("0x1081", "Integer", 102)] * ("\\Answered" in flags) + \
                [("0x1081", "Integer", 104)] * ("$Forwarded" in words):
            xml += "<t:ExtendedProperty><t:ExtendedFieldURI PropertyTag=\"%s\" PropertyType=\"%s\"/><t:Value>%s" \
                "</t:Value></t:ExtendedProperty>" % (tag, kind, value)
        if xml:
            self.ask("change", id=ref, xml=xml)
        if ("\\Seen" in flags) != ("\\Seen" in had) and had:
            self.ask("change", id=ref, read="\\Seen" in flags)

    def _on(self, folder, mid):
        found = [i for i in self.read().get(folder, ()) if i.mid == mid]
        assert found, "no message %s in %s" % (mid, folder)
        return found

    def flag(self, folder, mid, add=(), remove=()):
        for i in self._on(folder, mid):
            now = {x for x in i.flags | i.keywords} | {"-"}
            new = (now | {x if x[0] == "\\" else x.lower() for x in add}) - \
                {x if x[0] == "\\" else x.lower() for x in remove}
            self._flag(i.ref, {x for x in new if x[0] == "\\"}, {x for x in new if x[0] not in "\\-"}, now - {"-"} or {"-"})

    def remove(self, folder, mid, count=None):
        for i in self._on(folder, mid)[:count]:
            self.ask("delete", id=i.ref)

    def move(self, folder, mid, target):
        if target not in self.folders():
            self.create(target)
        for i in self._on(folder, mid):
            self.ask("move", id=i.ref, to=self.path(target))

    def stamp(self):
        return sorted((i["id"], i["key"], i["folder"]) for i in self.items()), self.folders()


STANDARD = {"Drafts", "Sent Items", "Deleted Items", "Junk Email", "Outbox", "Conversation History", "RSS Feeds",
            "Sync Issues", "Archive"}
