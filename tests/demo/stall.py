"""What one reader that stalls does to two others (`make stall STAGE=1`).

Starts the program, lets alice, bob and mallory meet, and says how long a line
from alice takes to bob: before mallory stops reading, and after alice has
talked on until all buffers between the server and mallory are full.
"""

import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "integration"))

from server import Server  # noqa: E402
from timing import Expired  # noqa: E402

SEND_TIMEOUT = 5
LINE = "x" * 4000
LINES = 2000  # 8 MB: more than the kernel buffers for one socket
GIVE_UP = 3 * SEND_TIMEOUT


def say_and_hear(alice, bob, line):
    """Seconds from alice saying a line to bob hearing it."""
    start = time.monotonic()
    alice.say(line)
    bob.hear_messages("lobby", 1, GIVE_UP)
    taken = time.monotonic() - start
    alice.hear_messages("lobby", 1, GIVE_UP)
    return taken


def longest(alice, bob):
    """Says all the lines, one after the other; returns the longest time."""
    return max(
        say_and_hear(alice, bob, f"{n} {LINE}") for n in range(LINES)
    )


def main():
    program, options = sys.argv[1], sys.argv[2:]
    server = Server(
        [program, "--listen", "text://127.0.0.1:0"]
        + ["--send-timeout", str(SEND_TIMEOUT)] * ("stage1" in program)
        + options
    )
    server.wait_event("ready")
    alice, bob = server.person("alice"), server.person("bob")
    say_and_hear(alice, bob, "the first line pays for all that is new")
    print(f"alice to bob: {say_and_hear(alice, bob, 'hello') * 1e6:.0f} µs")
    server.person("mallory", receive_buffer=65536)
    print("mallory joins and does not read; alice says 2,000 long lines")
    try:
        print(f"alice to bob, the longest: {longest(alice, bob):.3f} s")
    except Expired:
        print(f"alice to bob: nothing for {GIVE_UP} s")
    server.dismiss()


main()
