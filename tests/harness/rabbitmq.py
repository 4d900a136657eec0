"""A private RabbitMQ with the settings of deploy/rabbitmq.conf: a node, a folder, ports and an epmd of its own. It knows the hub's
login and whom `cityhub vendor` writes down; it speaks MQTT 3.1.1 alone."""
import base64
import hashlib
import json
import os
import pathlib
import re

from . import paths
from .broker import BrokerServer
from .process import Process, free_port, give_to
from .wire import Wire

PROGRAMS = pathlib.Path("/usr/lib/rabbitmq/bin")
HUB_PASSWORD = "the-hub-of-the-tests"
VHOST = {"name": "/"}
HUB = {"user": "hub", "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}


def password_hash(password):
    salt = b"salt"
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


class RabbitBroker(BrokerServer):
    """The vendors' listener is without TLS. `queue_type`: classic or quorum."""

    name, version, start_timeout_s = "rabbitmq", 4, 90

    def __init__(self, log_path, queue_type="classic"):
        super().__init__()
        self.hub_password, self.definitions = self.folder / "hub.password", self.folder / "vendors.json"
        self.hub_password.write_text(HUB_PASSWORD + "\n")
        (self.folder / "rabbitmq.conf").write_text(self._settings(queue_type))
        (self.folder / "enabled_plugins").write_text("[rabbitmq_mqtt].\n")
        (self.folder / "hub.json").write_text(json.dumps({
            "vhosts": [VHOST], "permissions": [HUB],
            "users": [{"name": "hub", "password_hash": password_hash(HUB_PASSWORD), "hashing_algorithm": "rabbit_password_hashing_sha256",
                       "tags": ""}]}))
        for path in self.folder.iterdir():
            give_to(path, self.user)
        epmd = free_port()
        self.environment = {
            "HOME": str(self.folder), "LC_ALL": "C.UTF-8", "ERL_EPMD_PORT": str(epmd), "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"cityhub-{os.getpid()}-{epmd}@localhost", "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null", "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"), "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder), "RABBITMQ_LOGS": "-",
            "RABBITMQ_ALLOW_INPUT": "1"}  # it is then the Erlang machine itself that we have started, and can kill
        self.names = Process("epmd", ["epmd", "-port", epmd, "-address", "127.0.0.1"], log_path, user=self.user)
        self.process = Process("rabbitmq", [PROGRAMS / "rabbitmq-server", "-noinput"], log_path, env=self.environment, user=self.user)

    def _settings(self, queue_type):
        text = (paths.ROOT / "deploy" / "rabbitmq.conf").read_text()
        for line, instead in ((r"mqtt\.listeners\.tcp\.hub = .*", f"mqtt.listeners.tcp.hub = 127.0.0.1:{self.port}"),
                              (r"mqtt\.listeners\.ssl\.vendors = .*", f"mqtt.listeners.tcp.vendors = 127.0.0.1:{self.vendor_port}"),
                              (r"ssl_options\.certfile = .*", ""), (r"ssl_options\.keyfile = .*", ""), (r"ssl_options\.versions\.1 = .*", ""),
                              (r"ssl_options\.versions\.2 = .*", ""), (r"disk_free_limit\.absolute = .*", "disk_free_limit.absolute = 50MB"),
                              (r"mqtt\.durable_queue_type = .*", f"mqtt.durable_queue_type = {queue_type}")):
            text, found = re.subn(rf"^{line}$", instead, text, flags=re.M)
            assert found == 1, f"deploy/rabbitmq.conf has {found} lines `{line}`, not one"
        return f"{text}\nload_definitions = {self.folder}/hub.json\nlog.console.level = warning\n"

    def ready(self):
        with Wire(self.host, self.port, version=4, timeout_s=5) as wire:
            return wire.connect("probe", "hub", HUB_PASSWORD) == 0

    def start(self):
        if not self.names.running:
            self.names.start()
        super().start()

    def bench_environment(self):
        return {"BENCH_PROTOCOL": "3.1.1", "BENCH_LOGIN": "hub", "BENCH_PASSWORD": HUB_PASSWORD}

    def hub_settings(self):
        reload = self.folder / "reload"
        reload.write_text("".join(f"export {key}='{value}'\n" for key, value in {**self.environment, "RABBITMQCTL": PROGRAMS / "rabbitmqctl"}.items())
                          + f"exec {paths.ROOT}/deploy/rabbitmq-vendors.sh {self.definitions}\n")
        return {"mqtt.protocol": "3.1.1", "mqtt.username": "hub", "mqtt.password_file": self.hub_password,
                "mqtt.vendor_definitions_file": self.definitions, "mqtt.vendor_reload_command": f"sh {reload}"}

    def close(self):
        if self.names.running:
            self.names.kill()
        super().close()
