"""A private Dovecot 2.3 on high ports of 127.0.0.1.

Every user name exists, with the password PASSWORD: a test that wants a fresh mailbox makes up a
name. `master` may act for anybody by SASL PLAIN with an authorization identity. The whole instance
runs as one ordinary user: ours, or `nobody` where the tests run as root.
"""

import grp
import os
import pwd
import re
import shutil
import signal
import subprocess

from . import ports

PASSWORD = "correct-horse"
MASTER_PASSWORD = "battery \"staple\\ %"

# What 2.3.19 offers after logon with the configuration below. Written out, since a mask must name
# the rest: `imap_capability` without a leading + replaces the list.
FULL = ("IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE SORT SORT=DISPLAY THREAD=REFERENCES "
        "THREAD=REFS THREAD=ORDEREDSUBJECT MULTIAPPEND URL-PARTIAL CATENATE UNSELECT CHILDREN "
        "NAMESPACE UIDPLUS LIST-EXTENDED I18NLEVEL=1 CONDSTORE QRESYNC ESEARCH ESORT SEARCHRES "
        "WITHIN CONTEXT=SEARCH LIST-STATUS BINARY MOVE SNIPPET=FUZZY PREVIEW=FUZZY PREVIEW "
        "STATUS=SIZE SAVEDATE LITERAL+ NOTIFY SPECIAL-USE").split()

CONFIG = """\
protocols = imap
base_dir = {run}
state_dir = {state}
log_path = {log}
log_timestamp = "%Y-%m-%d %H:%M:%S.%{{usecs}} "
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
default_process_limit = 200
default_client_limit = 1000
mail_uid = {user}
mail_gid = {group}
first_valid_uid = 1
first_valid_gid = 1
listen = 127.0.0.1
ssl = yes
ssl_cert = <{cert}
ssl_key = <{key}
ssl_dh =
disable_plaintext_auth = no
auth_mechanisms = plain login {mechanisms}
auth_failure_delay = 0
auth_master_user_separator =
auth_cache_size = 0
mail_fsync = never
maildir_copy_with_hardlinks = no
mail_location = maildir:{mail}/%u/Maildir
mail_max_userip_connections = 200
mail_max_keyword_length = 50
{capability}
{quota}
namespace inbox {{
  inbox = yes
  prefix = {prefix}
  separator = {separator}
  {special}
}}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {master}
  master = yes
  result_success = continue
}}
{oauth}
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={mail}/%u
}}
service imap-login {{
  chroot =
  service_count = 0
  process_min_avail = 1
  inet_listener imap {{
    port = {plain_port}
  }}
  inet_listener imaps {{
    port = {tls_port}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
  # A wrong password must not slow the tests that follow.
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service auth {{
  unix_listener auth-userdb {{
    mode = 0600
  }}
}}
service stats {{
  chroot =
}}
service imap {{
  process_limit = 200
  service_count = 100
  vsz_limit = 1G
}}
protocol imap {{
  imap_max_line_length = 8 M
}}
{extra}
"""

SPECIAL = """\
  mailbox Drafts {
    special_use = \\Drafts
    auto = %(auto)s
  }
  mailbox Sent {
    special_use = \\Sent
    auto = %(auto)s
  }
  mailbox Trash {
    special_use = \\Trash
    auto = %(auto)s
  }
  mailbox Junk {
    special_use = \\Junk
    auto = %(auto)s
  }
  mailbox Archive {
    special_use = \\Archive
    auto = %(auto)s
  }
"""

OAUTH = """\
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {path}
}}
"""

OAUTH_CONF = """\
introspection_mode = post
introspection_url = {url}
username_attribute = username
active_attribute = active
active_value = true
client_id = mailshadow-test
client_secret = not-a-secret
"""


