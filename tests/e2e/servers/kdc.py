"""A private Kerberos realm: krb5kdc on a high port of 127.0.0.1, principals by kadmin.local, keytabs."""

import os
import subprocess

from . import ports

REALM = "CORP.EXAMPLE"
CLIENT = """\
[libdefaults]
  default_realm = {realm}
  dns_lookup_kdc = false
  dns_lookup_realm = false
  dns_canonicalize_hostname = false
  qualify_shortname = ""
  rdns = false
[realms]
  {realm} = {{
    kdc = 127.0.0.1:{port}
  }}
[domain_realm]
  localhost = {realm}
  127.0.0.1 = {realm}
"""
SERVER = """\
[kdcdefaults]
  kdc_listen = 127.0.0.1:{port}
  kdc_tcp_listen = 127.0.0.1:{port}
[realms]
  {realm} = {{
    database_name = {dir}/principal
    key_stash_file = {dir}/stash
    acl_file = {dir}/acl
    max_life = {life}
    default_principal_flags = +preauth
  }}
[logging]
  kdc = FILE:{dir}/kdc.log
"""


class Kdc:
    def __init__(self, directory, life="1h"):
        self.dir, self.life = directory, life
        self.port = ports.free(1)[0]
        self.conf = os.path.join(directory, "krb5.conf")
        self.keytab = os.path.join(directory, "http.keytab")
        self.env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "KRB5_CONFIG": self.conf,
                    "KRB5_KDC_PROFILE": os.path.join(directory, "kdc.conf")}

    def _run(self, *argv):
        r = subprocess.run(argv, env=self.env, capture_output=True, stdin=subprocess.DEVNULL)
        assert r.returncode == 0, (argv, r.stdout, r.stderr)

    def start(self):
        os.makedirs(self.dir)
        os.chmod(self.dir, 0o755)
        for name, text in (("krb5.conf", CLIENT), ("kdc.conf", SERVER)):
            with open(os.path.join(self.dir, name), "w") as f:
                f.write(text.format(realm=REALM, port=self.port, dir=self.dir, life=self.life))
        self._run("kdb5_util", "create", "-s", "-r", REALM, "-P", "master")
        self.p = subprocess.Popen(["/usr/sbin/krb5kdc", "-n", "-r", REALM], env=self.env, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
        ports.wait(self.port, lambda: self.said() if self.p.poll() is not None else None)
        return self

    def user(self, name, password):
        self._run("kadmin.local", "-r", REALM, "addprinc", "-pw", password, name)

    def service(self, name):
        self._run("kadmin.local", "-r", REALM, "addprinc", "-randkey", name)
        self._run("kadmin.local", "-r", REALM, "ktadd", "-k", self.keytab, name)

    def said(self):
        with open(os.path.join(self.dir, "kdc.log"), errors="replace") as f:
            return f.read()

    def stop(self):
        self.p.terminate()
        self.p.wait(10)


def missing():
    """Why there can be none here, or None."""
    try:
        import gssapi  # noqa: F401
    except ImportError:
        return "python3-gssapi is not installed (scripts/bootstrap tests)"
    return None if os.access("/usr/sbin/krb5kdc", os.X_OK) else "krb5-kdc is not installed (scripts/bootstrap tests)"
