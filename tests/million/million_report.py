"""What came of a crowd, as Markdown: of the JSON that million.py writes."""

from content import Cell, Table
from figures import exact, number
from markdown import plain, table

CACHES_SHOWN = 12


def report(made):
    title = f"{exact(made['members'])} members in one room"
    parts = [
        f"# {title}", plain(subtitle(made)), *(plain(t) for t in limit(made)),
        table(result(made)), table(joining(made)), table(hearing(made)),
        table(memory(made)),
    ]
    if made["memory"]["caches"]:
        parts.append(table(caches(made)))
    parts += ["## How it was computed", how(made)]
    return "\n\n".join(parts) + "\n"


def subtitle(made):
    machine, ours = made["machine"], made["ringchat"]
    changed = " with changes" if ours["dirty"] else ""
    return (
        f"{made['command']}, {made['when']}, commit {ours['commit']}{changed}; "
        f"{made['server']}, {machine['processors']} processors "
        f"({machine['processor']}), "
        f"{machine['memory_bytes'] / 2**30:.1f} GiB, "
        f"Linux {machine['kernel']}, {machine['system']}."
    )


def limit(made):
    if made["members"] < made["wanted"]:
        yield (f"{exact(made['wanted'])} were wanted. What stopped it: "
               f"{made['limit']}.")
    yield from made["notes"]


def row(name, value, beside=""):
    return [Cell(name), Cell(value, beside)]


def result(made):
    memory, heard = made["memory"], made["heard"]
    return Table("In brief", ["", ""], [
        row("members", exact(made["members"])),
        row("joined a second", number(made["join"]["per_s"])),
        row("the server's own memory for each, bytes",
            number(memory["server_rss"])),
        row("the kernel's for each, at the server's end, bytes",
            number(memory["kernel_server_end"])),
        row("a line until all have heard it, ms", number(heard["last_ms"]),
            between(heard, "last_ms")),
    ])


def between(heard, name):
    low, high = heard["spread"][name]
    return "" if low == high else f"{number(low)} – {number(high)}"


def joining(made):
    rows = [
        [Cell(f"{exact(step['from'])} to {exact(step['to'])}"),
         Cell(number(step["per_s"])), Cell(number(step["server_us"]))]
        for step in made["join"]["steps"]
    ]
    return Table(
        "Joining", ["members", "a second", "µs of the server's processor"],
        rows, about=f"All were there after {made['join']['seconds']:.2f} s.",
    )


def hearing(made):
    heard = made["heard"]
    rows = [
        [Cell(title), Cell(number(heard[name]), between(heard, name)),
         Cell(number(made["first"][name]))]
        for name, title in (
            ("first_ms", "the first has heard it"), ("p50_ms", "p50"),
            ("p99_ms", "p99"), ("last_ms", "the last"),
        )
    ]
    return Table(
        f"A line of {made['line_bytes']} bytes to all, ms",
        ["", f"{made['repetitions']} times", "the first time"], rows,
        about="From just before it is sent to when its last byte has been "
        "read. Medians of the repetitions, without the first. The server "
        f"used {number(heard['server_us'])} µs of its processors for each "
        f"delivery, the crowd {number(heard['own_us'])} of its own, and "
        f"{exact(heard['corrupted'])} heard anything but that line.",
    )


def memory(made):
    each, after = made["memory"], made["memory_after"]
    parts = each["kernel_parts"]
    rows = [
        row("server: resident (Rss)", number(each["server_rss"])),
        row("server: its share (Pss)", number(each["server_pss"])),
        row("server: resident when all have heard lines",
            number(after["server_rss"])),
        row("kernel, both ends", number(each["kernel_both_ends"]),
            ", ".join(f"{n} {number(v)}" for n, v in parts.items() if v > 1)),
        row("kernel, what only the crowd's end has",
            number(each["kernel_crowd_alone"])),
        row("kernel, what only the server's end has",
            number(each["kernel_server_alone"])),
        row("kernel, the server's end", number(each["kernel_server_end"])),
        row("left out of these: entries of /proc, which others look at",
            number(each["kernel_others"])),
    ]
    return Table(
        "Memory of a member that is silent, bytes", ["", ""], rows,
        about=f"{exact(each['sockets'])} sockets more in /proc/net/sockstat, "
        f"{exact(each['socket_pages'])} pages of data in them.",
    )


def caches(made):
    shown = list(made["memory"]["caches"].items())[:CACHES_SHOWN]
    rows = [row(name, number(each)) for name, each in shown]
    return Table(
        "Caches of the kernel that have grown", ["cache", "bytes a member"],
        rows, about="Both ends together, from /proc/slabinfo.",
    )


def how(made):
    halves = (
        "of what both ends have half, and all that only the server's has"
        if made["memory"]["caches"] else
        "half of all, as /proc/slabinfo may not be read here"
    )
    return plain(
        "Differences between when server and crowd had started and nobody had "
        "come, and when all were there and nothing moved any more, divided by "
        "the members. Server: /proc/PID/smaps_rollup. Kernel: the objects in "
        "use of all caches in /proc/slabinfo with their share of its pages "
        "(Slab of /proc/meminfo where that may not be read), and of "
        "/proc/meminfo KernelStack, PageTables, VmallocUsed and Percpu. Both "
        "ends of "
        f"each connection are on this machine; for the server's end: {halves}. "
        "What is on this machine besides counts as well; with few members "
        "that shows. The crowd's own 16 bytes a member were there before."
    )
