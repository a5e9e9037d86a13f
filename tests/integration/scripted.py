"""A chat server in a thread that does to messages what it is told to: drops
them, doubles them, puts them in another order. What came of it is known, so
that a load generator can be held against it.

It speaks `raw`, where a line is a message and who has connected is in the one
room, or as much of `text` (docs/protocol.md) as it takes to be in a room. What
is said is as tests/load/message.h has it: `SSSSSS NNNNNNNN MATTER`.
"""

import contextlib
import selectors
import socket
import threading
import time
from dataclasses import dataclass, field

from timing import WAIT

# Among what somebody is sent: its connection ends there.
CUT = object()


# --- what is said


@dataclass
class Said:
    """A message, as it came."""

    speaker: int
    number: int
    text: bytes
    room: str
    peer: "Peer"
    server: "Scripted" = field(repr=False)

    def line(self, text=None):
        """As all hear it: with this text, or with its own."""
        text = self.text if text is None else text
        return self.server.dialect.message(self, text)

    def earlier(self, count):
        """What the same speaker said so many messages before."""
        return self.server.said[self.speaker, self.number - count]

    @property
    def key(self):
        return self.speaker, self.number


# --- what becomes of a message on its way to somebody: the parts that are sent


def pass_on(said):
    return [said.line()]


def drop(_):
    return []


def double(said):
    return [said.line(), said.line()]


def after(fate):
    """Something comes behind the message."""
    return lambda said: [said.line(), *fate(said)]


def swap(said):
    """The message before it, which was dropped, comes after it."""
    return [said.line(), said.earlier(1).line()]


def repeat(count):
    """One that was said before comes again."""
    return lambda said: [said.earlier(count).line(), said.line()]


def damage(at):
    """One byte is another."""

    def fate(said):
        text = bytearray(said.text)
        text[at] = ord("#")
        return [said.line(bytes(text))]

    return fate


def shorten(length):
    return lambda said: [said.line(said.text[:length])]


def lengthen(said):
    return [said.line(said.text + b"x")]


def misname(speaker=0, number=0):
    """It says that it is another."""

    def fate(said):
        name = b"%06x %08x:" % (said.speaker + speaker, said.number + number)
        return [said.line(name + said.text[len(name) :])]

    return fate


def run_together(said):
    """Its line does not end where it should."""
    return [said.line()[:-1]]


def cut(said):
    return [CUT]


def cut_within(said):
    return [said.line()[:20], CUT]


def tell(line):
    """A line of the server's comes before the message."""
    return lambda said: [line + b"\n", said.line()]


def lagged(missed):
    """The message is preceded by how many were missed."""

    def fate(said):
        notice = f"[{said.room}] * lagged: {missed} messages missed\n"
        return [notice.encode(), said.line()]

    return fate


# --- dialects


class Raw:
    scheme = "raw"

    def welcome(self, peer):
        peer.server.let_in(peer, "")

    def hear(self, peer, line):
        peer.server.hear(peer, line)

    def message(self, said, text):
        return text + b"\n"


class Text:
    scheme = "text"

    def welcome(self, peer):
        peer.send(
            f"* welcome to ringchat, you are guest-{peer.number:04x}, "
            "in lobby; /help lists commands\n".encode()
        )

    def hear(self, peer, line):
        word, _, rest = line.decode().partition(" ")
        if word == "/join":
            peer.send(f"* joined {rest} (1 members)\n".encode())
            peer.room = rest
        elif word == "/leave":
            peer.send(f"* left {rest}\n".encode())
            peer.server.let_in(peer, peer.room)
        elif word == "/quit":
            peer.send(b"* bye\n", CUT)
        else:
            peer.server.hear(peer, line)

    def message(self, said, text):
        who = f"[{said.room}] guest-{said.peer.number:04x}: "
        return who.encode() + text + b"\n"


# --- the server


class Peer:
    """A client's connection."""

    def __init__(self, server, sock, number):
        self.server = server
        self.socket = sock
        self.number = number  # in the order of arrival
        self.room = None
        self.is_open = True
        self.speaks = False
        self.begun = b""

    def send(self, *parts):
        """Bytes, in as few pieces as they can be sent in, and CUT."""
        for index, part in enumerate(parts):
            if part is CUT:
                self.server.send(self, b"".join(parts[:index]))
                self.server.close_peer(self)
                return
        self.server.send(self, b"".join(parts))

    def read(self):
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        *lines, self.begun = (self.begun + data).split(b"\n")
        for line in lines:
            if self.is_open:
                self.server.dialect.hear(self, line)
        if not data and self.is_open:
            self.server.close_peer(self)


