"""For tests: a server in a thread, plain requests over HTTP, control, and an exchangelib account."""

import base64
import http.client
import json
import os
import ssl
import sys
import threading
import xml.etree.ElementTree as ET

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import server as program  # noqa: E402
from soap import M, S, T  # noqa: E402

HEAD = ('<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="%s" xmlns:t="%s" xmlns:m="%s"><s:Header>'
        '<t:RequestServerVersion Version="%%s"/>%%s</s:Header><s:Body>%%s</s:Body></s:Envelope>' % (S, T, M))
BOX, LOGIN, PASSWORD = "anna@example.org", "anna", "secret"


class Reply:
    """An answer: HTTP status, headers, and what is in its XML."""

    def __init__(self, status, headers, data):
        self.status, self.headers, self.data = status, headers, data
        self.root = ET.fromstring(data) if data.lstrip().startswith(b"<?xml") else None

    @property
    def fault(self):
        e = self.root.find(".//{*}detail/{*}ResponseCode") if self.root is not None else None
        return e.text if e is not None else None

    @property
    def messages(self):
        return list(self.root.find(".//{%s}ResponseMessages" % M))

    @property
    def codes(self):
        if self.fault:
            return [self.fault]
        return [m.findtext("{*}ResponseCode") for m in self.messages]

    @property
    def code(self):
        assert len(self.codes) == 1, self.codes
        return self.codes[0]

    def all(self, name):
        return self.root.findall(".//{*}" + name)

    def text(self, name):
        e = self.root.find(".//{*}" + name)
        return e.text if e is not None else None

    def id(self, name="ItemId"):
        e = self.root.find(".//{*}" + name)
        return e.get("Id"), e.get("ChangeKey")


