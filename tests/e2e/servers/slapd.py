"""A private slapd on high ports of 127.0.0.1 that looks like a global catalog of Active Directory.

It gives at most LIMIT entries to a search that does not ask in pages, as a domain controller does. What it was asked
stands in its log.
"""

import os
import re
import shutil
import subprocess

from . import ports

BASE = "DC=corp,DC=example"
ADMIN, PASSWORD = "CN=svc-mailshadow,OU=Service,DC=corp,DC=example", "Verzeichnis-7"
LIMIT = 100

# name, syntax (s string, i integer, b boolean, o octets), several values
ATTRIBUTES = (("mailNickname", "s", False), ("proxyAddresses", "s", True), ("userPrincipalName", "s", False),
              ("msExchMailboxGuid", "o", False), ("msExchHideFromAddressLists", "b", False),
              ("msExchRecipientTypeDetails", "i", False), ("homeMDB", "s", False), ("msExchHomeServerName", "s", False),
              ("userAccountControl", "i", False), ("objectCategory", "s", False), ("sAMAccountName", "s", False))
SYNTAX = {"s": "EQUALITY caseIgnoreMatch SUBSTR caseIgnoreSubstringsMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15",
          "i": "EQUALITY integerMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.27",
          "b": "EQUALITY booleanMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.7",
          "o": "EQUALITY octetStringMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.40"}

CONFIG = """\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
{schema}
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {dir}/pid
{tls}
database mdb
suffix "{base}"
directory {dir}/db
maxsize 67108864
dbnosync
sizelimit size.soft={limit} size.hard={limit} size.pr=1000 size.prtotal=unlimited
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{admin}" read by * none
"""


def schema():
    out = ["attributetype ( 1.3.6.1.4.1.99999.1.%d NAME '%s' %s%s )" % (
        n, name, SYNTAX[kind], "" if many else " SINGLE-VALUE") for n, (name, kind, many) in enumerate(ATTRIBUTES, 1)]
    out.append("objectclass ( 1.3.6.1.4.1.99999.2.1 NAME 'user' SUP organizationalPerson STRUCTURAL MAY ( mail $ "
               "displayName $ userPassword $ %s ) )" % " $ ".join(a[0] for a in ATTRIBUTES))
    return "\n".join(out)


def person(cn, ou="People", **attributes):
    """An entry as LDIF; lists are several values, None leaves an attribute out."""
    all_of = {"objectClass": "user", "cn": cn, "sn": cn, "objectCategory": "person", "displayName": cn,
              "mailNickname": cn.replace(" ", ".").lower(), "userPrincipalName": cn.replace(" ", ".").lower() + "@corp.example",
              "mail": cn.replace(" ", ".").lower() + "@corp.example", "msExchMailboxGuid": "0123456789abcdef",
              "msExchRecipientTypeDetails": "1", "userAccountControl": "512", **attributes}
    lines = ["dn: CN=%s,OU=%s,%s" % (cn, ou, BASE)]
    for k, v in all_of.items():
        lines += ["%s: %s" % (k, x) for x in (v if isinstance(v, list) else [v]) if x is not None]
    return "\n".join(lines) + "\n"


class Slapd:
    def __init__(self, directory, pair, entries, tls=True):
        self.dir, self.pair, self.entries, self.tls = directory, pair, entries, tls
        self.port, self.tls_port = ports.free(2)
        self.log = os.path.join(directory, "log")
        self.p = None

    def start(self):
        os.makedirs(os.path.join(self.dir, "db"))
        conf, ldif = os.path.join(self.dir, "slapd.conf"), os.path.join(self.dir, "all.ldif")
        tls = "TLSCertificateFile %s\nTLSCertificateKeyFile %s\nTLSProtocolMin 3.3" % (self.pair.cert, self.pair.key)
        with open(conf, "w") as f:
            f.write(CONFIG.format(schema=schema(), dir=self.dir, base=BASE, admin=ADMIN, limit=LIMIT,
                                  tls=tls if self.tls else ""))
        first = ["dn: %s\nobjectClass: domain\ndc: corp\n" % BASE] + [
            "dn: OU=%s,%s\nobjectClass: organizationalUnit\nou: %s\n" % (ou, BASE, ou) for ou in ("People", "Service")]
        first.append(person("svc-mailshadow", ou="Service", mailNickname=None, msExchMailboxGuid=None,
                            userPassword=PASSWORD))
        with open(ldif, "w") as f:
            f.write("\n".join(first + list(self.entries)))
        made = subprocess.run(["/usr/sbin/slapadd", "-q", "-f", conf, "-l", ldif], capture_output=True)
        assert made.returncode == 0, made.stderr.decode()
        urls = "ldap://127.0.0.1:%d" % self.port + (" ldaps://127.0.0.1:%d" % self.tls_port if self.tls else "")
        self.p = subprocess.Popen(["/usr/sbin/slapd", "-d", "256", "-f", conf, "-h", urls], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL, stderr=open(self.log, "wb"))
        ports.wait(self.port, lambda: self.said() if self.p.poll() is not None else None)
        return self

    def said(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def count(self, regex):
        return len(re.findall(regex, self.said()))

    def stop(self):
        if self.p is not None:
            self.p.terminate()
            self.p.wait(10)
        shutil.rmtree(self.dir, ignore_errors=True)


def present():
    return os.access("/usr/sbin/slapd", os.X_OK)
