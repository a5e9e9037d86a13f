"""What the report says, in order: sections of paragraphs, tables, pictures and
commands. page.py and markdown.py only decide what these look like, so that
both say the same.
"""

import math
from typing import NamedTuple

from figures import (
    NOTHING,
    Spread,
    best_value,
    duration,
    exact,
    measure,
    number,
    percent,
    ranked,
    spread,
    times,
)
from pictures import picture_plans

# --- what a document is made of


class Cell(NamedTuple):
    """A figure, what it varies between, and whether that is good or bad."""

    text: str
    beside: str = ""
    mark: str = ""
    server: str = ""  # whose colour it has


class Table(NamedTuple):
    """Its rows begin with what they are about. The columns in `words` hold
    words; all others hold figures."""

    caption: str
    heads: list
    rows: list
    words: tuple = ()
    notes: tuple = ()
    about: str = ""


class Paragraph(NamedTuple):
    text: str
    lead: bool = False


class Pictures(NamedTuple):
    """Pictures that belong together; each has a name and a title."""

    plans: list


class Commands(NamedTuple):
    """What was typed, by what it was for."""

    title: str
    pairs: list


class Section(NamedTuple):
    title: str
    blocks: list


def document(report):
    """The title, and the sections that the report has anything for."""
    sections = [
        Section("Result", result_blocks(report)),
        Section("Goals", goal_blocks(report)),
        Section("Each workload", workload_blocks(report)),
        Section("Pictures", picture_blocks(report)),
        Section("System calls", calls_blocks(report)),
        Section("Machine", machine_blocks(report)),
        Section("How it was measured", method_blocks(report)),
        Section("Commands", command_blocks(report)),
    ]
    return "Ringchat compared", [s for s in sections if s.blocks]


def subtitle(report):
    json = report.json
    commit = json["ringchat"]["commit"]
    if json["ringchat"]["dirty"]:
        commit += " with changes that are not committed"
    when = json["when"].replace("T", " ").replace("Z", " UTC")
    return f"{json['command']}, commit {commit}, {when}"


# --- the result


def result_blocks(report):
    rows = [row for w in report.workloads for row in glance_rows(report, w)]
    sentences = [lead_sentence(report), why_sentence(report)]
    blocks = [
        Paragraph(" ".join(filter(None, sentences)), lead=True),
        Paragraph(goals_sentence(report)),
        Paragraph(failures_sentence(report)),
    ]
    blocks = [block for block in blocks if block.text]
    if rows:
        heads = [
            "workload",
            "best stage",
            "measured by",
            "median",
            "times the next stage",
            "times raw",
            "times the best peer",
        ]
        caption = "The best stage of each workload"
        about = "Of rates more is better, of times and bytes less."
        blocks.append(Table(caption, heads, rows, (1, 2), about=about))
    return blocks


def leading(report):
    """The first workload that ranks stages by what they deliver."""
    for workload in report.workloads:
        by = measure(workload)
        stages = report.of_kind(report.results(workload), "stage")
        if by.key == "deliveries_per_cpu_s" and ranked(stages, by):
            return workload
    return None


def lead_sentence(report):
    workload = leading(report)
    if not workload:
        return "No stage has delivered anything here."
    by, results = measure(workload), report.results(workload)
    stages = ranked(report.of_kind(results, "stage"), by)
    value = stages[0]["median"][by.key]
    said = (
        f"At “{workload['title']}” {report.label(stages[0])} is the best "
        f"stage: {number(value)} {workload['unit']} for each second of its "
        "processor time"
    )
    rivals = [("", r) for r in others_than(stages[0], stages)[:1]]
    rivals += [("", r) for r in ranked(report.of_kind(results, "raw"), by)[:1]]
    rivals += [
        ("the best peer, ", r)
        for r in ranked(report.of_kind(results, "peer"), by)[:1]
    ]
    parts = [
        f"{times(value, r['median'][by.key])} times {what}{report.label(r)}"
        for what, r in rivals
    ]
    return f"{said}. That is {listed(parts)}." if parts else f"{said}."


def others_than(result, results):
    """Without the same server in another dialect."""
    return [r for r in results if r["server"] != result["server"]]


def listed(parts):
    if len(parts) < 2:
        return "".join(parts)
    return ", ".join(parts[:-1]) + " and " + parts[-1]


