"""The picture of a session that the README shows: it is what comes out."""

import subprocess
import sys

import pytest

from capabilities import DIALECTS
from timing import WAIT
from talking import REPOSITORY

pytestmark = [pytest.mark.stages(max(DIALECTS)), pytest.mark.unsanitized]
PICTURE = REPOSITORY / "docs/figures/client.svg"


def test_the_picture_is_what_comes_out(program, folder):
    made = folder / "client.svg"
    subprocess.run(
        [sys.executable, REPOSITORY / "tests/client/screenshot.py",
         "--build", program.parent, made], check=True, timeout=3 * WAIT)
    assert made.read_bytes() == PICTURE.read_bytes(), \
        "if that is meant: make screenshot"
