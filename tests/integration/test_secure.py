"""The secure dialect byte by byte: what a message is, in which order it is
checked, and what is wrong with it."""

import json

import pytest

import wire_secure
from timing import together
from wire_frame import Type
from wire_secure import HEAD_BYTES, HEADERS_MAX, MAGIC, NUMBER_MAX

# What bytes mean does not depend on where they come from.
pytestmark = [
    pytest.mark.dialects("frame", "secure"),
    pytest.mark.families("tcp4", "unix"),
]

MAX_MESSAGE = 1048576


@pytest.fixture
def url():
    return "secure://127.0.0.1:0"


@pytest.fixture
def start(launch, url, key_file):
    def start_server(*options, **how):
        return launch("--listen", url, "--key-file", key_file, *options, **how)

    return start_server


@pytest.fixture
def alice(server):
    return server.person("alice")


@pytest.fixture
def stranger(server):
    client = server.open()
    client.expect_init()
    return client


@pytest.mark.parametrize(
    "listener", ["secure://[::1]:0", "secure+unix://{folder}/socket"]
)
def test_families(launch, key_file, folder, listener):
    """It "runs over TCP" of either family "or a Unix socket"."""
    url = listener.format(folder=folder)
    server = launch("--listen", url, "--key-file", key_file)
    alice, bob = server.person("alice"), server.person("bob")
    bob.say("hello")
    assert alice.hear_messages("lobby", 1) == ["bob: hello"]


# --- the head


@pytest.mark.parametrize("at", range(len(MAGIC)))
def test_bad_magic(alice, at):
    """`bad-magic`: "may be said as soon as a byte differs", and is."""
    alice.send(MAGIC[:at] + bytes([MAGIC[at] ^ 0x20]))
    alice.expect_closed("bad-magic")


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\n\r\n", b"/help\n"])
def test_another_protocol(server, sent):
    """What comes from elsewhere is that, too."""
    stranger = server.open()
    stranger.expect_init()
    stranger.send(sent)
    stranger.expect_closed("bad-magic")


@pytest.mark.parametrize("version", [0, 2, 0x0100, 65535])
def test_bad_version(alice, version):
    """`bad-version`: "a version other than 1, in a secure header"."""
    alice.send(
        alice.make(Type.MESSAGE, "hello", wrong={"version": version})
    )
    alice.expect_closed("bad-version")


@pytest.mark.parametrize(
    "field, length",
    [("header_length", HEADERS_MAX + 1), ("header_length", 2**32 - 1),
     ("content_length", MAX_MESSAGE + 1), ("content_length", 2**32 - 1)],
)
def test_too_large(alice, field, length):
    """`too-large`: "a declared length over the limit; said before the body is
    read"."""
    message = alice.make(Type.MESSAGE, "hello", wrong={field: length})
    alice.send(message[:HEAD_BYTES])
    alice.expect_closed("too-large")


def test_session_ack_with_content(stranger):
    """`too-large`: "a SESSION_ACK has no content"."""
    message = stranger.make(Type.SESSION_ACK, "x")
    stranger.send(message[:HEAD_BYTES])
    stranger.expect_closed("too-large")


def test_longest_headers(alice):
    """As many bytes of headers as there may be."""
    start = {"session": alice.session, "seq": 100, "x": ""}
    length = len(wire_secure.encode_headers(start))
    headers = {**start, "x": "x" * (HEADERS_MAX - length)}
    alice.send(
        alice.make_raw(
            Type.MESSAGE, wire_secure.encode_headers(headers), b"hello"
        )
    )
    assert alice.hear_messages("lobby", 1) == ["alice: hello"]


# --- the order of checks

# The error of each check, and what makes it; in the order of checks.
FAULTS = [
    ("bad-magic", {"magic": b"\x89PNG\r\n\x1a\n"}),
    ("bad-version", {"version": 2}),
    ("too-large", {"content_length": MAX_MESSAGE + 1}),
    ("bad-crc", {"header_crc": 1}),
    ("bad-hmac", {"hmac": bytes(32)}),
]
BAD_JSON = b'{"session":'


@pytest.mark.parametrize("name, wrong", FAULTS)
def test_each_fault(server, alice, name, wrong):
    """Each check by itself. It closes, and the others are not concerned."""
    bob = server.person("bob")
    bob.send(bob.make(Type.MESSAGE, "hello", wrong=wrong))
    bob.expect_closed(name)
    alice.say("undisturbed")
    assert alice.hear_messages("lobby", 1) == ["alice: undisturbed"]


