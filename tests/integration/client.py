"""What clients of all dialects have in common, and the client of the text
dialect, written from docs/protocol.md alone.

Between what a room says and what is said to one session alone the protocol
promises no order, so a client keeps them apart: `reply` takes the next line
that is for it alone, `hear` the next one of a room. `transcript` holds all of
it in the order of arrival.
"""

import re
import socket
import struct
import time
from collections import defaultdict, deque

from timing import WAIT, Expired

WELCOME = re.compile(
    r"\* welcome to ringchat, you are (guest-[0-9A-Fa-f]{4,8}), in lobby; "
    r"/help lists commands"
)
ROOM_LINE = re.compile(r"\[([A-Za-z0-9_.-]{1,32})\] (.*)")


def is_error(line, name):
    """Whether a line is `! name` or `! name detail`."""
    return f"{line} ".startswith(f"! {name} ")


def connect_socket(url, receive_buffer=None, source=None):
    """Connects to a listener's URL; returns the socket."""
    scheme, _, rest = url.partition("://")
    if scheme.endswith("+unix"):
        sock, address = socket.socket(socket.AF_UNIX), rest
    else:
        host, _, port = rest.rpartition(":")
        host = host.strip("[]")
        kind = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock, address = socket.socket(kind), (host, int(port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    if source:
        sock.bind((source, 0))
    sock.settimeout(WAIT)
    try:
        sock.connect(address)
    except OSError:
        sock.close()
        raise
    return sock


class Client:
    """A connection and what has come over it. A dialect says how bytes become
    what is filed (`_file_whole`), and what makes a server answer
    (`provoke`)."""

    def __init__(self, url, **socket_options):
        self.socket = connect_socket(url, **socket_options)
        self.nick = None
        self.transcript = []
        self.bytes_in = 0
        self._begun = bytearray()
        self._replies = deque()
        self._rooms = defaultdict(deque)
        self._ended = False

    @property
    def ended(self):
        """Whether the stream has been read to its end."""
        return self._ended

    # --- sending

    def send(self, data, seconds=WAIT):
        """Sends bytes as they are."""
        self.socket.settimeout(seconds)
        try:
            self.socket.sendall(data)
        except TimeoutError:
            raise Expired(
                f"the server does not read; {self._received()}"
            ) from None

    def half_close(self):
        """Ends our side of the stream, as `nc -N` does at end of input."""
        self.socket.shutdown(socket.SHUT_WR)

    def close(self):
        self.socket.close()

    def reset(self, last=b""):
        """Breaks the connection off after some last bytes, so that the
        server's reads fail where they would end."""
        if self.socket.family == socket.AF_UNIX:
            # A Unix socket resets its peer when it is closed with bytes that
            # nobody read, see unix(7); so have some.
            self.provoke()
            self.socket.recv(1, socket.MSG_PEEK)
        else:
            linger = struct.pack("ii", 1, 0)
            self.socket.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, linger
            )
        self.send(last)
        self.close()

    # --- receiving

    def reply(self, seconds=WAIT):
        """The next line that is for this client alone."""
        return self._take(self._replies, "a reply", seconds)

    def hear(self, room, seconds=WAIT):
        """What a room says next, message or event, without the `[room] `."""
        return self._take(self._rooms[room], f"a line of {room}", seconds)

    def hear_messages(self, room, count, seconds=WAIT):
        """The next messages of a room, as `nick: text`; events are skipped."""
        heard = []
        while len(heard) < count:
            line = self.hear(room, seconds)
            if not line.startswith("* "):
                heard.append(line)
        return heard

    def unheard(self, room):
        """What has come of a room and has not been heard."""
        return [self.hear(room) for _ in range(len(self._rooms[room]))]

    def unanswered(self):
        """What has come for this client alone and has not been taken."""
        return [self.reply() for _ in range(len(self._replies))]

    def forget(self):
        """Drops the transcript so far: a crowd that hears much need not keep
        all of it."""
        self.transcript.clear()

    def read_to_end(self, seconds=WAIT):
        """Reads until the server ends the stream; returns the transcript."""
        deadline = time.monotonic() + seconds
        while not self._ended:
            self._read("the end of the stream", deadline)
        assert not self._begun, "the stream ends within a message"
        return self.transcript

    def sip(self, size):
        """Reads once, so many bytes at most."""
        self._read("anything", time.monotonic() + WAIT, size)

    def expect(self, *lines):
        """The next lines for this client alone are these."""
        assert [self.reply() for _ in lines] == list(lines)

    def expect_end(self):
        """The server says nothing more to this client alone and ends the
        stream, without a reset. Of a room something may still have come."""
        self.read_to_end()
        assert not self._replies, list(self._replies)

    # --- the rest is how bytes are read

    def _take(self, queue, what, seconds):
        deadline = time.monotonic() + seconds
        while not queue:
            assert not self._ended, (
                f"the stream ended before {what}; {self._received()}"
            )
            self._read(what, deadline)
        return queue.popleft()

    def _read(self, what, deadline, size=65536):
        """Reads once and files what is now whole."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise Expired(f"waited for {what}; {self._received()}")
        self.socket.settimeout(left)
        try:
            data = self.socket.recv(size)
        except TimeoutError:
            raise Expired(
                f"waited for {what}; {self._received()}"
            ) from None
        self._ended = data == b""
        self.bytes_in += len(data)
        self._begun += data
        self._file_whole()

    def _received(self):
        last = [str(item)[:60] for item in self.transcript[-10:]]
        return (
            f"{len(self.transcript)} received, the last ones {last}, "
            f"begun {bytes(self._begun[:60])!r}"
        )


class TextClient(Client):
    def say(self, *lines, seconds=WAIT):
        """Sends whole lines, in one piece."""
        self.send("".join(line + "\n" for line in lines).encode(), seconds)

    def provoke(self):
        """Makes the server say something."""
        self.say("/help")

    # --- asking

    def ask(self, command):
        """Sends a command that has one line of reply; returns it."""
        self.say(command)
        return self.reply()

    def ask_list(self, command, end):
        """Sends a command whose reply ends with `end`; returns what is
        before that."""
        self.say(command)
        return self.replies_until(end)

    def replies_until(self, end):
        lines = []
        while (line := self.reply()) != end:
            lines.append(line)
        return lines

    def expect_error(self, name):
        """The next line for this client alone is this error; returns it."""
        line = self.reply()
        assert is_error(line, name), f"not {name}: {line!r}"
        return line

    def expect_welcome(self):
        line = self.reply()
        welcome = WELCOME.fullmatch(line)
        assert welcome, f"not a welcome: {line!r}"
        self.nick = welcome[1]

    def become(self, nick):
        assert self.ask(f"/nick {nick}") == f"* you are now {nick}"
        self.nick = nick

    def join(self, room):
        line = self.ask(f"/join {room}")
        assert re.fullmatch(r"\* joined \S+ \(\d+ members\)", line), line

    # --- how lines are read

    def _file_whole(self):
        *whole, self._begun = self._begun.split(b"\n")
        for line in whole:
            self._file(line.decode("utf-8"))

    def _file(self, line):
        self.transcript.append(line)
        room_line = ROOM_LINE.fullmatch(line)
        if room_line:
            self._rooms[room_line[1]].append(room_line[2])
        else:
            self._replies.append(line)
