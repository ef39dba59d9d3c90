"""HTTP, logons, impersonation, versions, schema, faults, Autodiscover."""

import glob
import http.client
import os

import pytest

import schema
from rig import BOX, HEAD, LOGIN, PASSWORD, Rig, mail_xml, message, ref

GET = '<m:GetFolder><m:FolderShape><t:BaseShape>%s</t:BaseShape></m:FolderShape><m:FolderIds>%s</m:FolderIds>' \
      '</m:GetFolder>'
INBOX = GET % ("Default", ref("inbox"))
IMPERSONATE = "<t:ExchangeImpersonation><t:ConnectingSID><t:%s>%s</t:%s></t:ConnectingSID></t:ExchangeImpersonation>"


def as_(address, what="PrimarySmtpAddress"):
    return IMPERSONATE % (what, address, what)


def test_logon(rig):
    assert rig.ask(INBOX).code == "NoError"
    r = rig.ask(INBOX, password="wrong")
    assert r.status == 401 and "Basic" in r.headers["WWW-Authenticate"]
    rig.control("logons", refuse=True)
    assert rig.ask(INBOX).status == 401
    rig.control("clear")
    rig.control("logons", user=LOGIN, code="ErrorAccountDisabled")
    assert rig.ask(INBOX).fault == "ErrorAccountDisabled"


def test_impersonation(rig):
    def svc(head):
        return rig.ask(INBOX, head, login="svc", password="svc").codes[0]
    assert svc(as_(BOX)) == "NoError"
    assert svc("") == "ErrorMissingEmailAddress"
    assert svc(as_("a@example.org")) == "ErrorNonPrimarySmtpAddress"
    assert svc(as_("nobody@example.org")) == "ErrorNonExistentMailbox"
    assert rig.ask(INBOX, as_("ben@example.org")).fault == "ErrorImpersonateUserDenied"
    rig.control("user", login="svc", password="svc", impersonate=["ben@example.org"])
    assert svc(as_(BOX)) == "ErrorImpersonateUserDenied"


def test_delegate(rig):
    other = GET % ("IdOnly", '<t:DistinguishedFolderId Id="inbox"><t:Mailbox><t:EmailAddress>%s</t:EmailAddress>'
                   "</t:Mailbox></t:DistinguishedFolderId>")
    r = rig.ask(other % BOX, login="helper", password="helper")
    assert r.code == "NoError"
    folder = r.id("FolderId")[0]
    assert rig.sync(folder).code == "NoError"
    assert rig.ask(GET % ("IdOnly", ref(folder)), login="helper", password="helper").code == "NoError"
    assert rig.ask(other % "ben@example.org").code == "ErrorAccessDenied"


def test_versions(rig):
    r = rig.ask(INBOX)
    assert r.root.find(".//{*}ServerVersionInfo").get("MajorVersion") == "15"
    rig.control("settings", version="14.3.123.4")
    assert rig.ask(INBOX).fault == "ErrorInvalidServerVersion"
    r = rig.ask(INBOX, version="Exchange2010_SP2")
    assert r.code == "NoError" and r.root.find(".//{*}ServerVersionInfo").get("MajorVersion") == "14"
    item = rig.control("put", mailbox=BOX, folder="inbox", mime=message().decode())["id"]
    flag = '<t:FieldURI FieldURI="item:Flag"/>'
    # Exchange 2010 does not know the name; a newer one does, but not in a request of 2010.
    assert rig.get(item, flag, version="Exchange2010_SP2").fault == "ErrorSchemaValidation"
    rig.control("settings", version="15.1.2507.6")
    assert rig.get(item, flag, version="Exchange2010_SP2").code == "ErrorInvalidPropertyRequest"
    assert not rig.get(item, version="Exchange2010_SP2").all("Flag")


def test_samples(rig):
    """All stored sample requests get past the schema, those that must not do not."""
    found = sorted(glob.glob(os.path.join(schema.directory(), "..", "samples", "*.xml")))
    assert len(found) > 10
    rig.control("mailbox", address="u@example.org")
    for path in found:
        with open(path, "rb") as f:
            r = rig.raw(f.read(), login="svc", password="svc")
        bad = os.path.basename(path).startswith("neg_")
        assert (r.fault == "ErrorSchemaValidation") == bad, (path, r.data)


def test_schema_violations(rig):
    r = rig.ask(INBOX.replace("Default", "Nothing"))
    assert r.status == 500 and r.fault == "ErrorSchemaValidation" and r.text("LineNumber")
    assert rig.raw(b"<x").fault == "ErrorSchemaValidation"
    assert rig.raw(b"<x/>").fault == "ErrorInvalidRequest"


