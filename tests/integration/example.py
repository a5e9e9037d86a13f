"""A program of examples/ or tests/lib that has a server in it: started, talked
to in any dialect, stopped, judged."""

import re
import signal
import subprocess
import threading

from server import CLIENTS, SANITIZER, dialect_of
from timing import WAIT, until
from wire_frame import Type

# How it says where it listens.
LISTENING = re.compile(rb"(?:listening|host:) (\S+)\n")


class Example:
    def __init__(self, *command):
        self.said = b""
        self.urls = []
        self._clients = []
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._collector = threading.Thread(target=self._collect)
        self._collector.start()

    def _collect(self):
        for line in self.process.stdout:
            self.said += line
            listening = LISTENING.fullmatch(line)
            if listening:
                self.urls.append(listening[1].decode())

    def await_urls(self, count):
        until(
            lambda: len(self.urls) == count or self.process.poll() is not None,
            "it listens",
        )
        assert len(self.urls) == count, self.said

    # --- clients

    def open(self, dialect, **socket_options):
        """A client that has not read anything yet."""
        scheme = "secure" if dialect == "sealed" else dialect
        url = next(url for url in self.urls if dialect_of(url) == scheme)
        client = CLIENTS[dialect](url, **socket_options)
        self._clients.append(client)
        return client

    def connect(self, dialect, nick, room, **socket_options):
        """One that has a nick, and has been welcomed into the room."""
        client = self.open(dialect, **socket_options)
        if dialect == "text":
            welcome = client.reply()
            assert f", in {room}; " in welcome, welcome
            client.become(nick)
            return client
        client.expect_init()
        client.send(client.make_ack(nick))
        welcome = client.take(Type.WELCOME)
        assert (welcome.nick, welcome.room) == (nick, room)
        client.nick = nick
        return client

    # --- the end

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def wait(self, seconds=WAIT):
        """Its exit status, once it has ended; with no finding of a sanitizer."""
        status = self.process.wait(seconds)
        self._collector.join()
        assert not SANITIZER.search(self.said), self.said.decode()
        return status

    def stop(self):
        """Stops it as `kill` does; it ends well."""
        self.signal()
        assert self.wait() == 0, self.said

    def dismiss(self):
        """The test is over, however it went."""
        for client in self._clients:
            client.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._collector.join()
        self.process.stdin.close()
        self.process.stdout.close()
