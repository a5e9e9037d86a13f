"""What a server counts, as it logs it: for the exercises, which add events that
the tests know nothing of."""

import signal

from timing import until


def figures(server, name):
    """The numbers of a new `event=NAME`, asked for by SIGUSR1."""

    def events():
        return [e for e in list(server.events) if e.get("event") == name]

    before = len(events())
    server.signal(signal.SIGUSR1)
    until(lambda: len(events()) > before, f"event={name}")
    return {
        key: int(value)
        for key, value in events()[-1].items()
        if value.isdigit()
    }


def grown(server, name, before):
    return {
        key: value - before[key]
        for key, value in figures(server, name).items()
    }
