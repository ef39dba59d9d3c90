"""The EWS test server's own tests (tests/sim/ews), run here so that the runner counts them."""

import os
import re
import subprocess
import sys

import pytest

from conftest import figure

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "sim", "ews")
FILES = sorted(f for f in os.listdir(HERE) if re.fullmatch(r"test_\w+\.py", f))


@pytest.mark.parametrize("file", FILES)
def test_ews_server(file):
    r = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rs", "--rootdir", HERE,
                        "-c", os.devnull, os.path.join(HERE, file)], capture_output=True, text=True, timeout=600)
    figure("ews %s: %s" % (file, r.stdout.strip().split("\n")[-1]))
    skipped = re.search(r"SKIPPED \[\d+\] \S+ (.*)", r.stdout)
    if r.returncode in (0, 5) and skipped and " passed" not in r.stdout:
        pytest.skip(skipped.group(1))
    assert r.returncode == 0, r.stdout[-6000:] + r.stderr[-2000:]
