"""The text dialect byte by byte: what a line is, and what is none."""

import ssl

import pytest

from timing import until

# What bytes mean does not depend on where they come from.
pytestmark = pytest.mark.families("tcp4", "unix")

MAX_LINE = 4096


@pytest.fixture
def alice(server):
    """A client whose connection has begun as text."""
    return server.person("alice")


def expect_message(client, text):
    assert client.hear_messages("lobby", 1) == [f"{client.nick}: {text}"]


# --- lines


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_split_at_every_byte(alice, end):
    """A stream has no packets: a line is one wherever it is cut."""
    text = "h\u00e9llo \u20ac \U0001f600"
    line = (text + end).encode()
    for cut in range(1, len(line)):
        alice.send(line[:cut])
        alice.send(line[cut:])
        expect_message(alice, text)


def test_line_sent_byte_by_byte(alice):
    """The same with every cut at once."""
    for byte in "/echo \u20ac5 a byte\r\n".encode():
        alice.send(bytes([byte]))
    alice.expect("\u20ac5 a byte")


def test_many_lines_in_one_piece(alice):
    """The same the other way round."""
    alice.send(b"one\r\n\ntwo\n\r\n/echo three\nfour\n")
    assert alice.hear_messages("lobby", 3) == [
        "alice: one",
        "alice: two",
        "alice: four",
    ]
    alice.expect("three")


def test_empty_lines_are_ignored(alice):
    """The rule: "An empty line is ignored", with LF or CR LF."""
    alice.send(b"\n\r\n\n\n\r\nhello\n")
    expect_message(alice, "hello")


@pytest.mark.parametrize("text", [" ", "  two", "trailing ", "\ttab\t"])
def test_white_space_is_kept(alice, text):
    """White space is text; only an empty line is empty."""
    alice.say(text)
    expect_message(alice, text)


@pytest.mark.parametrize(
    "line, text", [("//", "/"), ("//path", "/path"), ("///x", "//x")]
)
def test_double_slash(alice, line, text):
    """The rule: "A line that starts with `//` sends the rest, with one
    `/`"."""
    alice.say(line)
    expect_message(alice, text)


@pytest.mark.parametrize(
    "sent, text",
    [
        (b"hello", "hello"),
        (b"hello\r", "hello"),
        (b"first\nhello", "hello"),
        (b"x" * MAX_LINE, "x" * MAX_LINE),
    ],
    ids=["no-end", "cr", "second", "longest"],
)
def test_last_line_without_lf(server, alice, sent, text):
    """The rule: "A last line without LF before the client's end of file
    counts"."""
    bob = server.person("bob")
    alice.send(sent)
    alice.half_close()
    assert alice.read_to_end()[-1] == f"[lobby] alice: {text}"
    heard = bob.hear_messages("lobby", 1 + sent.count(b"\n"))
    assert heard[-1] == f"alice: {text}"


# --- length


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["lf", "crlf"])
@pytest.mark.parametrize("length", [MAX_LINE - 1, MAX_LINE])
def test_longest_line(alice, length, end):
    """`line-too-long`: "over --max-line (4096 bytes, without LF or CR LF)",
    so not up to it."""
    alice.send(b"x" * length + end.encode())
    expect_message(alice, "x" * length)


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["lf", "crlf"])
@pytest.mark.parametrize("length", [MAX_LINE + 1, MAX_LINE + 2, 100_000])
def test_line_too_long(alice, length, end):
    """The rule: "nothing of it takes effect, one error a line", and the next
    line is as good as any."""
    alice.send(b"x" * length + end.encode() + b"/echo next\n")
    alice.expect_error("line-too-long")
    alice.expect("next")
    alice.say("after")
    expect_message(alice, "after")


def test_two_lines_too_long(alice):
    """The rule: "one error a line"."""
    too_long = b"x" * (MAX_LINE + 1) + b"\n"
    alice.send(too_long + too_long + b"/echo next\n")
    alice.expect_error("line-too-long")
    alice.expect_error("line-too-long")
    alice.expect("next")


