"""The frame dialect byte by byte: what a frame is, and what is none."""

import re

import pytest

from timing import WAIT
from wire_frame import PING, Type, frame, to_server

# What bytes mean does not depend on where they come from.
pytestmark = [
    pytest.mark.dialects("frame"),
    pytest.mark.families("tcp4", "unix"),
]

MAX_FRAME = 16384
HEAD_BYTES = 4


@pytest.fixture
def url():
    return "frame://127.0.0.1:0"


@pytest.fixture
def alice(server):
    return server.person("alice")


@pytest.fixture
def stranger(server):
    client = server.open()
    client.expect_init()
    return client


@pytest.mark.parametrize(
    "listener", ["frame://[::1]:0", "frame+unix://{folder}/socket"]
)
def test_families(launch, folder, listener):
    """It "runs over TCP" of either family "or a Unix socket"."""
    url = listener.format(folder=folder)
    server = launch("--listen", url)
    assert server.urls[0].startswith(url.rpartition(":")[0])
    alice, bob = server.person("alice"), server.person("bob")
    bob.say("hello")
    assert alice.hear_messages("lobby", 1) == ["bob: hello"]


# --- bodies that cannot be


def shortened(body):
    return [body[:length] for length in range(len(body))]


def str8(text):
    return bytes([len(text)]) + text.encode()


PING_BODY = to_server(Type.HEARTBEAT, kind=PING, stamp=1)[HEAD_BYTES:]
BAD_BODIES = {
    Type.HEARTBEAT: [
        *shortened(PING_BODY),
        PING_BODY + b"x",
        b"\x02" + PING_BODY[1:],
    ],
    Type.MESSAGE: [
        *shortened(bytes(4) + str8("lobby")),
        bytes(4) + b"\xff" + b"x" * 254,
    ],
    Type.COMMAND: shortened(bytes(4)),
    Type.DISCONNECT: shortened(bytes(2)),
}


@pytest.mark.parametrize("number", BAD_BODIES, ids=lambda number: number.name)
def test_bad_frame(server, number):
    """`bad-frame`: "a body that cannot be what its type says (too short, or
    bytes after its last field)"; it closes, and the others are not
    concerned."""
    alice = server.person("alice")
    for body in BAD_BODIES[number]:
        bob = server.connect()
        bob.send(frame(number, body))
        bob.expect_closed("bad-frame")
    assert alice.ask_list("who") == ["alice", "end of who"]


ACK_BODY = b"\x01" + str8("alice")


@pytest.mark.parametrize("body", [*shortened(ACK_BODY), ACK_BODY + b"x"])
def test_bad_frame_first(stranger, body):
    """A SESSION_ACK is no exception."""
    stranger.send(frame(Type.SESSION_ACK, body))
    stranger.expect_closed("bad-frame")


@pytest.mark.parametrize("version", [0, 2, 255])
def test_bad_version(stranger, version):
    """`bad-version`: "a version other than 1, in a secure header or a frame
    SESSION_ACK"."""
    stranger.send(to_server(Type.SESSION_ACK, version=version, nick="alice"))
    stranger.expect_closed("bad-version")


# --- how long a frame may be


def test_longest_session_ack(stranger):
    """The rule: "a body of at most 26 bytes", which the longest nick has."""
    stranger.enter("x" * 24)


@pytest.mark.parametrize("length", [27, MAX_FRAME, 65535])
def test_session_ack_too_large(stranger, length):
    """`too-large`, "said before the body is read"."""
    stranger.send(frame(Type.SESSION_ACK, length=length))
    stranger.expect_closed("too-large")


@pytest.mark.parametrize(
    "number", [Type.MESSAGE, Type.COMMAND, Type.HEARTBEAT, 40]
)
@pytest.mark.parametrize("length", [MAX_FRAME + 1, 65535])
def test_too_large(alice, number, length):
    """`too-large`, of whatever type, before any of the body has come."""
    alice.send(frame(number, length=length))
    alice.expect_closed("too-large")


def test_longest_message(server, alice):
    """A body of as many bytes as `--max-frame` says is not too large."""
    bob = server.person("bob")
    text = "x" * (MAX_FRAME - 5)
    assert len(alice.make_message(text)) == HEAD_BYTES + MAX_FRAME
    alice.say(text)
    assert bob.hear_messages("lobby", 1) == [f"alice: {text}"]


def test_max_frame(start):
    """`--max-frame` sets the limit."""
    server = start("--max-frame", "100")
    alice = server.person("alice")
    alice.say("x" * 95)
    assert alice.hear_messages("lobby", 1) == ["alice: " + "x" * 95]
    alice.say("x" * 96)
    alice.expect_closed("too-large")


def largest_to(nick, room="lobby"):
    """The longest text that fits a frame to a member."""
    return 65535 - 8 - 8 - len(str8(room)) - len(str8(nick))


@pytest.mark.parametrize("over", [0, 1], ids=["fits", "one-over"])
def test_text_that_does_not_fit(start, over):
    """What the server sends is a frame of up to 65535 bytes; "text that does
    not fit a frame" is described."""
    server = start("--max-frame", "65535")
    alice, bob = server.person("alice"), server.person("bob")
    length = largest_to("alice") + over
    alice.say("x" * length)
    told = f"sent text/plain; charset=utf-8 ({length} bytes)"
    for member in alice, bob:
        heard = member.hear_messages("lobby", 1, WAIT)
        assert heard == [f"alice: {told if over else 'x' * length}"]


def test_topic_that_does_not_fit(start):
    """In REPLY and NOTICE too."""
    server = start("--max-frame", "65535")
    alice = server.person("alice", "x" * 32)
    described = r".*sent text/plain; charset=utf-8 \(\d+ bytes\)"
    reply = alice.ask("topic " + "t" * (65535 - 4 - len("topic ")))
    assert re.fullmatch(described, reply)
    assert re.fullmatch(described, alice.hear("x" * 32))


@pytest.mark.parametrize("stamp", [2**53, 2**64 - 1])
def test_ping_with_a_large_stamp(alice, stamp):
    """A stamp is a u64."""
    alice.ping(stamp)


@pytest.mark.parametrize("target", [b"\xff", b"a\x00b", b"@", b"@\xff", b"@9"])
def test_bad_target(alice, target):
    """The rule: "A name in a target that breaks the rule of names is
    `bad-name`, of whatever bytes it is made"."""
    alice.send(to_server(Type.MESSAGE, id=3, target=target, text="hello"))
    alice.expect_error("bad-name", 3)
    assert alice.ask("echo on") == "on"


@pytest.mark.parametrize("nick", [b"\xff", b"a\x00b", b"a\nb"])
def test_nick_of_odd_bytes(stranger, nick):
    """In SESSION_ACK too."""
    stranger.send(to_server(Type.SESSION_ACK, version=1, nick=nick))
    stranger.expect_error("bad-name")
    stranger.enter("alice")


def test_text_of_disconnect_is_no_matter(alice):
    """DISCONNECT may say why."""
    alice.send(to_server(Type.DISCONNECT, code=7, text="had enough"))
    alice.expect_disconnect()
