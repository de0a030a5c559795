"""What a counter of visitors must never send: pictures, faces, addresses of the phones that people carry.

    forbidden(raw, uplink, device, directory)   why a message is refused, in a sentence; None where there is nothing
    REMOVED                                     what is kept of one that is refused, in place of what was sent

A counter gives numbers. A message that brings more is quarantined with the reason `privacy`, and its content is not
kept: what must not be collected is not collected in quarantine either. It cannot be read again.

A raw picture is refused whoever sends it (pictures of cameras take a way of their own); faces and pictures within a
message, and lists of addresses, also of a sender that nobody has registered or whose message cannot be read: that is
how a new counter begins. A single address is refused of devices that are, or were, at a counter of visitors, unless it
is the one that the device is registered by; a water gauge may say its own. Of a message that came by a radio network
only what the device said is searched for addresses: gateways have theirs.

Works badly where somebody means to deceive: an address under a harmless name in other digits passes. Hashed addresses
are addresses, for they tell one phone from another; they are known by the names that makers give them.
Cost: some 15 µs a kilobyte of a visitors' counter, 1 µs of any other device.
"""

from __future__ import annotations

import re

from devices.model import ObservedProperty, Uplink
from store.registry import Directory, RegisteredDevice

PRIVACY = "privacy"
REMOVED = b'{"removed":"privacy"}'
_COUNTED = frozenset(
    {
        ObservedProperty.PASSAGES_IN,
        ObservedProperty.PASSAGES_OUT,
        ObservedProperty.PEOPLE_PRESENT,
        ObservedProperty.VEHICLES_IN,
        ObservedProperty.VEHICLES_PRESENT,
        ObservedProperty.RADIO_SIGNALS,
    }
)
_LEAST_PICTURE = 100  # bytes: a payload may begin with the same three
_OWN_ADDRESSES = 2  # of a sender that is not known: its own, and where it is connected
_RAW_PICTURE = re.compile(rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8[79]a|RIFF....WEBP|....ftyp(?:heic|mif1|avif)", re.S)
# A text, list or object of such a name; a number (how many faces, how good the picture) is one.
_PICTURE = re.compile(
    rb'data:image/|"(?:/9j/|iVBORw0KGgo|R0lGODlh|R0lGODdh|UklGR)[A-Za-z0-9+/=\\]{60}'
    rb'|"(?:image|img|picture|photo|snapshot|thumbnail|jpe?g|png)(?:_?(?:data|base64|url|uri|b64))?"\s*:\s*(?:"[^"]|[\[{])',
    re.I,
)
_FACE = re.compile(
    rb'"(?:face|faces|face_?(?:id|ids|image|vector|embedding|embeddings|features?|token|list)|embeddings?'
    rb'|person_?ids?|re_?id_?(?:vector|feature)s?)"\s*:\s*(?:"[^"]|[\[{]\s*[^\]}\s])',
    re.I,
)
_ADDRESS = re.compile(rb"(?<![0-9A-Fa-f:-])[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}(?![0-9A-Fa-f:-])")
_NAMED_ADDRESS = re.compile(
    rb'"\w*(?:mac|bssid)s?(?:_?addr(?:ess)?(?:es)?|_?list|_?hash(?:es)?)?"\s*:\s*(?:"([^"]+)"|\[\s*[^\]\s])', re.I
)

# What each of them must have in it, in lower case: found in a fiftieth of the time.
_PICTURES = (
    b"data:image/", b'"/9j/', b'"ivborw0kggo', b'"r0lgod', b'"uklgr', b'"image', b'"img', b'"picture', b'"photo',
    b'"snapshot', b'"thumbnail', b'"jp', b'"png',
)  # fmt: skip
_FACES = (b'"face', b'"embedding', b'"person', b'"re_id', b'"reid')
_NAMES = (b"mac", b"bssid")
_SHAPE = b"00:00:00:00:00:00"
_SHAPES = bytes.maketrans(b"123456789abcdefABCDEF-", b"0" * 21 + b":")


def forbidden(
    raw: bytes, uplink: Uplink | None = None, device: RegisteredDevice | None = None, directory: Directory | None = None
) -> str | None:
    """Why a message must not be kept, for people; `uplink` None: its wrapping cannot be read."""
    if raw == REMOVED:
        return "its content was removed when it came: it can not be read again"
    if device is not None and not (directory is not None and _counts_visitors(device, directory)):
        return None
    who = "the sender" if uplink is None else f"device {uplink.device_key}"
    payload = b"" if uplink is None else uplink.payload
    low = raw.lower()
    if picture(raw) or picture(payload) or (_any(_PICTURES, low) and _PICTURE.search(raw)):
        return f"{who} sends pictures: let it send numbers only (counting at the edge)"
    if _any(_FACES, low) and _FACE.search(raw):
        return f"{who} sends faces or what tells one person from another: let it send numbers only"
    said = raw if uplink is None or uplink.radio is None else uplink.decoded or b""
    if _SHAPE not in said.translate(_SHAPES) and not _any(_NAMES, low):
        return None
    own = b"" if uplink is None else _digits(uplink.device_key.encode())
    found = {_digits(m.group()) for m in _ADDRESS.finditer(said)}
    found |= {_digits(m.group(1) or b"several") for m in _NAMED_ADDRESS.finditer(said)}
    if len(found - {own}) > (_OWN_ADDRESSES if device is None else 0):
        return (
            f"{who} sends MAC addresses, hashed ones too: let it send how many there are; "
            "where it is its own, register it by this address"
        )
    return None


def _any(words: tuple[bytes, ...], text: bytes) -> bool:
    return any(word in text for word in words)


def picture(raw: bytes) -> bool:
    """Whether these bytes are a picture."""
    return len(raw) >= _LEAST_PICTURE and _RAW_PICTURE.match(raw) is not None


def _counts_visitors(device: RegisteredDevice, directory: Directory) -> bool:
    return any(
        (info := directory.datastreams.get(field.datastream_id)) is not None and info.observed_property in _COUNTED
        for attachment in device.attachments
        for field in attachment.fields.values()
    )


def _digits(address: bytes) -> bytes:
    return re.sub(rb"[^0-9a-z]", b"", address.lower())
