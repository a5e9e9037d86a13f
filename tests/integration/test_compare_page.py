"""The page and the Markdown that `make compare` makes of a report: complete,
of one piece, safe whatever the report holds; and readable in a real browser,
wide and narrow, light and dark."""

import copy
import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

from conftest import REPOSITORY

COMPARE = REPOSITORY / "tests" / "compare"
sys.path.append(str(COMPARE))

import figures  # noqa: E402
import markdown  # noqa: E402
import page  # noqa: E402
import pictures  # noqa: E402

# --- what there is to show


def sample():
    return json.loads((COMPARE / "sample.json").read_text())


def spreads(report):
    """Every key of a result that is shown, by what its unit is."""
    known = {workload["name"]: workload for workload in report["workloads"]}
    for result in report["results"]:
        if known[result["workload"]]["unit"] == "members":
            keys = ("resident_per_client", "resident_bytes")
        else:
            keys = (
                "deliveries_per_cpu_s", "delivered_per_s", "p50_us", "p99_us",
            )
        for key in keys:
            yield result, key


def shown_figures(report):
    """All that must be read somewhere, as it is written."""
    values = [
        result[part][key]
        for result, key in spreads(report)
        for part in ("median", "low", "high")
    ]
    values += [goal["value"] for goal in report["goals"]]
    for curve in report["curves"]:
        values += [point["delivered_per_s"] for point in curve["points"]]
    values += [calls["per_delivery"] * 1000 for calls in report["calls"]]
    return {figures.number(value) for value in values if value is not None}


def shown_words(report):
    """All that is said in words."""
    machine = report["machine"]
    words = [machine["processor"], machine["kernel"], machine["compiler"]]
    words += list(report["versions"].values())
    words += [goal["text"] for goal in report["goals"]]
    words += [missing["why"] for missing in report["absent"]]
    for part in ("servers", "workloads"):
        words += [item["title"] for item in report[part]]
    for part in ("servers", "results", "calls"):
        words += [item["command"] for item in report[part]]
    return set(words)


def html(report):
    return page.html(report, pictures.draw(figures.Report(report)))


# --- reading it

EMPTY = {"meta", "br", "link", "img"}


class Reader(HTMLParser):
    """Text, tags, and rows of tables; every tag must be closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.texts, self.rows = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in EMPTY:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)
        if "tr" in self.open and self.open[-1] != "tr":
            self.rows[-1][-1] += data

    @property
    def text(self):
        return "".join(self.texts)


def ids(read):
    return [a["id"] for _, a in read.tags if "id" in a]


def check_alone(text):
    """It refers to nothing but to itself, and each name is there once."""
    read = Reader(text)
    names = ids(read)
    assert len(names) == len(set(names))
    for tag, attributes in read.tags:
        assert tag not in ("script", "link", "img", "iframe", "object")
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("href", "src", "xlink:href"):
                assert value.startswith("#") and value[1:] in names
            if name.startswith("aria-labelledby"):
                assert set(value.split()) <= set(names)
    assert "url(" not in text and "@import" not in text
    return read


# --- what it says


def test_page_is_complete_and_of_one_piece():
    report = sample()
    read = check_alone(html(report))
    for said in shown_figures(report) | shown_words(report):
        assert said in read.text, said


def test_figures_are_in_the_row_of_their_server():
    report = sample()
    asked = figures.Report(report)
    rows = Reader(html(report)).rows
    for result, key in spreads(report):
        label, median = asked.label(result), figures.spread(result, key).median
        said = figures.number(median)
        mine = [row for row in rows if row[0] == label]
        assert any(c.startswith(said) for r in mine for c in r[1:]), said


def test_markdown_says_the_same():
    report = sample()
    read, text = Reader(html(report)), markdown.markdown(report)
    for said in shown_figures(report) | {row[0] for row in read.rows}:
        assert markdown.plain(said) in text, said
    for name in pictures.draw(figures.Report(report)):
        assert f"]({name}.svg)" in text


def test_numbers():
    said = {
        0: "0", 12_345_678: "12,300,000", 3334: "3,330", 1.0: "1.00",
        0.012345: "0.0123", 999.9: "1,000", None: "–", 99.96: "100",
    }
    assert {value: figures.number(value) for value in said} == said
    assert [figures.exact(x) for x in (4096, 0.01, 2.0)] == [
        "4,096", "0.01", "2",
    ]


def test_pictures_stand_alone(folder):
    pictures.write(pictures.draw(figures.Report(sample())), folder)
    files = sorted(folder.iterdir())
    assert len(files) > 5
    for file in files:
        read = check_alone(file.read_text())
        assert {"svg", "title", "desc", "style"} <= {t for t, _ in read.tags}


# --- whatever the report holds

HOSTILE = """ "><script>alert('1')</script>&amp;<!-- | $(id) `id` %s ''"""
MEANT = ("kind", "unit", "variant", "when")


