"""What came of it, as Markdown and pictures: of the JSON that scale.py
writes. Pure but for gnuplot.
"""

import pictures
import scale_fit
from content import Cell, Table
from figures import NOTHING, exact, number
from markdown import plain, table

MILLION = 1e6
# A law takes so many points to be more than a curve through them.
WITHIN_MIN = 3


def laws(shape, processors):
    """Amdahl's and Gunther's of a shape, and whether they are of no more
    workers than there are processors."""
    points = [(p["workers"], p["per_s"]["median"]) for p in shape["points"]]
    within = [point for point in points if point[0] <= processors]
    chosen = within if len(within) >= WITHIN_MIN else points
    return {
        "amdahl": as_json(scale_fit.amdahl(chosen)),
        "universal": as_json(scale_fit.universal(chosen)),
        "within": all(workers <= processors for workers, _ in chosen),
    }


def as_json(law):
    if law is None:
        return None
    return {**law._asdict(), "best_workers": law.best_workers()}


def law_of(fitted):
    """The law that a report has as JSON."""
    if not fitted:
        return None
    return scale_fit.Law(
        *(fitted[name] for name in ("rate", "sigma", "kappa", "error"))
    )


# --- the pictures


def draw(made, shape):
    """Deliveries against workers, measured and as the laws have it; None with
    fewer than two points."""
    points = [(p["workers"], p["per_s"]["median"]) for p in shape["points"]]
    if len(points) < 2:
        return None
    workers = [n for n, _ in points]
    stage = {"name": made["stage"], "kind": "stage"}
    lines = [pictures.Line(stage, "measured", in_millions(points))]
    each = points[0][1] / points[0][0]
    ideal = [(n, each * n) for n in workers]
    # Looks of pictures.STYLES that can be told apart.
    lines.append(pictures.Line(
        {"name": "raw", "kind": ""}, "ideal", in_millions(ideal)
    ))
    for name, title, look in (
        ("amdahl", "Amdahl", "redis"), ("universal", "USL", "nats")
    ):
        law = law_of(shape["laws"][name])
        if law:
            fitted = in_millions((n, law.at(n)) for n in workers)
            lines.append(
                pictures.Line({"name": look, "kind": ""}, title, fitted)
            )
    plan = pictures.Plan(
        f"scale-{shape['name']}", shape["title"], None, shape
    )
    about = f"One line each: {pictures.names(lines)}."
    script = pictures.lines_script(lines, settings(workers, shape["unit"]))
    return pictures.picture(plan, about, script)


def in_millions(points):
    return [(n, x / MILLION) for n, x in points]


def settings(workers, unit):
    return f"""
set xlabel {pictures.quoted("workers")}
set xtics ({pictures.tics(workers)})
set xrange [0 : {workers[-1] * 1.001:.9g}]
set ylabel {pictures.quoted(f"million {unit} per second")}
set yrange [0 : *]
"""


# --- the text


def report(made, drawn):
    """`drawn`: the names of the shapes that have pictures."""
    machine, ours = made["machine"], made["ringchat"]
    changed = " with changes" if ours["dirty"] else ""
    parts = [
        f"# {made['title']}: what more workers bring",
        plain(
            f"{made['command']}, {made['when']}, commit {ours['commit']}"
            f"{changed}; {machine['processors']} processors "
            f"({machine['processor']}), Linux {machine['kernel']}."
        ),
        f"**{plain(made['layout'])}**",
        plain(
            f"{made['rounds']} rounds of {made['duration_s']:g} s, "
            "interleaved; medians, the least and the most beside them. "
            "Deliveries are those of ringchat-load, which has verified each; "
            "where it is the bottleneck, they are about it. Ideal: as many "
            "times what the first does as there are workers."
        ),
    ]
    for shape in made["shapes"]:
        parts += shape_parts(made, shape, shape["name"] in drawn)
    parts += [f"FAILED: {plain(text)}" for text in made["failures"]]
    return "\n\n".join(parts) + "\n"


def shape_parts(made, shape, is_drawn):
    yield f"## {plain(shape['title'])}"
    yield plain(shape["about"])
    yield table(rates(shape))
    yield plain(" ".join(law_sentences(made, shape)))
    if is_drawn:
        yield f"![{plain(shape['title'])}](scale-{shape['name']}.svg)"
    if shape["counts"]:
        yield table(counts(shape))


def rates(shape):
    first = shape["points"][0] if shape["points"] else None
    heads = ["workers", f"{shape['unit']} a second", "times the first",
             "of the ideal", "for a second of the server's processors",
             "p99, µs", "bottleneck"]
    rows = [rate_row(p, first) for p in shape["points"]]
    return Table("Measured", heads, rows, words=(6,))


def rate_row(point, first):
    per_s = point["per_s"]
    gain = per_s["median"] / first["per_s"]["median"]
    share = gain / (point["workers"] / first["workers"])
    beside = f"{number(per_s['low'])} – {number(per_s['high'])}"
    return [
        Cell(str(point["workers"])), Cell(number(per_s["median"]), beside),
        Cell(number(gain)), Cell(f"{share:.0%}"),
        Cell(number(point["per_cpu_s"])), Cell(number(point["p99_us"])),
        Cell(point["bottleneck"], disturbed(point)),
    ]


def disturbed(point):
    """Rounds in which something else used the processors."""
    count = point["disturbed"]
    return f"{count} of {len(point['rounds'])} disturbed" if count else ""


def law_sentences(made, shape):
    if len(shape["points"]) < 2:
        yield "With one number of workers there is no law to fit."
        return
    for name, title in (
        ("amdahl", "Amdahl"), ("universal", "Universal Scalability Law")
    ):
        yield law_sentence(title, shape["laws"][name])
    if not shape["laws"]["within"]:
        yield (f"The points are of more workers than {made['processors']} "
               "processors: the laws speak of that.")


def law_sentence(title, law):
    if not law:
        return f"{title}: too few points."
    best = law["best_workers"]
    most = f", most at {number(best)} workers" if best else ""
    return (
        f"{title}: λ = {number(law['rate'])}/s, σ = {law['sigma']:.4f}, "
        f"κ = {law['kappa']:.6f}{most} (off by {law['error']:.1%}, root mean "
        "square)."
    )


COUNTERS = (
    ("context-switches", "context switches"),
    ("cpu-migrations", "migrations"),
    ("cache-misses", "cache misses"),
    ("instructions", "instructions"),
)


def counts(shape):
    heads = ["workers", "futex calls a second", "system calls for 1,000",
             *(f"{title} for 1,000" for _, title in COUNTERS)]
    methods = {c.get("method") for c in shape["counts"]} - {None}
    about = (
        f"For 1,000 {shape['unit']}, in runs of their own; calls by "
        f"{', '.join(sorted(methods)) or NOTHING}. "
        f"{NOTHING}: not counted here."
    )
    rows = [count_row(entry) for entry in shape["counts"]]
    return Table("What workers cost one another", heads, rows, about=about)


def count_row(entry):
    counters = entry.get("counters", {})
    calls = entry.get("calls_per_delivery")
    return [
        Cell(exact(entry["workers"])),
        Cell(number(entry.get("futexes_per_s"))),
        Cell(thousand(calls)),
        *(Cell(thousand(counters.get(name))) for name, _ in COUNTERS),
    ]


def thousand(value):
    return number(None if value is None else value * 1000)
