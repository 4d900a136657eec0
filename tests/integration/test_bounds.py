"""What anybody may send is bounded, told to who sent it, and counted; and a receipt is true for what comes after it."""
import hashlib
import json
import time

import pytest
from harness.process import wait_until

SHARED_SETTINGS = {"lane.unknown_devices": 5, "lane.new_days": 4, "quarantine.daily_mib": 1, "lane.max_payload_bytes": 600_000,
                   "retention.observation_days": 3650}
DAY_MS = 86_400_000


def now_ms():
    return int(time.time() * 1000)


def reading(code, at=0, **more):
    return {"device_code": code, "observed_at_ms": now_ms() - 60_000 + at, "pressure_kpa": 200.0, **more}


def kept(site, vendor):
    return site.database.query("SELECT code, bytes, octet_length(payload), times, encode(sha256, 'hex') FROM onemap.quarantine"
                               " WHERE vendor = %s ORDER BY id", vendor)


# ---- bounds

def test_unknown_devices(shared):
    client = shared.new_client("gas")
    receipt = client.send("telemetry", [reading(f"n-{n}") for n in range(8)])
    assert (receipt["accepted"], receipt["rejected"]) == (5, 3)
    assert {problem["code"] for problem in receipt["problems"]} == {"too_many_unknown_devices"}
    assert "5 devices of this vendor" in receipt["problems"][0]["reason"]
    assert client.send("telemetry", [reading(f"n-{n}", 1) for n in range(5)])["accepted"] == 5, "those that are known go on"
    assert client.send("telemetry", [reading("n-7", 1)])["rejected"] == 1
    assert client.send("inventory", [{"device_code": "n-0", "kind": "meter"}, {"device_code": "n-7", "kind": "meter"}])["rejected"] == 0
    assert client.send("telemetry", [reading("n-7", 1), reading("n-6", 1)])["accepted"] == 2, "an inventory makes room, and needs none itself"
    assert client.send("telemetry", [reading("n-5", 1)])["rejected"] == 1
    assert shared.database.value("SELECT count(*) FROM onemap.device WHERE vendor = %s", client.vendor) == 7
    other = shared.new_client("gas")
    assert other.send("telemetry", [reading("n-5")])["accepted"] == 1, "each vendor has its own"


def test_days_that_nobody_had(shared):
    """A message with a record on each of ten years' days makes a few days' partitions, and says which records were too many."""
    def days():
        return {day for day, in shared.database.query("SELECT d FROM onemap.partition_days() d")}
    client, other = shared.new_client("gas"), shared.new_client("gas")
    before = days()
    receipt = client.send("telemetry", [reading("d", -n * DAY_MS) for n in range(3640)])
    codes = [(problem["index"], problem["code"]) for problem in receipt["problems"]]
    # A week's days need no leave, by however much; four older ones have it, and the others' are told.
    assert codes[0] == (12, "too_many_new_days") or codes[0] == (11, "too_many_new_days")
    assert receipt["accepted"] + receipt["rejected"] == 3640 and receipt["accepted"] in (11, 12)
    assert "has begun 4 such days today (UTC)" in receipt["problems"][0]["reason"]
    assert len(days() - before) <= 12
    # What has a day already goes on, as late as it likes; the same day is another vendor's, too; and that has its own.
    late = 9 * DAY_MS
    assert client.send("telemetry", [reading("d", -late + n) for n in range(1, 50)])["rejected"] == 0
    assert other.send("telemetry", [reading("d", -late)] + [reading("d", -n * DAY_MS) for n in range(100, 106)])["rejected"] == 2
    # What is refused for its device takes none of the vendor's days, and what is refused for its day is no unknown device.
    third = shared.new_client("gas")
    full = [reading(f"x-{n}") for n in range(5)] + [reading("x-5", -n * DAY_MS) for n in range(200, 210)]
    assert {problem["code"] for problem in third.send("telemetry", full)["problems"]} == {"too_many_unknown_devices"}
    assert third.send("telemetry", [reading("x-0", -n * DAY_MS) for n in range(210, 215)])["rejected"] == 1
    fourth = shared.new_client("gas")
    assert fourth.send("telemetry", [reading("y-0", -n * DAY_MS) for n in range(220, 224)] + [reading("y-1", -n * DAY_MS) for n in range(224, 230)])["rejected"] == 6
    assert fourth.send("telemetry", [reading(f"y-{n}") for n in range(2, 6)])["rejected"] == 0
    # A day that the county has opened is open.
    shared.database.query("SELECT onemap.partition_ensure((now() - interval '2000 days')::date)")
    assert client.send("telemetry", [reading("d", -2000 * DAY_MS)])["rejected"] == 1, "the hub has not heard of it"
    shared.hubs[0].restart()
    assert client.send("telemetry", [reading("d", -2000 * DAY_MS)])["rejected"] == 0