def hostile(value, key=None):
    """With every text, and every name, made into one that means harm."""
    if isinstance(value, dict):
        return {
            name + HOSTILE * (key in ("versions", "by_name")):
            hostile(inner, name)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [hostile(inner, key) for inner in value]
    harmless = not isinstance(value, str) or key in MEANT
    return value if harmless else value + HOSTILE


def test_hostile_text_stays_text():
    """Even gnuplot takes none of it for more."""
    report, tags = sample(), Reader(html(sample())).tags
    read = check_alone(html(hostile(report)))
    assert {t for t, _ in read.tags} == {t for t, _ in tags}
    for word in shown_words(report):
        assert word + HOSTILE in read.text
    text = markdown.markdown(hostile(report))
    for line in text.splitlines():  # code is indented
        assert line.startswith("    ") or not re.search(r"(?<!\\)<", line)


def without(*names):
    """The report of fewer servers."""
    report = sample()

    for part in ("results", "absent", "calls"):
        report[part] = [i for i in report[part] if i["server"] not in names]
    for curve in report["curves"]:
        curve["points"] = [
            p for p in curve["points"] if p["server"] not in names
        ]
    report["servers"] = [
        s for s in report["servers"] if s["name"] not in names
    ]
    return report


def emptied(**parts):
    return {**sample(), **parts}


def with_stage5():
    """As stage 4, under another name."""
    return json.loads(
        json.dumps(without("stage3")).replace("stage4", "stage5")
    )


PEERS = ("redis", "nats", "ngircd", "inspircd")
SUBSETS = {
    "no peers": without(*PEERS),
    "no raw": without("raw-relay", "raw-echo"),
    "no stages": without("stage1", "stage2", "stage3", "stage4"),
    "one stage": without("stage1", "stage2", "stage3", *PEERS),
    "stage 5": with_stage5(),
    "no curves": emptied(curves=[]),
    "no calls": emptied(calls=[]),
    "no goals": emptied(goals=[]),
    "nothing": emptied(results=[], absent=[], curves=[], calls=[], goals=[]),
    "one workload": emptied(workloads=sample()["workloads"][-1:]),
}


@pytest.mark.parametrize("report", SUBSETS.values(), ids=SUBSETS)
def test_a_part_of_a_report_is_shown(report):
    before = copy.deepcopy(report)
    read = check_alone(html(report))
    assert markdown.markdown(report)
    assert report == before
    assert "None" not in read.text and "nan" not in read.text.split()


def test_what_is_not_known_is_not_made_up():
    """Values that are null, in results and goals."""
    report = sample()
    for result in report["results"]:
        for part in ("median", "low", "high"):
            result[part] = dict.fromkeys(result[part])
        result["buckets_ns"] = None
    for goal in report["goals"]:
        goal.update(value=None, reached=None, of=None, why="not today")
    read = check_alone(html(report))
    assert read.text.count("not today") == len(report["goals"])
    assert "None" not in read.text


def test_run_as_programs(folder):
    for program in ("page.py", "markdown.py"):
        done = subprocess.run(
            [sys.executable, COMPARE / program, COMPARE / "sample.json"],
            capture_output=True,
            text=True,
            check=True,
        )
        module = {"page.py": html, "markdown.py": markdown.markdown}
        assert done.stdout == module[program](sample())
        usage = subprocess.run(
            [sys.executable, COMPARE / program], capture_output=True, text=True
        )
        assert usage.returncode == 1 and "usage" in usage.stderr


# --- in a browser

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
    "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)
VIEWS = [(w, s) for w in (1280, 400) for s in ("light", "dark")]


@pytest.fixture
def browser(folder):
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in (*FLAGS, f"--user-data-dir={folder}/profile"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = Service("/usr/bin/chromedriver")
    with webdriver.Chrome(service=service, options=options) as browser:
        yield browser


def look(browser, file, width, scheme):
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1,
         "mobile": False},
    )
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
    )
    browser.get(f"file://{file}")


