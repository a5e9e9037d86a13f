"""What members cost a server that only listen (`make idle STAGE=1
CLIENTS=1000`).

Connects them, and says what each of them has added to the server's resident
memory and to its threads; then lets one of them speak, and says how long it
takes until the last one can hear that, and how much processor time.
"""

import resource
import select
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "integration"))

import proc  # noqa: E402
from server import Server  # noqa: E402

LINES = 50


def connect(server, count):
    """The clients, and what they have added: bytes and threads."""
    memory, threads = proc.resident_bytes(server.pid), proc.threads(server.pid)
    clients = [server.connect() for _ in range(count)]
    memory = proc.resident_bytes(server.pid) - memory
    threads = proc.threads(server.pid) - threads
    return clients, memory, threads


def heard_by_all(watch, speaker, count):
    """Seconds from saying a line to the last one having it in its socket."""
    start = time.perf_counter()
    speaker.say("hello")
    heard = 0
    while heard < count:
        heard += len(watch.poll(maxevents=count))
    return time.perf_counter() - start


def speak(server, clients):
    """The time and the processor time of a line, in seconds."""
    watch = select.epoll()
    for client in clients:
        watch.register(client.socket, select.EPOLLIN | select.EPOLLET)
    heard_by_all(watch, clients[0], len(clients))
    used = proc.cpu_seconds(server.pid)
    times = [
        heard_by_all(watch, clients[0], len(clients)) for _ in range(LINES)
    ]
    used = proc.cpu_seconds(server.pid) - used
    return sorted(times)[LINES // 2], used / LINES


def main():
    program, count = sys.argv[1], int(sys.argv[2])
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    server = Server([program, "--listen", "text://127.0.0.1:0"])
    server.wait_event("ready")
    clients, memory, threads = connect(server, count)
    print(f"{count:,} idle members: {memory / count:,.0f} bytes resident each")
    print(f"{threads:,} threads more")
    taken, used = speak(server, clients)
    print(
        f"a line: all have it after {taken * 1e3:.1f} ms, "
        f"{used * 1e3:.1f} ms of processor time"
    )
    server.dismiss()


main()
