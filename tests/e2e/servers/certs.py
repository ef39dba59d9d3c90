"""A private certificate authority and the server certificates, good and bad, that the tests need.

Keys are P-256: made in a millisecond, so each test session makes its own.
"""

import datetime
import ipaddress
import os
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Pair:
    cert: str
    key: str


@dataclass(frozen=True)
class Certs:
    ca: str             # what a client is told to trust
    good: Pair          # 127.0.0.1, localhost
    expired: Pair       # the same names, ended yesterday
    notyet: Pair        # the same names, begins tomorrow
    wrongname: Pair     # signed by the same authority for another host
    selfsigned: Pair    # right names, signed by itself
    stranger: Pair      # right names, signed by an authority that nobody trusts


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _authority(text, now):
    key = ec.generate_private_key(ec.SECP256R1())
    cert = (x509.CertificateBuilder()
            .subject_name(_name(text)).issuer_name(_name(text))
            .public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(now - 30 * DAY).not_valid_after(now + 3650 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.KeyUsage(digital_signature=True, key_cert_sign=True, crl_sign=True,
                                         content_commitment=False, key_encipherment=False,
                                         data_encipherment=False, key_agreement=False,
                                         encipher_only=False, decipher_only=False), critical=True)
            .sign(key, hashes.SHA256()))
    return key, cert


def _server(issuer, names, begin, end):
    """One server certificate; `issuer` is (key, cert) or None for a self-signed one."""
    key = ec.generate_private_key(ec.SECP256R1())
    sign_key, issuer_name = (key, _name(names[0])) if issuer is None else (issuer[0], issuer[1].subject)
    alt = []
    for n in names:
        try:
            alt.append(x509.IPAddress(ipaddress.ip_address(n)))
        except ValueError:
            alt.append(x509.DNSName(n))
    cert = (x509.CertificateBuilder()
            .subject_name(_name(names[0])).issuer_name(issuer_name)
            .public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(begin).not_valid_after(end)
            .add_extension(x509.SubjectAlternativeName(alt), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .sign(sign_key, hashes.SHA256()))
    return key, cert


def _write(directory, name, key, cert):
    cpath, kpath = os.path.join(directory, name + ".pem"), os.path.join(directory, name + ".key")
    with open(cpath, "wb") as f:
        f.write(cert.public_bytes(serialization.Encoding.PEM))
    # World-readable on purpose: throw-away test keys that a server under another user must read.
    with open(kpath, "wb") as f:
        f.write(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                  serialization.NoEncryption()))
    return Pair(cpath, kpath)


def make(directory):
    """Writes everything into `directory` and says where it is."""
    os.makedirs(directory, exist_ok=True)
    now = datetime.datetime.utcnow()
    ca = _authority("MailShadow test authority", now)
    other = _authority("Somebody else's authority", now)
    names = ["127.0.0.1", "localhost"]
    begin, end = now - DAY, now + 365 * DAY
    ca_path = os.path.join(directory, "ca.pem")
    with open(ca_path, "wb") as f:
        f.write(ca[1].public_bytes(serialization.Encoding.PEM))
    put = lambda label, made: _write(directory, label, *made)
    return Certs(
        ca=ca_path,
        good=put("good", _server(ca, names, begin, end)),
        expired=put("expired", _server(ca, names, now - 20 * DAY, now - DAY)),
        notyet=put("notyet", _server(ca, names, now + DAY, end)),
        wrongname=put("wrongname", _server(ca, ["imap.elsewhere.example"], begin, end)),
        selfsigned=put("selfsigned", _server(None, names, begin, end)),
        stranger=put("stranger", _server(other, names, begin, end)))
