"""A client of libringchat (tests/lib/drive.c): what it is told to do, and what
it says has come of that."""

import json
import subprocess
import threading
import time

from timing import WAIT, Expired

# How it says that nobody knows how many.
UNKNOWN = 2**64 - 1


class Driven:
    def __init__(self, program, url, *options):
        self.events = []
        self._at = 0  # what has been looked at
        self._ended = False
        self._changed = threading.Condition()
        self.process = subprocess.Popen(
            [program, url, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._collector = threading.Thread(target=self._collect)
        self._collector.start()

    def _collect(self):
        for line in self.process.stdout:
            with self._changed:
                self.events.append(json.loads(line))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    # --- what it is told

    def tell(self, *lines):
        text = "".join(line + "\n" for line in lines)
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def ask(self, line):
        """Tells it something that has a ticket; returns that."""
        self.tell(line)
        asked = self.expect("asked")
        assert asked["error"] == "", (line, asked)
        return asked["ticket"]

    def refused(self, line):
        """Tells it something that it does not take; returns why."""
        self.tell(line)
        return self.expect("asked")["error"]

    def stand(self):
        self.tell("stand")
        return self.expect("stand")

    def result(self, line):
        """What has come of something that has a ticket."""
        return self.expect("done", ticket=self.ask(line))

    def done(self, line):
        """Something that has a ticket, and is done."""
        result = self.result(line)
        assert result["error"] == "", (line, result)
        return result

    def fails(self, line, code):
        """Something that has a ticket, and is refused."""
        result = self.result(line)
        assert (result["error"], result["code"]) == ("EPROTO", code)
        return result

    # --- what it says

    def expect(self, event, seconds=WAIT, **fields):
        """The next event of that name with these fields; what is before that
        is passed over."""
        wanted = {"event": event, **fields}
        deadline = time.monotonic() + seconds
        with self._changed:
            while True:
                while self._at < len(self.events):
                    found = self.events[self._at]
                    self._at += 1
                    if wanted.items() <= found.items():
                        return found
                assert not self._ended, f"ended without {wanted}: {self.last()}"
                if not self._changed.wait(deadline - time.monotonic()):
                    raise Expired(f"no {wanted} in {self.last()}")

    def becomes(self, state, seconds=WAIT, **fields):
        return self.expect("changed", seconds, to=state, **fields)

    def from_here(self):
        """What is expected next has not happened yet."""
        with self._changed:
            self._at = len(self.events)

    def again(self):
        """What is expected next may have been passed over."""
        with self._changed:
            self._at = 0

    def all(self, event, **fields):
        """All events so far of that name with these fields."""
        wanted = {"event": event, **fields}
        with self._changed:
            return [e for e in self.events if wanted.items() <= e.items()]

    def last(self):
        return self.events[-15:]

    # --- its end

    def end(self, seconds=WAIT):
        """It closes in order, or has closed, and goes quietly."""
        if self.process.stdin and not self.process.stdin.closed:
            try:
                self.process.stdin.close()
            except BrokenPipeError:
                pass  # it has gone by itself
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Expired(f"does not end: {self.last()}") from None
        finally:
            self._collector.join()
            said = self.process.stderr.read().decode(errors="replace")
            self.process.stdout.close()
            self.process.stderr.close()
        assert (status, said) == (0, ""), self.last()
