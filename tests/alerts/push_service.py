"""A local push service over HTTPS, and browsers that decrypt what it was given, with the keys of their subscription."""

from __future__ import annotations

import datetime
import ipaddress
import json
import os
import ssl
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tests.alerts.line_server import Received, Server, running

CURVE = ec.SECP256R1()


def written(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def read(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


@dataclass
class Device:
    """A browser's side of a subscription: RFC 8291 read from the other end."""

    endpoint: str
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(CURVE))
    secret: bytes = field(default_factory=lambda: os.urandom(16))

    @property
    def p256dh(self) -> str:
        return written(point(self.key.public_key()))

    @property
    def auth(self) -> str:
        return written(self.secret)

    def fields(self, public_key: str) -> dict[str, str]:
        return {"endpoint": self.endpoint, "p256dh": self.p256dh, "auth": self.auth, "public_key": public_key}

    def opened(self, body: bytes) -> Any:
        """The message in a request's body. Fails where it is not for this browser."""
        salt, size, length = body[:16], int.from_bytes(body[16:20], "big"), body[20]
        theirs, sealed = body[21 : 21 + length], body[21 + length :]
        assert length == 65 and len(sealed) <= size and len(body) <= 4096
        shared = self.key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(CURVE, theirs))
        info = b"WebPush: info\0" + point(self.key.public_key()) + theirs
        secret = _hkdf(shared, self.secret, info, 32)
        key = _hkdf(secret, salt, b"Content-Encoding: aes128gcm\0", 16)
        nonce = _hkdf(secret, salt, b"Content-Encoding: nonce\0", 12)
        text, mark, padding = AESGCM(key).decrypt(nonce, sealed, None).rpartition(b"\x02")
        assert mark and not padding.strip(b"\0")
        return json.loads(text)


def _hkdf(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=salt, info=info).derive(secret)


def claims(request: Received) -> tuple[dict[str, Any], str]:
    """Who says that they send, with the signature checked: the claims, and their public key."""
    scheme, _, rest = request.headers["Authorization"].partition(" ")
    fields = dict(each.strip().split("=", 1) for each in rest.split(","))
    head, said, signature = fields["t"].split(".")
    raw = read(signature)
    assert scheme == "vapid" and json.loads(read(head)) == {"typ": "JWT", "alg": "ES256"} and len(raw) == 64
    r, s = (int.from_bytes(part, "big") for part in (raw[:32], raw[32:]))
    key = ec.EllipticCurvePublicKey.from_encoded_point(CURVE, read(fields["k"]))
    key.verify(encode_dss_signature(r, s), f"{head}.{said}".encode(), ec.ECDSA(hashes.SHA256()))
    return json.loads(read(said)), fields["k"]


@dataclass
class PushService(Server):
    """Takes messages for its devices. `failures`: what it answers first: a status, None to hang up after reading."""

    failures: list[int | None] = field(default_factory=list)
    ca_file: str = ""

    def __post_init__(self) -> None:
        self.rule = self._answer

    def _answer(self, _: Received) -> tuple[int, dict[str, str]] | None:
        if self.failures:
            status = self.failures.pop(0)
            return None if status is None else (status, {"Retry-After": "90"} if status in (429, 503) else {})
        return 201, {"Location": f"{self.url}/message/{len(self.requests)}", "TTL": "60"}

    def device(self, name: str = "one") -> Device:
        return Device(f"{self.url}/push/{name}")


@contextmanager
def push_service(folder: Path) -> Iterator[PushService]:
    """On a free port of this machine, with a certificate of its own."""
    key = ec.generate_private_key(CURVE)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "push service under test")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, private = folder / "push.crt", folder / "push.key"
    certificate.write_bytes(made.public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, private)
    service = PushService(ca_file=str(certificate))
    with running(service, tls=tls):
        yield service