# Every text with its colour, the one behind it, and how high it is.
TEXTS = """
document.querySelectorAll("details").forEach(d => d.open = true);
const behind = e => {
    for (; e; e = e.parentElement) {
        const colour = getComputedStyle(e).backgroundColor;
        if (colour != "rgba(0, 0, 0, 0)")
            return colour;
    }
    return "rgb(255, 255, 255)";
};
const texts = [];
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let node; node = walk.nextNode();) {
    const e = node.parentElement;
    if (!node.data.trim() || ["title", "desc"].includes(e.tagName))
        continue;
    const style = getComputedStyle(e), drawn = e.tagName == "text";
    const matrix = drawn ? e.getScreenCTM() : {a: 1, b: 0};
    const scale = Math.hypot(matrix.a, matrix.b);
    texts.push([node.data.trim(), drawn ? style.fill : style.color, behind(e),
                parseFloat(style.fontSize) * scale]);
}
return texts;
"""

DRAWN = """
return [...document.querySelectorAll("svg")].map(svg => {
    const box = svg.getBoundingClientRect();
    const parts = [...svg.querySelectorAll("path, polygon, rect, use, text")]
        .filter(part => !part.closest("defs"));
    const inside = parts.map(part => part.getBoundingClientRect()).filter(
        p => p.left >= box.left - 1 && p.right <= box.right + 1 &&
             p.top >= box.top - 1 && p.bottom <= box.bottom + 1);
    const boxes = [...svg.querySelectorAll("text")]
        .map(text => [text.textContent, text.getBoundingClientRect()]);
    const covered = boxes.flatMap(([one, a], n) => boxes.slice(n + 1)
        .filter(([_, b]) => a.left < b.right - 2 && b.left < a.right - 2 &&
                            a.top < b.bottom - 4 && b.top < a.bottom - 4)
        .map(([other, _]) => [one, other]));
    const colours = new Set([...svg.querySelectorAll("[fill], [stroke]")]
        .flatMap(e => [getComputedStyle(e).fill, getComputedStyle(e).stroke]));
    return {left: box.left, right: box.right, height: box.height,
            width: box.width, covered, parts: parts.length,
            inside: inside.length, colours: [...colours]};
});
"""


def luminance(colour):
    """https://www.w3.org/TR/WCAG21/#dfn-relative-luminance"""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in parts
    ]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear))


def contrast(colour, other):
    low, high = sorted((luminance(colour), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def check_texts(texts, scheme):
    for text, colour, behind, height in texts:
        assert contrast(colour, behind) >= 4.5, (text, colour, behind)
        assert height >= 10, (text, height)
        assert (luminance(behind) > 0.5) == (scheme == "light"), text


def check_drawn(drawings, width):
    """Nothing is cut off, no word is over another, and there are more colours
    than those of letters and lines."""
    for drawing in drawings:
        assert drawing["parts"] == drawing["inside"] > 5, drawing
        assert drawing["covered"] == []
        assert drawing["width"] > 300 and drawing["height"] > 60, drawing
        assert 0 <= drawing["left"] < drawing["right"] <= width, drawing
        assert len(drawing["colours"]) >= 4, drawing


def test_it_reads_well_in_a_browser(browser, folder):
    report = sample()
    file = folder / "report.html"
    file.write_text(html(report))
    count = len(pictures.draw(figures.Report(report)))
    for width, scheme in VIEWS:
        look(browser, file, width, scheme)
        assert browser.execute_script("return innerWidth") == width
        texts = browser.execute_script(TEXTS)
        check_texts(texts, scheme)
        drawings = browser.execute_script(DRAWN)
        assert len(drawings) == count
        check_drawn(drawings, width)
        assert browser.execute_script(
            "return document.documentElement.scrollWidth <= innerWidth"
        )
        text = "\n".join(text for text, *_ in texts)
        missing = [said for said in shown_figures(report) if said not in text]
        assert not missing
    assert browser.get_log("browser") == []
