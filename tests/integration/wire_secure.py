"""The secure dialect as bytes, both ways, written from docs/protocol.md alone:
no sockets, no clock.

`build` makes a message, and any of its fields wrong if asked to; `take` takes
the next message off a stream and makes every check of the contract, in its
order. Sealing is AES-256-GCM as the package `cryptography` does it.
"""

import base64
import hmac
import json
import re
import struct
from functools import lru_cache
from types import SimpleNamespace
from zlib import crc32

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from wire_frame import Invalid, Type

MAGIC = b"\x89RING\r\n\x1a"
VERSION = 1
HEAD = struct.Struct(">8sHHIIII32s")
HEAD_BYTES = HEAD.size
MAC_BYTES = 32
TAG_BYTES = 16
HEADERS_MAX = 4096
LEVELS_MAX = 4
NUMBER_MAX = 2**53 - 1
ENC = "A256GCM"
PLAIN_TEXT = "text/plain; charset=utf-8"

# --- keys and seals


@lru_cache(1000)
def derive_key(key, salt):
    """The key of what one sender seals: the salt is the session's UUID for a
    client, the boot's for the server, as 16 bytes."""
    return HKDF(SHA256(), 32, salt, b"ringchat enc 1").derive(key)


class Seal:
    """What seals or opens one message: a derived key and the message's iv."""

    def __init__(self, key, number):
        self.key = key
        self.iv = number.to_bytes(12, "big")

    def headers(self):
        return {"enc": ENC, "iv": base64.b64encode(self.iv).decode()}

    def close(self, content, headers):
        return AESGCM(self.key).encrypt(self.iv, content, headers)

    def open(self, sealed, headers):
        try:
            return AESGCM(self.key).decrypt(self.iv, sealed, headers)
        except InvalidTag:
            raise Invalid("bad-hmac") from None


def iv_of(headers):
    """The iv that a message's headers name, as a number."""
    iv = base64.b64decode(headers["iv"], validate=True)
    if len(iv) != 12:
        raise Invalid("bad-header")
    return int.from_bytes(iv, "big")


# --- building