def test_command_too_long(alice):
    """Nothing of a command that is too long takes effect either."""
    alice.say("/topic " + "x" * MAX_LINE)
    alice.expect_error("line-too-long")
    assert alice.ask("/topic") == "* topic lobby: "


def test_last_line_too_long(alice):
    """A last line without LF has the same limit."""
    alice.send(b"x" * (MAX_LINE + 1))
    alice.half_close()
    alice.expect_error("line-too-long")
    alice.expect_end()


def test_bytes_count_not_characters(alice):
    """The limit is in bytes."""
    alice.say("\u20ac" * (MAX_LINE // 3))
    expect_message(alice, "\u20ac" * (MAX_LINE // 3))
    alice.say("\u20ac" * (MAX_LINE // 3 + 1))
    alice.expect_error("line-too-long")


def test_max_line(start):
    """`--max-line` is that limit."""
    alice = start("--max-line", "16").connect()
    alice.say("/echo 1234567890")
    alice.expect("1234567890")
    alice.say("/echo 12345678901")
    alice.expect_error("line-too-long")


# --- what text may hold


CONTROLS = [
    *[bytes([byte]) for byte in range(0x20) if byte not in b"\t\n"],
    b"\x7f",
    *[chr(code).encode() for code in range(0x80, 0xA0)],
]
INVALID = [
    b"\xff", b"\xc0\xaf", b"\xc1\xbf", b"\x80", b"\xbf", b"\xe2\x82",
    b"\xe0\x80\x80", b"\xe0\x9f\xbf", b"\xed\xa0\x80", b"\xed\xbf\xbf",
    b"\xf0\x80\x80\x80", b"\xf0\x8f\xbf\xbf", b"\xf4\x90\x80\x80",
    b"\xf5\x80\x80\x80", b"\xf0\x9f\x98", b"\xc3",
]


def test_control_characters(alice):
    """The rule: "Text that people see is UTF-8 (RFC 3629) without control
    characters: U+0000 to U+001F but tab, U+007F, U+0080 to U+009F. Anything
    else is refused"."""
    for control in CONTROLS:
        alice.send(b"a" + control + b"b\n")
        alice.expect_error("bad-text")
    alice.say("clean")
    expect_message(alice, "clean")


def test_invalid_utf8(alice):
    """`bad-text`: "invalid UTF-8": no overlong form, no surrogate, nothing
    over U+10FFFF, nothing cut off."""
    for invalid in INVALID:
        alice.send(b"a" + invalid + b"b\n")
        alice.expect_error("bad-text")
        alice.send(b"a" + invalid + b"\n")
        alice.expect_error("bad-text")
    alice.say("clean")
    expect_message(alice, "clean")


@pytest.mark.parametrize("where", [b"/echo ", b"/topic ", b"/nick ", b"//"])
def test_bad_text_in_commands(alice, where):
    """A line of bad text does nothing, whatever it begins with."""
    alice.send(where + b"x\x1b[31m\n")
    alice.expect_error("bad-text")
    assert alice.ask("/topic") == "* topic lobby: "


def test_cr_within_a_line(alice):
    """The rule: "a CR before it is dropped": one, and only before LF."""
    alice.send(b"a\rb\n")
    alice.expect_error("bad-text")
    alice.send(b"a\r\r\n")
    alice.expect_error("bad-text")


@pytest.mark.parametrize(
    "text",
    ["\u00a0", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\uffff",
     "\U00010000", "\U0010ffff", "a\tb", "~"],
    ids=ascii,
)
def test_the_edges_of_good_text(alice, text):
    """All other UTF-8 is text."""
    alice.say(text)
    expect_message(alice, text)


# --- what is not text at all


def expect_wrong_protocol(client):
    client.expect_error("wrong-protocol")
    client.expect_end()


NOT_TEXT = [
    *[byte for byte in range(0x20) if byte not in b"\t\r\n"],
    *range(0x7F, 0xC2),
    *range(0xF5, 0x100),
]


def test_first_byte(server):
    """`wrong-protocol`: "the first byte is a control other than tab, CR and
    LF", or one that "cannot begin a UTF-8 character"."""
    for byte in NOT_TEXT:
        stranger = server.connect()
        stranger.send(bytes([byte]))
        expect_wrong_protocol(stranger)


@pytest.mark.parametrize(
    "sent", [b"\t", b"\r\n", b"\n", b" ", b"~", b"\xc3\xa9"]
)
def test_first_byte_of_text(server, sent):
    """Any other byte may come first."""
    alice = server.connect()
    alice.send(sent + b"\n/echo welcome\n")
    alice.expect("welcome")


def test_first_character_may_be_bad_text(server):
    """A C1 control begins like a UTF-8 character: `bad-text`, no more."""
    alice = server.connect()
    alice.send(b"\xc2\x80\n")
    alice.expect_error("bad-text")
    assert alice.ask("/echo on") == "on"


def test_only_the_first_byte_counts(alice):
    """Later ones are `bad-text` like everywhere."""
    alice.send(b"\x00\n")
    alice.expect_error("bad-text")
    assert alice.ask("/echo on") == "on"


def test_tls_client_hello(server):
    """The rule: "a TLS ClientHello begins with 16 hex"."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(
        incoming, outgoing, server_hostname="localhost"
    )
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    stranger = server.connect()
    stranger.send(outgoing.read())
    expect_wrong_protocol(stranger)


@pytest.mark.parametrize(
    "request_line",
    [b"GET / HTTP/1.1", b"POST /chat?x=1 HTTP/1.0", b"PRI * HTTP/2.0",
     b"OPTIONS * HTTP/1.1", b"CONNECT example.org:443 HTTP/1.1"],
)
def test_http(server, request_line):
    """`wrong-protocol`: "the first line that is not empty is an HTTP request
    line"; nobody sees it."""
    alice, stranger = server.person("alice"), server.connect()
    stranger.send(request_line + b"\r\nHost: localhost\r\n\r\n")
    expect_wrong_protocol(stranger)
    alice.say("/quit")
    assert not any("HTTP" in line for line in alice.read_to_end())


def test_http_after_an_empty_line(server):
    """Empty lines are ignored, here too."""
    stranger = server.connect()
    stranger.send(b"\r\nGET / HTTP/1.1\r\n")
    expect_wrong_protocol(stranger)


@pytest.mark.parametrize(
    "line", ["GET / HTTP/1.1 is how they ask", "GET /", "get / http/1.1"]
)
def test_almost_http(server, line):
    """What is not a request line is text."""
    alice = server.connect()
    alice.say(line)
    expect_message(alice, line)


def test_http_in_a_later_line(alice):
    """Only the first line is looked at so."""
    alice.say("GET / HTTP/1.1")
    expect_message(alice, "GET / HTTP/1.1")


# --- errors that close


def test_closing_error_is_not_overtaken(server):
    """The rule: "the error is sent (for at most `--drain-timeout`), the server
    shuts down its side, reads and drops for at most a second, and closes, so
    that a reset does not overtake the error": even when the peer goes on
    sending."""
    stranger = server.connect()
    for _ in range(16):
        stranger.send(b"\x16" * 16384)
    expect_wrong_protocol(stranger)


def test_closing_error_after_the_end(server):
    """The same when the peer has ended its side."""
    stranger = server.connect()
    stranger.send(b"\x16\x03\x01")
    stranger.half_close()
    expect_wrong_protocol(stranger)


def test_nothing_after_a_closing_error_takes_effect(server):
    """The rule: "Frames and lines that arrived whole before the faulty one
    take effect; nothing after it does", and the session is gone."""
    alice, stranger = server.person("alice"), server.connect()
    stranger.send(b"\x00\nhello\n/nick bob\n")
    expect_wrong_protocol(stranger)
    until(
        lambda: alice.ask_list("/who", "* end of who") == ["* alice"],
        "the stranger is no member",
    )
    alice.say("/quit")
    assert not any("hello" in line for line in alice.read_to_end())
