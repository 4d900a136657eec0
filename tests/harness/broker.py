"""A private mosquitto with the settings that the hub asks for (deploy/ has the same for real use)."""
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

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


class Broker:
    def __init__(self, log_path, password_file=None, acl_file=None, more_settings=""):
        self.host, self.port = "127.0.0.1", free_port()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="cityhub-mqtt-"))
        self.user = unprivileged_user()
        give_to(self.folder, self.user)
        self.password_file, self.acl_file, self.more_settings = password_file, acl_file, more_settings
        self.config_path = self.folder / "mosquitto.conf"
        self.config_path.write_text(self._settings())
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        self.process = Process("mosquitto", [program, "-c", self.config_path], log_path, user=self.user)

    def _settings(self):
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

    def start(self):
        if not self.process.running:
            self.process.start()
            wait_until(self.ready, 30, f"mosquitto answers (log: {self.process.log_path})")

    def stop(self):
        """Clean: the broker saves its sessions and messages."""
        self.process.end(signal.SIGTERM)

    def kill(self):
        self.process.kill()

    def restart(self):
        self.stop()
        self.start()

    def reload(self):
        """Makes the broker read its password file again."""
        os.kill(self.process.pid, signal.SIGHUP)

    def close(self):
        if self.process.running:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