class Rig:
    """One mailbox anna@example.org (user anna), a service user svc that may impersonate, one delegate."""

    def __init__(self, tls=None, **settings):
        settings.setdefault("check", True)
        self.server = program.start(tls=tls, **settings)
        self.port, self.tls = self.server.server_address[1], bool(tls)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()
        self.control("mailbox", address=BOX, name="Anna", aliases=["a@example.org"])
        self.control("mailbox", address="ben@example.org", name="Ben")
        self.control("user", login=LOGIN, password=PASSWORD, address=BOX)
        self.control("user", login="svc", password="svc", impersonate=True)
        self.control("user", login="helper", password="helper", address="ben@example.org", delegate=[BOX])
        self.connection = None

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def control(self, do, **ask):
        status, _, data = self.http("POST", "/control", json.dumps(dict(ask, do=do)).encode(), {})
        out = json.loads(data)
        assert status == 200, out
        return out

    def http(self, method, path, body, headers, fresh=True):
        if self.tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            c = http.client.HTTPSConnection("127.0.0.1", self.port, context=context)
        else:
            c = http.client.HTTPConnection("127.0.0.1", self.port)
        try:
            c.request(method, path, body, headers)
            r = c.getresponse()
            return r.status, r.headers, r.read()
        finally:
            c.close()

    def raw(self, data, login=LOGIN, password=PASSWORD, **headers):
        headers = {"Content-Type": "text/xml; charset=utf-8", **headers}
        if login:
            headers["Authorization"] = "Basic " + base64.b64encode(("%s:%s" % (login, password)).encode()).decode()
        return Reply(*self.http("POST", "/EWS/Exchange.asmx", data, headers))

    def ask(self, body, head="", version="Exchange2013_SP1", **how):
        return self.raw((HEAD % (version, head, body)).encode(), **how)

    def failures(self):
        return self.control("failures")["failures"]

    def create(self, xml, folder=None, **attributes):
        attributes = {"MessageDisposition": "SaveOnly", "SendMeetingInvitations": "SendToNone", **attributes}
        saved = "<m:SavedItemFolderId>%s</m:SavedItemFolderId>" % ref(folder) if folder else ""
        return self.ask("<m:CreateItem %s>%s<m:Items>%s</m:Items></m:CreateItem>" % (
            " ".join('%s="%s"' % a for a in attributes.items() if a[1]), saved, xml))

    def get(self, item, more="", base="AllProperties", mime=False, head="", **how):
        return self.ask(
            "<m:GetItem><m:ItemShape><t:BaseShape>%s</t:BaseShape>%s%s</m:ItemShape><m:ItemIds>%s</m:ItemIds>"
            "</m:GetItem>" % (base, "<t:IncludeMimeContent>true</t:IncludeMimeContent>" if mime else "",
                              "<t:AdditionalProperties>%s</t:AdditionalProperties>" % more if more else "",
                              item if item.startswith("<") else '<t:ItemId Id="%s"/>' % item), head, **how)

    def update(self, item, key, updates, how="AutoResolve", element=None, **attributes):
        attributes = {"MessageDisposition": "SaveOnly", "SendMeetingInvitationsOrCancellations": "SendToNone",
                      "SuppressReadReceipts": "true", **attributes}
        element = element or '<t:ItemId Id="%s"%s/>' % (item, ' ChangeKey="%s"' % key if key else "")
        return self.ask('<m:UpdateItem ConflictResolution="%s" %s><m:ItemChanges><t:ItemChange>%s<t:Updates>%s'
                        "</t:Updates></t:ItemChange></m:ItemChanges></m:UpdateItem>" % (
                            how, " ".join('%s="%s"' % a for a in attributes.items() if a[1]), element, updates))

    def sync(self, folder, state="", most=512, base="IdOnly"):
        return self.ask(
            "<m:SyncFolderItems><m:ItemShape><t:BaseShape>%s</t:BaseShape></m:ItemShape><m:SyncFolderId>%s"
            "</m:SyncFolderId>%s<m:MaxChangesReturned>%d</m:MaxChangesReturned></m:SyncFolderItems>" % (
                base, ref(folder), "<m:SyncState>%s</m:SyncState>" % state if state else "", most))

    def account(self):
        """An exchangelib Account on anna's mailbox, unmodified library."""
        import exchangelib
        from exchangelib.protocol import BaseProtocol, NoVerifyHTTPAdapter
        BaseProtocol.HTTP_ADAPTER_CLS = NoVerifyHTTPAdapter
        url = "%s://127.0.0.1:%d/EWS/Exchange.asmx" % ("https" if self.tls else "http", self.port)
        config = exchangelib.Configuration(service_endpoint=url, auth_type=exchangelib.BASIC,
                                           credentials=exchangelib.Credentials("svc", "svc"))
        return exchangelib.Account(BOX, config=config, access_type=exchangelib.IMPERSONATION,
                                   default_timezone=exchangelib.EWSTimeZone("Europe/Berlin"))


def ref(folder):
    """A folder id element: of a role, or of an id."""
    return '<t:FolderId Id="%s"/>' % folder if len(folder) > 40 else '<t:DistinguishedFolderId Id="%s"/>' % folder


def message(subject="Hello", body="Some text.", more="", mid=None):
    """A small mail as bytes."""
    return ("From: Carl <carl@example.net>\r\nTo: Anna <anna@example.org>\r\nSubject: %s\r\n"
            "Date: Mon, 02 Mar 2026 10:00:00 +0100\r\nMessage-ID: <%s>\r\n%sMIME-Version: 1.0\r\n"
            "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n%s\r\n" % (
                subject, mid or subject.replace(" ", "") + "@example.net", more, body)).encode()


def ext(tag, kind, value):
    return ('<t:ExtendedProperty><t:ExtendedFieldURI PropertyTag="%s" PropertyType="%s"/><t:Value>%s</t:Value>'
            "</t:ExtendedProperty>" % (tag, kind, value))


def mail_xml(data, flags=1, received="2026-03-02T09:00:05Z", more_ext="", tail=""):
    """A t:Message that is no draft, as a mover creates it."""
    return "<t:Message><t:MimeContent>%s</t:MimeContent>%s%s%s%s</t:Message>" % (
        base64.b64encode(data).decode(), ext("0x0E07", "Integer", flags) if flags is not None else "",
        ext("0x0E06", "SystemTime", received) if received else "", more_ext, tail)
