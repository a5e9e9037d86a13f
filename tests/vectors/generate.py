#!/usr/bin/python3
"""Golden vectors: messages of all dialects byte by byte, made by the codecs
of the integration tests and so from docs/protocol.md alone.

    generate.py --header FILE    writes them as C, for the unit tests
    generate.py --corpus DIR     writes those that clients send as seeds for
                                 fuzzing, DIR/{text,frame,secure}/NAME, also
                                 after the handshake that they need; those that
                                 servers send as DIR/hear/NAME

`*_in_*` is what a client sends, `*_out_*` what the server does; `sealed` is
secure with the content encrypted. Each is the first message of its sender,
whose seq and iv are therefore 1.
"""

import argparse
import sys
from pathlib import Path
from uuid import UUID

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "tests" / "integration"))

import wire_frame
import wire_secure
from wire_frame import ERROR_CODES, NOTICE_KINDS, PING, PONG, Type
from wire_secure import ENC, PLAIN_TEXT, Seal, derive_key

# --- what all vectors are made of

KEY = bytes(range(32))
BOOT = bytes(range(0xA0, 0xB0))
SESSION = bytes(range(0x10, 0x20))
HEARTBEAT_S = 5
FRAME_BYTES_MAX = 16384
MESSAGE_BYTES_MAX = 1048576
TIME_US = 1700000000123456
STAMP = 77
SEQ = 42  # of the message in its room, and so of the notices after it
MISSED = 17
BINARY = b"\x89PNG\n"
BINARY_TYPE = "image/png"
BINARY_TEXT = f"sent {BINARY_TYPE} ({len(BINARY)} bytes)"

# A transfer that is offered, accepted, made and ended.
TRANSFER = 5
FILE_NAME = "cat.png"
FILE_SHA256 = bytes(range(0x40, 0x60))
FILE_WINDOW = 65536

CLIENT_KEY = derive_key(KEY, SESSION)
SERVER_KEY = derive_key(KEY, BOOT)

# The kinds of notices, with what each says besides room and nick.
NOTICES = {
    "joined": "",
    "left": "",
    "nick": "bob",
    "topic": "tea",
}

# --- text


def text_in():
    return {
        "message": b"hello\n",
        "command": b"/who\n",
        "private": b"/msg bob hello\n",
    }


def text_out():
    return {
        "message": b"[lobby] alice: hello\n",
        "message_private": b"(private) alice: hello\n",
        "message_content": f"[lobby] alice: {BINARY_TEXT}\n".encode(),
        "notice_joined": b"[lobby] * alice joined\n",
        "notice_left": b"[lobby] * alice left\n",
        "notice_nick": b"[lobby] * alice is now bob\n",
        "notice_topic": b"[lobby] * alice set the topic: tea\n",
        "notice_lagged": b"[lobby] * lagged: %d messages missed\n" % MISSED,
        "reply": b"* end of who\n",
        "reply_more": b"* bob\n",
        "error": b"! nick-in-use bob\n",
        "error_plain": b"! internal\n",
        "welcome": b"* welcome to ringchat, you are alice, in lobby; "
        b"/help lists commands\n",
    }


# --- frame

frame_to_server = wire_frame.to_server
frame_to_client = wire_frame.to_client


def frame_in():
    return {
        "ack": frame_to_server(Type.SESSION_ACK, version=1, nick="alice"),
        "ack_guest": frame_to_server(Type.SESSION_ACK, version=1, nick=""),
        "ping": frame_to_server(Type.HEARTBEAT, kind=PING, stamp=STAMP),
        "pong": frame_to_server(Type.HEARTBEAT, kind=PONG, stamp=STAMP),
        "message": frame_to_server(
            Type.MESSAGE, id=7, target="den", text="hello"
        ),
        "message_current": frame_to_server(
            Type.MESSAGE, id=0, target="", text="hello"
        ),
        "message_nick": frame_to_server(
            Type.MESSAGE, id=9, target="@bob", text="hello"
        ),
        "command": frame_to_server(Type.COMMAND, id=3, text="who"),
        "disconnect": frame_to_server(Type.DISCONNECT, code=0, text=""),
        "file_offer": frame_to_server(
            Type.FILE_OFFER, transfer=TRANSFER, nick="bob", name=FILE_NAME,
            size=len(BINARY), sha256=FILE_SHA256,
        ),
        "file_accept": frame_to_server(
            Type.FILE_ACCEPT, transfer=TRANSFER, window=FILE_WINDOW
        ),
        "file_data": frame_to_server(
            Type.FILE_DATA, transfer=TRANSFER, offset=0, bytes=BINARY
        ),
        "file_end": frame_to_server(
            Type.FILE_END, transfer=TRANSFER, outcome=0
        ),
    }


