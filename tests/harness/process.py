"""Starting, watching and ending the processes of the tests; waiting for conditions instead of sleeping."""
import ctypes
import fcntl
import itertools
import os
import pwd
import resource
import signal
import socket
import subprocess
import tempfile
import time

PR_SET_PDEATHSIG = 1


def _ports():
    """Ports below those that the kernel gives out by itself, so that no client's connection takes one between our look and
    the server's start; each process of the tests begins at another place."""
    first, last = 10000, 32000
    start = os.getpid() * 97 % (last - first)
    return itertools.cycle(itertools.chain(range(first + start, last), range(first, first + start)))


_PORTS = _ports()
# A byte of this file a port, locked by the process of the tests that has it. The locks go with the process, however it ends.
_RESERVED = os.open(os.path.join(tempfile.gettempdir(), f"cityhub-test-ports-{os.getuid()}"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def free_port():
    """A port that nothing on this machine listens on, and that no other process of this user's tests is given while this one
    lives: a server may start long after it was given its port, and may start again."""
    for port in itertools.islice(_PORTS, 22000):
        try:
            fcntl.lockf(_RESERVED, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
            with socket.socket() as probe:
                probe.bind(("", port))
            return port
        except OSError:
            continue
    raise RuntimeError("no port between 10000 and 32000 is free: each is listened on, or reserved by a process of the tests")


class ProcessGone(AssertionError):
    """The program under test has ended by itself: there is nothing left to wait for."""


def wait_until(condition, timeout_s, what):
    """Calls `condition` until it returns something true, and returns that. An exception counts as not yet. After
    `timeout_s` seconds it fails with `what`, the last value and the last exception."""
    deadline = time.monotonic() + timeout_s
    pause = 0.01
    value, problem = None, None
    while True:
        try:
            value, problem = condition(), None
        except ProcessGone:
            raise
        except Exception as error:  # whatever it is, it is told at the end
            problem = error
        if problem is None and value:
            return value
        if time.monotonic() > deadline:
            state = f"last: {value!r}" if problem is None else f"last: {type(problem).__name__}: {problem}"
            raise AssertionError(f"after {timeout_s} s still not: {what} ({state})") from problem
        time.sleep(pause)
        pause = min(pause * 1.5, 0.25)


def unprivileged_user():
    """Servers refuse to run as root, or give the right up: as root they run as `postgres`, else as who we are."""
    return "postgres" if os.geteuid() == 0 else None


def give_to(path, user):
    if user is not None:
        entry = pwd.getpwnam(user)
        os.chown(path, entry.pw_uid, entry.pw_gid)


def run_as(user):
    """Arguments for subprocess that make the child run as `user` (None = as we are)."""
    if user is None:
        return {}
    entry = pwd.getpwnam(user)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _end_with_parent():
    # Whatever happens to pytest, nothing that it started stays behind.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _limit_descriptors(number):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (number if hard == resource.RLIM_INFINITY else min(number, hard), hard))


class Process:
    """One program in the background, its output appended to `log_path`; `descriptors` is its limit of open files. Start it
    from the main thread only: it dies with the thread that started it."""

    def __init__(self, name, argv, log_path, env=None, user=None, descriptors=None):
        self.descriptors = descriptors
        self.name, self.argv, self.log_path, self.env, self.user = name, [str(a) for a in argv], log_path, env, user
        self.child = None

    def start(self):
        assert not self.running, f"{self.name} runs already"
        with open(self.log_path, "ab") as log:
            self.child = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                          env={**os.environ, **(self.env or {})}, cwd="/",
                                          preexec_fn=self._prepare, **run_as(self.user))

    def _prepare(self):
        _end_with_parent()
        if self.descriptors is not None:
            _limit_descriptors(self.descriptors)

    @property
    def running(self):
        return self.child is not None and self.child.poll() is None

    @property
    def pid(self):
        return self.child.pid

    def log_text(self):
        try:
            return self.log_path.read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def log_tail(self, lines=40):
        return "\n".join(self.log_text().splitlines()[-lines:])

    def end(self, how=signal.SIGTERM, timeout_s=60):
        """Sends the signal, waits for the end and returns the exit status; one that does not end is killed and is a fault."""
        if self.child is None:
            return None
        if self.running:
            self.child.send_signal(how)
        try:
            status = self.child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            self.child = None
            raise AssertionError(f"{self.name} did not end {timeout_s} s after {how.name}; log: {self.log_path}\n"
                                 f"{self.log_tail()}") from None
        self.child = None
        return status

    def kill(self):
        return self.end(signal.SIGKILL)

    def check_running(self):
        """Fails if the process ended on its own."""
        if not self.running:
            status = None if self.child is None else self.child.returncode
            raise ProcessGone(f"{self.name} is not running (exit status {status}); log: {self.log_path}\n{self.log_tail()}")
