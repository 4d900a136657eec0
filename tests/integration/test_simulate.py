"""`cityhub simulate` against a real broker, a real database and the real hub: the synthetic county arrives whole, and is
what the adapters' tables say."""
import re
import signal

import pytest

from harness import paths
from harness.broker import Broker
from harness.gateway import Gateway
from harness.process import Process, wait_until
from harness.site import Site

LAST = re.compile(r"sent (\d+) records in (\d+) messages .*receipts: (\d+) accepted, (\d+) duplicates, (\d+) rejected")
CELLS = 24 * 20
STREETS = 4


@pytest.fixture
def idle_hub(make_hub):
    """A configuration and its commands; the hub does not run."""
    return make_hub(start=False)


def make_county(hub):
    """As the quickstart does it."""
    hub.run("catalogue", "departments", "import", paths.ROOT / "config" / "departments.csv")
    hub.run("catalogue", "import", paths.ROOT / "config" / "case_catalogue.csv")
    hub.run("simulate", "--prepare")


def totals(output):
    """(records, messages, accepted, duplicates, rejected) of the last line that tells them."""
    found = LAST.findall(output)
    assert found, f"no line of figures in:\n{output}"
    return tuple(map(int, found[-1]))


class Simulator(Process):
    def __init__(self, hub, folder, *options):
        super().__init__("simulate", [paths.cityhub(), "--config", hub.config_path, "simulate", *options],
                         folder / "simulate.log", env=hub.environment)

    def sent(self):
        found = LAST.findall(self.log_text())
        return int(found[-1][0]) if found else 0


def test_prepare_makes_the_county(idle_hub, database):
    idle_hub.run("simulate", "--prepare")
    cells = database.query("SELECT d.name_zh, count(*), sum(ST_Area(g.geom::geography)) FROM onemap.grid_cell g "
                           "JOIN onemap.department d ON d.id = g.department_id GROUP BY 1")
    assert len(cells) == STREETS
    for name, count, area in cells:
        assert count == CELLS / STREETS, name
        assert area / count == pytest.approx(250 * 250, rel=0.01), name
    assert database.value("SELECT count(*) FROM onemap.grid_cell a JOIN onemap.grid_cell b ON a.code < b.code "
                          "AND ST_Area(ST_Intersection(a.geom, b.geom)::geography) > 1") == 0, "cells overlap"
    assert database.query("SELECT kind, count(*) FROM onemap.zone GROUP BY 1 ORDER BY 1") == [
        ("construction_site", 8), ("disposal_yard", 2)]
    assert database.query("SELECT count(DISTINCT v.name_zh), count(*) FILTER (WHERE v.name_zh LIKE '%%（模拟）'), count(DISTINCT m.name_zh)"
                          " FROM onemap.vendor v JOIN onemap.vendor_company m USING (vendor) WHERE v.vendor = 'sim'") == [
        (11, 11, 1)], "each subsystem has a company of its own; the login that stands for all of them is nobody's"
    vendors = database.query("SELECT subsystem, vendor FROM onemap.vendor WHERE vendor IN ('sim', 'demo')")
    assert sorted(vendors) == sorted([(subsystem, "sim") for subsystem in paths.SUBSYSTEMS] + [("dust", "demo")])


def test_prepare_again_changes_nothing(idle_hub, database):
    idle_hub.run("simulate", "--prepare")
    everything = ("SELECT json_build_array((SELECT json_agg(g ORDER BY g.code) FROM onemap.grid_cell g), "
                  "(SELECT json_agg(z ORDER BY z.id) FROM onemap.zone z), (SELECT json_agg(v ORDER BY v.subsystem, v.vendor) "
                  "FROM onemap.vendor v), (SELECT json_agg(d ORDER BY d.id) FROM onemap.department d))::text")
    before = database.value(everything)
    idle_hub.run("simulate", "--prepare")
    assert database.value(everything) == before


def test_prepare_refuses_a_real_county(idle_hub, database):
    database.query("INSERT INTO onemap.grid_cell (code, name_zh, geom) VALUES ('410221001001001', '东大街北段', "
                   "ST_Multi(ST_MakeEnvelope(114.77, 34.54, 114.78, 34.55, 4326)))")
    done = idle_hub.run("simulate", "--prepare", code=1)
    assert "real grid cells" in done.stderr and "410221001001001" in done.stderr
    assert database.value("SELECT count(*) FROM onemap.grid_cell") == 1
    assert database.value("SELECT count(*) FROM onemap.zone") == 0


