"""Tests run side by side: what one of them was given, no other is, also while no server of its listens yet."""
import json
import os
import subprocess
import sys

from harness import paths

# Both look for ports at the same place, as processes of the tests do that have worked for some time.
ASK = """
import itertools, json, sys
from harness import process
process._PORTS = itertools.cycle(itertools.chain(range(20000, 32000), range(10000, 20000)))
print(json.dumps([process.free_port() for _ in range(40)]), flush=True)
sys.stdin.read()
"""


def ask(tmp_path):
    """A process that asks. Its reservations are in a folder of this test: those of the other tests would fill any range."""
    return subprocess.Popen([sys.executable, "-c", ASK], cwd=paths.ROOT / "tests", env={**os.environ, "TMPDIR": str(tmp_path)},
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_no_port_is_given_twice(tmp_path):
    workers = [ask(tmp_path) for _ in range(2)]
    try:
        ports = [port for worker in workers for port in json.loads(worker.stdout.readline())]
        assert len(ports) == len(set(ports)) == 80
    finally:
        for worker in workers:
            worker.communicate("", timeout=30)
    again, _ = ask(tmp_path).communicate("", timeout=30)
    assert set(json.loads(again)) & set(ports), "the ports of a process that has ended are free again"
