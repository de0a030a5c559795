"""What a push service is given: a message only the browser can read, and who sends it. Pure but for the random numbers.

    new_key() -> str                                  the town's private key (VAPID), one line for a file of secrets
    Sender(private_key, contact)                      .public_key, .authorization(endpoint, now)
    encrypted(text, p256dh, auth) -> bytes            the body of the request

Encryption is RFC 8291 (aes128gcm of RFC 8188, one record), the sender's word RFC 8292 (VAPID, ES256). Both are a page
of calls to `cryptography`, which holds whatever is difficult in them; the test compares with the example of RFC 8291.
Texts in base64url without padding, as browsers write them.
"""

from __future__ import annotations

import binascii
import json
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

# RFC 8030 7.2: a push service takes at least 4096 bytes; salt, length, sender's key, mark of the end and AEAD tag.
MOST_BYTES = 4096 - 16 - 4 - 1 - 65 - 1 - 16
_RECORD = 4096
# The length of what is sent tells what it is about; in steps it tells less.
_STEP = 512
# RFC 8292 2: at most a day. Half of it: a clock that is off by hours does no harm.
_TOKEN_LASTS = timedelta(hours=12)
_CURVE = ec.SECP256R1()


class KeyFault(ValueError):
    """A key is none: not base64url, or no point of the curve P-256."""


def new_key() -> str:
    """A private key, 32 bytes."""
    number = ec.generate_private_key(_CURVE).private_numbers().private_value
    return _written(number.to_bytes(32, "big"))


class Sender:
    """The town as push services know it. `contact`: where they write when something is wrong, mailto: or https:."""

    def __init__(self, private_key: str, contact: str) -> None:
        raw = _read(private_key)
        try:
            if len(raw) != 32:
                raise ValueError("it has not 32 bytes")
            self._key = ec.derive_private_key(int.from_bytes(raw, "big"), _CURVE)
        except ValueError as error:
            raise KeyFault(f"this is no private key of web push: {error}") from error
        self._contact = contact
        self.public_key = _written(_point(self._key.public_key()))

    def authorization(self, endpoint: str, now: datetime) -> str:
        """The header of a request to an endpoint at `now` (real time)."""
        parts = urlsplit(endpoint)
        claims = {
            "aud": f"{parts.scheme}://{parts.netloc}",
            "exp": int((now + _TOKEN_LASTS).timestamp()),
            "sub": self._contact,
        }
        said = ".".join(_written(json.dumps(each).encode()) for each in ({"typ": "JWT", "alg": "ES256"}, claims))
        r, s = decode_dss_signature(self._key.sign(said.encode(), ec.ECDSA(hashes.SHA256())))
        signature = _written(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
        return f"vapid t={said}.{signature}, k={self.public_key}"


def encrypted(text: str, p256dh: str, auth: str) -> bytes:
    """A text of at most `MOST_BYTES` bytes for the browser that has these keys. Raises `KeyFault`."""
    return _sealed(text.encode(), p256dh, auth, os.urandom(16), ec.generate_private_key(_CURVE), _STEP)


def _sealed(text: bytes, p256dh: str, auth: str, salt: bytes, once: ec.EllipticCurvePrivateKey, step: int = 1) -> bytes:
    """RFC 8291 3.4. `once`: a key of this message alone."""
    assert len(text) <= MOST_BYTES, "whoever writes the text keeps it short enough"
    browser = _browser_key(p256dh)
    theirs, ours = _point(browser), _point(once.public_key())
    shared = once.exchange(ec.ECDH(), browser)
    secret = _derived(shared, _read(auth), b"WebPush: info\0" + theirs + ours, 32)
    key = _derived(secret, salt, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _derived(secret, salt, b"Content-Encoding: nonce\0", 12)
    padding = min(-(len(text) + 1) % step, MOST_BYTES - len(text))
    body = AESGCM(key).encrypt(nonce, text + b"\x02" + bytes(padding), None)
    return salt + _RECORD.to_bytes(4, "big") + bytes([len(ours)]) + ours + body


def _derived(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=salt, info=info).derive(secret)


def _browser_key(p256dh: str) -> ec.EllipticCurvePublicKey:
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, _read(p256dh))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyFault(f"p256dh is no public key: {error}") from error


def _point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _written(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _read(text: str) -> bytes:
    try:
        return urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except (UnicodeEncodeError, binascii.Error) as error:
        raise KeyFault("a key is written in base64url") from error
