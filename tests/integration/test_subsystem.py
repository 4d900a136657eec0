"""One subsystem more is a folder of adapters/, a .proto and a migration: in a copy of the tree, where nothing else is written by
hand, `parking` (tests/integration/parking) is built, migrated, let in at the broker, stored, simulated and told in the guides."""
import filecmp
import os
import pathlib
import shutil
import subprocess
import sys
import time

import pytest
from harness import paths
from harness.guarded import GuardedBroker
from harness.site import Site

PARKING = pathlib.Path(__file__).resolve().parent / "parking"
LEFT_OUT = {".git", "build", "var", "web"}  # of the tree's top: what is made, and the page
# The tests of the tree that look at every adapter.
TESTS = ("test_adapters", "test_adapter_json", "test_decode_json", "test_guides", "test_simulate")
MIGRATION = "INSERT INTO onemap.subsystem (key, name_zh) VALUES ('parking', '智慧停车');\n"


class Tree:
    """The copy, with what a person writes for a new subsystem."""

    def __init__(self, root):
        self.root, self.build = root, root / "build" / "debug"
        shutil.copytree(paths.ROOT, root, dirs_exist_ok=True, symlinks=True, ignore=lambda folder, names: {
            name for name in names if name == "__pycache__" or (pathlib.Path(folder) == paths.ROOT and name in LEFT_OUT)})
        shutil.copytree(PARKING, root, dirs_exist_ok=True)
        numbered = root / "schema" / "tables"
        last = max(int(path.name[:3]) for path in numbered.glob("[0-9][0-9][0-9]_*.sql"))
        (numbered / f"{last + 1:03d}_parking.sql").write_text(MIGRATION)

    def run(self, *argv, code=0, **environment):
        done = subprocess.run([str(word) for word in argv], cwd=self.root, capture_output=True, text=True, timeout=600,
                              env={**os.environ, "CCACHE_BASEDIR": str(self.root), "CCACHE_NOHASHDIR": "1", **environment})
        assert done.returncode == code, f"{' '.join(map(str, argv))} ended with {done.returncode}:\n{done.stdout[-6000:]}{done.stderr[-3000:]}"
        return done.stdout

    def make(self):
        self.run("cmake", "-G", "Ninja", "-S", self.root, "-B", self.build, "-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_C_FLAGS_DEBUG=-O0 -w",
                 "-DCMAKE_C_COMPILER_LAUNCHER=ccache")
        self.run("ninja", "-C", self.build, "cityhub", "cityhub_guard", *TESTS)

    def generate(self, program, *options, code=0):
        return self.run("/usr/bin/python3", self.root / "adapters" / program, "--cityhub", self.build / "cityhub", *options, code=code)

    def differences(self):
        """Paths of the copy that the original does not have, or has otherwise."""
        found = set()
        for path in self.root.rglob("*"):
            name = path.relative_to(self.root)
            if path.is_file() and name.parts[0] not in LEFT_OUT and "__pycache__" not in name.parts:
                original = paths.ROOT / name
                if not original.is_file() or not filecmp.cmp(path, original, shallow=False):
                    found.add(str(name))
        return found


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    tree = Tree(tmp_path_factory.mktemp("parking") / "tree")
    tree.root.parent.chmod(0o755)  # the broker runs as another user
    tree.make()
    return tree


@pytest.fixture(scope="module")
def generated(tree):
    """The tree after what is made from the adapters was made anew; and what was said before."""
    tree.said = tree.generate("guide_tables.py", "--check", code=1)
    tree.generate("guide_tables.py")
    return tree


@pytest.fixture
def site(generated, database, work_folder, monkeypatch):
    """The copy's hub on a county's database that knew nothing of parking."""
    monkeypatch.setenv("CITYHUB_BUILD", str(generated.build))
    broker = GuardedBroker(work_folder / "mosquitto.log")
    site = Site(database, broker, work_folder)
    try:
        broker.start()
        hub = site.hub({"hub.data_dir": generated.root, **broker.hub_settings()}, start=False)
        hub.run("migrate")
        yield site
        site.close()
    finally:
        broker.close()


def let_in(site, vendor):
    """A right and a login for parking; returns the password's file."""
    path = site.folder / f"{vendor}.password"
    site.hubs[0].run("vendor", "add", "--subsystem", "parking", "--vendor", vendor, "--generate-password", path)
    return path


def test_what_is_stale_is_told(generated):
    assert "adapters/parking/parking.md is stale: run adapters/guide_tables.py" in generated.said