@pytest.mark.parametrize("first", range(len(FAULTS)))
def test_order_of_checks(alice, first):
    """The rule: "Checked in this order: magic, version, lengths, CRCs, HMAC
    (in constant time), JSON, meaning": a message that is wrong from one check
    on in all ways is told of that one."""
    wrong = {
        field: value
        for _, fields in FAULTS[first:]
        for field, value in fields.items()
    }
    alice.send(alice.make_raw(Type.MESSAGE, BAD_JSON, b"a\nb", **wrong))
    alice.expect_closed(FAULTS[first][0])


def test_json_before_meaning(alice):
    """The same of the last two checks."""
    headers = b'{"session":"%s","seq":0' % alice.session.encode()
    alice.send(alice.make_raw(Type.MESSAGE, headers, b"a\nb"))
    alice.expect_closed("bad-header")


def test_headers_before_seq(alice):
    """Of the meaning the headers come first, then "`session` and `seq`
    (`replay`), the seal, the content"."""
    alice.send(alice.make(Type.MESSAGE, "a\nb", seq=1, id=0))
    alice.expect_closed("bad-header")


def test_seq_before_seal(alice):
    """The next pair: what is not sealed as it says is a replay first."""
    sealed = {"enc": "A256GCM", "iv": "AAAAAAAAAAAAAAAC"}
    alice.send(alice.make(Type.MESSAGE, "x" * 20, seq=1, **sealed))
    alice.expect_closed("replay")


def test_type_first_before_welcome(stranger):
    """The rule: "Before WELCOME the type is checked right after the
    version"."""
    wrong = {"content_length": 2**32 - 1, "header_crc": 1}
    stranger.send(stranger.make(Type.MESSAGE, "hello", wrong=wrong))
    stranger.expect_closed("handshake")


@pytest.mark.parametrize("field", ["header_crc", "content_crc"])
def test_bad_crc(alice, field):
    """`bad-crc`, of headers and of content."""
    alice.send(alice.make(Type.MESSAGE, "hello", wrong={field: 0xBAD}))
    alice.expect_closed("bad-crc")


def test_any_bit(server):
    """Whatever bit of a message is changed on its way, its HMAC or something
    before it tells."""
    bob = server.person("bob")
    length = len(bob.make(Type.MESSAGE, "hello", id=7))
    for at in range(0, length, 7):
        alice = server.connect()
        message = bytearray(alice.make(Type.MESSAGE, "hello", id=7))
        message[at] ^= 1
        alice.send(bytes(message))
        alice.half_close()
        alice.read_to_end()
        alice.close()
    bob.say("undisturbed")
    assert bob.hear_messages("lobby", 1) == ["bob: undisturbed"]


def test_another_key(alice):
    """A peer that has not the key is told nothing but `bad-hmac`."""
    alice.send(
        wire_secure.build(
            bytes(32), Type.MESSAGE,
            {"session": alice.session, "seq": 100}, b"hello",
        )
    )
    alice.expect_closed("bad-hmac")


def test_bad_hmac_in_the_handshake(stranger):
    """The same before WELCOME."""
    stranger.send(stranger.make(Type.SESSION_ACK, wrong={"hmac": bytes(32)}))
    stranger.expect_closed("bad-hmac")


# --- headers


# Each is given a session and a seq at its first brace.
NOT_JSON = [
    "", "{", "[]", '"text"', "7", "null", "{}x", "{}{}", "{} {}", "{},",
    '{"a":1,}', "{'a':1}", "{a:1}", '{"a":01}', '{"a":+1}', '{"a":NaN}',
    '{"a":Infinity}', '{"a":"\n"}', '{"a":"\\x"}', '{"a":tru}', "\ufeff{}",
]


def with_session(client, text):
    """Headers that would be right with that JSON in them."""
    right = f'"session":"{client.session}","seq":{client.seq + 100}'
    return text.replace("{", "{" + right + ("," if '"' in text else ""), 1)


@pytest.mark.parametrize("text", NOT_JSON, ids=ascii)
def test_headers_that_are_not_json(alice, text):
    """`bad-header`: "JSON headers that do not parse", or that are not "one
    JSON object" with "nothing after it"."""
    headers = with_session(alice, text).encode()
    alice.send(alice.make_raw(Type.MESSAGE, headers, b"hello"))
    alice.expect_closed("bad-header")


