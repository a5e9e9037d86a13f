"""tests/load/raw/raw.c: the least that a kernel allows passes on all that it is
given, whole and in order, and blasts what tests/load/message.h says.

None of it has a stage: `raw` is a program of its own.
"""

import random
import select
import signal
import subprocess
from contextlib import ExitStack, suppress

import pytest

import proc
from client import connect_socket
from conftest import REPOSITORY, url_at
from timing import WAIT, Expired, together, until

MIB = 1024 * 1024
MODES = ("relay", "echo", "blast")


# --- the program


class Raw:
    def __init__(self, command):
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        self.sockets = []
        line = self.process.stderr.readline().decode()
        assert line.startswith("listening raw"), line
        self.url = line.split()[1]

    def connect(self, **socket_options):
        sock = connect_socket(self.url, **socket_options)
        self.sockets.append(sock)
        return sock

    def end(self, number=signal.SIGTERM):
        """Asks it to end; returns its exit status. It says nothing more."""
        self.process.send_signal(number)
        try:
            _, said = self.process.communicate(timeout=WAIT)
        except subprocess.TimeoutExpired:
            raise Expired("raw does not end")
        assert said == b""
        return self.process.returncode

    def dismiss(self):
        try:
            if self.process.poll() is None:
                assert self.end() == 0
        finally:
            for sock in self.sockets:
                sock.close()
            if self.process.poll() is None:
                self.process.kill()
            self.process.wait()
            self.process.stderr.close()


@pytest.fixture
def program(pytestconfig):
    return REPOSITORY / pytestconfig.getoption("--build-dir") / "raw"


@pytest.fixture
def url(family, folder):
    return url_at("raw", family, folder)


@pytest.fixture
def start(program, url):
    """Starts it with a mode and options; ends it after the test."""
    with ExitStack() as started:

        def start_raw(mode, *options):
            raw = Raw([program, mode, "--listen", url, *map(str, options)])
            started.callback(raw.dismiss)
            return raw

        yield start_raw


# --- what is read


def read_exactly(sock, length):
    received = bytearray()
    while len(received) < length:
        part = sock.recv(min(length - len(received), MIB))
        assert part, f"the end after {len(received)} of {length} bytes"
        received += part
    return bytes(received)


def read_to_end(sock):
    parts = []
    while part := sock.recv(MIB):
        parts.append(part)
    return b"".join(parts)


def hears_nothing(sock, seconds=0.2):
    return not select.select([sock], [], [], seconds)[0]


# --- relay


def test_all_hear_what_one_says(start):
    raw = start("relay")
    clients = [raw.connect() for _ in range(3)]
    for speaker in clients:
        speaker.sendall(b"one\ntwo\n")
        for client in clients:
            assert read_exactly(client, 8) == b"one\ntwo\n"


def test_a_torn_line_waits_for_its_rest(start):
    raw = start("relay")
    one, other, third = clients = [raw.connect() for _ in range(3)]
    for speaker, said, heard in [
        (one, b"first\nsec", b"first\n"),
        (other, b"other\n", b"other\n"),
        (third, b"x", b""),
        (one, b"on", b""),
        (other, b"again\n\nand", b"again\n\n"),
        (one, b"d\n", b"second\n"),
        (third, b"\n", b"x\n"),
        (other, b"\n", b"and\n"),
    ]:
        speaker.sendall(said)
        for client in clients:
            assert read_exactly(client, len(heard)) == heard
    assert all(hears_nothing(client) for client in clients)


def test_half_a_line_goes_with_its_speaker(start):
    raw = start("relay")
    one, other = raw.connect(), raw.connect()
    one.sendall(b"whole\nhal")
    assert read_exactly(other, 6) == b"whole\n"
    one.close()
    other.sendall(b"other\n")
    assert read_exactly(other, 6) == b"other\n"


