"""`make scale`: what it plans and fits, and that a small run yields a whole
report."""

import json
import subprocess
import sys

import pytest

from conftest import REPOSITORY
from timing import WAIT

sys.path += [str(REPOSITORY / f"tests/{d}") for d in ("compare", "scale")]

import scale_counts  # noqa: E402
import scale_fit  # noqa: E402
import scale_plan  # noqa: E402
import scale_report  # noqa: E402
import servers  # noqa: E402
from servers import Trouble  # noqa: E402

WORKERS = (1, 2, 4, 8, 16)


def points(rate, sigma, kappa, workers=WORKERS):
    law = scale_fit.Law(rate, sigma, kappa, 0)
    return [(n, law.at(n)) for n in workers]


# --- the laws


@pytest.mark.parametrize(
    "rate, sigma, kappa", [(1e6, 0.1, 0.01), (5.0, 0.3, 0), (3e7, 0, 0.002)]
)
def test_the_law_that_made_them_is_found(rate, sigma, kappa):
    law = scale_fit.universal(points(rate, sigma, kappa))
    assert law[:3] == pytest.approx(
        (rate, sigma, kappa), rel=1e-9, abs=1e-9
    )
    assert law.error == pytest.approx(0, abs=1e-9)


def test_amdahl_is_without_coherency():
    law = scale_fit.amdahl(points(100.0, 0.25, 0))
    assert law[:3] == pytest.approx((100, 0.25, 0))
    assert law.best_workers() is None


def test_no_coefficient_is_below_0():
    """More than ideal, and less with each worker."""
    for made in ([(n, n**1.3) for n in WORKERS], [(n, 1 / n) for n in WORKERS]):
        for law in (scale_fit.amdahl(made), scale_fit.universal(made)):
            assert law.rate > 0 <= law.sigma and law.kappa >= 0


def test_what_is_noisy_is_about_right():
    made = [(n, x * (1 + 0.02 * (-1) ** i))
            for i, (n, x) in enumerate(points(1000.0, 0.05, 0.004))]
    law = scale_fit.universal(made)
    assert law.rate == pytest.approx(1000, rel=0.05)
    assert law.sigma == pytest.approx(0.05, abs=0.03)
    assert law.kappa == pytest.approx(0.004, abs=0.002)
    assert 0.005 < law.error < 0.03


def test_most_is_where_more_do_less():
    law = scale_fit.Law(1, 0.1, 0.01, 0)
    best = law.best_workers()
    assert law.at(best) > max(law.at(best - 0.5), law.at(best + 0.5))


def test_too_few_points():
    assert scale_fit.amdahl([(1, 10.0)]) is None
    assert scale_fit.universal(points(1.0, 0.1, 0.1, (1, 2))) is None


# --- the plan


@pytest.mark.parametrize(
    "allowed, most, server, load",
    [
        (range(2), 1, [0], [1]),
        (range(8), 4, [0, 1], [4, 5, 6, 7]),
        (range(2), 16, [0, 1], [0, 1]),
        (range(1), 1, [0], [0]),
    ],
)
def test_who_runs_where(allowed, most, server, load):
    layout = scale_plan.Layout(tuple(allowed), most)
    assert list(layout.server(min(2, most))) == server
    assert list(layout.load()) == load
    assert layout.shared == (most >= len(allowed))


def test_only_the_fifth_stage_is_told_of_workers():
    layout = scale_plan.Layout((0, 1, 2, 3), 2)
    fifth = servers.stage(REPOSITORY / "build/stage5-threads")
    one, two = scale_plan.candidates(fifth, [1, 2], layout)
    command = two.command(None, "text", 4000, None)
    assert command[:3] == ["taskset", "-c", "0,1"]
    assert command[-2:] == ["--workers", "2"]
    fourth = servers.stage(REPOSITORY / "build/stage4-uring")
    (only,) = scale_plan.candidates(fourth, [1], layout)
    assert "--workers" not in only.command(None, "text", 4000, None)
    with pytest.raises(Trouble, match="has one worker"):
        scale_plan.candidates(fourth, [1, 2], layout)


def test_what_is_not_counted_is_none():
    text = "12,,context-switches:u,1,100.00,,\n<not supported>,,cycles,0,,,\n"
    counts = scale_counts.perf_counts(text)
    assert counts["context-switches"] == 12
    assert counts["cycles"] is counts["instructions"] is None


def test_laws_are_of_what_has_a_processor():
    """As long as there are enough of them."""
    made = points(10.0, 0.0, 0.0, (1, 2, 4)) + [(8, 40.0), (16, 40.0)]
    shape = {"points": [
        {"workers": n, "per_s": {"median": x}} for n, x in made
    ]}
    laws = scale_report.laws(shape, processors=4)
    assert laws["within"]
    assert laws["universal"]["sigma"] == pytest.approx(0, abs=1e-6)
    assert not scale_report.laws(shape, processors=2)["within"]


# --- a run


@pytest.fixture
def stage5(program, folder):
    """A stage that takes `--workers` and has one all the same."""
    made = folder / "stage5-fake"
    made.write_text(
        '#!/bin/sh\nwhile [ "$1" != --workers ]; do\n'
        '    set -- "$@" "$1"; shift\ndone\nshift 2\n'
        f'exec {program} "$@"\n'
    )
    made.chmod(0o755)
    (folder / "ringchat-load").symlink_to(program.parent / "ringchat-load")
    return made


@pytest.mark.unsanitized
@pytest.mark.unfaulted
@pytest.mark.stages(4)
def test_a_small_run(stage5, folder):
    done = subprocess.run(
        [sys.executable, REPOSITORY / "tests/scale/scale.py", stage5,
         "--workers", "1 2", "--only", "fanout", "--rounds", "1",
         "--duration", "0.2", "--quick", "--out", folder / "out"],
        capture_output=True, text=True, timeout=4 * WAIT,
    )
    assert done.returncode == 0, done.stderr
    made = json.loads((folder / "out/report.json").read_text())
    assert made["workers"] == [1, 2] and made["failures"] == []
    (shape,) = made["shapes"]
    assert [p["workers"] for p in shape["points"]] == [1, 2]
    for entry in shape["points"]:
        assert 0 < entry["per_s"]["low"] <= entry["per_s"]["high"]
        assert f"--workers {entry['workers']}" in entry["server_command"]
    for entry in shape["counts"]:
        assert entry["trouble"] is None
        assert entry.get("futexes_per_s", 0) < 1000
    assert shape["laws"]["amdahl"]["rate"] > 0
    assert shape["laws"]["universal"] is None
    text = (folder / "out/report.md").read_text()
    assert "(scale-fanout.svg)" in text and "Amdahl: λ" in text
    svg = (folder / "out/scale-fanout.svg").read_text()
    assert svg.startswith("<svg") and "ideal" in svg


@pytest.mark.stages(4)
def test_unknown_shape(program):
    done = subprocess.run(
        [sys.executable, REPOSITORY / "tests/scale/scale.py", program,
         "--only", "fanuot"],
        capture_output=True, text=True, timeout=WAIT,
    )
    assert done.returncode == 64
    assert "there is no shape fanuot" in done.stderr
