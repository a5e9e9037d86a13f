"""The pictures of a report, drawn by gnuplot: of each an SVG that takes its
colours from the page it is in (colours.css), light or dark; and the same as a
file that stands alone. Every server has one colour and one shape of points in
all of them.
"""

import json
import math
import re
import subprocess
import sys
from html import escape
from pathlib import Path
from typing import Callable, NamedTuple

from figures import Report, exact, number, spread

HERE = Path(__file__).resolve().parent
COLOURS = HERE / "colours.css"

WIDTH = 460
LINES_HEIGHT = 364
KEY_COLUMNS = 2
KEY_ROW = 20
KEY_GAP = 92  # for the numbers and the name of the axis above the key
BARS_HEIGHT = 95  # of what is around the bars
BAR_HEIGHT = 25
FONT = 14
LONGEST = 26  # letters of a name beside a bar

MILLION = 1e6
WIDE = 20  # how many times the least the most is where an axis is logarithmic


class Picture(NamedTuple):
    """Its `svg` is to be put into a page; `title` and `about` are in it, too,
    for those who cannot see it."""

    name: str
    title: str
    about: str
    svg: str


# --- what servers look like


class Style(NamedTuple):
    """A variable of colours.css, and numbers of gnuplot's points and dashes:
    stages have filled points, peers open ones and dashed lines."""

    colour: str
    point: int
    dash: str


STYLES = {
    "stage1": Style("stage1", 7, "1"),
    "stage2": Style("stage2", 5, "1"),
    "stage3": Style("stage3", 9, "1"),
    "stage4": Style("stage4", 13, "1"),
    "stage5": Style("stage5", 11, "1"),
    "raw": Style("raw", 2, "(2,2)"),
    "redis": Style("redis", 6, "(8,4)"),
    "nats": Style("nats", 4, "(8,4)"),
    "ngircd": Style("ngircd", 8, "(8,4)"),
    "inspircd": Style("inspircd", 12, "(8,4)"),
    "other": Style("other", 1, "(8,4)"),
}
PARTS = ["ink", "rule", *(style.colour for style in STYLES.values())]


def style(server):
    """By the beginning of its name: redis-server is redis."""
    for name, found in STYLES.items():
        if server["name"].startswith(name):
            return found
    return STYLES["raw" if server["kind"] == "raw" else "other"]


def stand_in(part):
    """The colour that gnuplot draws a part of colours.css with."""
    return f"#0000{PARTS.index(part) + 1:02x}"


# --- what gnuplot is told


def quoted(text):
    """A string of gnuplot's; within single quotes nothing is expanded."""
    return "'" + " ".join(str(text).split()).replace("'", "''") + "'"


def shortened(text):
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def block(name, rows):
    """Rows of numbers, under a name."""
    lines = [" ".join(f"{value:.9g}" for value in row) for row in rows]
    return "\n".join([f"{name} << END", *lines, "END"])


def preamble(height):
    ink, rule = stand_in("ink"), stand_in("rule")
    return f"""
set terminal svg size {WIDTH},{height} font 'sans-serif,{FONT}' noenhanced
set border 3 linecolor rgb '{ink}' linewidth 1
set tics nomirror out scale 0.5
set grid linetype 1 linewidth 1 linecolor rgb '{rule}'
"""


def tic(text, position):
    """gnuplot takes its text for a format."""
    return f"{quoted(text.replace('%', '%%'))} {position:.9g}"


def tics(positions):
    return ", ".join(tic(exact(x), x) for x in positions)


