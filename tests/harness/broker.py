"""A private mosquitto with the settings that the hub asks for, or with those of deploy/ for real use, word by word."""
import collections
import itertools
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile

from . import paths
from .process import Process, free_port, give_to, unprivileged_user, wait_until

SETTINGS = """
listener {port} 127.0.0.1
set_tcp_nodelay true
persistence true
persistence_location {folder}/
autosave_interval 600
max_inflight_messages 20000
max_queued_messages 2147483647
log_dest stderr
log_timestamp_format %Y-%m-%dT%H:%M:%S
connection_messages true
"""


# Debian's own /etc/mosquitto/mosquitto.conf.
DEBIAN = """
pid_file {folder}/mosquitto.pid
persistence true
persistence_location {folder}/
log_dest stderr
"""
DEPLOY = pathlib.Path(os.environ.get("CITYHUB_DEPLOY", paths.ROOT / "deploy"))


def deployed_settings(**places):
    """deploy/mosquitto.conf with the harness's own ports and files, and without TLS on the vendors' listener."""
    text = (DEPLOY / "mosquitto.conf").read_text()
    for line, instead in ((r"listener 1883 127\.0\.0\.1", "listener {port} 127.0.0.1"),
                          (r"listener 8883", "listener {vendor_port} 127.0.0.1"),
                          (r"certfile .*", ""), (r"keyfile .*", ""), (r"tls_version .*", ""),
                          (r"password_file .*", "password_file {password_file}"), (r"acl_file .*", "acl_file {acl_file}"),
                          (r"plugin .*", "plugin {guard}")):
        text, found = re.subn(rf"^{line}$", instead.format(**places), text, flags=re.M)
        assert found == 1 or line.startswith("plugin"), f"deploy/mosquitto.conf has {found} lines `{line}`, not one"
    return DEBIAN.format(**places) + text


def of_service(key, otherwise):
    """What deploy/'s drop-in for the service says of it; a tree of before has none."""
    drop_in = DEPLOY / "mosquitto.service.conf"
    found = re.search(rf"^{key}=(\S+)$", drop_in.read_text() if drop_in.exists() else "", re.M)
    return found[1] if found else otherwise


class BrokerServer:
    """What every broker is to the tests: a program with a folder of its own (`folder`, of user `user`), `port` for the hub and
    `vendor_port` for vendors. A kind of it gives `process`, and ready()."""

    name, start_timeout_s = None, 30

    def __init__(self):
        self.host, self.port, self.vendor_port = "127.0.0.1", free_port(), free_port()
        self.client_numbers = collections.defaultdict(lambda: itertools.count(1))
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"cityhub-{self.name}-"))
        self.user = unprivileged_user()
        give_to(self.folder, self.user)

    def start(self):
        def up():
            self.process.check_running()
            return self.ready()
        if not self.process.running:
            self.process.start()
            wait_until(up, self.start_timeout_s, f"{self.name} answers (log: {self.process.log_path})")

    def stop(self):
        """Clean: the broker saves its sessions and messages."""
        self.process.end(signal.SIGTERM)

    def kill(self):
        self.process.kill()

    def restart(self):
        self.stop()
        self.start()

    def client_id(self, login):
        """The next of the client ids that are this login's."""
        return f"{login}.{next(self.client_numbers[login])}"

    def close(self):
        if self.process.running:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class Broker(BrokerServer):
    """`port` is the hub's listener. With `deployed`, the settings and limits are those of deploy/, and vendors have a listener
    of their own, `vendor_port`."""

    name, version = "mosquitto", 5

    def __init__(self, log_path, password_file=None, acl_file=None, more_settings="", deployed=False):
        super().__init__()
        if not deployed:
            self.vendor_port = self.port
        self.password_file, self.acl_file, self.more_settings, self.deployed = password_file, acl_file, more_settings, deployed
        self.config_path = self.folder / "mosquitto.conf"
        self.config_path.write_text(self._settings())
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        self.process = Process("mosquitto", [program, "-c", self.config_path], log_path, user=self.user,
                               env=dict([of_service("Environment", "GLIBC_TUNABLES=").split("=", 1)]),
                               descriptors=int(of_service("LimitNOFILE", 1024)) if deployed else None)

    def _settings(self):
        if self.deployed:
            guard = self.folder / "cityhub_guard.so"
            if (paths.build_folder() / guard.name).exists():
                shutil.copy(paths.build_folder() / guard.name, guard)  # the build's folder may be closed to the broker's user
            return deployed_settings(port=self.port, vendor_port=self.vendor_port, folder=self.folder, guard=guard,
                                     password_file=self.password_file, acl_file=self.acl_file) + self.more_settings
        text = SETTINGS.format(port=self.port, folder=self.folder)
        text += f"password_file {self.password_file}\nallow_anonymous false\n" if self.password_file else "allow_anonymous true\n"
        if self.acl_file:
            text += f"acl_file {self.acl_file}\n"
        return text + self.more_settings

    def ready(self):
        """A client gets through: connects, publishes with QoS 1 and has its PUBACK."""
        login = ["-u", "probe", "-P", "probe"] if self.password_file else []
        done = subprocess.run(["mosquitto_pub", "-V", "mqttv5", "-h", self.host, "-p", str(self.port), "-q", "1",
                               "-t", "harness/probe", "-m", "up", *login], capture_output=True, text=True, timeout=10)
        # With logins, being refused by the broker is an answer too.
        return done.returncode == 0 or (self.password_file and "not authori" in done.stderr.lower())

    def bench_environment(self):
        """How tests/bench/bench_publish.c comes in."""
        return {}

    def reload(self):
        """Makes the broker read its password and ACL files again."""
        os.kill(self.process.pid, signal.SIGHUP)