def lines_of(name, count):
    """Lines that say whose they are and which, of all lengths."""
    draw = random.Random(name)
    return [
        b"%s %d %s\n" % (name, number, b"x" * draw.choice((0, 9, 300, 9000)))
        for number in range(count)
    ]


def say_in_pieces(sock, text):
    """Torn at any place."""
    draw = random.Random(len(text))
    while text:
        length = draw.choice((1, 7, 100, 5000, 70000))
        sock.sendall(text[:length])
        text = text[length:]


def test_nobody_tears_anothers_lines(start):
    raw = start("relay")
    clients = {name: raw.connect() for name in (b"a", b"b", b"c")}
    said = {name: lines_of(name, 500) for name in clients}
    total = sum(map(len, sum(said.values(), [])))
    heard = together(
        *(
            lambda client=client: read_exactly(client, total)
            for client in clients.values()
        ),
        *(
            lambda name=name: say_in_pieces(clients[name], b"".join(said[name]))
            for name in clients
        ),
    )[: len(clients)]
    assert heard[0] == heard[1] == heard[2]
    lines = heard[0].splitlines(keepends=True)
    for name in clients:
        assert [line for line in lines if line[:1] == name] == said[name]


def test_a_line_may_be_long(start):
    raw = start("relay")
    one, other = raw.connect(), raw.connect()
    line = b"y" * (3 * MIB) + b"\n"
    _, *heard = together(
        lambda: one.sendall(line + b"short\n"),
        lambda: read_exactly(one, len(line) + 6),
        lambda: read_exactly(other, len(line) + 6),
    )
    assert heard == [line + b"short\n"] * 2


def test_a_line_without_end_is_cut_off(start):
    raw = start("relay")
    one, other = raw.connect(), raw.connect()
    with pytest.raises(ConnectionError):
        for _ in range(64):
            one.sendall(b"z" * MIB)
    other.sendall(b"others go on\n")
    assert read_exactly(other, 13) == b"others go on\n"


def test_who_has_connected_hears_what_is_said_then(start):
    raw = start("relay")
    speaker = raw.connect()
    for number in range(200):
        late = raw.connect()
        line = b"%d\n" % number
        speaker.sendall(line)
        assert read_exactly(late, len(line)) == line
        assert read_exactly(speaker, len(line)) == line
        late.close()


def say_until_stalled(speaker):
    """Says lines, and hears itself, until neither goes on; returns what has
    been said (perhaps half a line last) and what of it heard. The kernel holds
    some megabytes for who is slow, but not so many."""
    lines = b"".join(b"line %08d\n" % number for number in range(10000))
    said, heard = bytearray(), bytearray()
    speaker.setblocking(False)
    while len(said) < 128 * MIB:
        readable, writable, _ = select.select([speaker], [speaker], [], 0.5)
        if not readable and not writable:
            speaker.settimeout(WAIT)
            return said, heard
        if readable:
            heard += speaker.recv(MIB)
        if writable:
            with suppress(BlockingIOError):
                begin = len(said) % len(lines)
                said += lines[begin:][: speaker.send(lines[begin:])]
    raise AssertionError("it does not wait for who is slow")


def test_nothing_is_lost_on_who_is_slow(start):
    raw = start("relay")
    slow, speaker = raw.connect(receive_buffer=4096), raw.connect()
    said, heard = say_until_stalled(speaker)
    said += b"\n"
    _, of_slow, rest = together(
        lambda: speaker.sendall(b"\n"),
        lambda: read_exactly(slow, len(said)),
        lambda: read_exactly(speaker, len(said) - len(heard)),
    )
    assert of_slow == said
    assert heard + rest == said


def test_who_stalls_and_goes_stalls_nobody_any_more(start):
    raw = start("relay")
    slow, speaker = raw.connect(receive_buffer=4096), raw.connect()
    said, heard = say_until_stalled(speaker)
    slow.close()
    whole = said[: said.rindex(b"\n") + 1]
    assert heard + read_exactly(speaker, len(whole) - len(heard)) == whole