def frame_message(text):
    return frame_to_client(
        Type.MESSAGE, seq=SEQ, time=TIME_US, room="lobby", nick="alice",
        text=text,
    )


def frame_notice(kind, nick, text):
    return frame_to_client(
        Type.NOTICE, kind=NOTICE_KINDS[kind], room="lobby", nick=nick,
        text=text,
    )


def frame_error(name, id, text):
    return frame_to_client(
        Type.ERROR, code=ERROR_CODES[name], id=id, text=text
    )


def frame_out():
    return {
        "session_init": frame_to_client(
            Type.SESSION_INIT, version=1, session=SESSION,
            heartbeat=HEARTBEAT_S, max_content=FRAME_BYTES_MAX,
        ),
        "welcome": frame_to_client(Type.WELCOME, nick="alice", room="lobby"),
        "ping": frame_to_client(Type.HEARTBEAT, kind=PING, stamp=STAMP),
        "pong": frame_to_client(Type.HEARTBEAT, kind=PONG, stamp=STAMP),
        "message": frame_message("hello"),
        "message_private": frame_to_client(
            Type.MESSAGE, seq=0, time=TIME_US, room="@", nick="alice",
            text="hello",
        ),
        "message_content": frame_message(BINARY_TEXT),
        "error": frame_error("nick-in-use", 3, "nick-in-use bob"),
        "error_plain": frame_error("internal", 0, "internal"),
        "disconnect": frame_to_client(Type.DISCONNECT, code=0, text=""),
        "reply": frame_to_client(Type.REPLY, id=3, more=0, text="end of who"),
        "reply_more": frame_to_client(Type.REPLY, id=3, more=1, text="bob"),
        **{
            f"notice_{kind}": frame_notice(kind, "alice", text)
            for kind, text in NOTICES.items()
        },
        "notice_lagged": frame_notice("lagged", "", str(MISSED)),
        "ack": frame_to_client(Type.ACK, id=7, seq=SEQ),
    }


# --- secure and sealed


def secure_to_server(number, seq=1, content=b"", sealed=False, **headers):
    """What a client sends as its message `seq`."""
    return wire_secure.build(
        KEY, number,
        {"session": str(UUID(bytes=SESSION)), "seq": seq, **headers},
        content, Seal(CLIENT_KEY, seq) if sealed else None,
    )


def secure_requests(seq=1, sealed=False):
    """All that a client may send once it is welcome, as its message `seq`."""

    def make(number, content=b"", **headers):
        return secure_to_server(number, seq, content, sealed, **headers)

    return {
        "ping": make(Type.HEARTBEAT, kind="ping", stamp=STAMP),
        "pong": make(Type.HEARTBEAT, kind="pong", stamp=STAMP),
        "message": make(Type.MESSAGE, b"hello", id=7, room="den"),
        "message_current": make(Type.MESSAGE, b"hello"),
        "message_nick": make(Type.MESSAGE, b"hello", id=9, to="bob"),
        "message_content": make(
            Type.MESSAGE, BINARY, id=7, room="den", content_type=BINARY_TYPE
        ),
        "command": make(Type.COMMAND, b"who", id=3),
        "disconnect": make(Type.DISCONNECT, code=0),
        "file_offer": make(
            Type.FILE_OFFER, transfer=TRANSFER, to="bob", name=FILE_NAME,
            size=len(BINARY), sha256=FILE_SHA256.hex(),
        ),
        "file_accept": make(
            Type.FILE_ACCEPT, transfer=TRANSFER, window=FILE_WINDOW
        ),
        "file_data": make(
            Type.FILE_DATA, BINARY, transfer=TRANSFER, offset=0
        ),
        "file_end": make(Type.FILE_END, transfer=TRANSFER, outcome=0),
    }


def secure_acks():
    return {
        "ack": secure_to_server(Type.SESSION_ACK, nick="alice"),
        "ack_guest": secure_to_server(Type.SESSION_ACK),
        "ack_sealed": secure_to_server(
            Type.SESSION_ACK, nick="alice", enc=ENC
        ),
    }


def secure_in():
    return {**secure_acks(), **secure_requests()}


def sealed_in():
    return secure_requests(sealed=True)


def secure_to_client(sealed, number, headers, content=""):
    """What the server sends, its first message with an iv if sealed."""
    content = content.encode() if isinstance(content, str) else content
    seal = Seal(SERVER_KEY, 1) if sealed else None
    return wire_secure.build(KEY, number, headers, content, seal)


def to_session(sealed, number, content="", **headers):
    headers = {"session": str(UUID(bytes=SESSION)), "seq": 1, **headers}
    return secure_to_client(sealed, number, headers, content)


