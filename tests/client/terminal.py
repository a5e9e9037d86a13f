"""A program in a terminal of our own: a pty, and pyte for what would be seen.

A terminal of `columns` by `rows` that can be resized, typed into byte by byte,
and whose raw output is kept, so that a test can say which bytes must never have
been sent.
"""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

import pyte


class Screen(pyte.Screen):
    """pyte's, and what ncurses says to it that it does not know: to scroll by
    so many lines at once (ECMA-48: SU, SD)."""

    def _at_margin(self, last, move, count):
        margins = self.margins or (0, self.lines - 1)
        before, self.cursor.y = self.cursor.y, margins[last]
        for _ in range(count or 1):
            move()
        self.cursor.y = before

    def scroll_up(self, count=None):
        self._at_margin(1, self.index, count)

    def scroll_down(self, count=None):
        self._at_margin(0, self.reverse_index, count)


class Stream(pyte.ByteStream):
    csi = {**pyte.ByteStream.csi, "S": "scroll_up", "T": "scroll_down"}
    events = pyte.ByteStream.events | {"scroll_up", "scroll_down"}


class Terminal:
    """`environment` is added to ours; None takes a variable away."""

    def __init__(self, arguments, columns=80, rows=24, seconds=10,
                 environment=()):
        self.seconds = seconds  # how long to wait for anything
        self.screen = Screen(columns, rows)
        self.stream = Stream(self.screen)
        self.raw = bytearray()
        self.fd, self.inside = pty.openpty()
        self.set_size(columns, rows)
        self.modes = termios.tcgetattr(self.inside)
        wanted = {**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8",
                  "NO_COLOR": None, "COLORFGBG": None, **dict(environment)}
        self.process = subprocess.Popen(
            [str(argument) for argument in arguments],
            stdin=self.inside, stdout=self.inside, stderr=self.inside,
            env={k: v for k, v in wanted.items() if v is not None},
            preexec_fn=self._own_terminal,
        )

    @staticmethod
    def _own_terminal():
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def set_size(self, columns, rows):
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, size)

    def resize(self, columns, rows):
        """As an emulator does: first itself, then the signal."""
        self.screen.resize(rows, columns)
        self.set_size(columns, rows)  # the kernel sends SIGWINCH

    def type(self, text):
        os.write(self.fd, text if isinstance(text, bytes) else text.encode())

    def pump(self, seconds=0.0):
        """Takes what has been written, and what is within so long."""
        end = time.monotonic() + seconds
        while select.select([self.fd], [], [],
                            max(0, end - time.monotonic()))[0]:
            data = os.read(self.fd, 65536)
            self.raw += data
            self.stream.feed(data)

    def until(self, condition, what, seconds=None):
        end = time.monotonic() + (seconds or self.seconds)
        while not condition():
            assert time.monotonic() < end, "\n".join([what, *self.lines()])
            self.pump(0.01)

    def shows(self, pattern, seconds=None):
        """Waits until it does; `pattern` is looked for in each line."""
        self.until(lambda: any(re.search(pattern, l) for l in self.lines()),
                   f"no {pattern}", seconds)

    def hides(self, pattern):
        self.until(
            lambda: not any(re.search(pattern, l) for l in self.lines()),
            f"still {pattern}")

    def lines(self):
        return [line.rstrip() for line in self.screen.display]

    def input(self):
        return self.lines()[-1]

    def bar(self):
        return self.lines()[-2]

    def cursor(self):
        return self.screen.cursor.x, self.screen.cursor.y

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, seconds=None):
        """The exit status, as a shell has it. Reads on, for a program may wait
        for its last bytes to be taken."""
        self.until(lambda: self.process.poll() is not None, "it does not end",
                   seconds)
        self.pump()
        return self.process.returncode % 256 if self.process.returncode >= 0 \
            else 128 - self.process.returncode

    def is_restored(self):
        """Whether the program has left the terminal as it was: its modes, its
        own screen left, the cursor shown, no brackets around what is pasted."""
        left = self.raw.rfind(b"\x1b[?1049l")
        return (termios.tcgetattr(self.inside) == self.modes
                and left > self.raw.rfind(b"\x1b[?1049h")
                and self.raw.rfind(b"\x1b[?2004l")
                > self.raw.rfind(b"\x1b[?2004h")
                and not self.screen.cursor.hidden)

    def close(self):
        if self.process.poll() is None:
            self.signal(signal.SIGKILL)
            self.process.wait()
        for fd in (self.fd, self.inside):
            if fd >= 0:
                os.close(fd)
        self.fd = self.inside = -1

    def hang_up(self):
        """As when its window is closed."""
        for fd in (self.inside, self.fd):
            os.close(fd)
        self.fd = self.inside = -1