def why_sentence(report):
    """The system calls of the stages and of the best peer."""
    workload = leading(report)
    calls = report.calls(workload) if workload else []
    calls = sorted(
        (c for c in calls if c["per_delivery"]),
        key=lambda c: c["per_delivery"],
    )
    stages = report.of_kind(calls, "stage")
    if not stages:
        return ""
    counted = stages + report.of_kind(calls, "peer")[:1]
    parts = [f"{report.title(c)} {per_thousand(c)}" for c in counted]
    return f"System calls for 1,000 deliveries there: {listed(parts)}."


def per_thousand(calls):
    return number(calls["per_delivery"] * 1000)


def goals_sentence(report):
    goals = report.json["goals"]
    missed = sum(goal["reached"] is False for goal in goals)
    unjudged = sum(goal["reached"] is None for goal in goals)
    if not goals:
        return ""
    reached = len(goals) - missed - unjudged
    said = f"Of {len(goals)} goals {reached} are reached"
    if missed:
        said += f", {missed} missed"
    if unjudged:
        said += f", {unjudged} not judged"
    return said + "."


def failures_sentence(report):
    failures = report.json["failures"]
    if not failures:
        return ""
    return f"What has failed: {'; '.join(failures)}."


def glance_rows(report, workload):
    by, results = measure(workload), report.results(workload)
    stages = ranked(report.of_kind(results, "stage"), by)
    if not stages:
        return []
    best = stages[0]
    value = best["median"][by.key]
    rivals = (
        others_than(best, stages),
        report.of_kind(results, "raw"),
        report.of_kind(results, "peer"),
    )
    return [[
        Cell(workload["title"]),
        Cell(report.label(best), server=best["server"]),
        Cell(by.head),
        Cell(number(value)),
        *(rival_cell(report, value, group, by) for group in rivals),
    ]]


def rival_cell(report, value, rivals, by):
    """In proportion to the best of them, who is named."""
    first = ranked(rivals, by)[:1]
    if not first:
        return Cell(NOTHING)
    ratio = times(value, first[0]["median"][by.key])
    return Cell(ratio, beside=report.label(first[0]))


# --- the goals


def goal_blocks(report):
    goals = report.json["goals"]
    if not goals:
        return []
    heads = ["goal", "to reach", "is", "verdict", "what was compared"]
    rows = [
        [
            Cell(goal["text"]),
            Cell(f"{sign(goal)} {exact(goal['target'])}"),
            Cell(number(goal["value"])),
            verdict(goal),
            Cell(goal["of"] or NOTHING),
        ]
        for goal in goals
    ]
    about = "Ratios are of this one run."
    return [Table("What must be reached", heads, rows, (3, 4), about=about)]


def sign(goal):
    return "≤" if goal["at_most"] else "≥"


def verdict(goal):
    if goal["reached"] is None or goal["value"] is None:
        return Cell("not judged", beside=goal["why"] or "")
    word, mark = ("reached", "good") if goal["reached"] else ("missed", "bad")
    if not goal["target"]:
        return Cell(word, mark=mark)
    gap = goal["value"] / goal["target"] - 1
    side = "above" if gap >= 0 else "below"
    by = f"by {percent(gap)}" if not goal["reached"] else ""
    beside = f"{percent(gap)} {side}" if goal["reached"] else ""
    return Cell(f"{word} {by}".strip(), beside, mark)


# --- the tables of workloads


def workload_blocks(report):
    tables = [workload_table(report, w) for w in report.workloads]
    tables = [table for table in tables if table.rows]
    if not tables:
        return []
    how = (
        "A CPU second is one of the server's processor time, all its threads "
        "and the kernel's work for it included. Each figure is the median of "
        "the rounds; under it are the least and the most of them. Ratios are "
        "of medians."
    )
    return [Paragraph(how), *tables]


def columns(workload):
    """The key and the head of each figure."""
    unit = workload["unit"]
    if unit == "members":
        return [
            ("resident_per_client", "bytes per connection"),
            ("resident_bytes", "bytes resident in all"),
        ]
    return [
        ("deliveries_per_cpu_s", f"{unit} per CPU second"),
        ("delivered_per_s", f"{unit} per second"),
        ("p50_us", "p50, µs"),
        ("p99_us", "p99, µs"),
        ("cpu_s_per_million", f"CPU seconds per million {unit}"),
    ]


