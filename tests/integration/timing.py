"""Deadlines: every wait of the tests has one, and says what it waited for."""

import os
import time
from concurrent.futures import ThreadPoolExecutor

# How much slower than a release build the servers are; sanitizers need 4.
SLOW = float(os.environ.get("RINGCHAT_TEST_SLOW", "1"))

# Far longer than anything here takes: to wait so long is to fail.
WAIT = 10.0 * SLOW

# How long a server that is being stalled gets to show it. Shorter than WAIT,
# for where a stage is known to stall, this much time is spent.
PATIENCE = 2.0 * SLOW


class Expired(AssertionError):
    """Something awaited did not happen in time."""


def until(condition, what, seconds=WAIT):
    """Returns the first true value of condition(), asked again and again."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Expired(f"not within {seconds:g} s: {what}")
        time.sleep(0.005)


def together(*calls):
    """Runs the calls at the same time, a thread each; returns their results."""
    with ThreadPoolExecutor(len(calls)) as pool:
        futures = [pool.submit(call) for call in calls]
        return [future.result() for future in futures]
