"""Lanes: several of one subsystem share its load and go back to one without a loss; a subsystem whose batches cannot be stored
holds up no other; batches end by size and by age."""
import json
import pathlib
import shutil
import subprocess
import tempfile
import time

import paho.mqtt.client as mqtt
import pytest
from harness import messages
from harness.broker import Broker
from harness.process import give_to, unprivileged_user, wait_until
from harness.site import Site
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

RECORDS = 10  # in a message


def now_ms():
    return int(time.time() * 1000)


class Numbered:
    """Messages of dust whose record number n has observed_at_ms start + n and the value n."""

    def __init__(self, client):
        self.client, self.start, self.sent = client, now_ms() - 3_600_000, 0

    def publish(self, count):
        infos = []
        for _ in range(count):
            records = [{"device_code": f"device-{n % 20}", "observed_at_ms": self.start + n, "pm25_ug_m3": float(n % 1000)}
                       for n in range(self.sent, self.sent + RECORDS)]
            infos.append(self.client.publish_start("telemetry", messages.protobuf("dust", records))[0])
            self.sent += RECORDS
        for info in infos:
            info.wait_for_publish(30)

    def stored(self, database):
        return sorted((at - self.start, value) for at, value in database.query(
            "SELECT (extract(epoch FROM observed_at) * 1000)::bigint, pm25_ug_m3 FROM onemap.dust WHERE vendor = %s", self.client.vendor))

    def wait_stored(self, database):
        expected = [(n, float(n % 1000)) for n in range(self.sent)]
        wait_until(lambda: len(self.stored(database)) >= len(expected), 60, f"all {len(expected)} records are stored")
        assert self.stored(database) == expected, "each once and with its value"


def has_session(broker, client_id):
    """Whether the broker keeps a session of this name; looking ends it."""
    present = []
    client = mqtt.Client(client_id=client_id, protocol=mqtt.MQTTv5)
    client.on_connect = lambda client, user, flags, reason, properties: present.append(bool(flags["session present"]))
    client.connect(broker.host, broker.port, clean_start=False)
    client.loop_start()
    wait_until(lambda: present, 30, "the broker answers")
    client.disconnect()
    client.loop_stop()
    return present[0]


def lanes_of(database, subsystem="dust"):
    return [client_id for client_id, in database.query("SELECT client_id FROM onemap.lane WHERE subsystem = %s ORDER BY 1", subsystem)]


def test_three_lanes_and_back_to_one(site, make_hub, broker, database):
    hub = make_hub({"lane.counts": "dust=3"})
    load = Numbered(site.client("dust"))
    load.publish(300)
    load.wait_stored(database)
    shares = [hub.metric("cityhub_messages_received_total", lane=f"dust-{n}") for n in (1, 2, 3)]
    assert sum(shares) == 300 and min(shares) > 30, f"the lanes share the load: {shares}"
    secret = database.value("SELECT secret FROM onemap.broker_identity WHERE instance = 'test'")
    sessions = lanes_of(database)
    assert sessions == [f"test-dust-{n}-{secret}" for n in (1, 2, 3)]
    assert database.value("SELECT count(DISTINCT message) FROM onemap.receipt WHERE accepted = %s AND records = accepted", RECORDS) == 300
    status, metrics = hub.status(), hub.get("/metrics").text
    hub.stop()
    load.publish(90)  # wait in the sessions of all three
    hub.write_config(lane__counts=None)
    hub.start()
    load.publish(30)
    load.wait_stored(database)
    drained = [hub.metric("cityhub_messages_received_total", lane=f"dust-{n}") for n in (2, 3)]
    assert min(drained) > 0, "messages waited in the sessions of lanes that are no more"
    wait_until(lambda: lanes_of(database) == sessions[:1], 60, "the other sessions are drained and forgotten")
    load.publish(30)
    load.wait_stored(database)
    assert [hub.metric("cityhub_messages_received_total", lane=f"dust-{n}") for n in (2, 3)] == drained
    hub.stop()
    assert [has_session(broker, session) for session in sessions] == [True, False, False]
    for told in (hub.process.log_text(), json.dumps(status), metrics):
        assert secret not in told, "who can read the log or ask the hub could end its sessions"


def make_session(broker, client_id):
    """A session as a hub of earlier days left it at the broker, subscribed to dust."""
    properties, subscribed = Properties(PacketTypes.CONNECT), []
    properties.SessionExpiryInterval = 3600
    client = mqtt.Client(client_id=client_id, protocol=mqtt.MQTTv5)
    client.on_subscribe = lambda *_: subscribed.append(True)
    client.connect(broker.host, broker.port, clean_start=False, properties=properties)
    client.loop_start()
    client.subscribe([(f"cityhub/v1/dust/+/{kind}", 1) for kind in ("telemetry", "inventory", "staff", "work", "case", "interval")])
    wait_until(lambda: subscribed, 30, "the session is subscribed")
    client.disconnect()
    client.loop_stop()