def workload_table(report, workload):
    by, results = measure(workload), report.results(workload)
    raw = best_value(report.of_kind(results, "raw"), by)
    peer = best_value(report.of_kind(results, "peer"), by)
    shown = columns(workload)
    heads = ["server", *(head for _, head in shown), "bottleneck"]
    heads += ["times raw", "times the best peer"]
    rows = []
    for result in results:
        value = result["median"].get(by.key)
        cells = [spread_cell(spread(result, key)) for key, _ in shown]
        rows.append([
            Cell(report.label(result), server=result["server"]),
            *cells,
            Cell(result["median"]["bottleneck"] or NOTHING),
            Cell(times(value, raw)),
            Cell(times(value, peer)),
        ])
    for missing in report.absent(workload):
        name = Cell(report.title(missing), server=missing["server"])
        rows.append([name, *[Cell(NOTHING)] * (len(heads) - 1)])
    return Table(
        workload["title"],
        heads,
        rows,
        words=(len(shown) + 1,),
        notes=table_notes(report, workload, results),
        about=f"{workload['about']} Ratios are of {by.head}.",
    )


def spread_cell(figures: Spread):
    return Cell(number(figures.median), beside=figures.range())


def table_notes(report, workload, results):
    """Why a server is not there, and which rounds were not as they should."""
    notes = [
        f"{NOTHING} {report.title(missing)}: {missing['why']}."
        for missing in report.absent(workload)
    ]
    repeated = [(r, r["repeated"]) for r in results]
    disturbed = [(r, r["disturbed"]) for r in results]
    notes.append(note(report, "Rounds disturbed and repeated", repeated))
    notes.append(note(report, "Rounds disturbed and kept", disturbed))
    notes += [
        f"{report.label(result)} was not asked again after "
        f"{len(result['rounds'])} rounds: {result['trouble']}."
        for result in results
        if result["trouble"]
    ]
    return tuple(filter(None, notes))


def note(report, what, counts):
    """How many of each server, of those that have any."""
    said = [f"{report.label(result)} {n}" for result, n in counts if n]
    return f"{what}: {', '.join(said)}." if said else ""


# --- pictures, and what they are drawn from


def picture_blocks(report):
    blocks = [Pictures(plans) for plans in picture_plans(report) if plans]
    return blocks + curve_tables(report) if blocks else []


def curve_tables(report):
    """What cannot be read off the curves to the digit."""
    curves = [report.curve(curve["name"]) for curve in report.json["curves"]]
    return [curve_table(report, curve) for curve in curves if curve]


def curve_table(report, curve):
    positions = sorted({point["x"] for point in curve["points"]})
    at = {(p["server"], p["x"]): p for p in curve["points"]}
    heads = ["server", *(f"{exact(x)} {curve['x']}" for x in positions)]
    rows = [
        [
            Cell(server["title"], server=name),
            *(curve_cell(at.get((name, x))) for x in positions),
        ]
        for name, server in report.servers.items()
        if any((name, x) in at for x in positions)
    ]
    about = "Under it: for each second of the server's processor time."
    return Table(curve["title"], heads, rows, about=about)


def curve_cell(point):
    if not point:
        return Cell(NOTHING)
    return Cell(
        number(point["delivered_per_s"]),
        beside=number(point["deliveries_per_cpu_s"]),
    )


# --- system calls


def calls_blocks(report):
    return [
        calls_table(report, workload)
        for workload in report.workloads
        if report.calls(workload)
    ]


CALLS_MOST = 6  # kinds that have a column
OTHERS = "others"


def calls_table(report, workload):
    """The calls that most are made of come first; the rarest are counted
    together with those that have no name."""
    counted = report.calls(workload)
    known = {name for calls in counted for name in calls["by_name"]}
    known = sorted(
        known - {OTHERS}, key=lambda name: (-share(counted, name), name)
    )
    names = known[:CALLS_MOST]
    heads = ["server", "all", *names, OTHERS]
    heads += ["voluntary switches, 1/s", "involuntary, 1/s"]
    rows = [
        [
            Cell(report.title(calls), server=calls["server"]),
            Cell(per_thousand(calls)),
            *(call_cell(calls, calls["by_name"].get(n, 0)) for n in names),
            call_cell(calls, other_calls(calls, names)),
            Cell(number(calls["switches_voluntary_per_s"])),
            Cell(number(calls["switches_involuntary_per_s"])),
        ]
        for calls in counted
    ]
    methods = sorted({calls["method"] for calls in counted})
    about = (
        f"System calls of the server for 1,000 {workload['unit']}, counted by "
        f"{listed(methods)}, and its context switches."
    )
    return Table(workload["title"], heads, rows, about=about)


