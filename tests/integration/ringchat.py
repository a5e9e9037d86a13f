"""The client as scripts use it: with files and pipes, judged by its exit status
and by what it says on standard error."""

import os
import queue
import subprocess
import threading

from server import SANITIZER
from timing import WAIT, Expired, until

# sysexits(3).
USAGE, DATA, NO_INPUT, NO_HOST, UNAVAILABLE = 64, 65, 66, 68, 69
IO_ERROR, TEMPORARY, PROTOCOL, NO_PERMISSION, CONFIG = 74, 75, 76, 77, 78
INTERRUPTED, TERMINATED = 130, 143

# Longer than any deadline of its own.
SECONDS = 3 * WAIT


class Ringchat:
    """One that runs. Its standard error is collected; what becomes of the
    other two streams is the test's to say."""

    def __init__(self, program, *arguments, stdin=subprocess.DEVNULL,
                 stdout=subprocess.PIPE, **environment):
        self.process = subprocess.Popen(
            [program, *map(str, arguments)],
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
            env={**os.environ, "LC_ALL": "C.UTF-8", **environment},
        )
        self.err = b""
        self._lines = queue.Queue()
        self._reader = None
        self._collector = threading.Thread(target=self._collect)
        self._collector.start()

    def _collect(self):
        for line in self.process.stderr:
            self.err += line

    def write(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def line(self, seconds=WAIT):
        """The next line of its standard output, without its end. From the
        first of these calls on, all that it writes is read."""
        if not self._reader:
            self._reader = threading.Thread(target=self._read)
            self._reader.start()
        try:
            return self._lines.get(timeout=seconds)
        except queue.Empty:
            raise Expired(f"no line; {self.err!r}") from None

    def _read(self):
        for line in self.process.stdout:
            self._lines.put(line.removesuffix(b"\n").decode())

    def expect_said(self, what, seconds=WAIT):
        """That stands on its standard error, or will soon."""
        until(lambda: what in self.err, f"{what!r} on standard error", seconds)

    def signal(self, number):
        self.process.send_signal(number)

    def end(self, seconds=SECONDS):
        """Its exit status, as a shell says it, when it has ended by itself."""
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.dismiss()
            raise Expired(f"it does not end; {self.err!r}") from None
        self._collector.join()
        assert not SANITIZER.search(self.err), self.err.decode()
        return status if status >= 0 else 128 - status

    def expect_end(self, status, *said):
        """It ends so, and has said these on standard error; if none are given,
        nothing."""
        assert self.end() == status, self.err.decode()
        for what in said:
            assert what in self.err, (what, self.err)
        assert said or self.err == b"", self.err.decode()

    def dismiss(self):
        self.process.kill()
        self.process.wait()
        self._collector.join()
        if self._reader:
            self._reader.join()
        for stream in (self.process.stdin, self.process.stdout):
            if stream:
                stream.close()