def publish_values(client, moment, *values):
    """Corrections of one record, one after the other."""
    for value in values:
        client.publish("telemetry", [{"device_code": "corrected", "observed_at_ms": moment, "pm25_ug_m3": value}])


def test_sessions_of_earlier_names_are_drained_before_ours_are_read(site, make_hub, broker, database):
    """One session is of a version whose names anybody could guess, one has a secret that was changed since. What they hold is stored
    before what came later, nothing is lost in between, and nothing of them is left at the broker."""
    earlier = ["test-dust-1", f"test-dust-1-{'0123456789abcdef' * 2}"]
    client, moment, hub = site.client("dust"), now_ms(), make_hub(start=False)
    for session in earlier:
        database.query("INSERT INTO onemap.lane (client_id, subsystem) VALUES (%s, 'dust')", session)
        make_session(broker, session)
    publish_values(client, moment, 1, 2, 3)
    hub.start()
    publish_values(client, moment, 4, 5)
    wait_until(lambda: len(lanes_of(database)) == 1, 60, "the earlier sessions are drained and forgotten")
    publish_values(client, moment, 6)
    wait_until(lambda: database.value("SELECT pm25_ug_m3 FROM onemap.dust") == 6, 60, "the correction that came last stands")
    kept = [value for value, in database.query("SELECT r.readings[1] FROM onemap.observation_revision r ORDER BY r.id")]
    assert set(kept) == {1, 2, 3, 4, 5} and kept[-1] == 5, f"what the earlier sessions held is stored, and stored before: {kept}"
    hub.stop()
    assert [has_session(broker, session) for session in earlier] == [False, False]


# ---- a subsystem that is stuck

def lifted(moment, number):
    return {"device_code": f"truck-{number}", "observed_at_ms": moment, "bed_lifted": True,
            "position": {"lon": 113.9, "lat": 35.1, "system": "WGS84"}}


def check_not_held_up(hub, free):
    """Twenty messages one after the other, each with its receipt."""
    for number in range(20):
        receipt = free.send_telemetry({"device_code": "d", "observed_at_ms": now_ms() - 1000 + number, "pm25_ug_m3": 5.0})
        assert receipt["accepted"] == 1
    assert hub.get("/readyz").status_code == 200


def test_locked_subsystem_holds_up_no_other(shared):
    hub, stuck, free = shared.hubs[0], shared.new_client("construction_waste"), shared.new_client("dust")
    lock = shared.database.connect(autocommit=False)
    try:
        lock.cursor().execute("LOCK TABLE onemap.zone IN ACCESS EXCLUSIVE MODE")  # only the check of bed_lifted reads it
        moment = now_ms()
        names = [stuck.publish_start("telemetry", [lifted(moment + n, n)])[1] for n in range(50)]
        wait_until(lambda: hub.metric("cityhub_queue_messages", subsystem="construction_waste"), 30, "the stuck messages are taken")
        check_not_held_up(hub, free)
        assert stuck.receipts == []
    finally:
        lock.rollback()
        lock.close()
    assert sum(stuck.receipt(name)["accepted"] for name in names) == 50
    assert shared.database.value("SELECT count(*) FROM onemap.construction_waste WHERE vendor = %s", stuck.vendor) == 50


DISK_FULL = """
CREATE FUNCTION public.disk_full() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.subsystem = 'gas' THEN RAISE disk_full USING MESSAGE = 'no space left for the test'; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER disk_full BEFORE INSERT ON onemap.device FOR EACH ROW EXECUTE FUNCTION public.disk_full()"""


def test_subsystem_that_cannot_be_stored_is_tried_again(shared):
    """As when the disk is full: no fault of the messages, so they wait, and other subsystems go on."""
    hub, stuck, free = shared.hubs[0], shared.new_client("gas"), shared.new_client("dust")
    shared.database.query(DISK_FULL)
    try:
        name = stuck.publish("telemetry", [{"device_code": "new", "observed_at_ms": now_ms(), "pressure_kpa": 2.0}])
        wait_until(lambda: hub.metric("cityhub_batch_failures_total", subsystem="gas") >= 2, 30, "it was tried again")
        check_not_held_up(hub, free)
        assert stuck.receipts == [] and hub.metric("cityhub_queue_messages", subsystem="gas") == 1
        assert "no space left for the test" in hub.process.log_text()
    finally:
        shared.database.query("DROP FUNCTION public.disk_full() CASCADE")
    assert stuck.receipt(name)["accepted"] == 1
    assert shared.database.value("SELECT count(*) FROM onemap.quarantine WHERE vendor = %s", stuck.vendor) == 0