@pytest.mark.parametrize(
    "raw", [b'{"a":"\xff"}', b'{"a":"\xed\xa0\x80"}', b'{"\xff":1}', b"{}\x00"]
)
def test_headers_that_are_not_utf8(alice, raw):
    """They are UTF-8."""
    right = f'"session":"{alice.session}","seq":100,'.encode()
    headers = raw.replace(b"{", b"{" + right, 1).replace(b",}", b"}")
    alice.send(alice.make_raw(Type.MESSAGE, headers, b"hello"))
    alice.expect_closed("bad-header")


@pytest.mark.parametrize(
    "text",
    ['{"a":1,"a":2}', '{"seq":200}', '{"s\\u0065q":200}',
     '{"a":{"b":1,"b":1}}', '{"a":[{"b":1,"c":2,"b":1}]}'],
)
def test_duplicate_keys(alice, text):
    """There is "no duplicate key", at no level, however it is written."""
    headers = with_session(alice, text).encode()
    alice.send(alice.make_raw(Type.MESSAGE, headers, b"hello"))
    alice.expect_closed("bad-header")


UNKNOWN = [
    "null", "true", '""', '"\\u0000"', '"\\ud83d\\ude00"', "1.5", "-1", "1e5",
    "-0", "123456789012345678901234567890", "1" * 300, "[]", "{}", "[[[]]]",
    '{"a":{"b":{}}}', '[{"a":[]}]', '[{"seq":0},{"seq":0}]',
]


@pytest.mark.parametrize("value", UNKNOWN, ids=lambda value: value[:20])
def test_unknown_headers(alice, value):
    """The rule: "Unknown headers are ignored, whatever their value"."""
    headers = with_session(alice, '{"x":%s}' % value).encode()
    alice.send(alice.make_raw(Type.MESSAGE, headers, b"hello"))
    assert alice.hear_messages("lobby", 1) == ["alice: hello"]


@pytest.mark.parametrize(
    "value", ["[[[[]]]]", '{"a":{"b":{"c":{}}}}', '[{"a":[[]]}]',
              "[" * 1000 + "]" * 1000],
    ids=lambda value: value[:20],
)
def test_too_many_levels(alice, value):
    """The object itself is "level 1 of at most 4"."""
    headers = with_session(alice, '{"x":%s}' % value).encode()
    alice.send(alice.make_raw(Type.MESSAGE, headers, b"hello"))
    alice.expect_closed("bad-header")


def test_key_with_nul(alice):
    """The rule: "a key with U+0000 in it is `bad-header`"."""
    headers = with_session(alice, '{"x\\u0000":1}').encode()
    alice.send(alice.make_raw(Type.MESSAGE, headers, b"hello"))
    alice.expect_closed("bad-header")


def test_layout_of_json_is_no_matter(alice):
    """White space, order and escapes are JSON's business."""
    text = json.dumps(
        {"id": 7, "seq": 100, "session": alice.session}, indent=4
    ).replace("session", "s\\u0065ssion")
    alice.send(alice.make_raw(Type.MESSAGE, text.encode(), b"hello"))
    assert alice.take_ack().id == 7


# Of MESSAGE, besides session and seq.
BAD_VALUES = [
    {"id": 0}, {"id": 2**32}, {"id": -1}, {"id": "1"}, {"id": True},
    {"id": None}, {"id": []}, {"id": 1.0}, {"id": 1.5},
    {"room": 5}, {"room": None}, {"to": 5}, {"to": ["bob"]},
    {"room": "lobby", "to": "bob"},
    {"content_type": ""}, {"content_type": "x" * 128}, {"content_type": 5},
    {"content_type": "text/plain\n"}, {"content_type": "text/plä"},
    {"content_type": "a\x7f"}, {"content_type": "\u0000"},
    {"seq": "9"}, {"seq": 9.0}, {"seq": -1}, {"seq": NUMBER_MAX + 1},
    {"seq": 10**30}, {"seq": None}, {"seq": True},
    {"session": 5}, {"session": None},
    {"enc": 5}, {"enc": "A256GCM"}, {"enc": "A256GCM", "iv": 5},
    {"enc": "A256GCM", "iv": ""},
    {"enc": "A256GCM", "iv": "AAAAAAAAAAA="},
    {"enc": "A256GCM", "iv": "AAAAAAAAAAAAAAA*"},
    {"enc": "A256GCM", "iv": "AAAAAAAAAAAAAAAAAAAA"},
]


