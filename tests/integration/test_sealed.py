"""The secure dialect with its content encrypted: AES-256-GCM as another
library does it."""

import signal

import pytest

from timing import together
from wire_frame import Type
from wire_secure import HEAD_BYTES, Seal, build, derive_key

# What bytes mean does not depend on where they come from.
pytestmark = [
    pytest.mark.dialects("frame", "secure"),
    pytest.mark.families("tcp4", "unix"),
]

MAX_MESSAGE = 1048576
TAG_BYTES = 16


@pytest.fixture
def start(start_all):
    return start_all


@pytest.fixture
def alice(server):
    return server.person("alice", dialect="sealed")


def headers_of(client, **headers):
    client.seq += 1
    return {"session": client.session, "seq": client.seq, **headers}


def test_all_is_sealed(alice):
    """The client "is sent everything after that sealed": replies, ACKs,
    errors, notices and empty content too."""
    alice.join("den")
    alice.say("hello", content_type="image/png")
    alice.hear_messages("den", 1)
    alice.become("eve")
    alice.ping(77)
    alice.send(alice.make_message("psst", to="eve", id=5))
    assert alice.take(Type.MESSAGE).text == "psst"
    assert alice.take_ack().id == 5
    alice.expect_error("unknown-command", alice.command("nonsense"))
    alice.expect_error("unknown-command", alice.command(""))
    alice.disconnect()
    assert len(alice.ivs) == len(alice.transcript) - 1


def test_refused_handshake_is_answered_sealed(server, alice):
    """The rule: "an ERROR that lets it try again included"."""
    bob = server.open(dialect="sealed")
    bob.expect_init()
    bob.send(bob.make_ack("alice"))
    bob.expect_error("nick-in-use")
    bob.enter("bob")
    assert len(bob.ivs) == 2


def test_ivs_never_repeat(server):
    """The rule: "none is used twice", over all sessions; but what goes to a
    room is "encoded once for all members"."""
    names = ["ann", "bea", "cleo", "dora"]
    people = [server.person(n, "den", dialect="sealed") for n in names]
    for client in people:
        client.say(*[f"text {n}" for n in range(20)])
        client.ask_list("help")
    for client in people:
        client.hear_messages("den", 20 * len(people))
        client.disconnect()
    used = {}
    for client in people:
        for iv, message in client.ivs.items():
            assert used.setdefault(iv, message) == message
    alone = sum(len(client.ivs) for client in people)
    assert len(used) < alone, "what is for the room was sealed for each"


def flip(content, at):
    changed = bytearray(content)
    changed[at] ^= 1
    return bytes(changed)


@pytest.mark.parametrize(
    "at", [0, 4, -TAG_BYTES, -1], ids=["first", "last", "tag", "end"]
)
def test_seal_that_does_not_open(server, alice, at):
    """`bad-hmac`: "a seal that does not open", though the HMAC holds. It
    closes, and nobody hears of it."""
    bob = server.person("bob", dialect="sealed")
    seal = Seal(bob.sealing_key(), bob.seq + 1)
    headers = headers_of(bob, **seal.headers())
    right = build(bob.key, Type.MESSAGE, headers, b"hello", seal)
    header_bytes = right[HEAD_BYTES : -len(b"hello") - TAG_BYTES]
    sealed = flip(right[-len(b"hello") - TAG_BYTES :], at)
    bob.send(bob.make_raw(Type.MESSAGE, header_bytes, sealed))
    bob.expect_closed("bad-hmac")
    alice.say("undisturbed")
    assert alice.hear_messages("lobby", 1) == ["alice: undisturbed"]


@pytest.mark.parametrize("length", [0, 1, TAG_BYTES - 1, TAG_BYTES])
def test_seal_that_is_too_short(alice, length):
    """What has no room for a tag is no seal."""
    seal = Seal(alice.sealing_key(), alice.seq + 1)
    headers = headers_of(alice, **seal.headers())
    alice.send(build(alice.key, Type.MESSAGE, headers, bytes(length)))
    alice.expect_closed("bad-hmac")


def test_additional_data(alice):
    """The tag covers "the JSON header bytes as additional data"."""
    seal = Seal(alice.sealing_key(), alice.seq + 1)
    sealed = seal.close(b"hello", b"{}")
    headers = headers_of(alice, **seal.headers())
    alice.send(build(alice.key, Type.MESSAGE, headers, sealed))
    alice.expect_closed("bad-hmac")