def test_connection_is_kept_and_chunks_are_read(rig):
    import base64
    c = http.client.HTTPConnection("127.0.0.1", rig.port)
    auth = {"Authorization": "Basic " + base64.b64encode(("%s:%s" % (LOGIN, PASSWORD)).encode()).decode(),
            "Content-Type": "text/xml", "client-request-id": "17", "return-client-request-id": "true",
            "X-AnchorMailbox": BOX, "Accept-Encoding": "gzip"}
    before = rig.control("counts")["connections"]
    data = (HEAD % ("Exchange2013_SP1", "", INBOX)).encode()
    for n in range(3):
        if n == 2:
            c.request("POST", "/EWS/Exchange.asmx", iter([data[:100], data[100:]]), auth, encode_chunked=True)
        else:
            c.request("POST", "/EWS/Exchange.asmx", data, auth)
        r = c.getresponse()
        r.read()
        assert r.status == 200 and r.headers["client-request-id"] == "17"
        assert any("X-BackEndCookie" in x for x in r.headers.get_all("Set-Cookie"))
    assert rig.control("counts")["connections"] == before + 2
    assert rig.control("requests")["requests"][-1]["anchor"] == BOX
    c.close()


def test_request_limit(rig):
    rig.control("settings", limit=20000)
    r = rig.create(mail_xml(message(body="x" * 20000)), "inbox")
    assert r.status == 404
    assert rig.create(mail_xml(message(body="x" * 2000)), "inbox").code == "NoError"


def test_busy(rig):
    rig.control("fault", kind="busy", op="GetFolder", backoff=1234)
    r = rig.ask(INBOX)
    assert r.status == 500 and r.fault == "ErrorServerBusy"
    assert r.root.find(".//{*}Value").get("Name") == "BackOffMilliseconds" and r.text("Value") == "1234"
    assert rig.ask(INBOX).code == "NoError"
    rig.control("fault", kind="busy-message", op="GetFolder")
    r = rig.ask(INBOX)
    assert r.status == 200 and r.code == "ErrorServerBusy" and r.text("Value") == "1000"
    for status in (503, 302, 401):
        rig.control("fault", kind="http", status=status, after=1)
        assert rig.ask(INBOX).status == 200 and rig.ask(INBOX).status == status


def test_store_unavailable(rig):
    for code in ("ErrorMailboxStoreUnavailable", "ErrorMailboxMoveInProgress"):
        rig.control("unavailable", mailbox=BOX, code=code)
        r = rig.ask(GET % ("IdOnly", ref("inbox") + ref("drafts")))
        assert r.codes == [code, "ErrorBatchProcessingStopped"]
        assert r.messages[1].get("ResponseClass") == "Warning"
        assert rig.sync("inbox").code == code
    rig.control("clear")
    assert rig.ask(INBOX).code == "NoError"


@pytest.mark.parametrize("kind, kept", [("drop-before", 1), ("drop-after", 2)])
def test_dropped_connections(rig, kind, kept):
    rig.control("fault", kind=kind, op="CreateItem", after=1)
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        rig.create(mail_xml(message("a")) + mail_xml(message("b")) + mail_xml(message("c")), "inbox")
    assert len(rig.control("read", mailbox=BOX)["items"]) == kept


def test_batch_stops(rig):
    items = [rig.create(mail_xml(message(s)), "inbox").id()[0] for s in "abc"]
    rig.control("fault", kind="batch-stop", op="GetItem", code="ErrorItemCorrupt", after=1)
    r = rig.get("".join('<t:ItemId Id="%s"/>' % i for i in items))
    assert r.codes == ["NoError", "ErrorItemCorrupt", "ErrorBatchProcessingStopped"]
    rig.control("fault", kind="error", op="GetItem", code="ErrorTimeoutExpired")
    assert rig.get("".join('<t:ItemId Id="%s"/>' % i for i in items)).codes == [
        "ErrorTimeoutExpired", "NoError", "NoError"]


def test_unknown_operation(rig):
    assert rig.ask("<m:GetRoomLists/>").fault == "ErrorInvalidRequest"


