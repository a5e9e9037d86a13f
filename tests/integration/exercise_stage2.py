"""The exercises of stage2-framing/README.md, as tests that fail until they are
solved (`make exercises STAGE=2`). `make test` leaves them out."""

import signal
import time

import pytest

import proc
from frame_client import FrameClient
from stalling import flood, stall
from timing import PATIENCE

pytestmark = [pytest.mark.stages(2), pytest.mark.families("tcp4")]

CLIENTS = 50


def test_1_requests(launch):
    """`/metrics` says `my_requests N`: a frame in pieces is one, and so is
    each of two in one packet. The handshake and `/metrics` itself count."""
    server = launch("--listen", "frame://127.0.0.1:0")
    client = FrameClient(server.urls[0])
    client.expect_welcome()
    client.answers_pings = False
    message = client.make_message("hello")
    for piece in message[:2], message[2:7], message[7:]:
        client.send(piece)
        time.sleep(PATIENCE / 20)
    client.send(message + message)
    assert "my_requests 5" in client.ask_list("metrics")


def test_2_who_is_waited_for(start):
    """At SIGUSR1, `event=waiting writers=N` counts the writers that wait."""
    server = start("--stall-timeout", "60")
    server.connect()
    server.signal(signal.SIGUSR1)
    server.wait_event("waiting", writers="0")
    stall(server)
    server.signal(signal.SIGUSR1)
    server.wait_event("waiting", writers="1")


def test_3_one_thread_for_who_is_idle(start):
    """An idle client costs one thread, and one that stalls still harms
    nobody."""
    server = start("--stall-timeout", "60")
    before = proc.threads(server.pid)
    for _ in range(CLIENTS):
        server.connect()
    time.sleep(PATIENCE / 2)
    assert proc.threads(server.pid) - before <= CLIENTS
    stall(server)
    anna, cleo = server.person("anna", "tea"), server.person("cleo", "tea")
    flood(anna, "tea", listeners=[cleo])