def to_room(sealed, content, content_type):
    headers = {
        "room": "lobby", "room_seq": SEQ, "nick": "alice", "time": TIME_US,
        "content_type": content_type,
    }
    return secure_to_client(sealed, Type.MESSAGE, headers, content)


def notice_to_room(sealed, kind, text):
    headers = {
        "room_seq": SEQ, "kind": kind, "room": "lobby", "nick": "alice"
    }
    return secure_to_client(sealed, Type.NOTICE, headers, text)


def secure_error(sealed, name, text, **id):
    return to_session(
        sealed, Type.ERROR, text, code=ERROR_CODES[name], name=name, **id
    )


def secure_events(sealed=False):
    """All that the server may send but SESSION_INIT."""
    return {
        "welcome": to_session(
            sealed, Type.WELCOME, nick="alice", room="lobby"
        ),
        "ping": to_session(sealed, Type.HEARTBEAT, kind="ping", stamp=STAMP),
        "pong": to_session(sealed, Type.HEARTBEAT, kind="pong", stamp=STAMP),
        "message": to_room(sealed, "hello", PLAIN_TEXT),
        "message_private": to_session(
            sealed, Type.MESSAGE, "hello", room="@", room_seq=0,
            nick="alice", time=TIME_US, content_type=PLAIN_TEXT,
        ),
        "message_content": to_room(sealed, BINARY, BINARY_TYPE),
        "error": secure_error(sealed, "nick-in-use", "nick-in-use bob", id=3),
        "error_plain": secure_error(sealed, "internal", "internal"),
        "disconnect": to_session(sealed, Type.DISCONNECT, code=0),
        "reply": to_session(
            sealed, Type.REPLY, "end of who", id=3, more=False
        ),
        "reply_more": to_session(sealed, Type.REPLY, "bob", id=3, more=True),
        **{
            f"notice_{kind}": notice_to_room(sealed, kind, text)
            for kind, text in NOTICES.items()
        },
        "notice_lagged": to_session(
            sealed, Type.NOTICE, str(MISSED),
            kind="lagged", room="lobby", nick="",
        ),
        "ack": to_session(sealed, Type.ACK, id=7, room_seq=SEQ),
    }


def secure_out():
    session_init = to_session(
        False, Type.SESSION_INIT, boot=str(UUID(bytes=BOOT)),
        heartbeat=HEARTBEAT_S, max_content=MESSAGE_BYTES_MAX,
    )
    return {"session_init": session_init, **secure_events()}


def sealed_out():
    return secure_events(sealed=True)


GROUPS = {
    "text_in": text_in, "text_out": text_out,
    "frame_in": frame_in, "frame_out": frame_out,
    "secure_in": secure_in, "secure_out": secure_out,
    "sealed_in": sealed_in, "sealed_out": sealed_out,
}


def vectors():
    """All vectors by name."""
    return {
        f"{group}_{name}": data
        for group, make in GROUPS.items()
        for name, data in make().items()
    }


# --- that they can be read again


def check(name, data):
    """What was built is what can be read."""
    dialect, direction, _ = name.split("_", 2)
    stream = bytearray(data)
    if dialect == "frame":
        number, body = wire_frame.take(stream)
        parse = {
            "in": wire_frame.from_client, "out": wire_frame.from_server
        }[direction]
        parse(number, body)
    elif dialect in ("secure", "sealed"):
        message = wire_secure.take(stream, KEY)
        check_seal(dialect, direction, message)
        if direction == "out":
            wire_secure.check_from_server(message)
    else:
        assert stream.find(b"\n") == len(stream) - 1
        return
    assert not stream, f"{name}: bytes after the message"


def check_seal(dialect, direction, message):
    assert (dialect == "sealed") == ("iv" in message.headers)
    if dialect == "sealed":
        key = {"in": CLIENT_KEY, "out": SERVER_KEY}[direction]
        seal = Seal(key, wire_secure.iv_of(message.headers))
        message.content = seal.open(message.content, message.header_bytes)


# --- writing


def c_bytes(name, data):
    """An array of C that holds the bytes."""
    rows = [data[at : at + 12] for at in range(0, len(data), 12)]
    lines = ["    " + " ".join(f"0x{b:02x}," for b in row) for row in rows]
    return "\n".join([
        f"static const unsigned char {name}[{len(data)}] = {{", *lines, "};\n"
    ])