def test_a_stalled_relay_can_be_ended(start):
    raw = start("relay")
    raw.connect(receive_buffer=4096)
    say_until_stalled(raw.connect())
    assert raw.end() == 0


# --- echo


def test_only_its_speaker_hears_an_echo(start):
    raw = start("echo")
    one, other = raw.connect(), raw.connect()
    one.sendall(b"no line")
    assert read_exactly(one, 7) == b"no line"
    other.sendall(b"\n\n")
    assert read_exactly(other, 2) == b"\n\n"
    assert hears_nothing(one)
    assert hears_nothing(other)


def test_much_is_echoed(start):
    raw = start("echo")
    client = raw.connect()
    said = random.Random(7).randbytes(20 * MIB)
    _, heard = together(
        lambda: client.sendall(said),
        lambda: read_exactly(client, len(said)),
    )
    assert heard == said


def test_who_does_not_hear_its_echo_stalls_itself_alone(start):
    raw = start("echo")
    slow, other = raw.connect(receive_buffer=4096), raw.connect()
    slow.setblocking(False)
    said = bytearray()
    while select.select([], [slow], [], 0.5)[1]:
        with suppress(BlockingIOError):
            piece = random.Random(len(said)).randbytes(MIB)
            said += piece[: slow.send(piece)]
    other.sendall(b"hello")
    assert read_exactly(other, 5) == b"hello"
    slow.settimeout(WAIT)
    assert read_exactly(slow, len(said)) == said


# --- blast: tests/load/message.h, in words of our own

LETTERS = b"".join(
    bytes(range(first, last + 1)) for first, last in (b"AZ", b"az", b"09")
)
LETTERS += b"+-"
MATTER_BYTES = 64 * 1024
NAME_BYTES = 16


def matter(seed):
    """What messages are cut from, twice, so that a cut may go round."""
    mask = 2**64 - 1
    letters = bytearray()
    for _ in range(MATTER_BYTES):
        seed = seed + 0x9E3779B97F4A7C15 & mask
        z = (seed ^ seed >> 30) * 0xBF58476D1CE4E5B9 & mask
        z = (z ^ z >> 27) * 0x94D049BB133111EB & mask
        letters.append(LETTERS[(z ^ z >> 31) % 64])
    return bytes(letters)