def round_values(low, high):
    """Where an axis that is logarithmic has its numbers: at 1, 2, 5, 10 where
    there is room for them, else at powers of ten."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    steps = (1, 2, 5) if high < 300 * low else (1,)
    return [step * 10.0**n for n in range(first, last + 1) for step in steps]


def drawn(script):
    done = subprocess.run(
        ["gnuplot"], input=script, text=True, capture_output=True
    )
    if done.returncode != 0:
        raise RuntimeError(f"gnuplot has drawn nothing: {done.stderr}")
    return done.stdout


# --- from gnuplot's SVG to one that is put into a page


def adapted(svg, name, title, about):
    """Scales with the page, has names of its own, and the page's colours."""
    body = svg[svg.index("<g id=") : svg.rindex("</svg>")]
    width, height = re.search(r'viewBox="0 0 (\d+) (\d+)"', svg).groups()
    body = re.sub(r"<filter.*?</filter>", "", body, flags=re.DOTALL)
    body = re.sub(r'<g id="\w+" ><title>[^<]*</title>', "<g>", body)
    body = body.replace('<g id="gnuplot_canvas">', "<g>")
    body = body.replace("xlink:href='#", f"href='#{name}-")
    body = body.replace(" id='", f" id='{name}-")
    body = re.sub(r' font-(family|size)="[^"]*"', "", body)
    body = body.replace('"black"', '"var(--ink)"')
    body = re.sub(r"rgb\( *0, *0, *(\d+)\)", page_colour, body)
    body = without_empty_groups(body)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" '
        f'viewBox="0 0 {width} {height}" font-size="{FONT}" '
        f'aria-labelledby="{name}-title {name}-about">\n'
        f'<title id="{name}-title">{escape(title)}</title>\n'
        f'<desc id="{name}-about">{escape(about)}</desc>\n{body}</svg>'
    )


def page_colour(match):
    return f"var(--{PARTS[int(match[1]) - 1]})"


def without_empty_groups(body):
    before = None
    while body != before:
        before, body = body, re.sub(r"<g\b[^>]*>\s*</g>\s*", "", body)
    return body


def picture(plan, about, script):
    svg = adapted(drawn(script), plan.name, plan.title, about)
    return Picture(plan.name, plan.title, about, svg)


def standalone(picture):
    """As a file, which brings its colours and letters along."""
    css = COLOURS.read_text() + "svg { font-family: system-ui, sans-serif; }"
    head, rest = picture.svg.split("\n", 1)
    return f"{head}\n<style>\n{css}\n</style>\n{rest}\n"


# --- curves


class Line(NamedTuple):
    """What a server has reached at each place."""

    server: dict
    label: str
    points: list


def lines_script(lines, settings, every=1):
    """`every`: how many points there are to a shape that is shown."""
    blocks = [block(f"$line{n}", x.points) for n, x in enumerate(lines)]
    plots = []
    for n, line in enumerate(lines):
        look = style(line.server)
        strong = 2.5 if line.server["kind"] == "stage" else 1.5
        plots.append(
            f"$line{n} using 1:2 with linespoints pointsize 0.9 "
            f"pointinterval {every} linewidth {strong} pointtype {look.point} "
            f"dashtype {look.dash} linecolor rgb '{stand_in(look.colour)}' "
            f"title {quoted(shortened(line.label))}"
        )
    rows = math.ceil(len(lines) / KEY_COLUMNS)
    height = LINES_HEIGHT + rows * KEY_ROW
    return "\n".join([
        preamble(height),
        "set key at screen 0.5,0.01 center bottom vertical Left reverse "
        f"samplen 2.5 spacing 1.1 maxrows {rows}",
        f"set bmargin at screen {(rows * KEY_ROW + KEY_GAP) / height}",
        "set tmargin 1",
        "set rmargin 5",
        "set xlabel offset 0,0.5",
        settings,
        *blocks,
        "plot " + ", ".join(plots),
    ])


def curve_lines(report, curve):
    lines = []
    for name, server in report.servers.items():
        points = sorted(
            (point["x"], point["delivered_per_s"] / MILLION)
            for point in curve["points"]
            if point["server"] == name and point["delivered_per_s"]
        )
        if points:
            lines.append(Line(server, server["title"], points))
    return lines


def draw_curve(report, plan):
    """Against sizes what is delivered falls so far that its axis is
    logarithmic as well. The axis is wider than its numbers by a hair, for at
    its very end gnuplot may leave one out."""
    curve = plan.of
    lines = curve_lines(report, curve)
    xs = sorted({x for line in lines for x, _ in line.points})
    ys = [y for line in lines for _, y in line.points]
    settings = f"""
set logscale x
set xlabel {quoted(curve["x"])}
set xtics ({tics(xs)})
set xrange [{xs[0] * 0.999:.9g} : {xs[-1] * 1.001:.9g}]
set ylabel {quoted("million deliveries per second")}
set yrange [0 : *]
"""
    if curve["name"] == "sizes" and max(ys) > WIDE * min(ys):
        settings += logarithmic("y", min(ys), max(ys))
    about = f"One line for each server: {names(lines)}."
    return picture(plan, about, lines_script(lines, settings))


