"""Tests run side by side: what one of them was given, no other is, also while no server of its listens yet."""
import subprocess
import sys

from harness import paths

# Both look for ports at the same place, as processes of the tests do that have worked for some time.
ASK = """
import itertools, sys
from harness import process
process._PORTS = itertools.cycle(range(20000, 20200))
print([process.free_port() for _ in range(40)], flush=True)
sys.stdin.read()
"""


def test_no_port_is_given_twice():
    workers = [subprocess.Popen([sys.executable, "-c", ASK], cwd=paths.ROOT / "tests", stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                text=True) for _ in range(2)]
    try:
        ports = [port for worker in workers for port in eval(worker.stdout.readline())]
        assert len(ports) == len(set(ports)) == 80
    finally:
        for worker in workers:
            worker.communicate("", timeout=30)
    again = subprocess.run([sys.executable, "-c", ASK], cwd=paths.ROOT / "tests", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                           timeout=30, check=True)
    assert set(eval(again.stdout)) & set(ports), "the ports of a process that has ended are free again"
