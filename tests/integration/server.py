"""A real server process: started, awaited, talked to, stopped, judged."""

import json
import os
import re
import shlex
import signal
import subprocess
import threading
import time
from contextlib import contextmanager
from functools import partial

import proc
from capabilities import STAGES
from client import WELCOME, TextClient
from frame_client import FrameClient
from secure_client import SecureClient
from timing import WAIT, Expired, until

# What a listener's scheme and a test call a dialect. To a listener, `sealed`
# is `secure`.
CLIENTS = {
    "text": TextClient,
    "frame": FrameClient,
    "secure": SecureClient,
    "sealed": partial(SecureClient, sealed=True),
}

LOGFMT_FIELD = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)')
SANITIZER = re.compile(
    rb"(Address|Thread|Leak|Memory|UndefinedBehavior)Sanitizer"
    rb"|runtime error:"
)


def own_options(program):
    """What stage 5 is started with, before the options of a test."""
    if program.name != STAGES[5]:
        return []
    return shlex.split(os.environ.get("RINGCHAT_STAGE5", "--workers 2"))


class ServerFault(Exception):
    """The server did what no server may do. Not an AssertionError: a test
    that is expected to fail must not fail by this."""


def parse_event(line):
    """The fields of a log line, logfmt or JSON; none if it is neither."""
    text = line.decode(errors="replace").rstrip("\n")
    if text.startswith("{"):
        return json.loads(text)
    return {
        key: value.strip('"') for key, value in LOGFMT_FIELD.findall(text)
    }


def dialect_of(url):
    return re.match(r"\w+", url)[0]


class Server:
    def __init__(self, command, umask=-1, faults=""):
        self.faults = faults
        self.log = []
        self.events = []
        self._clients = []
        self._changed = threading.Condition()
        self._ended = False
        self._judged = False
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            umask=umask,
            env={**os.environ, "RINGCHAT_FAULTS": faults},
        )
        self.pid = self.process.pid
        self._collector = threading.Thread(target=self._collect)
        self._collector.start()

    @property
    def urls(self):
        """Where it really listens, in the order of its options."""
        with self._changed:
            return [
                event["url"]
                for event in self.events
                if event.get("event") == "listening"
            ]

    # --- clients

    def url_of(self, dialect):
        """The first listener of a dialect."""
        scheme = "secure" if dialect == "sealed" else dialect
        return next(url for url in self.urls if dialect_of(url) == scheme)

    def open(self, url=None, dialect=None, **socket_options):
        """A client that has not read anything yet: at a listener, or at the
        first one of a dialect, or at the first one."""
        if url is None:
            url = self.url_of(dialect) if dialect else self.urls[0]
        make = CLIENTS[dialect or dialect_of(url)]
        client = make(url, **socket_options)
        self._clients.append(client)
        return client

    def connect(self, url=None, dialect=None, **socket_options):
        """A client that has been welcomed."""
        client = self.open(url, dialect, **socket_options)
        client.expect_welcome()
        return client

    def person(self, nick, *rooms, **socket_options):
        """A client with a nick that has joined the rooms."""
        client = self.connect(**socket_options)
        client.become(nick)
        for room in rooms:
            client.join(room)
        return client

    def wait_for_room(self):
        """New clients are welcomed again, as soon as there is room."""

        def welcomed():
            client = self.open()
            line = client.reply()
            client.close()
            return WELCOME.fullmatch(line)

        until(welcomed, "a client is welcomed again")

    # --- log

    def wait_event(self, name, **fields):
        """The first log event of that name with these fields."""
        wanted = {"event": name, **fields}
        deadline = time.monotonic() + WAIT
        with self._changed:
            while True:
                for event in self.events:
                    if wanted.items() <= event.items():
                        return event
                if self._ended:
                    raise ServerFault(f"ended without {wanted}: {self.log}")
                if not self._changed.wait(deadline - time.monotonic()):
                    raise Expired(f"no event {wanted} in {self.log[-20:]}")

    def _collect(self):
        for line in self.process.stderr:
            with self._changed:
                self.log.append(line)
                self.events.append(parse_event(line))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def print_log(self):
        """Its end, for who looks into why a test failed."""
        if self.faults:
            print(f"RINGCHAT_FAULTS={self.faults}")
        print(b"".join(self.log[-50:]).decode(errors="replace"))

    # --- end

    def signal(self, number):
        self.process.send_signal(number)

    @contextmanager
    def stopped(self):
        """What is done meanwhile happens to the server all at once."""
        self.signal(signal.SIGSTOP)
        try:
            until(lambda: proc.is_stopped(self.pid), "the server is stopped")
            yield
        finally:
            self.signal(signal.SIGCONT)

    def wait_exit(self, seconds=WAIT):
        """Waits for the process to end by itself; returns its status."""
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Expired(f"still running after {seconds:g} s: {self.log}")
        self._judged = True
        self._collector.join()
        if SANITIZER.search(b"".join(self.log)):
            raise ServerFault(b"".join(self.log).decode(errors="replace"))
        return status

    def dismiss(self):
        """Ends the server if the test has not. It has to go quietly."""
        for client in self._clients:
            client.close()
        if self._judged:
            return
        self.signal(signal.SIGTERM)
        try:
            status = self.wait_exit()
        except Expired as expired:
            self.process.kill()
            self.process.wait()
            self._collector.join()
            raise ServerFault("had to be killed") from expired
        if status != 0:
            raise ServerFault(f"exit status {status}: {self.log}")
