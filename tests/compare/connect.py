"""Connections and nothing else, which ringchat-load(1) has not: its clients
all enter a room. Connects so many text clients to a server, waits until each
of them is welcomed, and says what the server's resident memory has grown by,
as JSON in ringchat-load's words.

    connect.py --server-pid PID CLIENTS text://HOST:PORT
"""

import argparse
import json
import re
import socket
from pathlib import Path
from urllib.parse import urlsplit

TOGETHER = 200  # connect before the first of them is awaited
PATIENCE_SECONDS = 15


def resident_bytes(pid):
    """proc(5): counted page by page. VmRSS lacks what each processor has not
    yet added to it."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"^Rss: +(\d+) kB$", text, re.MULTILINE)[1]) * 1024


def connect(address, count):
    clients = [
        socket.create_connection(address, PATIENCE_SECONDS)
        for _ in range(count)
    ]
    for client in clients:
        if not client.recv(4096):
            raise ConnectionResetError("a client was not let in")
    return clients


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--server-pid", type=int, required=True)
    parser.add_argument("clients", type=int)
    parser.add_argument("url", type=urlsplit)
    options = parser.parse_args()
    address = options.url.hostname, options.url.port
    before = resident_bytes(options.server_pid)
    clients = []
    while len(clients) < options.clients:
        left = options.clients - len(clients)
        clients += connect(address, min(left, TOGETHER))
    now = resident_bytes(options.server_pid)
    print(json.dumps({
        "held": True,
        "bottleneck": "none",
        "totals": {"entered": len(clients)},
        "server": {
            "resident_before_bytes": before,
            "resident_entered_bytes": now,
            "resident_bytes": now,
        },
        "latency": {"count": 0, "buckets_ns": []},
    }))


if __name__ == "__main__":
    main()
