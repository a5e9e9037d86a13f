"""What is measured of a stage with so many workers: the shapes of load, who
runs on which processors, and how the server is started.
"""

import os
from dataclasses import dataclass, replace

from measure import Setting
from servers import Candidate, Trouble
from workloads import Workload, fanout

# Stages before it have one worker, and no option to say so.
WITH_WORKERS = 5

SHAPES = (
    Workload(
        "rooms", "1,000 clients in rooms of 10, all speak",
        "Many rooms, as many as there may be workers for: what should scale.",
        "rooms", 1000, calls=True,
    ),
    fanout(
        "fanout", "1 to 100, 64 bytes, 256 unconfirmed",
        "One room: there is one order, and one to make it.",
        1, 100, 256, calls=True,
    ),
    Workload(
        "secure", "1,000 clients in rooms of 10 in secure, all speak",
        "Many rooms, each message verified and signed.",
        "rooms", 1000, dialect="secure", calls=True,
    ),
    Workload(
        "echo", "400 clients, each hears itself, 1 unconfirmed",
        "The way there and back, with nobody to share it with.",
        "echo", 400, unit="round trips", calls=True,
    ),
)


@dataclass(frozen=True)
class Layout:
    """Who runs where. Shared: there are not enough processors for both."""

    allowed: tuple
    most: int  # workers that are to be measured

    @property
    def shared(self):
        return self.most >= len(self.allowed)

    def server(self, workers):
        return self.allowed if self.shared else self.allowed[:workers]

    def load(self):
        return self.allowed if self.shared else self.allowed[self.most:]

    def sentence(self):
        if self.shared:
            return (
                f"{self.most} workers and the load share {len(self.allowed)} "
                "processors: what the load needs is missing to the server, "
                "and no more workers can run at a time than there are "
                "processors. How a server scales is not to be seen here."
            )
        return (
            f"Each worker has a processor, of {len(self.allowed)}; the load "
            f"has {len(self.load())} of its own, the same whatever the number "
            "of workers."
        )


def listed(cpus):
    return ",".join(map(str, cpus))


@dataclass(frozen=True)
class Worked(Candidate):
    """A stage with so many workers, each on a processor as far as there are
    any."""

    workers: int = 1
    cpus: tuple = ()

    @property
    def number(self):
        return int(self.name.removeprefix("stage").partition("-")[0])

    def command(self, cpu, scheme, port, key):
        command = super().command(listed(self.cpus), scheme, port, key)
        if self.number >= WITH_WORKERS:
            command += ["--workers", str(self.workers)]
        return command


class ManyCpus(Setting):
    """With lists of processors, as taskset(1) takes them."""

    @property
    def cpus(self):
        both = f"{self.server_cpu},{self.load_cpu}"
        return {int(cpu) for cpu in both.split(",")}


def candidates(stage, counts, layout):
    """One for each number of workers."""
    number = int(stage.name.removeprefix("stage"))
    if number < WITH_WORKERS and set(counts) != {1}:
        raise Trouble(f"{stage.title} has one worker: WORKERS=1")
    return [
        Worked(
            f"{stage.name}-workers{count}", f"{stage.title}, {count}",
            "stage", stage.dialects, stage.program,
            workers=count, cpus=layout.server(count),
        )
        for count in counts
    ]


def shapes(names, layout):
    """With as many threads of the load as it has processors."""
    known = [shape.name for shape in SHAPES]
    for name in names:
        if name not in known:
            raise LookupError(f"there is no shape {name}: {', '.join(known)}")
    threads = ("--threads", len(layout.load()))
    return [
        replace(shape, options=(*shape.options, *threads))
        for shape in SHAPES
        if not names or shape.name in names
    ]


def layout(counts):
    return Layout(tuple(sorted(os.sched_getaffinity(0))), max(counts))
