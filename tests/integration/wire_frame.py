"""The frame dialect as bytes, both ways, written from docs/protocol.md alone:
no sockets, no clock.

`to_server` and `to_client` build a frame of named fields, `take` takes the
next frame off a stream, `from_server` and `from_client` say what is in it.
"""

import struct
from enum import IntEnum
from types import SimpleNamespace

VERSION = 1
HEAD = struct.Struct(">HH")
PRIVATE_ROOM = "@"


class Type(IntEnum):
    SESSION_INIT = 1
    SESSION_ACK = 2
    HEARTBEAT = 3
    MESSAGE = 4
    ERROR = 5
    DISCONNECT = 6
    COMMAND = 7
    REPLY = 8
    NOTICE = 9
    ACK = 10
    WELCOME = 11
    FILE_OFFER = 16
    FILE_ACCEPT = 17
    FILE_DATA = 18
    FILE_END = 19


PING, PONG = 0, 1
NOTICES = {1: "joined", 2: "left", 3: "nick", 4: "topic", 5: "lagged"}
NOTICE_KINDS = {name: kind for kind, name in NOTICES.items()}

ERROR_CODES = {
    "line-too-long": 1, "bad-text": 2, "unknown-command": 3, "usage": 4,
    "bad-name": 5, "nick-in-use": 6, "no-such-nick": 7, "no-such-room": 8,
    "no-room": 9, "too-many-rooms": 10, "wrong-protocol": 11,
    "receiver-busy": 12, "bad-frame": 20, "too-large": 21, "unknown-type": 22,
    "handshake": 23, "bad-magic": 24, "bad-version": 25, "bad-crc": 26,
    "bad-hmac": 27, "bad-header": 28, "replay": 29, "timeout": 30,
    "lagged": 31, "server-full": 32, "shutdown": 33, "auth-required": 40,
    "auth-failed": 41, "forbidden": 42, "plaintext": 43, "unavailable": 50,
    "too-big-file": 51, "no-such-transfer": 52, "internal": 99,
}

# The bodies: each field's name and what it is. `text` and `bytes` are what is
# left of the body.
_BOTH = {
    Type.HEARTBEAT: "kind:u8 stamp:u64",
    Type.DISCONNECT: "code:u16 text:text",
    Type.FILE_OFFER: "transfer:u32 nick:str8 name:str8 size:u64 sha256:u8[32]",
    Type.FILE_ACCEPT: "transfer:u32 window:u64",
    Type.FILE_DATA: "transfer:u32 offset:u64 bytes:bytes",
    Type.FILE_END: "transfer:u32 outcome:u8",
}
TO_SERVER = {
    **_BOTH,
    Type.SESSION_ACK: "version:u8 nick:str8",
    Type.MESSAGE: "id:u32 target:str8 text:text",
    Type.COMMAND: "id:u32 text:text",
}
TO_CLIENT = {
    **_BOTH,
    Type.SESSION_INIT:
        "version:u8 session:u8[16] heartbeat:u16 max_content:u32",
    Type.MESSAGE: "seq:u64 time:u64 room:str8 nick:str8 text:text",
    Type.ERROR: "code:u16 id:u32 text:text",
    Type.REPLY: "id:u32 more:u8 text:text",
    Type.NOTICE: "kind:u8 room:str8 nick:str8 text:text",
    Type.ACK: "id:u32 seq:u64",
    Type.WELCOME: "nick:str8 room:str8",
}
_NUMBERS = {"u8": 1, "u16": 2, "u32": 4, "u64": 8}
_ARRAYS = {"u8[16]": 16, "u8[32]": 32}


class Invalid(Exception):
    """Bytes that the contract does not allow; says which error they are."""


def _fields(form):
    return [field.split(":") for field in form.split()]


# --- building


def frame(number, body=b"", length=None):
    """A frame of any type and body; the length that it declares may lie."""
    return HEAD.pack(number, len(body) if length is None else length) + body


def to_server(number, **fields):
    """A frame as a client sends it. Text may be given as bytes."""
    return frame(number, _body(TO_SERVER[number], fields))


def to_client(number, **fields):
    """A frame as the server sends it."""
    return frame(number, _body(TO_CLIENT[number], fields))


def _body(form, fields):
    names = [name for name, _ in _fields(form)]
    assert sorted(names) == sorted(fields), f"{sorted(fields)} for {form}"
    return b"".join(
        _encode(kind, fields[name]) for name, kind in _fields(form)
    )


def _encode(kind, value):
    if kind in _NUMBERS:
        return value.to_bytes(_NUMBERS[kind], "big")
    data = value.encode() if isinstance(value, str) else value
    if kind in _ARRAYS:
        assert len(data) == _ARRAYS[kind]
    return bytes([len(data)]) + data if kind == "str8" else data


# --- reading


def take(stream):
    """Takes the first frame off the front of a bytearray. Returns its type
    and its body, None if it is not whole yet."""
    if len(stream) < HEAD.size:
        return None
    number, length = HEAD.unpack_from(stream)
    if len(stream) < HEAD.size + length:
        return None
    body = bytes(stream[HEAD.size : HEAD.size + length])
    del stream[: HEAD.size + length]
    return number, body


def from_client(number, body):
    """What a client's frame says: its type and its fields as attributes."""
    return _parse(TO_SERVER, number, body)


def from_server(number, body):
    """What a frame of the server's says."""
    return _parse(TO_CLIENT, number, body)


def _parse(forms, number, body):
    if number not in list(Type):
        raise Invalid("unknown-type")
    if number not in forms:
        raise Invalid("bad-frame")
    message = SimpleNamespace(type=Type(number))
    for name, kind in _fields(forms[number]):
        value, body = _decode(kind, body)
        setattr(message, name, value)
    if body:
        raise Invalid("bad-frame")
    return message


def _decode(kind, body):
    """The value of the field that a body begins with, and the rest."""
    if kind == "bytes":
        return body, b""
    if kind == "text":
        return _text(body), b""
    if kind == "str8":
        data, body = _cut(*_decode("u8", body))
        return _text(data), body
    data, body = _cut({**_NUMBERS, **_ARRAYS}[kind], body)
    return (int.from_bytes(data, "big") if kind in _NUMBERS else data), body


def _cut(length, body):
    if len(body) < length:
        raise Invalid("bad-frame")
    return body[:length], body[length:]


def _text(data):
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Invalid("bad-text") from None
