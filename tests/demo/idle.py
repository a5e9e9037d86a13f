"""What idle members cost a server (`make idle STAGE=1 CLIENTS=1000`).

Connects clients that only listen, and says what each of them has added to the
server's resident memory and to its threads.
"""

import resource
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "integration"))

import proc  # noqa: E402
from server import Server  # noqa: E402


def main():
    program, count = sys.argv[1], int(sys.argv[2])
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    server = Server([program, "--listen", "text://127.0.0.1:0"])
    server.wait_event("ready")
    memory, threads = proc.resident_bytes(server.pid), proc.threads(server.pid)
    for _ in range(count):
        server.connect()
    memory = proc.resident_bytes(server.pid) - memory
    threads = proc.threads(server.pid) - threads
    print(f"{count:,} idle members: {memory / count:,.0f} bytes resident each")
    print(f"{threads:,} threads")
    server.dismiss()


main()