def test_the_county_arrives_whole(idle_hub, database):
    hub = idle_hub
    make_county(hub)
    hub.start()
    # 30 times as often as usual: what a person sees in thirteen minutes.
    done = hub.run("simulate", "--seconds", 26, "--speed", 30, timeout_s=180)
    records, messages, accepted, duplicates, rejected = totals(done.stdout)
    assert rejected == 0, done.stdout
    stored = database.value("SELECT sum(accepted + duplicates) FROM onemap.receipt WHERE vendor = 'sim'")
    assert stored == records, "what was sent, and what the hub says"
    assert accepted + duplicates == records, "what was sent, and what came back as receipts"
    assert database.value("SELECT count(*) FROM onemap.quarantine") == 0
    devices = dict(database.query("SELECT subsystem, count(*) FROM onemap.device WHERE status = 'active' AND vendor = 'sim' GROUP BY 1"))
    assert set(devices) == set(paths.SUBSYSTEMS)
    assert 1800 <= sum(devices.values()) <= 2400
    assert database.value("SELECT count(*) FROM onemap.device WHERE vendor = 'sim' AND (status <> 'active' OR grid_cell IS NULL "
                          "OR department_id IS NULL OR geom IS NULL)") == 0
    # Every device has reported, and nothing was stored twice.
    assert database.value("SELECT count(*) FROM onemap.device d WHERE d.vendor = 'sim' AND NOT EXISTS "
                          "(SELECT FROM onemap.observation o WHERE o.device_id = d.id)") == 0
    observations = database.value("SELECT count(*) FROM onemap.observation")
    documents = database.value("SELECT (SELECT count(*) FROM onemap.device WHERE vendor = 'sim') + (SELECT count(*) FROM onemap.person) "
                               "+ (SELECT count(*) FROM onemap.vehicle)")
    assert 10000 < observations <= records - documents
    # Each of the four systems of coordinates has come out on its place: all within the built-up area, in their streets.
    assert database.value("SELECT count(*) FROM onemap.track_point t WHERE NOT ST_DWithin(t.geom::geography, (SELECT "
                          "ST_Collect(g.geom)::geography FROM onemap.grid_cell g), 10)") == 0
    wrong = database.value("SELECT count(*) FROM onemap.device d JOIN onemap.grid_cell g ON g.code = d.grid_cell "
                           "WHERE d.department_id <> g.department_id")
    assert wrong <= 3, "only on a street's border may the hub's place and the vendor's differ by its last metre"
    assert database.value("SELECT count(*) FROM onemap.device WHERE kind = 'lamp' AND parent_id IS NULL") == 0
    assert database.value("SELECT count(*) FROM onemap.device WHERE component_code IS NOT NULL") > 600


def test_some_devices_speak_to_a_gateway(idle_hub, database, broker, work_folder):
    """HJ 212 and JT/T 808: what is acknowledged is stored, and goes on after the gateway was away."""
    hub = idle_hub
    make_county(hub)
    terminals = hub.run("simulate", "--list-terminals").stdout
    (work_folder / "terminals.csv").write_text(terminals)
    assert "18 terminals added" in hub.run("terminal", "import", work_folder / "terminals.csv").stdout
    hub.start()
    gateway = Gateway(hub, broker, work_folder).start()
    try:
        wait_until(lambda: gateway.terminals() == 18, 60, "the gateway has the list")
        simulator = Simulator(hub, work_folder, "--speed", "20", "--gateway-hj212", f"127.0.0.1:{gateway.hj212_port}",
                              "--gateway-jt808", f"127.0.0.1:{gateway.jt808_port}")
        simulator.start()

        def heard_since(moment):
            """Terminals whose device has a record since then."""
            return database.value("SELECT count(*) FROM onemap.terminal t JOIN onemap.device d ON (d.subsystem, d.vendor, d.code) = "
                                  "(t.subsystem, t.vendor, t.device_code) WHERE EXISTS (SELECT FROM onemap.observation o WHERE o.device_id = d.id "
                                  "AND o.received_at >= %s)", moment)
        wait_until(lambda: heard_since("-infinity") == 18, 120, "all terminals have records")

        def told():
            """(connected, sent, sent again, acknowledged, refused), as the simulator last said."""
            found = re.findall(r"gateway: terminals (\d+)/18  sent (\d+) frames \((\d+) again\).*acknowledged: (\d+), refused: (\d+)",
                               simulator.log_text())
            return tuple(map(int, found[-1])) if found else (0, 0, 0, 0, 0)
        hub.kill()
        wait_until(lambda: told()[1] == told()[3] + 18, 60, "each has a frame that nobody acknowledges")
        gateway.kill()
        gateway.start()
        hub.start()
        again = database.value("SELECT now()")
        wait_until(lambda: heard_since(again) == 18 and told()[0] == 18 and told()[3] > 72, 120, "all terminals go on")
        assert simulator.end(signal.SIGTERM, 30) == 0, simulator.log_tail()
        connected, sent, repeated, stored, refused = told()
        assert connected == 18 and repeated >= 18 and refused == 0 and sent - 18 <= stored <= sent, simulator.log_tail()
        # Every reading of these devices came by the gateway, each but those under way at the end acknowledged once.
        rows = database.value("SELECT count(*) FROM onemap.observation o JOIN onemap.device d ON d.id = o.device_id JOIN onemap.terminal t "
                              "ON (d.subsystem, d.vendor, d.code) = (t.subsystem, t.vendor, t.device_code)")
        assert stored <= rows <= stored + 18, (stored, rows)
        assert database.value("SELECT count(*) FROM onemap.track_point p JOIN onemap.device d ON d.id = p.device_id "
                              "WHERE d.code = 'truck-0001'") > 0
        gateway.stop()
    finally:
        if gateway.process.running:
            gateway.kill()


