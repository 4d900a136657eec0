"""A throw-away machine: this one's file system with a layer of memory above, and a network and processes of its own. What is typed
there as root changes nothing outside. For guides that are to be followed from the first word to the last; systemd does not run in
it, tests/harness/systemctl stands for it."""
import os
import pathlib
import shutil
import subprocess
import tempfile

from . import paths
from .process import Process, wait_until

# Memory, an overlay of this machine on it, and what a machine has besides; then it waits, and takes in what others leave behind.
BOOT = """
set -e
mount -t tmpfs -o size=4g,mode=755 machine {folder}
mkdir {folder}/above {folder}/work {folder}/root
mount -t overlay overlay -o lowerdir=/,upperdir={folder}/above,workdir={folder}/work {folder}/root
mount -t proc proc {folder}/root/proc
mount --rbind /dev {folder}/root/dev
mount -t tmpfs run {folder}/root/run
ip link set lo up
touch {folder}/root/run/up
exec chroot {folder}/root bash -c 'while :; do sleep 1; done'
"""


class Machine:
    def __init__(self, log_path):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="cityhub-machine-"))
        self.process = Process("machine", ["unshare", "--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "bash", "-c",
                                           BOOT.format(folder=self.folder)], log_path)

    def start(self):
        self.process.start()
        wait_until(self._up, 30, f"the machine is up (log: {self.process.log_path})")
        shutil.copy(paths.ROOT / "tests" / "harness" / "systemctl", self.inside("/usr/local/sbin/systemctl"))

    def _up(self):
        self.process.check_running()
        return self.inside("/run/up").exists()

    def _first(self):
        pid = self.process.pid
        return pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0]

    def inside(self, path):
        """Where a file of the machine is, seen from outside."""
        return pathlib.Path(f"/proc/{self._first()}/root{path}")

    def type(self, text, cwd=paths.ROOT, timeout_s=300, code=0):
        """Typed by root, who looks at the first thing that fails. Returns what it printed."""
        environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8"}
        done = subprocess.run(["nsenter", "-t", self._first(), "--mount", "--net", "--pid", "--ipc", "--uts", "--root", "--wd", "--", "env", "-i",
                               *(f"{key}={value}" for key, value in environment.items()), "bash", "-euc", f"cd {cwd}\n{text}"],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout_s)
        assert done.returncode == code, f"{text}\nexit status {done.returncode}:\n{done.stdout}{done.stderr}"
        return done.stdout

    def close(self):
        if self.process.running:
            self.process.kill()
        os.rmdir(self.folder)


def possible():
    """Whether this machine lets us make one."""
    return os.geteuid() == 0 and subprocess.run(
        ["unshare", "--mount", "bash", "-c", "mount -t tmpfs none /mnt && mkdir /mnt/a /mnt/b /mnt/c && "
         "mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/a,workdir=/mnt/b /mnt/c"], capture_output=True).returncode == 0