@pytest.mark.parametrize("headers", BAD_VALUES, ids=str)
def test_bad_value(alice, headers):
    """`bad-header`: headers that "lack or mistype a field or give it an
    illegal value, or name both `room` and `to`"."""
    alice.send(alice.make(Type.MESSAGE, "x" * 32, **headers))
    alice.expect_closed("bad-header")


@pytest.mark.parametrize("number", ["1e0", "1.0", "10e-1", "01", "-0", "0x1"])
def test_numbers_are_integers(alice, number):
    """Numbers are "JSON integers without fraction or exponent"."""
    headers = with_session(alice, '{"id":%s}' % number).encode()
    alice.send(alice.make_raw(Type.MESSAGE, headers, b"hello"))
    alice.expect_closed("bad-header")


@pytest.mark.parametrize("missing", ["session", "seq"])
@pytest.mark.parametrize(
    "number", [Type.MESSAGE, Type.COMMAND, Type.HEARTBEAT, Type.DISCONNECT]
)
def test_session_and_seq_are_due(alice, number, missing):
    """The rule: "Every message from the client carries `session`" and
    `seq`."""
    headers = {"session": alice.session, "seq": 100, "kind": "ping",
               "stamp": 1}
    del headers[missing]
    raw = wire_secure.encode_headers(headers)
    alice.send(alice.make_raw(number, raw))
    alice.expect_closed("bad-header")


BAD_HEADERS = [
    (Type.HEARTBEAT, {"stamp": 1}),
    (Type.HEARTBEAT, {"kind": "ping"}),
    (Type.HEARTBEAT, {"kind": "pang", "stamp": 1}),
    (Type.HEARTBEAT, {"kind": 0, "stamp": 1}),
    (Type.HEARTBEAT, {"kind": "ping", "stamp": -1}),
    (Type.HEARTBEAT, {"kind": "ping", "stamp": NUMBER_MAX + 1}),
    (Type.HEARTBEAT, {"kind": "ping", "stamp": "1"}),
    (Type.COMMAND, {"id": 0}),
    (Type.COMMAND, {"id": "3"}),
    (Type.DISCONNECT, {"code": "0"}),
]


@pytest.mark.parametrize("number, headers", BAD_HEADERS, ids=str)
def test_bad_headers_of_other_types(alice, number, headers):
    """The same of what else a client sends."""
    alice.send(alice.make(number, **headers))
    alice.expect_closed("bad-header")


@pytest.mark.parametrize("headers", [{"nick": 5}, {"nick": None}, {"enc": 1}])
def test_bad_headers_first(stranger, headers):
    """And of SESSION_ACK."""
    stranger.send(stranger.make(Type.SESSION_ACK, **headers))
    stranger.expect_closed("bad-header")


def test_content_where_there_is_none(alice):
    """`bad-frame`: "content where there is none"."""
    alice.send(alice.make(Type.HEARTBEAT, "x", kind="ping", stamp=1))
    alice.expect_closed("bad-frame")


# --- session and seq


@pytest.mark.parametrize("seq", [0, 1, 2, 5])
def test_replay(alice, seq):
    """`replay`: "a `seq` not above the last one"."""
    alice.send(alice.make(Type.MESSAGE, "first", seq=5))
    alice.send(alice.make(Type.MESSAGE, "again", seq=seq, id=7))
    assert alice.hear_messages("lobby", 1) == ["alice: first"]
    alice.expect_closed("replay", 7)


def test_replayed_bytes(server, alice):
    """What somebody recorded has no effect, neither in its own session nor in
    another."""
    recorded = alice.make_message("just once", id=7)
    bob = server.person("bob")
    alice.send(recorded + recorded)
    alice.expect_error("replay", 7)
    bob.send(recorded)
    bob.expect_error("replay", 7)
    for client in alice, bob:
        assert client.hear_messages("lobby", 1) == ["alice: just once"]
        client.expect_end()


def test_another_session(server, alice):
    """`replay`: "wrong `session`", though it is somebody's."""
    bob = server.person("bob")
    alice.send(alice.make(Type.MESSAGE, "hello", session=bob.session))
    alice.expect_closed("replay")
    assert bob.ask("echo on") == "on"