def test_nothing_else_is_touched(generated):
    made = {"docs/vendor.md"}
    written = {str(path.relative_to(PARKING)) for path in PARKING.rglob("*") if path.is_file()}
    migration, = generated.differences() - written - made
    assert migration.endswith("_parking.sql")
    assert "| [智慧停车](../adapters/parking/parking.md) | `parking` |" in (generated.root / "docs" / "vendor.md").read_text()


def test_the_trees_own_tests(generated):
    generated.run("ctest", "--test-dir", generated.build, "--output-on-failure", "--no-tests=error", "-j2", "-R",
                  f"^({'|'.join((*TESTS, 'guide_tables'))})$")


def test_schemas_own_tests(site, database):
    """Those that look at every subsystem."""
    database.query("CREATE EXTENSION pgtap SCHEMA public; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO PUBLIC")
    tests = [paths.ROOT / "tests" / "schema" / name for name in ("core.sql", "alarms.sql")]
    done = subprocess.run(["pg_prove", "-h", str(database.cluster.folder), "-p", str(database.cluster.port), "-U", "postgres", "-d",
                           database.name, *map(str, tests)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_vendor_of_it(site, generated, database):
    password = let_in(site, "acme").read_text().strip()
    hub = site.hubs[0].start()
    client = site.client("parking", "acme", register=False, username="acme", password=password)
    now_ms = int(time.time() * 1000)
    records = [{"device_code": "P-1", "observed_at_ms": now_ms - age_ms, "spaces_free": 37, "entries_total": 10451, "barrier_up": True,
                "passage": "PASSAGE_OUT", "plate": "豫B12345"} for age_ms in (1000, 0)]
    receipt = client.send("telemetry", records[0])
    assert (receipt["accepted"], receipt["rejected"], receipt["warnings"]) == (1, 0, []), receipt

    generated.run("protoc", "-I", "proto", f"--python_out={site.folder}", "proto/common.proto", "proto/parking.proto")
    sys.path.insert(0, str(site.folder))
    try:
        import parking_pb2  # protoc has just written it
    finally:
        sys.path.remove(str(site.folder))
    batch = parking_pb2.ParkingBatch()
    batch.records.add(**records[1])
    receipt = client.send("telemetry", batch)
    assert (receipt["accepted"], receipt["rejected"], receipt["warnings"]) == (1, 0, []), receipt
    assert database.query("SELECT device_code, (extract(epoch FROM observed_at) * 1000)::bigint, spaces_free, entries_total, barrier_up, passage, plate"
                          " FROM onemap.parking WHERE vendor = 'acme' ORDER BY observed_at") == [
        ("P-1", record["observed_at_ms"], 37, 10451, 1, 1, "豫B12345") for record in records]
    assert {key for (key,) in database.query("SELECT key FROM onemap.alarm_rule WHERE subsystem = 'parking'")} == {
        "barrier_stuck", "device_offline", "vendor_silent"}
    assert hub.metric("cityhub_records_committed_total", subsystem="parking") == 2

    refused = subprocess.run(["mosquitto_pub", "-V", "mqttv5", "-q", "1", "-h", site.broker.host, "-p", str(site.broker.vendor_port), "-u", "acme",
                              "-P", password, "-i", "acme.9", "-t", "cityhub/v1/parking/other/telemetry", "-m", "{}"], capture_output=True, text=True, timeout=30)
    assert "not authorized" in (refused.stdout + refused.stderr).lower()


def test_it_is_simulated_without_figures(site, database):
    hub = site.hubs[0]
    hub.run("simulate", "--prepare")
    password = let_in(site, "sim")
    hub.start()
    told = hub.run("simulate", "--seconds", 15, "--speed", 10, "--password-file", password).stdout
    assert "parking has no figures" in told and " 0 rejected" in told.splitlines()[-1], told
    kinds = database.query("SELECT d.kind, count(DISTINCT d.id)::int, count(v.spaces_free) > 0, count(v.speed_km_h) > 0 FROM onemap.device d "
                           "LEFT JOIN onemap.parking v ON v.device_id = d.id WHERE d.subsystem = 'parking' GROUP BY 1 ORDER BY 1")
    assert kinds == [("gate", 5, True, False), ("patrol", 5, False, True)], told
    assert database.value("SELECT count(*) > 0 FROM onemap.track_point t JOIN onemap.device d ON d.id = t.device_id WHERE d.subsystem = 'parking'")
