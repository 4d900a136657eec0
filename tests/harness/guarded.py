"""A broker that asks for logins and keeps to access rules, as in real use; the hub's login is there from the start."""
import pathlib
import shutil
import subprocess
import tempfile

from .broker import Broker
from .process import give_to, unprivileged_user

HUB_PASSWORD = "the-hub-of-the-tests"


class GuardedBroker(Broker):
    """`access`: the text of the ACL file."""

    def __init__(self, log_path, access):
        self.secrets = pathlib.Path(tempfile.mkdtemp(prefix="cityhub-login-"))
        give_to(self.secrets, unprivileged_user())
        self.passwords, self.hub_password, rules = (self.secrets / name for name in ("passwords", "hub.password", "access"))
        self.hub_password.write_text(HUB_PASSWORD + "\n")
        self.passwords.touch()
        self.add_login("hub", HUB_PASSWORD)
        rules.write_text(access)
        give_to(rules, unprivileged_user())
        super().__init__(log_path, password_file=self.passwords, acl_file=rules)

    def add_login(self, name, password):
        """For a broker that does not run yet; else it is told by reload()."""
        subprocess.run(["mosquitto_passwd", "-b", self.passwords, name, password], check=True, capture_output=True)
        give_to(self.passwords, unprivileged_user())

    def hub_settings(self):
        return {"mqtt.username": "hub", "mqtt.password_file": self.hub_password, "mqtt.vendor_password_file": self.passwords,
                "mqtt.vendor_reload_command": f"kill -HUP {self.process.pid}"}

    def close(self):
        super().close()
        shutil.rmtree(self.secrets, ignore_errors=True)
