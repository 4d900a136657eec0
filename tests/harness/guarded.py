"""A broker as in real use: the settings and limits of deploy/, logins, the plugin, and access rules that `cityhub vendor` writes; the
hub's login is there from the start."""
import pathlib
import shutil
import subprocess
import tempfile

from .broker import DEPLOY, Broker
from .process import give_to, unprivileged_user

HUB_PASSWORD = "the-hub-of-the-tests"


class GuardedBroker(Broker):
    def __init__(self, log_path, more_settings=""):
        self.secrets = pathlib.Path(tempfile.mkdtemp(prefix="cityhub-login-"))
        give_to(self.secrets, unprivileged_user())
        self.passwords, self.hub_password, self.access = (self.secrets / name for name in ("passwords", "hub.password", "access"))
        self.hub_password.write_text(HUB_PASSWORD + "\n")
        self.passwords.touch()
        self.add_login("hub", HUB_PASSWORD)
        shutil.copy(DEPLOY / "mosquitto.acl", self.access)
        give_to(self.access, unprivileged_user())
        self.passwords.chmod(0o640)
        super().__init__(log_path, password_file=self.passwords, acl_file=self.access, more_settings=more_settings, deployed=True)

    def add_login(self, name, password):
        """For a broker that does not run yet; else it is told by reload()."""
        subprocess.run(["mosquitto_passwd", "-b", self.passwords, name, password], check=True, capture_output=True)
        give_to(self.passwords, unprivileged_user())

    def hub_settings(self):
        return {"mqtt.username": "hub", "mqtt.password_file": self.hub_password, "mqtt.vendor_password_file": self.passwords,
                "mqtt.vendor_acl_file": self.access,
                "mqtt.vendor_reload_command": f"kill -HUP $(cat {self.folder}/mosquitto.pid)"}

    def close(self):
        super().close()
        shutil.rmtree(self.secrets, ignore_errors=True)
