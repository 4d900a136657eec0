"""The program under test: `cityhub serve` and the other commands, with one configuration file. A report of a sanitizer,
or an exit status other than 0 after SIGTERM, fails the test."""
import json
import os
import signal
import subprocess

import requests

from . import paths
from .metrics import Metrics
from .process import Process, free_port, wait_until


# Commands whose leaks have been looked for by this process: looking costs more than most of them do.
_LOOKED_AT = set()


class Hub:
    """`settings` override the harness's configuration: {"lane.counts": "dust=3"}; None takes a key out."""

    def __init__(self, database, broker, folder, settings=None, name="hub"):
        self.database, self.broker, self.folder = database, broker, folder
        self.http_port, self.keys = free_port(), {}
        self.http_url = f"http://127.0.0.1:{self.http_port}"
        self.config_path = folder / f"{name}.ini"
        self.settings = {
            "hub.instance": "test", "hub.data_dir": paths.ROOT,
            "database.conninfo": database.hub_conninfo, "database.migrate_conninfo": database.conninfo,
            "mqtt.host": broker.host, "mqtt.port": broker.port,
            "http.listen": "127.0.0.1", "http.port": self.http_port, "http.page": folder / "no-page",
            "jobs.device_state_s": 1, "jobs.rollup_s": 1, "jobs.offline_s": 1,
            **(settings or {}),
        }
        self.write_config()
        self.reports = folder / f"{name}-sanitizer"
        self.environment = {
            "ASAN_OPTIONS": f"detect_leaks=1:exitcode=99:log_path={self.reports}",
            "UBSAN_OPTIONS": f"print_stacktrace=1:halt_on_error=1:exitcode=99:log_path={self.reports}",
            "LSAN_OPTIONS": f"suppressions={paths.ROOT / 'tests' / 'harness' / 'lsan.supp'}:print_suppressions=0",
        }
        self.process = Process(name, [paths.cityhub(), "--config", self.config_path, "serve"], folder / f"{name}.log",
                               env=self.environment)

    def write_config(self, **changes):
        """Writes the configuration file; a change such as lane__counts="dust=2" is in force after the next start."""
        self.settings.update({key.replace("__", "."): value for key, value in changes.items()})
        sections = {}
        for key, value in self.settings.items():
            if value is not None:
                section, name = key.split(".", 1)
                sections.setdefault(section, []).append(f"{name} = {value}")
        self.config_path.write_text("\n\n".join(f"[{section}]\n" + "\n".join(lines) for section, lines in sections.items()) + "\n")

    # -- the running hub

    def get(self, path, timeout_s=10):
        return requests.get(self.http_url + path, timeout=timeout_s)

    def key(self, name="test", **settings):
        """Headers with a token of this name, made at its first use."""
        if name not in self.keys:
            options = [part for key, value in settings.items() for part in (f"--{key}", value)]
            token = self.run("token", "add", f"{name}-{self.process.name}", *options).stdout.split()[-1]
            self.keys[name] = {"Authorization": f"Bearer {token}"}
        return self.keys[name]

    def read(self, path, timeout_s=10):
        """The same as get, with a token that may read."""
        return requests.get(self.http_url + path, timeout=timeout_s, headers=self.key())

    def ready(self):
        self.process.check_running()
        return self.get("/readyz").status_code == 200

    def start(self, ready=True, timeout_s=60):
        self.process.start()
        if ready:
            self.wait_ready(timeout_s)
        return self

    def wait_ready(self, timeout_s=60):
        def state():
            self.process.check_running()
            response = self.get("/readyz")
            return response.status_code == 200 or (_ for _ in ()).throw(AssertionError(f"/readyz: {response.text.strip()}"))
        wait_until(state, timeout_s, f"the hub is ready (log: {self.process.log_path})")

    def stop(self):
        """SIGTERM: the hub ends by itself, with status 0 and nothing left allocated."""
        status = self.process.end(signal.SIGTERM)
        self.check_reports()
        assert status in (0, None), (f"the hub ended with status {status} after SIGTERM; log: {self.process.log_path}\n"
                                     f"{self.process.log_tail()}")

    def kill(self):
        self.process.kill()

    def restart(self):
        self.stop()
        self.start()

    def check_reports(self):
        reports = sorted(self.folder.glob(self.reports.name + "*"))
        if reports:
            text = "\n".join(report.read_text(errors="replace") for report in reports)[:6000]
            raise AssertionError(f"a sanitizer reports ({', '.join(map(str, reports))}):\n{text}")

    def metrics(self):
        return Metrics(self.get("/metrics").text)

    def metric(self, name, **labels):
        return self.metrics().value(name, **labels)

    def status(self):
        return self.get("/api/v1/status").json()

    # -- commands

    def run(self, *arguments, code=0, input=None, timeout_s=120):
        """`cityhub ARGUMENTS` with this configuration; fails unless it exits with `code` (None: whatever it is)."""
        command = tuple(map(str, arguments[:2]))
        leaks = {} if command not in _LOOKED_AT else {"ASAN_OPTIONS": self.environment["ASAN_OPTIONS"].replace("detect_leaks=1", "detect_leaks=0")}
        _LOOKED_AT.add(command)
        done = subprocess.run([paths.cityhub(), "--config", self.config_path, *map(str, arguments)], text=True, input=input,
                              capture_output=True, timeout=timeout_s, env={**os.environ, **self.environment, **leaks})
        self.check_reports()
        assert code is None or done.returncode == code, (
            f"cityhub {' '.join(map(str, arguments))} exited with {done.returncode}, not {code}:\n{done.stdout}{done.stderr}")
        return done

    def vendor(self, subsystem, vendor, **settings):
        """Adds or changes a vendor (onemap.vendor_put) and waits until the running hub knows it."""
        self.database.query("SELECT onemap.vendor_put(%s, %s, %s)", subsystem, vendor, json.dumps(settings))
        self.sync_registry()

    def sync_registry(self, timeout_s=60):
        """Waits until the running hub has taken in all changes of vendors and devices made so far."""
        if not self.process.running:
            return
        # A load that runs already may have begun before the change. The one after it has not, and counts too.
        for _ in range(2):
            loads = self.metric("cityhub_registry_loads_total")
            self.database.query("SELECT pg_catalog.pg_notify('cityhub_registry', 'vendor')")
            wait_until(lambda: self.metric("cityhub_registry_loads_total") > loads, timeout_s,
                       f"the hub reads its registry anew (log: {self.process.log_path})")