def test_session_in_capitals(alice):
    """The UUID is "text, in any case of letters"."""
    session = alice.session.upper()
    alice.send(alice.make(Type.MESSAGE, "hello", session=session))
    assert alice.hear_messages("lobby", 1) == ["alice: hello"]


def test_seq_may_jump(alice):
    """It only has to rise."""
    for seq in 10, 11, 1000, 2**32, NUMBER_MAX:
        alice.send(alice.make(Type.MESSAGE, str(seq), seq=seq))
        assert alice.hear_messages("lobby", 1) == [f"alice: {seq}"]


def test_handshake_is_not_replayed(server):
    """A SESSION_ACK is for the session that it names."""
    first, second = server.open(), server.open()
    first.expect_init()
    second.expect_init()
    second.send(first.make_ack("alice"))
    second.expect_closed("replay")


def test_seq_of_what_was_refused(stranger, server):
    """A SESSION_ACK that was refused has had its `seq`."""
    server.person("alice")
    stranger.send(stranger.make(Type.SESSION_ACK, nick="alice"))
    stranger.expect_error("nick-in-use")
    stranger.send(stranger.make(Type.SESSION_ACK, seq=1, nick="bob"))
    stranger.expect_closed("replay")


# --- content


def test_content_types(server, alice):
    """A type is "1 to 127 printable ASCII bytes", and is told as it came."""
    bob = server.person("bob")
    for kind in "x", "image/png", "~" * 127, 'a"b\\c/d', "text/html":
        alice.say("hello", content_type=kind)
        bob.hear_messages("lobby", 1)
        message = next(
            m for m in reversed(bob.transcript) if m.type == Type.MESSAGE
        )
        assert (message.content_type, message.content) == (kind, b"hello")


@pytest.mark.parametrize(
    "content, kind, good",
    [(b"\xff\x00\n", "image/png", True), (b"a\nb", "x", True),
     (b"a\tb", "text/markdown", True), (b"a\nb", "text/html", False),
     (b"\xff", "text/html", False), (b"\x00", "TEXT/plain", False)],
)
def test_text_must_be_clean(alice, content, kind, good):
    """The rule: "`text/*` (in any case of letters) is text and must be clean;
    any other content is bytes"."""
    alice.send(
        alice.make(Type.MESSAGE, content, id=7, content_type=kind)
    )
    if good:
        assert alice.take_ack().id == 7
    else:
        alice.expect_error("bad-text", 7)


def test_longest_message(server, alice):
    """1 MiB is not too large, and arrives whole; one byte more is."""
    bob = server.person("bob")
    content = bytes(range(256)) * (MAX_MESSAGE // 256)
    together(
        lambda: alice.say(content, content_type="application/octet-stream"),
        lambda: bob.hear_messages("lobby", 1),
    )
    [message] = [m for m in bob.transcript if m.type == Type.MESSAGE]
    assert message.content == content
    alice.send(alice.make_message(content + b"x")[:HEAD_BYTES])
    alice.expect_error("too-large")


def test_max_message(start):
    """`--max-message` sets the limit."""
    server = start("--max-message", "100")
    alice = server.person("alice")
    alice.say("x" * 100)
    assert alice.hear_messages("lobby", 1) == ["alice: " + "x" * 100]
    alice.say("x" * 101)
    alice.expect_closed("too-large")


def test_names_that_are_odd(alice):
    """A name "that breaks the rule of names is `bad-name`", of whatever
    characters."""
    for id, where in enumerate(
        [{"room": ""}, {"to": ""}, {"to": "é"}, {"room": "a\nb"}], start=1
    ):
        alice.send(alice.make_message("hello", id=id, **where))
        alice.expect_error("bad-name", id)


def test_nick_that_is_too_long(stranger):
    """In SESSION_ACK too, where there is room for it."""
    stranger.send(stranger.make_ack("x" * 25))
    stranger.expect_error("bad-name")
    stranger.enter("x" * 24)


def test_boot(launch, key_file, url):
    """`boot` is "new at each start", and the same until the next."""
    boots = []
    for _ in range(2):
        server = launch("--listen", url, "--key-file", key_file)
        clients = [server.connect() for _ in range(2)]
        assert clients[0].boot == clients[1].boot
        boots.append(clients[0].boot)
    assert boots[0] != boots[1]
