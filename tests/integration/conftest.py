"""Fixtures of the integration tests. `database`: a fresh migrated clone; `broker`: a private mosquitto; `hub`: a running
`cityhub serve` on both, with a vendor `tester` known in every subsystem; `vendor_client(subsystem, vendor)`: an MQTT 5
client; `make_hub(settings, start)`: a hub with other settings, or a second one. `shared`: all of these for the tests of one
file together, with the settings in its SHARED_SETTINGS; each of its tests uses a vendor of its own (shared.new_client). Logs
of a failed test stay in build/logs/integration/<test>/."""
import os
import pathlib
import re
import shutil
import zlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
pytest.register_assert_rewrite("harness")
from harness import paths  # noqa: E402
from harness.broker import Broker  # noqa: E402
from harness.postgres import Cluster  # noqa: E402
from harness.site import Site  # noqa: E402


# Files that take longest, the longest first: begun last, one of them would keep a worker busy when the others have nothing left.
LONGEST = ("test_quickstart", "test_simulate", "test_rabbitmq", "test_simulate_cases", "test_guide_deploy", "test_migrate_county",
           "test_redelivery", "test_guides_newcomer", "test_subsystem", "test_guides", "test_hostile_vendor", "test_lanes", "test_faults")


def pytest_collection_modifyitems(items):
    place = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(LONGEST)))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    setattr(item, f"report_{report.when}", report)
    used = getattr(item, "funcargs", {})
    site = used.get("site") or used.get("shared")
    if report.failed and "shared" in used:
        item.parent.shared_failed = True
    if report.failed and site is not None:
        for title, text in site.log_tails():
            report.sections.append((f"end of the log of {title}", text))


def _failed(node):
    return any(getattr(node, f"report_{when}", None) is not None and getattr(node, f"report_{when}").failed
               for when in ("setup", "call"))


@pytest.fixture(scope="session")
def logs():
    folder = paths.logs_folder() / "integration"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def cluster(logs):
    log = logs / f"postgres-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}.log"
    log.unlink(missing_ok=True)
    cluster = Cluster(log, fsync=False)
    try:
        cluster.start()
        cluster.make_template()
        yield cluster
    finally:
        cluster.close()


@pytest.fixture(scope="module")
def shared(request, cluster, logs):
    cluster.start()
    folder = logs / request.module.__name__
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    database = cluster.clone()
    broker = Broker(folder / "mosquitto.log")
    site = Site(database, broker, folder)
    try:
        broker.start()
        site.hub(getattr(request.module, "SHARED_SETTINGS", None))
        yield site
        site.close()
        if not getattr(request.node, "shared_failed", False):
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        for hub in site.hubs:
            if hub.process.running:
                hub.kill()
        broker.close()
        cluster.start()
        cluster.drop(database)


@pytest.fixture
def work_folder(request, logs):
    """Configuration and logs of this test; kept if it fails."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "_", request.node.nodeid.split("/")[-1])
    # Some parameters are long, and a line of a configuration is not.
    folder = logs / (name if len(name) <= 100 else f"{name[:90]}-{zlib.crc32(name.encode()):08x}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    yield folder
    if not _failed(request.node) and not getattr(request.node, "keep_logs", False):
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def database(cluster):
    cluster.start()
    database = cluster.clone()
    yield database
    cluster.start()
    cluster.drop(database)


@pytest.fixture
def broker(work_folder):
    broker = Broker(work_folder / "mosquitto.log")
    try:
        broker.start()
        yield broker
    finally:
        broker.close()


@pytest.fixture
def site(request, database, broker, work_folder):
    site = Site(database, broker, work_folder)
    yield site
    try:
        site.close()
    except BaseException:
        request.node.keep_logs = True
        raise


@pytest.fixture
def make_hub(site):
    return site.hub


@pytest.fixture
def hub(site):
    return site.hub()


@pytest.fixture
def vendor_client(site):
    return site.client