def blasted(size, count, seed=1):
    """The stream that `raw blast` has for each client."""
    around = matter(seed) * (2 + size // MATTER_BYTES)
    length = size - NAME_BYTES - 1
    stream = bytearray()
    for number in range(count):
        begin = number % 1024 * 61
        stream += b"%06x %08x:" % (0, number)
        stream += around[begin : begin + length] + b"\n"
    return bytes(stream)


# All go round in the ring: those whose numbers alone are written again, and
# those that are written whole.
@pytest.mark.parametrize(
    "size, count",
    [(17, 130000), (64, 40000), (100, 25000), (1024, 3000), (1500, 2000),
     (70000, 60), (1000000, 20)],
)  # fmt: skip
def test_lines_as_they_should_be(start, size, count):
    raw = start("blast", "--size", size, "--count", count, "--clients", 3)
    clients = [raw.connect() for _ in range(3)]
    stream = blasted(size, count)
    together(*(lambda c=c: compare(read_to_end(c), stream) for c in clients))


def compare(heard, stream):
    """Not by assert: to show how megabytes differ would take minutes."""
    if heard != stream:
        pairs = zip(heard, stream)
        same = next((i for i, (a, b) in enumerate(pairs) if a != b), None)
        pytest.fail(f"{len(heard)} of {len(stream)} bytes, as far as {same}")


def test_each_at_its_own_pace(start):
    """Some of them so far behind that others have had all by then."""
    raw = start("blast", "--count", 400000, "--clients", 3)
    stream = blasted(64, 400000)
    clients = [raw.connect(receive_buffer=4096) for _ in range(3)]
    assert read_exactly(clients[2], 1000) == stream[:1000]
    compare(read_to_end(clients[0]), stream)
    alternating = [clients[1], clients[2]]
    heard = [b"", stream[:1000]]
    for _ in range(100):
        for i, client in enumerate(alternating):
            heard[i] += read_exactly(client, 10007)
    for i, client in enumerate(alternating):
        compare(heard[i] + read_to_end(client), stream)


def test_it_begins_when_all_are_there(start):
    raw = start("blast", "--clients", 2, "--count", 10)
    first = raw.connect()
    assert hears_nothing(first)
    second = raw.connect()
    assert read_to_end(first) == read_to_end(second) == blasted(64, 10)


def test_who_comes_later_hears_all_from_the_beginning(start):
    raw = start("blast")
    first = raw.connect()
    stream = blasted(64, 50000)
    compare(read_exactly(first, len(stream)), stream)
    compare(read_exactly(raw.connect(), len(stream)), stream)


def test_it_ends_for_each_alone_and_goes_on_for_others(start):
    raw = start("blast", "--count", 1000)
    before = proc.descriptors(raw.process.pid)
    for _ in range(3):
        client = raw.connect()
        client.sendall(b"not read\n")
        compare(read_to_end(client), blasted(64, 1000))
        client.close()
    until(
        lambda: proc.descriptors(raw.process.pid) == before,
        "all connections are closed",
    )


@pytest.mark.families("tcp4")
def test_a_seed_of_its_own(start):
    raw = start("blast", "--count", 2000, "--seed", 12345)
    stream = blasted(64, 2000, 12345)
    assert stream != blasted(64, 2000)
    compare(read_to_end(raw.connect()), stream)


def test_who_goes_does_not_harm_others(start):
    raw = start("blast", "--clients", 3)
    clients = [raw.connect() for _ in range(3)]
    stream = blasted(64, 50000)
    read_exactly(clients[0], 100000)
    clients[0].close()
    compare(read_exactly(clients[1], len(stream)), stream)
    clients[1].close()
    compare(read_exactly(clients[2], len(stream)), stream)


# --- beginning and ending


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it(start, mode, number, family, folder):
    raw = start(mode)
    sock = raw.connect()
    sock.sendall(b"hello\n")
    assert sock.recv(5)
    assert raw.end(number) == 0
    with suppress(ConnectionResetError):
        read_to_end(sock)
    assert list(folder.iterdir()) == []  # nor is a socket's file left


@pytest.mark.families("tcp4")
def test_a_signal_ends_who_waits(start):
    assert start("blast", "--clients", 2).end() == 0


def run(program, *options):
    return subprocess.run(
        [program, *options],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WAIT,
    )


@pytest.mark.parametrize(
    "options",
    [
        "", "shout", "relay more", "relay --size 64", "echo --clients 2",
        "echo --nothing", "blast --size 16", "blast --size 64x",
        "blast --size -64", "blast --size", "blast --size 16777217",
        "blast --clients 0", "blast --count 4294967296", "blast --seed ?",
        "blast --seed 18446744073709551616", "relay --listen localhost",
        "relay --listen text://127.0.0.1:0", "relay --listen raw://127.0.0.1",
        "relay --listen raw://127.0.0.1:", "relay --listen raw://127.0.0.1:x",
        "relay --listen raw://[nowhere]:0",
    ],
)  # fmt: skip
def test_bad_usage(program, options):
    result = run(program, *options.split())
    assert result.returncode == 64
    assert result.stderr


def test_where_another_listens(program, start):
    raw = start("echo")
    result = run(program, "echo", "--listen", raw.url)
    assert result.returncode == 71
    assert result.stderr == "raw: bind: Address already in use\n"
    sock = raw.connect()
    sock.sendall(b"still there")
    assert read_exactly(sock, 11) == b"still there"
