"""All that one test uses together: a database, a broker, hubs and vendors' clients, ended in the right order."""
import contextlib
import itertools
import json
import shutil

from .hub import Hub
from .paths import SUBSYSTEMS
from .vendor import VendorClient

VENDOR = "tester"  # known for every subsystem before the hub starts


class Site:
    def __init__(self, database, broker, folder):
        self.database, self.broker, self.folder = database, broker, folder
        self.hubs, self.clients = [], []
        self.vendor_numbers = itertools.count(1)

    def register_default_vendors(self):
        for subsystem in SUBSYSTEMS:
            self.register(subsystem, VENDOR)

    def register(self, subsystem, vendor, **settings):
        self.database.query("SELECT onemap.vendor_put(%s, %s, %s)", subsystem, vendor, json.dumps(settings))
        for hub in self.hubs:
            hub.sync_registry()

    def hub(self, settings=None, start=True):
        if not self.hubs:
            self.register_default_vendors()
        name = f"hub{len(self.hubs) + 1}" if self.hubs else "hub"
        hub = Hub(self.database, self.broker, self.folder, settings, name)
        self.hubs.append(hub)
        if start:
            hub.start()
        return hub

    def client(self, subsystem, vendor=VENDOR, register=True, connect=True, **options):
        known = self.database.value("SELECT true FROM onemap.vendor WHERE subsystem = %s AND vendor = %s", subsystem, vendor)
        if register and not known:
            self.register(subsystem, vendor)
        client = VendorClient(self.broker, subsystem, vendor, **options)
        self.clients.append(client)
        return client.connect() if connect else client

    def new_client(self, subsystem, **settings):
        """A client of a vendor that nobody else uses, for tests that share a site; its name is `client.vendor`."""
        vendor = f"vendor-{next(self.vendor_numbers)}"
        self.register(subsystem, vendor, **settings)
        return self.client(subsystem, vendor)

    def close(self):
        for client in self.clients:
            client.disconnect()
        problems = []
        for hub in self.hubs:
            try:
                hub.stop()
            except AssertionError as problem:
                problems.append(str(problem))
        assert not problems, "\n".join(problems)

    def log_tails(self):
        for hub in self.hubs:
            yield f"{hub.process.name} ({hub.process.log_path})", hub.process.log_tail()
        yield f"mosquitto ({self.broker.process.log_path})", self.broker.process.log_tail(15)


@contextlib.contextmanager
def county_of(make, broker_type, cluster, folder):
    """make(database, broker, folder), an object whose `site` has its hubs, on a database and a broker of its own: for the length of a
    module. What a test left running ends with it."""
    cluster.start()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    database = cluster.clone()
    broker = broker_type(folder / "broker.log")
    county = None
    try:
        broker.start()
        county = make(database, broker, folder)
        yield county
        county.site.close()
    finally:
        for hub in county.site.hubs if county else []:
            if hub.process.running:
                hub.kill()
        broker.close()
        cluster.start()
        cluster.drop(database)