def test_unread_is_not_kept_whole(shared):
    large = b"[" + b" " * 700_000 + b"]"
    client = shared.new_client("gas")
    assert [problem["code"] for problem in client.send("telemetry", large)["problems"]] == ["too_large"]
    stranger = shared.client("gas", "stranger-unread", register=False)
    unknown = json.dumps([reading("x" * 60) for _ in range(2000)]).encode()
    assert [problem["code"] for problem in stranger.send("telemetry", unknown)["problems"]] == ["unknown_vendor"]
    small = stranger.send("telemetry", [reading("small")])
    assert [problem["code"] for problem in small["problems"]] == ["unknown_vendor"]
    assert kept(shared, client.vendor) == [("too_large", len(large), 65536, 1, hashlib.sha256(large).hexdigest())]
    rows = kept(shared, stranger.vendor)
    assert [(code, bytes_, length) for code, bytes_, length, _, _ in rows] == [
        ("unknown_vendor", len(unknown), 65536), ("unknown_vendor", rows[1][1], rows[1][1])]
    ids = [id_ for id_, in shared.database.query("SELECT id FROM onemap.quarantine WHERE vendor IN (%s, %s) ORDER BY id", client.vendor, stranger.vendor)]
    done = shared.hubs[0].run("quarantine", "replay", ids[0], code=1)
    assert "only the beginning is kept" in done.stderr
    facts = shared.hubs[0].run("quarantine", "show", ids[0]).stdout
    assert f"{len(large)} bytes, the first 65536 kept" in facts
    # What is whole is stored once its vendor is let in, as before.
    shared.register("gas", stranger.vendor)
    shared.hubs[0].run("quarantine", "replay", ids[2])
    wait_until(lambda: shared.database.value("SELECT count(*) FROM onemap.gas WHERE device_code = 'small'") == 1, 30, "the replayed record is stored")


def test_quarantine_has_a_budget(shared):
    client = shared.new_client("gas")
    receipts = []
    for number in range(3):
        records = [reading(f"b-{n % 5}", number * 5000 + n, pressure_kpa=float(n % 300)) for n in range(3000)]
        records[7] = {"pressure_kpa": 1.0}
        receipts.append(client.send("telemetry", json.dumps(records).ljust(400_000).encode()))
    assert [(receipt["accepted"], receipt["rejected"]) for receipt in receipts] == [(2999, 1)] * 3, "what is good is stored all the same"
    assert [length for _, _, length, _, _ in kept(shared, client.vendor)] == [400_000] * 2
    (taken, dropped), = shared.database.query("SELECT bytes, dropped FROM onemap.quarantine_day WHERE vendor = %s", client.vendor)
    assert 800_000 < taken < 803_000 and dropped == 1, "what it sent, and what the rows take besides"
    wait_until(lambda: shared.hubs[0].metric("cityhub_quarantine_dropped_today") >= 1, 30, "it is counted")
    # A document's share of the same budget.
    names = [{"device_code": f"c-{n}", "kind": "no such kind", "name": "x" * 100} for n in range(2500)]
    assert client.send("inventory", names)["rejected"] == 2500
    assert shared.database.query("SELECT bytes, dropped FROM onemap.quarantine_day WHERE vendor = %s", client.vendor) == [(taken, 2)]


# ---- the same again

def test_same_content_is_kept_once_and_answered_each_time(shared):
    client = shared.new_client("gas")
    good = [reading("again")]
    receipts = []
    for number in range(3):
        client.publish("telemetry", b"{junk}", message="junk")
        client.publish("telemetry", good, message="good")
        receipts = wait_until(lambda: client.receipts_of("junk")[number:] and client.receipts_of("good")[number:] and client.receipts, 60,
                              "each publication has its receipt")
    assert len(receipts) == 6
    assert [(receipt["accepted"], receipt["duplicates"]) for receipt in client.receipts_of("good")] == [(1, 0), (0, 1), (0, 1)]
    ((code, _, _, times, _),) = kept(shared, client.vendor)
    assert (code, times) == ("malformed", 3)
    shown = shared.hubs[0].run("quarantine", "show", shared.database.value("SELECT id FROM onemap.quarantine WHERE vendor = %s", client.vendor)).stdout
    assert "3, last " in shown


def test_published_again_after_a_kill(site, hub, vendor_client):
    """Redelivery is known by the packet, not by the content alone: who sends the same once more has his answer. A hub that dies between
    a receipt's publication and its mark publishes it once more (at least once), so what was written is counted, not what came."""
    client = vendor_client("gas", session_expiry_s=3600)

    def written():
        return site.database.value("SELECT count(*) FROM onemap.receipt WHERE message = 'junk'")
    for number in range(3):
        client.publish("telemetry", b"{junk}", message="junk")
        wait_until(lambda: written() == number + 1, 60, f"receipt {number + 1} is written")
        wait_until(lambda: len({one["received_at_ms"] for one in client.receipts_of("junk")}) == number + 1, 60, f"receipt {number + 1} came")
        hub.kill()
        hub.start()
    assert written() == 3
    assert site.database.query("SELECT times FROM onemap.quarantine") == [(3,)]


# ---- a receipt is true for what comes after it

