"""How many system calls a message costs."""

import sys
import tempfile
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "demo"))

from calls import count  # noqa: E402

RECEIVERS = 1000
MESSAGES = 20


@pytest.mark.stages(3, 4)
@pytest.mark.unsanitized
@pytest.mark.capability("calls_are_few")
def test_a_tenth_of_a_call_for_a_delivery(program, stage):
    """To 1,000 receivers, a delivery costs a tenth of a system call at most,
    also of a message that is said alone."""
    options = ["--listen", "text://127.0.0.1:0", "--presence-limit", "1"]
    with tempfile.NamedTemporaryFile("r") as calls:
        one_by_one, _ = count([program, *options], RECEIVERS, MESSAGES, calls)
    assert one_by_one.total() <= RECEIVERS * MESSAGES / 10
