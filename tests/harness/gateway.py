"""`cityhub gateway serve` with a configuration of its own, beside a hub on a guarded broker."""
import contextlib
import signal

import requests

from . import paths
from .guarded import GuardedBroker
from .hub import Hub
from .metrics import Metrics
from .process import Process, free_port, wait_until
from .site import county_of

GATEWAY_PASSWORD = "the-gateway-of-the-tests"


class Gateway:
    def __init__(self, hub, broker, folder, settings=None, name="gateway"):
        self.hub, self.folder = hub, folder
        self.http_port, self.hj212_port, self.jt808_port = free_port(), free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.http_port}"
        self.state, self.password = folder / f"{name}-state", folder / f"{name}.password"
        self.state.mkdir(exist_ok=True)
        self.password.write_text(GATEWAY_PASSWORD + "\n")
        self.config_path = folder / f"{name}.ini"
        self.settings = {
            "hub.instance": name, "hub.data_dir": paths.ROOT, "mqtt.host": broker.host, "mqtt.port": broker.port,
            "mqtt.username": "gateway", "mqtt.password_file": self.password,
            "http.listen": "127.0.0.1", "http.port": self.http_port,
            "gateway.listen": "127.0.0.1", "gateway.hj212_port": self.hj212_port, "gateway.jt808_port": self.jt808_port,
            "gateway.state_dir": self.state, **(settings or {}),
        }
        Hub.write_config(self)
        self.reports = folder / f"{name}-sanitizer"
        self.environment = {key: value.replace(str(hub.reports), str(self.reports)) for key, value in hub.environment.items()}
        self.process = Process(name, [paths.cityhub(), "--config", self.config_path, "gateway", "serve"], folder / f"{name}.log",
                               env=self.environment)

    def start(self):
        self.process.start()
        return self.wait_ready()

    def wait_ready(self):
        def ready():
            self.process.check_running()
            return requests.get(f"{self.url}/readyz", timeout=10).status_code == 200
        wait_until(ready, 60, f"the gateway is ready (log: {self.process.log_path})")
        return self

    def stop(self):
        status = self.process.end(signal.SIGTERM)
        reports = sorted(self.folder.glob(self.reports.name + "*"))
        assert not reports, "a sanitizer reports:\n" + "\n".join(report.read_text(errors="replace")[:6000] for report in reports)
        assert status in (0, None), f"the gateway ended with status {status}; log: {self.process.log_path}\n{self.process.log_tail()}"

    def kill(self):
        self.process.kill()

    def push(self, subsystem, vendor, kind, body, password=None, headers=None, timeout_s=60, **options):
        """POST /push; `password` None = without a login."""
        headers = {"Content-Type": "application/json", "Accept-Language": "en", **(headers or {})}
        return requests.post(f"{self.url}/push/{subsystem}/{vendor}/{kind}", data=body, headers=headers, timeout=timeout_s,
                             auth=None if password is None else (vendor, password), **options)

    def metric(self, name, **labels):
        return Metrics(requests.get(f"{self.url}/metrics", timeout=10).text).value(name, **labels)

    def terminals(self):
        return int(self.metric("cityhub_gateway_terminals"))

    def sync(self):
        """Waits until the gateway has the list of terminals as it is now."""
        wait_until(lambda: self.hub.database.value("SELECT g.version = onemap.terminal_version() FROM onemap.gateway g WHERE g.instance = %s",
                                                   self.settings["hub.instance"]), 60, "the gateway has the current list of terminals")


class GatewayBroker(GuardedBroker):
    """A guarded broker that knows gateways' login."""

    def __init__(self, log_path):
        super().__init__(log_path)
        self.add_login("gateway", GATEWAY_PASSWORD)


@contextlib.contextmanager
def county_with_gateway(make, cluster, folder, broker=GatewayBroker):
    """As county_of, of a county that has a `gateway`."""
    with county_of(make, broker, cluster, folder) as county:
        try:
            yield county
            county.gateway.stop()
        finally:
            if county.gateway.process.running:
                county.gateway.kill()