@pytest.mark.parametrize("way", ["after the receipt", "at once"])
def test_inventory_then_telemetry(shared, way):
    client = shared.new_client("gas", unknown_devices="quarantine")
    receipts = []
    for number in range(15):
        code = f"new-{number}"
        inventory = client.publish_start("inventory", [{"device_code": code, "kind": "meter"}])[1]
        if way == "after the receipt":
            assert client.receipt(inventory)["accepted"] == 1
        receipts.append(client.publish_start("telemetry", [reading(code)])[1])
    receipts = [client.receipt(name) for name in receipts]
    assert [receipt["accepted"] for receipt in receipts] == [1] * 15, receipts
    assert client.send("telemetry", [reading("in no inventory")])["problems"][0]["code"] == "unknown_device"
    assert kept(shared, client.vendor)[0][0] == "unknown_device"


def test_kind_is_known_at_once(shared):
    """A place of what moves is a track: the inventory said so in the message before."""
    client = shared.new_client("construction_waste")
    place = {"lon": 113.9, "lat": 35.1, "system": "WGS84"}
    for number in range(5):
        client.publish_start("inventory", [{"device_code": f"yard-{number}", "kind": "disposal_yard"}])
        client.publish_start("telemetry", [{"device_code": f"yard-{number}", "observed_at_ms": now_ms(), "position": place, "speed_km_h": 1.0}])
    wait_until(lambda: shared.database.value("SELECT count(*) FROM onemap.construction_waste WHERE vendor = %s", client.vendor) == 5, 30, "stored")
    tracks = shared.database.value("SELECT count(*) FROM onemap.track_point t JOIN onemap.device d ON d.id = t.device_id WHERE d.vendor = %s", client.vendor)
    assert tracks == 0


# ---- sessions are what the hub takes them for, whatever its login was altered to

ALTERED = {"synchronous_commit": ("off", "on"), "standard_conforming_strings": ("off", "on"), "bytea_output": ("escape", "hex"),
           "default_transaction_isolation": ("serializable", "read committed"), "extra_float_digits": ("-10", "1"),
           "DateStyle": ("German", "ISO, YMD"), "IntervalStyle": ("sql_standard", "postgres"), "TimeZone": ("Asia/Shanghai", "UTC")}


def test_sessions_of_an_altered_login(site, database):
    for name, (altered, _) in ALTERED.items():
        database.query(f"ALTER ROLE cityhub_daemon SET {name} = '{altered}'")
    try:
        database.query("CREATE TABLE public.seen (name text, setting text)")
        database.query("GRANT INSERT ON public.seen TO cityhub_hub")
        database.query("CREATE FUNCTION public.see() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO public.seen"
                       f" SELECT s, current_setting(s) FROM unnest('{{{','.join(ALTERED)}}}'::text[]) s; RETURN NULL; END$$")
        database.query("CREATE TRIGGER see AFTER INSERT ON onemap.batch_log FOR EACH ROW EXECUTE FUNCTION public.see()")
        expected = {(name, setting) for name, (_, setting) in ALTERED.items()}
        hub = site.hub()
        client = site.client("gas")
        assert client.send("telemetry", [reading("d")])["accepted"] == 1
        assert set(database.query("DELETE FROM public.seen RETURNING name, setting")) == expected
        # What a vendor writes is text, and never a piece of a statement.
        name = "路口\\' || pg_sleep(60) || E'\\x41"
        assert client.send("inventory", [{"device_code": "d", "kind": "meter", "name": name}])["rejected"] == 0
        assert database.value("SELECT name_zh FROM onemap.device WHERE code = 'd'") == name
        database.query("CREATE TRIGGER see AFTER INSERT ON onemap.audit_log FOR EACH ROW EXECUTE FUNCTION public.see()")
        database.query("DELETE FROM public.seen")
        hub.run("vendor", "add", "--subsystem", "dust", "--vendor", "acme")
        assert set(database.query("SELECT name, setting FROM public.seen")) == expected, "nor is a command's another"
    finally:
        for name in ALTERED:
            database.query(f"ALTER ROLE cityhub_daemon RESET {name}")


def test_a_login_that_plays_a_replica(site, database):
    """Its sessions would store what no trigger and no foreign key sees: neither hub nor command works so, and each says why. Nothing is lost."""
    hub = site.hub()
    client = site.client("gas")
    assert client.send("telemetry", [reading("d")])["accepted"] == 1
    database.query("ALTER ROLE cityhub_daemon SET session_replication_role = replica")
    try:
        done = hub.run("vendor", "list", code=1)
        assert "session_replication_role is replica for login cityhub_daemon" in done.stderr and "RESET session_replication_role" in done.stderr
        hub.kill()
        hub.start(ready=False)
        wait_until(lambda: "session_replication_role is replica" in hub.process.log_path.read_text(), 30, "the log says why")
        assert hub.get("/readyz").status_code == 503
        _, name = client.publish_start("telemetry", [reading("d2")])
        assert database.value("SELECT count(*) FROM onemap.device WHERE code = 'd2'") == 0
    finally:
        database.query("ALTER ROLE cityhub_daemon RESET session_replication_role")
    hub.wait_ready()
    assert client.receipt(name)["accepted"] == 1