def share(counted, name):
    return sum(
        calls["by_name"].get(name, 0) / (calls["deliveries"] or math.inf)
        for calls in counted
    )


def other_calls(calls, names):
    return sum(n for name, n in calls["by_name"].items() if name not in names)


def call_cell(calls, count):
    if not count or not calls["deliveries"]:
        return Cell(NOTHING)
    return Cell(number(count * 1000 / calls["deliveries"]))


# --- the machine, the method, the commands


def machine_blocks(report):
    json = report.json
    machine, pinned = json["machine"], json["pinned"]
    memory = machine["memory_bytes"]
    rows = [
        ("processor", machine["processor"]),
        ("processors", exact(machine["processors"])),
        ("cache", machine["cache"]),
        ("memory", memory and f"{number(memory / 2**30)} GiB"),
        ("kernel", machine["kernel"]),
        ("system", machine["system"]),
        ("compiler", machine["compiler"]),
        ("virtual machine", "yes" if machine["hypervisor"] else "no"),
        ("mitigations=", machine["mitigations"]),
        ("tcp_congestion_control", machine["tcp_congestion_control"]),
        ("tcp_rmem", machine["tcp_rmem"]),
        ("tcp_wmem", machine["tcp_wmem"]),
        ("server on processor", exact(pinned["server"])),
        ("load on processor", exact(pinned["load"])),
        hmac_row(json["hmac"]),
        *json["versions"].items(),
    ]
    rows = [[Cell(name), Cell(str(of or NOTHING))] for name, of in rows]
    caption = "Machine, kernel and versions"
    return [Table(caption, ["what", "which"], rows, words=(1,))]


def hmac_row(hmac):
    took = hmac["us"] and f"{number(hmac['us'])} µs"
    return f"HMAC of {hmac['bytes']} bytes", took


def method_blocks(report):
    json = report.json
    repeated = sum(result["repeated"] for result in json["results"])
    calls = (
        "System calls and context switches are from a short run of their own, "
        "since to count them slows a server down. They are those of the whole "
        "life of a server, less those of one whose clients came and were "
        "silent."
    )
    missing = json["calls_unavailable"]
    uncounted = f"System calls were not counted. {'; '.join(missing)}."
    latency = (
        "Where the load is paced, latency counts from when a message was due. "
        "Elsewhere the load says more as soon as all have heard, so that "
        "latency there says how much was on its way, not how an evening feels."
    )
    return [
        Paragraph(text)
        for text in (
            rounds_sentence(json),
            repeated_sentence(json["disturbed_share"], repeated),
            calls if json["calls"] else "",
            uncounted if missing else "",
            latency,
        )
        if text
    ]


def rounds_sentence(json):
    how = "quick" if json["quick"] else "full"
    return (
        f"A {how} run of {duration(json['seconds'])}. In each of "
        f"{exact(json['rounds'])} rounds every server has its turn at each "
        "workload before any has the next, so that drift of the machine hits "
        "all alike. A turn is a server started anew, "
        f"{exact(json['warmup_s'])} s of warming up and "
        f"{exact(json['duration_s'])} s measured (paced longer, memory as "
        "soon as all are in), with the server on "
        f"processor {json['pinned']['server']} and the load on processor "
        f"{json['pinned']['load']}. The load is ringchat-load, which verifies "
        "every message that each client hears; raw is the least that this "
        "kernel can do the same with, without any chat."
    )


def repeated_sentence(share, repeated):
    rule = (
        f"A round during which something else used {percent(share)} of a "
        "processor is thrown away and repeated"
    )
    if not repeated:
        return f"{rule}; there was none."
    return f"{rule}; so it was with {exact(repeated)} here."


def command_blocks(report):
    servers = [(s["title"], s["command"]) for s in report.servers.values()]
    blocks = [
        Commands("This report", [("", report.json["command"])]),
        Commands("Servers", servers),
        Commands("HMAC", [("", report.json["hmac"]["command"])]),
    ]
    for workload in report.workloads:
        ran = report.results(workload)
        pairs = [("in general", workload["load"])]
        pairs += [(report.label(result), result["command"]) for result in ran]
        pairs += [
            (f"{report.title(calls)}, system calls", calls["command"])
            for calls in report.calls(workload)
        ]
        if len(pairs) > 1:
            blocks.append(Commands(workload["title"], pairs))
    return blocks