def encode_headers(headers):
    """One JSON object in the order given, without spaces. Bytes stay what
    they are."""
    if isinstance(headers, bytes):
        return headers
    text = json.dumps(headers, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def build(key, number, headers, content=b"", seal=None, **wrong):
    """A message. With a seal, its content is encrypted, which is said in the
    headers unless they are given as bytes. A field of `wrong` replaces what
    would be right: magic, version, header_length, header_crc,
    content_length, content_crc, hmac. The HMAC is right for what is sent,
    unless it is itself replaced."""
    if seal and not isinstance(headers, bytes):
        headers = {**headers, **seal.headers()}
    headers = encode_headers(headers)
    if seal:
        content = seal.close(content, headers)
    head = _head(number, headers, content, wrong)
    mac = hmac.digest(key, head + headers + content, "sha256")
    mac = wrong.pop("hmac", mac)
    assert not wrong, f"no such fields: {wrong}"
    return head + mac + headers + content


def _head(number, headers, content, wrong):
    """The first 28 bytes; takes what it uses out of `wrong`."""
    fields = {
        "magic": MAGIC,
        "version": VERSION,
        "type": number,
        "header_length": len(headers),
        "header_crc": crc32(headers),
        "content_length": len(content),
        "content_crc": crc32(content),
    }
    fields = {name: wrong.pop(name, right) for name, right in fields.items()}
    return HEAD.pack(*fields.values(), b"")[:-MAC_BYTES]


# --- reading


def take(stream, key, content_max=None):
    """Takes the first message off the front of a bytearray; None if it is
    not whole yet. Returns its type, headers, content and the bytes of its
    headers as attributes; a sealed content is left sealed."""
    magic = bytes(stream[: len(MAGIC)])
    if not MAGIC.startswith(magic):
        raise Invalid("bad-magic")
    if len(stream) < HEAD_BYTES:
        return None
    head = SimpleNamespace(
        **dict(zip(
            ("magic", "version", "type", "header_length", "header_crc",
             "content_length", "content_crc", "hmac"),
            HEAD.unpack_from(stream),
        ))
    )
    _check_head(head, content_max)
    start = HEAD_BYTES + head.header_length
    end = start + head.content_length
    if len(stream) < end:
        return None
    message = SimpleNamespace(
        type=head.type,
        header_bytes=bytes(stream[HEAD_BYTES:start]),
        content=bytes(stream[start:end]),
    )
    covered = bytes(stream[: HEAD_BYTES - MAC_BYTES])
    _check_body(head, message, covered, key)
    message.headers = parse_headers(message.header_bytes)
    del stream[:end]
    return message


def _check_head(head, content_max):
    if head.version != VERSION:
        raise Invalid("bad-version")
    if head.header_length > HEADERS_MAX:
        raise Invalid("too-large")
    if content_max is not None and head.content_length > content_max:
        raise Invalid("too-large")


def _check_body(head, message, covered, key):
    crcs = crc32(message.header_bytes), crc32(message.content)
    if crcs != (head.header_crc, head.content_crc):
        raise Invalid("bad-crc")
    covered += message.header_bytes + message.content
    if not hmac.compare_digest(
        hmac.digest(key, covered, "sha256"), head.hmac
    ):
        raise Invalid("bad-hmac")


def parse_headers(data):
    """The headers of a message as a dict."""
    try:
        text = data.decode()
        headers = json.loads(
            text,
            object_pairs_hook=_object_without_duplicates,
            parse_constant=_refuse,
        )
    except ValueError:
        raise Invalid("bad-header") from None
    if not isinstance(headers, dict) or _levels(headers) > LEVELS_MAX:
        raise Invalid("bad-header")
    return headers


def _object_without_duplicates(pairs):
    if len(dict(pairs)) != len(pairs):
        raise ValueError("duplicate key")
    return dict(pairs)


def _refuse(constant):
    raise ValueError(f"{constant} is not JSON")


def _levels(value):
    """How deep objects and arrays are nested."""
    if not isinstance(value, (dict, list)):
        return 0
    inner = value.values() if isinstance(value, dict) else value
    return 1 + max(map(_levels, inner), default=0)


# --- what headers there are

COUNT, ID, TEXT, FLAG = "count", "id", "text", "flag"
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

# Of the server: what each type carries besides `session` and `seq`, and
# besides `enc` and `iv`.
_TO_SESSION = {
    Type.SESSION_INIT: "boot:text heartbeat:count max_content:count",
    Type.WELCOME: "nick:text room:text",
    Type.HEARTBEAT: "kind:text stamp:count",
    Type.ERROR: "code:count name:text id?:id",
    Type.DISCONNECT: "code?:count",
    Type.REPLY: "id?:id more:flag",
    Type.ACK: "id:id room_seq:count",
    Type.MESSAGE: "room:text room_seq:count nick:text time:count "
    "content_type:text",
    Type.NOTICE: "kind:text room:text nick:text",
}
_TO_ROOM = {
    Type.MESSAGE: _TO_SESSION[Type.MESSAGE],
    Type.NOTICE: "room_seq:count kind:text room:text nick:text",
}


# What has no content.
_BARE = {Type.SESSION_INIT, Type.WELCOME, Type.HEARTBEAT, Type.ACK}


def check_from_server(message):
    """That the headers of a message of the server's, opened if it was sealed,
    are those of its type, no more and no fewer, each of its kind; and that
    there is content only where it is due."""
    if message.type in _BARE and message.content:
        raise Invalid("bad-frame")
    if message.type not in _TO_SESSION:
        raise Invalid("unknown-type")
    headers = dict(message.headers)
    sealed = headers.pop("enc", None)
    iv = headers.pop("iv", None)
    if (sealed, iv is None) not in ((None, True), (ENC, False)):
        raise Invalid("bad-header")
    forms = _TO_ROOM
    if "session" in headers:
        forms = _TO_SESSION
        _check(headers.pop("session"), TEXT)
        _check(headers.pop("seq", None), COUNT)
    if message.type not in forms:
        raise Invalid("bad-header")
    _check_form(forms[message.type], headers)


def _check_form(form, headers):
    for field in form.split():
        name, kind = field.split(":")
        if name.rstrip("?") in headers or not name.endswith("?"):
            _check(headers.pop(name.rstrip("?"), None), kind)
    if headers:
        raise Invalid("bad-header")


def _check(value, kind):
    good = {
        COUNT: type(value) is int and 0 <= value <= NUMBER_MAX,
        ID: type(value) is int and 1 <= value <= 2**32 - 1,
        TEXT: type(value) is str,
        FLAG: type(value) is bool,
    }[kind]
    if not good:
        raise Invalid("bad-header")


def uuid_bytes(text):
    """The 16 bytes of a UUID as the server writes it."""
    if not _UUID.fullmatch(text):
        raise Invalid("bad-header")
    return bytes.fromhex(text.replace("-", ""))