class Dovecot:
    """One running instance.

    mask      capabilities that are not announced any more (they still work, as on real servers
              that announce too little: a test that must know looks at a transcript)
    cert      servers.certs.Pair
    oauth_url a token introspection endpoint: adds XOAUTH2 and OAUTHBEARER
    auto      "no", "create" or "subscribe": do the folders with a role exist from the start?
    max_mail  bytes that one message may have at most (quota_max_mail_size), or None
    master    login of the service account
    """

    implementation = "dovecot"
    case_sensitive_inbox = False

    def __init__(self, directory, cert, mask=(), oauth_url=None, auto="create", max_mail=None,
                 prefix="", separator="/", special_use=True, extra="", master="svc-master"):
        self.dir = os.path.abspath(directory)
        self.host = "127.0.0.1"
        self.separator, self.prefix = separator, prefix
        self.max_mail = max_mail
        self.master = master
        self.plain_port, self.tls_port = ports.free(2)
        self._proc = None
        root = os.geteuid() == 0
        entry = pwd.getpwnam("nobody") if root else pwd.getpwuid(os.geteuid())
        self.uid, self.gid = entry.pw_uid, entry.pw_gid
        group = grp.getgrgid(self.gid).gr_name
        for sub in ("run", "state", "mail", "conf"):
            os.makedirs(os.path.join(self.dir, sub), exist_ok=True)
        self.mail = os.path.join(self.dir, "mail")
        self.log = os.path.join(self.dir, "dovecot.log")
        masters = os.path.join(self.dir, "conf", "masters")
        with open(masters, "w") as f:
            f.write("%s:{PLAIN}%s\n" % (master, MASTER_PASSWORD))
        oauth = ""
        if oauth_url:
            path = os.path.join(self.dir, "conf", "oauth")
            with open(path, "w") as f:
                f.write(OAUTH_CONF.format(url=oauth_url))
            oauth = OAUTH.format(path=path)
        self.capabilities = [c for c in FULL if c not in mask]
        text = CONFIG.format(
            run=os.path.join(self.dir, "run"), state=os.path.join(self.dir, "state"), log=self.log,
            user=entry.pw_name, group=group, cert=cert.cert, key=cert.key, mail=self.mail,
            mechanisms="xoauth2 oauthbearer" if oauth_url else "",
            capability="imap_capability = " + " ".join(self.capabilities),
            quota="" if max_mail is None else
            "mail_plugins = quota imap_quota\nplugin {\n  quota = count:User\n  quota_vsizes = yes\n"
            "  quota_max_mail_size = %d\n}\n" % max_mail,
            prefix=prefix, separator=separator,
            special=SPECIAL % {"auto": auto} if special_use else "",
            master=masters, oauth=oauth, password=PASSWORD,
            plain_port=self.plain_port, tls_port=self.tls_port, extra=extra)
        self.conf = os.path.join(self.dir, "conf", "dovecot.conf")
        with open(self.conf, "w") as f:
            f.write(text)
        if root:
            _open_path(self.dir)
            for base, dirs, files in os.walk(self.dir):
                for name in [base] + [os.path.join(base, x) for x in dirs + files]:
                    os.chown(name, self.uid, self.gid)

    # --- life -----------------------------------------------------------------------------------

    def start(self):
        argv = ["/usr/sbin/dovecot", "-F", "-c", self.conf]
        extra = {}
        if os.geteuid() == 0:
            extra = {"user": self.uid, "group": self.gid, "extra_groups": []}
        self._out = open(os.path.join(self.dir, "stdout"), "ab")
        self._proc = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self._out,
                                      stderr=self._out, start_new_session=True, **extra)
        ports.wait(self.plain_port, self._why_dead)
        return self

    def _why_dead(self):
        if self._proc.poll() is None:
            return None
        text = ""
        for name in (os.path.join(self.dir, "stdout"), self.log):
            if os.path.exists(name):
                with open(name, errors="replace") as f:
                    text += f.read()[-2000:]
        return "dovecot ended with %s:\n%s" % (self._proc.returncode, text)

    def stop(self, gently=False):
        if self._proc is None:
            return
        # Its orderly end takes a second; nothing here needs it.
        if not gently:
            os.killpg(self._proc.pid, signal.SIGKILL)
        self._proc.send_signal(signal.SIGTERM)
        try:
            self._proc.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self._proc.pid, signal.SIGKILL)
            self._proc.wait()
        self._proc = None
        self._out.close()

    def restart(self):
        self.stop(gently=True)
        return self.start()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    # --- what only the owner of the disk can do -----------------------------------------------------

    def maildir(self, user, folder="INBOX"):
        """Where Dovecot keeps a folder (name in mUTF-7, parts joined by '/')."""
        base = os.path.join(self.mail, user, "Maildir")
        if folder.upper() == "INBOX":
            return base
        return os.path.join(base, "." + folder.replace("/", "."))

    def adopt(self, path):
        """Gives files that a test wrote to the user that Dovecot runs as."""
        if os.geteuid() != 0:
            return
        os.chown(path, self.uid, self.gid)
        for base, dirs, files in os.walk(path):
            for name in dirs + files:
                os.chown(os.path.join(base, name), self.uid, self.gid)

    def fresh(self, user):
        """Throws a mailbox away: the next logon finds a new one."""
        shutil.rmtree(os.path.join(self.mail, user), ignore_errors=True)

    def change_uidvalidity(self, user, folder="INBOX"):
        """Gives a folder a new UIDVALIDITY and new UIDs, as a restore from a backup would."""
        path = self.maildir(user, folder)
        with open(os.path.join(path, "dovecot-uidlist")) as f:
            lines = f.read().splitlines(True)
        old = int(re.search(r"\bV(\d+)", lines[0]).group(1))
        new, uid = old + 1000, 0
        out = []
        for line in lines[1:]:
            uid += 1
            out.append(re.sub(r"^\d+", str(uid), line))
        out.insert(0, re.sub(r"\bN\d+", "N%d" % (uid + 1),
                             re.sub(r"\bV\d+", "V%d" % new, lines[0])))
        for name in os.listdir(path):
            if name.startswith("dovecot.index") or name.startswith("dovecot-uidvalidity"):
                os.unlink(os.path.join(path, name))
        with open(os.path.join(path, "dovecot-uidlist"), "w") as f:
            f.write("".join(out))
        self.adopt(path)
        return old, new

    def log_text(self):
        with open(self.log, errors="replace") as f:
            return f.read()


def _open_path(path):
    """Makes every directory above ours searchable for `nobody` (pytest makes them 0700)."""
    while path not in ("/", ""):
        st = os.stat(path)
        if st.st_uid == os.geteuid() and not st.st_mode & 0o001 and path not in ("/root",):
            os.chmod(path, st.st_mode | 0o011)
        path = os.path.dirname(path)