def test_people_work_and_alarms(idle_hub, database):
    hub = idle_hub
    make_county(hub)
    hub.start()
    simulator = Simulator(hub, hub.folder, "--anomalies", "1")
    simulator.start()
    wait_until(lambda: database.value("SELECT count(DISTINCT subsystem) FROM onemap.work_order WHERE status = 'FINISHED'") >= 5,
               240, "work orders of five subsystems are finished")
    wait_until(lambda: database.value("SELECT count(*) FROM onemap.alarm") >= 5, 120, "alarms open")
    wait_until(lambda: database.value("SELECT count(*) FROM onemap.alarm WHERE closed_at IS NOT NULL") >= 3, 240, "alarms close")
    assert simulator.end(signal.SIGTERM, 30) == 0, simulator.log_tail()
    assert totals(simulator.log_text())[4] == 0, simulator.log_tail()
    people, on_duty = database.query("SELECT count(*), count(*) FILTER (WHERE on_duty) FROM onemap.person")[0]
    assert people > 50 and on_duty > people * 0.15, (people, on_duty)  # a third of them at night, nearly all by day
    assert database.value("SELECT count(*) FROM onemap.vehicle WHERE device_id IS NOT NULL AND plate <> ''") > 100
    assert database.value("SELECT count(*) FROM onemap.work_order WHERE status = 'FINISHED' AND (quality_score IS NULL OR quantity IS NULL "
                          "OR standard_id IS NULL OR finished_at < started_at)") == 0


def test_inventory_only(idle_hub, database):
    idle_hub.run("simulate", "--prepare")
    idle_hub.start()
    done = idle_hub.run("simulate", "--once-inventory", "--seconds", 100)
    records, _, accepted, _, rejected = totals(done.stdout)
    assert (accepted, rejected) == (records, 0), done.stdout
    assert database.value("SELECT count(*) FROM onemap.observation") == 0
    again = idle_hub.run("simulate", "--once-inventory", "--seconds", 100)
    assert totals(again.stdout)[4] == 0, again.stdout
    assert database.value("SELECT count(*) FROM onemap.device WHERE vendor = 'sim'") + database.value(
        "SELECT (SELECT count(*) FROM onemap.person) + (SELECT count(*) FROM onemap.vehicle)") == records


def test_goes_on_after_the_broker_was_away(idle_hub, broker, work_folder):
    """No hub: nothing but the broker answers."""
    simulator = Simulator(idle_hub, work_folder, "--speed", "20")
    simulator.start()
    wait_until(lambda: simulator.sent() > 2000, 60, "records are sent")
    broker.restart()
    before = simulator.sent()
    wait_until(lambda: simulator.sent() > before + 2000, 60, "records are sent after the broker's restart")
    assert simulator.end(signal.SIGINT, 30) == 0, simulator.log_tail()
    assert f"vendors {len(paths.SUBSYSTEMS)}/{len(paths.SUBSYSTEMS)}" in simulator.log_text().splitlines()[-1]


def test_same_seed_same_county(hub, site):
    heard = []
    listener = site.client("dust", "sim")
    listener.client.on_message = lambda client, user, message: heard.append(message.payload)
    listener.client.subscribe("cityhub/v1/dust/sim/inventory", qos=1)

    def inventory(seed):
        heard.clear()
        hub.run("simulate", "--once-inventory", "--seed", seed, "--seconds", 3)  # it waits for its receipts
        return wait_until(lambda: heard and heard[0], 20, "the inventory is heard")
    first = inventory(1)
    assert b"site_monitor-0001" in first
    assert inventory(1) == first
    assert inventory(2) != first


def test_a_refused_login_says_so(database, work_folder):
    passwords = work_folder / "passwords"
    passwords.write_text("")
    passwords.chmod(0o644)
    broker = Broker(work_folder / "mosquitto.log", password_file=passwords)
    secret = work_folder / "password"
    secret.write_text("not the right one\n")
    site = Site(database, broker, work_folder)
    try:
        broker.start()
        hub = site.hub(start=False)
        done = hub.run("simulate", "--password-file", secret, "--seconds", 60, code=1)
        assert "refuses this login" in done.stderr
        assert "not the right one" not in done.stdout + done.stderr
    finally:
        site.close()
        broker.close()


@pytest.mark.parametrize("options", [["--speed", "0"], ["--seconds", "x"], ["--seed", "-1"], ["--rate", "5", "--speed", "2"],
                                     ["--vendor", "a/b"], ["more"], ["--no-such-option"]])
def test_wrong_use(idle_hub, options):
    done = idle_hub.run("simulate", *options, code=2)
    assert "--help" in done.stderr