DEFINES = {
    "VECTOR_HEARTBEAT_S": f"{HEARTBEAT_S}",
    "VECTOR_FRAME_BYTES_MAX": f"{FRAME_BYTES_MAX}",
    "VECTOR_MESSAGE_BYTES_MAX": f"{MESSAGE_BYTES_MAX}",
    "VECTOR_TIME_US": f"UINT64_C({TIME_US})",
    "VECTOR_STAMP": f"UINT64_C({STAMP})",
    "VECTOR_SEQ": f"UINT64_C({SEQ})",
    "VECTOR_MISSED": f"UINT64_C({MISSED})",
    "VECTOR_BINARY_TYPE": f'"{BINARY_TYPE}"',
}
ARRAYS = {
    "vector_key": KEY,
    "vector_boot": BOOT,
    "vector_session": SESSION,
    "vector_binary": BINARY,
    "vector_client_key": CLIENT_KEY,
    "vector_server_key": SERVER_KEY,
}


def header(found):
    """The C file."""
    entries = [
        f'    {{"{name}", vector_{name}, sizeof vector_{name}}},'
        for name in found
    ]
    return "\n".join([
        "/* made by tests/vectors/generate.py */",
        "#ifndef RINGCHAT_VECTORS_H",
        "#define RINGCHAT_VECTORS_H",
        "",
        "#include <stddef.h>",
        "#include <stdint.h>",
        "",
        *[f"#define {name} {value}" for name, value in DEFINES.items()],
        "",
        *[c_bytes(name, data) for name, data in ARRAYS.items()],
        *[c_bytes(f"vector_{name}", data) for name, data in found.items()],
        "struct vector {",
        "    const char *name;",
        "    const unsigned char *bytes;",
        "    size_t length;",
        "};",
        "",
        "static const struct vector vectors[] = {",
        *entries,
        "};",
        "",
        "#endif",
        "",
    ])


def corpus():
    """The seeds: {dialect: {name: bytes}}."""
    acks = secure_acks()
    welcomed = {
        "secure": (acks["ack"], secure_requests(seq=2)),
        "sealed": (acks["ack_sealed"], secure_requests(seq=2, sealed=True)),
        "frame": (frame_in()["ack"], frame_in()),
    }
    sequences = {
        dialect: {
            f"{dialect}_ack_then_{name}": ack + data
            for name, data in messages.items()
        }
        for dialect, (ack, messages) in welcomed.items()
    }
    return {
        "text": singles("text") | {"text_all": b"".join(text_in().values())},
        "frame": singles("frame") | sequences["frame"] | conversation(),
        "secure": singles("secure") | singles("sealed")
        | sequences["secure"] | sequences["sealed"]
        | secure_conversation(sealed=False)
        | secure_conversation(sealed=True),
        "hear": heard(),
    }


def singles(dialect):
    made = GROUPS[f"{dialect}_in"]()
    return {f"{dialect}_{name}": data for name, data in made.items()}


# All that may follow a handshake in one session, with what ends it last.
SPOKEN = [
    "ping", "pong", "message", "message_current", "message_nick", "command",
    "file_offer", "file_accept", "file_data", "file_end", "disconnect",
]


def conversation():
    made = frame_in()
    return {"frame_all": b"".join(made[name] for name in ["ack", *SPOKEN])}


def secure_conversation(sealed):
    messages = [
        secure_requests(seq, sealed)[name]
        for seq, name in enumerate(SPOKEN, start=2)
    ]
    ack = secure_acks()["ack_sealed" if sealed else "ack"]
    name = "sealed_all" if sealed else "secure_all"
    return {name: b"".join([ack, *messages])}


def heard():
    """What a server says, after the byte that says how it is heard: see
    tests/fuzz/fuzz_hear.c."""
    seeds = {}
    for group, number in [("text", 0), ("frame", 1), ("secure", 2), ("sealed", 0x22)]:
        made = GROUPS[f"{group}_out"]()
        for name, data in made.items():
            first = name == ("welcome" if group == "text" else "session_init")
            how = number if first else number | 0x10
            seeds[f"{group}_{name}"] = bytes([how]) + data
    welcome, *others = reversed(text_out().values())
    seeds["text_all"] = bytes([0]) + welcome + b"".join(others)
    seeds["frame_all"] = bytes([1]) + b"".join(frame_out().values())
    return seeds


def write_corpus(folder):
    for dialect, seeds in corpus().items():
        (folder / dialect).mkdir(parents=True, exist_ok=True)
        for name, data in seeds.items():
            (folder / dialect / name).write_bytes(data)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--header", type=Path, metavar="FILE")
    parser.add_argument("--corpus", type=Path, metavar="DIR")
    options = parser.parse_args()
    if not (options.header or options.corpus):
        parser.error("say --header FILE or --corpus DIR")
    found = vectors()
    for name, data in found.items():
        check(name, data)
    if options.header:
        options.header.write_text(header(found))
    if options.corpus:
        write_corpus(options.corpus)


if __name__ == "__main__":
    main()