def test_time_zones(rig):
    r = rig.ask('<m:GetServerTimeZones ReturnFullTimeZoneData="true"><m:Ids><t:Id>W. Europe Standard Time</t:Id>'
                "</m:Ids></m:GetServerTimeZones>")
    assert [e.get("Id") for e in r.all("TimeZoneDefinition")] == ["W. Europe Standard Time"]
    assert len(r.all("Period")) == 2
    assert len(rig.ask("<m:GetServerTimeZones/>").all("TimeZoneDefinition")) > 100
    zone = '<t:TimeZoneContext><t:TimeZoneDefinition Id="%s"/></t:TimeZoneContext>'
    item = rig.control("put", mailbox=BOX, folder="inbox", mime=message().decode(),
                       received="2026-07-01T10:00:00Z")["id"]
    assert rig.get(item, head=zone % "W. Europe Standard Time").text("DateTimeReceived") == \
        "2026-07-01T12:00:00+02:00"
    assert rig.ask(INBOX, zone % "Nowhere").fault == "ErrorTimeZone"


def test_autodiscover(rig):
    import base64
    ask = ('<Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006">'
           "<Request><EMailAddress>%s</EMailAddress><AcceptableResponseSchema>http://schemas.microsoft.com/exchange/"
           "autodiscover/outlook/responseschema/2006a</AcceptableResponseSchema></Request></Autodiscover>")
    auth = {"Authorization": "Basic " + base64.b64encode(b"anna:secret").decode(), "Content-Type": "text/xml"}
    _, _, data = rig.http("POST", "/autodiscover/autodiscover.xml", (ask % BOX).encode(), auth)
    assert b"<ns1:EwsUrl>http://127.0.0.1:" in data and b"/EWS/Exchange.asmx" in data
    _, _, data = rig.http("POST", "/autodiscover/autodiscover.xml", (ask % "x@y.example").encode(), auth)
    assert b"<ns0:ErrorCode>500" in data


def test_resolve_names(rig):
    ask = '<m:ResolveNames ReturnFullContactData="false"><m:UnresolvedEntry>%s</m:UnresolvedEntry></m:ResolveNames>'
    assert rig.ask(ask % BOX).text("EmailAddress") == BOX
    assert rig.ask(ask % "zzz").code == "ErrorNameResolutionNoResults"


def test_tls(tmp_path):
    pytest.importorskip("cryptography")
    certs = _certs(tmp_path)
    r = Rig(tls=certs)
    try:
        assert r.ask(INBOX).status == 200
    finally:
        r.close()


def _certs(path):
    import subprocess
    cert, key = str(path / "c.pem"), str(path / "k.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-subj", "/CN=127.0.0.1", "-keyout", key, "-out", cert], check=True, capture_output=True)
    return cert, key


def test_the_program(tmp_path):
    """server.py as tests of other languages start it."""
    import json
    import subprocess
    import sys
    data = tmp_path / "boxes.json"
    data.write_text(json.dumps({
        "mailboxes": [{"address": BOX, "folders": [{"path": "Inbox/Work"}, {"path": "Team", "cls": "IPF.Appointment"}],
                       "items": [{"folder": "Inbox/Work", "mime": message("Hi").decode(), "read": False}]}],
        "users": [{"login": LOGIN, "password": PASSWORD, "address": BOX}]}))
    program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "server.py")
    p = subprocess.Popen([sys.executable, program, "--data", str(data), "--control", "/steer", "--check", "--stdin"],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        word, port = p.stdout.readline().split()
        assert word == "ready"
        c = http.client.HTTPConnection("127.0.0.1", int(port))
        c.request("POST", "/steer", json.dumps({"do": "read", "mailbox": BOX}))
        found = json.loads(c.getresponse().read())["items"]
        assert [(i["folder"], i["read"], i["draft"]) for i in found] == [("Inbox/Work", False, False)]
        c.close()
    finally:
        p.stdin.close()
        assert p.wait(10) == 0


def test_xmllint_says_the_same(rig):
    import shutil
    if not shutil.which("xmllint"):
        pytest.skip("no xmllint")
    s = schema.Schema(schema.directory())
    s.etree = None
    ask = HEAD % ("Exchange2013_SP1", "", INBOX)
    assert s.check(ask.encode()) is None
    line, text = s.check(ask.replace("Default", "Nothing").encode())
    assert "Nothing" in text and line == 1


def test_bad_ids_and_other_mailboxes(rig):
    """What belongs to a mailbox that the user has no right to is refused, whatever names it."""
    item = rig.control("put", mailbox="ben@example.org", folder="inbox", mime=message().decode())["id"]
    folder = rig.control("tree", mailbox="ben@example.org")["folders"][0]["id"]
    assert rig.get(item).code == "ErrorAccessDenied"
    assert rig.sync(folder).code == "ErrorAccessDenied"
    assert rig.create(mail_xml(message()), folder).code == "ErrorAccessDenied"
    assert rig.ask(INBOX, as_("ben@example.org"), login="helper", password="helper").fault == \
        "ErrorImpersonateUserDenied"