@pytest.mark.parametrize("whose", ["server", "plain"])
def test_another_sealing_key(alice, whose):
    """So "every sender has a key of its own": neither the server's nor the
    listener's opens what a client sends."""
    key = {
        "server": derive_key(alice.key, alice.boot), "plain": alice.key
    }[whose]
    seal = Seal(key, alice.seq + 1)
    alice.send(build(
        alice.key, Type.MESSAGE, headers_of(alice), b"hello", seal
    ))
    alice.expect_closed("bad-hmac")


@pytest.mark.parametrize(
    "number, headers, content",
    [(Type.MESSAGE, {}, "hello"), (Type.COMMAND, {"id": 3}, "who"),
     (Type.HEARTBEAT, {"kind": "ping", "stamp": 1}, ""),
     (Type.DISCONNECT, {}, "")],
    ids=["message", "command", "ping", "disconnect"],
)
def test_content_in_the_clear(alice, number, headers, content):
    """`bad-hmac`: "content in the clear in a sealed session"; a client "must
    seal its own, empty content too"."""
    alice.send(alice.make(number, content, seal=False, **headers))
    alice.expect_closed("bad-hmac", headers.get("id", 0))


def test_content_where_there_is_none(alice):
    """A seal may be around nothing, and then nothing may be in it."""
    alice.send(alice.make(Type.HEARTBEAT, "x", kind="ping", stamp=1))
    alice.expect_closed("bad-frame")


@pytest.mark.parametrize("enc", ["", "A128GCM", "a256gcm", "none"])
def test_unknown_enc_first(server, enc):
    """`handshake`: "an unknown `enc`"."""
    stranger = server.open(dialect="secure")
    stranger.expect_init()
    stranger.send(stranger.make(Type.SESSION_ACK, enc=enc))
    stranger.expect_closed("handshake")


def test_unknown_enc_later(server):
    """Of a message, too."""
    bob = server.connect(dialect="secure")
    iv = "AAAAAAAAAAAAAAAC"
    bob.send(bob.make(Type.MESSAGE, "x" * 32, enc="A128GCM", iv=iv))
    bob.expect_closed("handshake")


def test_single_messages_sealed(server, alice):
    """A message says itself that "its content is AES-256-GCM ciphertext",
    whether or not its session has asked for that."""
    bob = server.person("bob", dialect="secure")
    bob.send(bob.make(Type.MESSAGE, "secret", seal=True, id=7))
    bob.say("plain")
    bob.send(bob.make(Type.COMMAND, "echo on", seal=True, id=8))
    for client in alice, bob:
        heard = client.hear_messages("lobby", 2)
        assert heard == ["bob: secret", "bob: plain"]
    assert bob.take_ack().id == 7
    assert bob.take(Type.REPLY).text == "on"


def test_require_encryption(start):
    """With `--require-encryption`, `handshake` also says: "none where
    `--require-encryption` asks for it". The other dialects go on."""
    server = start("--require-encryption")
    plain = server.open(dialect="secure")
    plain.expect_init()
    plain.send(plain.make_ack("alice"))
    plain.expect_closed("handshake")
    people = [
        server.person(nick, "den", dialect=dialect)
        for nick, dialect in [
            ("alice", "sealed"), ("bob", "frame"), ("cleo", "text")
        ]
    ]
    people[0].say("hello")
    for client in people:
        assert client.hear_messages("den", 1) == ["alice: hello"]


def test_longest_sealed_message(server, alice):
    """The limits cover what is on the wire, the tag included; but a member
    "is sent up to 16 bytes more than `max_content`"."""
    bob = server.person("bob", dialect="secure")
    texts = ["x" * (MAX_MESSAGE - TAG_BYTES), "y" * MAX_MESSAGE]

    def say_to(speaker, listener, text):
        together(
            lambda: speaker.say(text),
            lambda: listener.hear_messages("lobby", 1),
        )
        speaker.hear_messages("lobby", 1)

    say_to(alice, bob, texts[0])
    say_to(bob, alice, texts[1])
    contents = [m.text for m in alice.transcript if m.type == Type.MESSAGE]
    assert contents == texts
    alice.send(alice.make_message(texts[1])[:HEAD_BYTES])
    alice.expect_error("too-large")


def test_shutdown(server, alice):
    """The last word is sealed, too."""
    server.signal(signal.SIGTERM)
    alice.expect_closed("shutdown")
    alice.close()
    assert server.wait_exit() == 0