class Scripted:
    """`clients` have to be in before a message is passed on, so that it is
    known who hears it. `fate(peer, said)` says what becomes of a message on
    its way to one of them, `pauses` which messages the server waits so many
    seconds before, doing nothing else; `welcomes(number)` whether somebody
    is; `piece` is the most that is sent at once."""

    def __init__(
        self, clients, dialect=None, fate=None, pauses=None, welcomes=None,
        piece=None, path=None,
    ):
        self.dialect = dialect or Raw()
        self.fate = fate or (lambda peer, said: pass_on(said))
        self.pauses = pauses or {}
        self.welcomes = welcomes or (lambda number: True)
        self.piece = piece
        self.members = []
        self.said = {}  # by speaker and number
        self.read_at = {}  # when it came, and when it was passed on
        self.passed_at = {}
        self.arrived = 0
        self._awaited = clients
        self._held = []
        self._peers = []
        self._error = None
        self._ending = False
        self._listener = self._listen(path)
        self._bell, self._ring = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._watch(self._listener, self._accept)
        self._watch(self._bell, self._end)
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ring.send(b"!")
        self._thread.join()
        for peer in self._peers:
            peer.socket.close()
        for sock in (self._listener, self._bell, self._ring):
            sock.close()
        self._selector.close()
        if self._error:
            raise self._error

    def speakers(self):
        return [peer for peer in self.members if peer.speaks]

    def hearers(self):
        """Those who have not said anything."""
        return [peer for peer in self.members if not peer.speaks]

    def is_quiet(self):
        """Whether nothing has come that has not been read."""
        return not self._held and not self._selector.select(0)

    # --- called by dialects

    def let_in(self, peer, room):
        peer.room = room
        self.members.append(peer)

    def hear(self, peer, text):
        """Somebody has said something."""
        peer.speaks = True
        speaker, number = int(text[:6], 16), int(text[7:15], 16)
        said = Said(speaker, number, text, peer.room, peer, self)
        assert said.key not in self.said, "said twice"
        self.said[said.key] = said
        self.read_at[said.key] = time.monotonic()
        self._held.append(said)

    # --- what a script may want otherwise

    def take(self, said):
        """It is the message's turn."""
        time.sleep(self.pauses.get(said.number, 0))
        self.passed_at[said.key] = time.monotonic()
        for peer in list(self.members):
            if peer.is_open and peer.room == said.room:
                peer.send(*self.fate(peer, said))

    # --- connections

    def send(self, peer, data):
        size = self.piece or len(data) or 1
        for begin in range(0, len(data), size):
            if not peer.is_open:
                return
            try:
                peer.socket.sendall(data[begin : begin + size])
            except (BrokenPipeError, ConnectionResetError):
                self.close_peer(peer)

    def close_peer(self, peer):
        peer.is_open = False
        self._selector.unregister(peer.socket)
        peer.socket.close()
        if peer in self.members:
            self.members.remove(peer)

    def _listen(self, path):
        scheme = self.dialect.scheme
        if path:
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(str(path))
            self.url = f"{scheme}+unix://{path}"
        else:
            listener = socket.socket()
            listener.bind(("127.0.0.1", 0))
            self.url = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
        listener.listen(1000)
        return listener

    def _watch(self, sock, act):
        self._selector.register(sock, selectors.EVENT_READ, act)

    def _accept(self):
        sock, _ = self._listener.accept()
        sock.settimeout(WAIT)
        with contextlib.suppress(OSError):  # a Unix socket knows no delay
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer = Peer(self, sock, self.arrived)
        self.arrived += 1
        self._peers.append(peer)
        self._watch(sock, peer.read)
        if self.welcomes(peer.number):
            self.dialect.welcome(peer)

    def _end(self):
        self._ending = True

    def _take_all(self):
        while self._held and len(self.members) >= self._awaited:
            self._awaited = 0
            self.take(self._held.pop(0))

    def _serve(self):
        try:
            while not self._ending:
                for key, _ in self._selector.select():
                    if key.fileobj.fileno() >= 0:
                        key.data()
                self._take_all()
        except Exception as error:  # for who waits for this thread
            self._error = error
            for peer in self._peers:
                peer.socket.close()
