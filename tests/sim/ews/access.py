"""Who asks, for which mailbox, in which version and zone: the head of a request."""

import base64
import binascii

import ids
import zones
from soap import EwsError, Fault, T, child_text, local

YEARS = {"Exchange2007": 2007, "Exchange2007_SP1": 2007, "Exchange2009": 2009, "Exchange2010": 2010,
         "Exchange2010_SP1": 2010, "Exchange2010_SP2": 2010, "Exchange2012": 2012}
NEWER = ("Exchange2013", "Exchange2013_SP1", "Exchange2015", "Exchange2016")
VERSIONS = {8: 2007, 14: 2010, 15: 2013}


def logon(org, header):
    """The User of an Authorization header, or None."""
    scheme, _, rest = (header or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        login, _, password = base64.b64decode(rest).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    user = org.users.get(login.lower())
    return user if user and user.password == password else None


def year(org, header):
    """The year of the version that a request is in; a fault if the server is older or knows no such version."""
    e = header.find("{%s}RequestServerVersion" % T) if header is not None else None
    text = e.get("Version", "") if e is not None else "Exchange2007_SP1"
    have = VERSIONS[int(org.settings["version"].split(".")[0])]
    wanted = YEARS.get(text, 2013 if text in NEWER or text.startswith(("V2015_", "V2016_", "V2017_")) else None)
    if wanted is None or wanted > have:
        raise Fault("ErrorInvalidServerVersion")
    return wanted


class Call:
    """One request: what operations need to know about it."""

    def __init__(self, org, user, header, request, anchor=None):
        self.org, self.user, self.request, self.op = org, user, request, local(request)
        self.anchor = anchor
        self.impersonated = None
        self.year = year(org, header)
        self.zone = None
        self._impersonate(header)
        context = header.find("{%s}TimeZoneContext" % T) if header is not None else None
        if context is not None:
            try:
                self.zone = zones.of(context[0])
            except EwsError as e:
                raise Fault("ErrorTimeZone", e.text)
        self.own = self.impersonated or org.mailboxes.get((user.address or "").lower())

    def since(self, year):
        return self.year >= year

    def _impersonate(self, header):
        sid = header.find("{%s}ExchangeImpersonation/{%s}ConnectingSID" % (T, T)) if header is not None else None
        if sid is None:
            return
        what, address = local(sid[0]), (sid[0].text or "").strip()
        if what == "SID":
            raise Fault("ErrorImpersonationFailed", "Impersonation by SID is not known here.")
        try:
            box = self.org.mailbox(address)
        except EwsError as e:
            if e.code == "ErrorNonPrimarySmtpAddress" and what in ("SmtpAddress", "PrincipalName"):
                box = next(b for b in self.org.mailboxes.values() if address.lower() in b.aliases)
            else:
                raise Fault(e.code, e.text)
        if not self.user.may("impersonate", box.address):
            raise Fault("ErrorImpersonateUserDenied")
        self.impersonated = box

    def _allowed(self, box):
        if box is self.impersonated or not self.impersonated and \
                box.address.lower() == (self.user.address or "").lower():
            return True
        return not self.impersonated and self.user.may("delegate", box.address)

    def _open(self, box):
        if not self._allowed(box):
            raise EwsError("ErrorAccessDenied")
        if box.state:
            raise EwsError(box.state)
        return box

    def box_of(self, text):
        """The mailbox that an id belongs to, if this user may use it."""
        address = ids.owner(text or "", [b.address for b in self.org.mailboxes.values()])
        if address is None:
            ids.parse("", text, ("item", "folder", "occurrence", "attachment"))
            raise EwsError("ErrorItemNotFound")
        return self._open(self.org.mailboxes[address.lower()])

    def folder(self, e):
        """The Folder of a t:FolderId or t:DistinguishedFolderId."""
        what = local(e)
        if what == "FolderId":
            try:
                return self.box_of(e.get("Id")).folder(e.get("Id"))
            except EwsError as x:
                raise EwsError("ErrorFolderNotFound") if x.code == "ErrorItemNotFound" else x
        if what != "DistinguishedFolderId":
            raise EwsError("ErrorInvalidFolderId", "Such a folder is not known here.")
        address = child_text(e.find("{%s}Mailbox" % T), "EmailAddress")
        box = self.org.mailbox(address) if address else self.own
        if box is None:
            raise EwsError("ErrorMissingEmailAddress",
                           "When making a request as an account that does not have a mailbox, you must specify "
                           "the mailbox primary SMTP address for any distinguished folder Ids.")
        self._open(box)
        if e.get("Id") not in box.roles:
            raise EwsError("ErrorFolderNotFound")
        return box.roles[e.get("Id")]

    def time(self, moment):
        return (self.zone or zones.UTC_ZONE).text(moment)