def test_nothing_can_be_stored(shared):
    """One subsystem alone sends, and is refused again and again: the hub is not ready, and says why."""
    hub, stuck = shared.hubs[0], shared.new_client("gas")
    shared.database.query(DISK_FULL)
    try:
        name = stuck.publish("telemetry", [{"device_code": "other", "observed_at_ms": now_ms(), "pressure_kpa": 2.0}])
        wait_until(lambda: hub.get("/readyz").text == "nothing can be stored: no space left for the test\n", 30, "/readyz says why")
        assert hub.get("/readyz").status_code == 503
    finally:
        shared.database.query("DROP FUNCTION public.disk_full() CASCADE")
    assert stuck.receipt(name)["accepted"] == 1
    wait_until(lambda: hub.get("/readyz").status_code == 200, 30, "it is ready again")


# ---- batches

@pytest.fixture
def small_batches(make_hub):
    return make_hub({"lane.batch_records": 50, "lane.batch_age_ms": 5000})


def test_batches_by_size(site, small_batches, database):
    hub, load = small_batches, Numbered(site.client("dust"))

    def batches():
        return tuple(hub.metric(f"cityhub_batch_records_{what}", subsystem="dust") for what in ("count", "sum"))
    load.publish(10)
    load.wait_stored(database)
    wait_until(lambda: batches()[1] == 100, 30, "all is committed")
    assert hub.metric("cityhub_batch_records_bucket", subsystem="dust", le="50") == batches()[0] >= 2, "no batch has more than fifty"
    load.publish(1)
    load.wait_stored(database)
    wait_until(lambda: batches()[1] == 110, 30, "and ten more")
    assert hub.metric("cityhub_batch_lag_seconds", subsystem="dust") < 4.9, "the writers were idle: it did not wait for its age"
    before = batches()[0]
    moment = now_ms()
    receipt = load.client.send("telemetry", [{"device_code": f"big-{n}", "observed_at_ms": moment, "pm25_ug_m3": 1} for n in range(200)])
    assert receipt["accepted"] == 200
    wait_until(lambda: batches() == (before + 1, 310), 30, "a message is never divided")
    assert [hub.metric("cityhub_batch_records_bucket", subsystem="dust", le=le) for le in ("50", "100", "500")] == [
        before, before, before + 1]


def test_last_value_wins_with_batches_side_by_side(site, make_hub, database):
    """Corrections of the same record in batch after batch: the last one stands, whichever of two connections is faster."""
    make_hub({"lane.batch_records": 100, "lane.batch_age_ms": 5})
    client, moment, rounds = site.client("dust"), now_ms(), 40
    for number in range(rounds):
        client.publish_start("telemetry", messages.protobuf("dust", [
            {"device_code": f"corrected-{n}", "observed_at_ms": moment, "pm25_ug_m3": float(number)} for n in range(100)]))
    last = client.publish("telemetry", [{"device_code": "corrected-0", "observed_at_ms": moment, "noise_dba": 50}])
    client.receipt(last)
    assert database.query("SELECT DISTINCT pm25_ug_m3 FROM onemap.dust") == [(rounds - 1.0,)]
    kept = database.query("SELECT DISTINCT array_agg(r.readings[1] ORDER BY r.id) FROM onemap.observation_revision r GROUP BY r.device_id")
    assert kept == [([float(number) for number in range(rounds - 1)],)], "every value that was replaced is kept, in its order"


@pytest.fixture
def strict_broker(work_folder):
    """A broker that lets nobody subscribe until its administrator says so; returns it and how he does."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="cityhub-strict-"))
    rules = folder / "rules.json"
    subprocess.run(["mosquitto_ctrl", "dynsec", "init", rules, "admin", "admin-password"], check=True, capture_output=True)
    for path in (folder, rules):
        give_to(path, unprivileged_user())
    plugin, = pathlib.Path("/usr/lib").glob("*/mosquitto_dynamic_security.so")
    broker = Broker(work_folder / "mosquitto.log", more_settings=f"plugin {plugin}\nplugin_opt_config_file {rules}\n")

    def allow(what):
        command = {"command": "setDefaultACLAccess", "acls": [{"acltype": what, "allow": True}]}
        subprocess.run(["mosquitto_pub", "-V", "mqttv5", "-h", broker.host, "-p", str(broker.port), "-u", "admin", "-P", "admin-password",
                        "-q", "1", "-t", "$CONTROL/dynamic-security/v1", "-m", json.dumps({"commands": [command]})],
                       check=True, capture_output=True, timeout=30)
    try:
        broker.process.start()
        wait_until(lambda: allow("publishClientSend") is None, 30, "the broker answers")
        yield broker, allow
    finally:
        broker.close()
        shutil.rmtree(folder, ignore_errors=True)


def test_a_refused_subscription_is_asked_for_again(database, strict_broker, work_folder):
    broker, allow = strict_broker
    site = Site(database, broker, work_folder)
    try:
        hub = site.hub(start=False)
        hub.start(ready=False)
        wait_until(lambda: "event=lane_subscription_refused lane=test-dust-1" in hub.process.log_text(), 30, "the log says so")
        assert hub.get("/readyz").status_code == 503
        allow("subscribe")
        hub.wait_ready()
    finally:
        site.close()