def logarithmic(axis, low, high):
    return f"""
set logscale {axis}
set {axis}range [{low / 1.3:.9g} : {high * 1.3:.9g}]
set {axis}tics ({tics(round_values(low, high))})
"""


def names(lines):
    return ", ".join(line.label for line in lines)


# --- the distribution of latency

TAIL_STEPS = 12  # points for each power of ten
SHARES = {
    2: "50 %",
    10: "90 %",
    100: "99 %",
    1000: "99.9 %",
    10_000: "99.99 %",
    100_000: "99.999 %",
}


def latency_line(buckets):
    """(1 / share that is slower, ms): powers of ten are 90 %, 99 %, ...
    The very quickest are left out, for they stretch the axis."""
    total = sum(count for _, _, count in buckets)
    steps = max(1, int(TAIL_STEPS * math.log10(min(total, 100_000))))
    line, seen, rest = [], 0, iter(buckets)
    high = buckets[0][0]
    for n in range(1, steps + 1):
        tail = 10 ** (n / TAIL_STEPS)
        while seen < total * (1 - 1 / tail):
            _, high, count = next(rest)
            seen += count
        line.append((tail, high / MILLION))
    return line


def draw_latency(report, plan):
    lines = [
        Line(
            report.servers[result["server"]],
            report.label(result),
            latency_line(result["buckets_ns"]),
        )
        for result in timed(report, plan.of)
    ]
    ys = [y for line in lines for _, y in line.points]
    last = max(x for line in lines for x, _ in line.points)
    shares = ", ".join(
        tic(share, x) for x, share in SHARES.items() if x <= last
    )
    settings = f"""
set logscale x
set xrange [1 : {last:.9g}]
set xtics ({shares})
set xlabel {quoted("share of deliveries that are no slower")}
set ylabel {quoted("latency, ms")}
{logarithmic("y", max(min(ys), 0.001), max(ys))}
"""
    about = (
        "How long deliveries take, from the quickest to the slowest; lower is "
        f"better. {names(lines)}."
    )
    script = lines_script(lines, settings, every=TAIL_STEPS // 2)
    return picture(plan, about, script)


def timed(report, workload):
    return [r for r in report.results(workload) if r["buckets_ns"]]


def paced(report, workload):
    """Where the load waits for nobody, latency is one to compare."""
    return workload["name"].startswith("paced") and timed(report, workload)


# --- bars


class Bar(NamedTuple):
    server: dict
    label: str
    value: float
    low: float
    high: float


def bars_script(bars, head, logarithmic_always):
    axis, origin = bars_axis(bars, logarithmic_always)
    names = ", ".join(tic(shortened(b.label), n) for n, b in enumerate(bars))
    return "\n".join([
        preamble(BARS_HEIGHT + BAR_HEIGHT * len(bars)),
        "set border 1",
        "unset key",
        f"set xlabel {quoted(head)}",
        axis,
        "set grid noytics",
        f"set yrange [{len(bars) - 0.5} : -0.5]",
        f"set ytics scale 0 ({names})",
        *(bar_script(bar, n, origin) for n, bar in enumerate(bars)),
        block("$spread", [(b.value, n, *b[3:]) for n, b in enumerate(bars)]),
        "plot $spread using 1:2:3:4 with xerrorbars pointtype 0 "
        f"linewidth 1.5 linecolor rgb '{stand_in('ink')}' notitle",
    ])


def bars_axis(bars, logarithmic_always):
    """The axis, with room for numbers behind the bars, and where it begins."""
    least, most = min(b.value for b in bars), max(b.high for b in bars)
    if not logarithmic_always and most < WIDE * least:
        end = most * 1.3
        step = round_step(end)
        numbers = tics(n * step for n in range(int(end / step) + 1))
        return f"set xrange [0 : {end:.9g}]\nset xtics ({numbers})", 0
    origin = 10 ** math.floor(math.log10(least / 1.5))
    end = most * (most / origin) ** 0.3
    axis = f"""
set logscale x
set xrange [{origin:.9g} : {end:.9g}]
set xtics ({tics(decades(origin, most))})
"""
    return axis, origin


def bar_script(bar, n, origin):
    """The nth from above, with its number behind it."""
    colour = stand_in(style(bar.server).colour)
    return f"""
set object rectangle from {origin:.9g},{n - 0.33} \
to {bar.value:.9g},{n + 0.33} fillcolor rgb '{colour}' fillstyle solid noborder
set label {quoted(number(bar.value))} at {bar.high:.9g},{n} left offset 0.6,0
"""


def round_step(end):
    """1, 2 or 5, at some power of ten, no more than five of which fit in."""
    power = 10.0 ** math.floor(math.log10(end / 5))
    return next(n * power for n in (1, 2, 5, 10) if n * power >= end / 5)


def decades(low, high):
    """Powers of ten, no more than some six of them."""
    first, last = math.floor(math.log10(low)), math.floor(math.log10(high))
    step = 1 + (last - first) // 6
    return [10.0**n for n in range(first, last + 1, step)]


def draw_bars(plan, bars, head, logarithmic_always=False):
    about = "Bars: " + "; ".join(
        f"{bar.label} {number(bar.value)}" for bar in bars
    )
    return picture(plan, about, bars_script(bars, head, logarithmic_always))


def result_bars(report, workload, key):
    """Of what has a value that can be drawn."""
    bars = []
    for result in report.results(workload):
        value, low, high = spread(result, key)
        if value:
            server = report.servers[result["server"]]
            label = report.label(result)
            bars.append(Bar(server, label, value, low or value, high or value))
    return bars


def cpu_bars(report, workload):
    if workload["unit"] == "members":
        return []
    return result_bars(report, workload, "cpu_s_per_million")


def draw_cpu(report, plan):
    head = f"CPU seconds per million {plan.of['unit']}"
    return draw_bars(plan, cpu_bars(report, plan.of), head)


def memory_bars(report, workload):
    if workload["unit"] != "members":
        return []
    return result_bars(report, workload, "resident_per_client")


def draw_memory(report, plan):
    head = "bytes resident per connection"
    return draw_bars(plan, memory_bars(report, plan.of), head)


def call_bars(report, workload):
    return [
        Bar(
            report.servers[calls["server"]],
            report.title(calls),
            *[calls["per_delivery"]] * 3,
        )
        for calls in report.calls(workload)
        if calls["per_delivery"]
    ]


def draw_calls(report, plan):
    head = f"system calls for each of the {plan.of['unit']}"
    return draw_bars(plan, call_bars(report, plan.of), head, True)


# --- which there are


def slug(text):
    """What a file, and a name within a page, may be called."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


class Plan(NamedTuple):
    """A picture that is still to be drawn, from a curve or a workload."""

    name: str
    title: str
    draw: Callable
    of: dict


def curve_plans(report):
    curves = [report.curve(name) for name in ("receivers", "sizes")]
    return [
        Plan(f"against-{curve['name']}", curve["title"], draw_curve, curve)
        for curve in curves
        if curve
    ]


def workload_plans(report, what, draw, are_there):
    """Of each workload that it can be drawn of."""
    return [
        Plan(
            slug(f"{what} {workload['name']}"),
            f"{what}: {workload['title']}",
            draw,
            workload,
        )
        for workload in report.workloads
        if are_there(report, workload)
    ]


def picture_plans(report):
    """In groups of those that belong together."""
    latency = workload_plans(report, "Latency", draw_latency, paced)
    memory = workload_plans(report, "Memory", draw_memory, memory_bars)
    cpu = workload_plans(report, "Processor time", draw_cpu, cpu_bars)
    calls = workload_plans(report, "System calls", draw_calls, call_bars)
    return [curve_plans(report) + latency + memory, cpu, calls]


def draw(report):
    """All pictures, by name."""
    return {
        plan.name: plan.draw(report, plan)
        for group in picture_plans(report)
        for plan in group
    }


def write(pictures, folder):
    """What has been drawn, as files NAME.svg."""
    for name, picture in pictures.items():
        (folder / f"{name}.svg").write_text(standalone(picture))


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: pictures.py REPORT.json FOLDER")
    with open(sys.argv[1], encoding="utf-8") as file:
        write(draw(Report(json.load(file))), Path(sys.argv[2]))


if __name__ == "__main__":
    main()
