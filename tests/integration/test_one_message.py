"""One message never stops a subsystem, and an old one never undoes what came since: a message that no time is enough for, or that
breaks something within the server, goes to quarantine with its reason while the others are stored; a replay fills what is missing
and replaces nothing; receipts tell what became of places."""
import json
import threading
import time

import psycopg2.errors
import pytest
import requests
from harness.process import wait_until

# Writing for long and failing within the server are made by triggers on the rows of one value.
SLOW, BROKEN = 66601, 66602
TRIGGER = """CREATE FUNCTION public.made_to_fail() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.readings[1] = {slow} THEN
        PERFORM pg_sleep(60);
    ELSIF NEW.readings[1] = {broken} THEN
        RAISE EXCEPTION 'made to fail' USING ERRCODE = 'XX000';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER made_to_fail BEFORE INSERT ON onemap.observation_raw FOR EACH ROW EXECUTE FUNCTION public.made_to_fail()"""
# The trigger stays: dropping it would lock the day and what the hub's jobs read, which may want them the other way round.
MENDED = "CREATE OR REPLACE FUNCTION public.made_to_fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$"


def now_ms():
    return int(time.time() * 1000)


def record(code, at_ms, value=None, **fields):
    return {"device_code": code, "observed_at_ms": at_ms, **({} if value is None else {"pm25_ug_m3": value}), **fields}


@pytest.fixture
def hub(make_hub, database):
    moment = now_ms()
    database.query("SELECT onemap.partition_ensure((now() AT TIME ZONE 'UTC')::date)")
    database.query(TRIGGER.format(slow=SLOW, broken=BROKEN))
    return make_hub({"database.statement_timeout_s": 2, "lane.batch_age_ms": 300}), moment


@pytest.mark.parametrize("value, reason", [(SLOW, "takes longer for it than the 2 s"), (BROKEN, "SQLSTATE XX000): made to fail")])
def test_message_that_the_server_cannot_store(hub, site, database, value, reason):
    hub, moment = hub
    bad, good = site.client("dust", "bad"), site.client("dust", "good")
    started = time.monotonic()
    names = [good.publish_start("telemetry", [record(f"before-{n}", moment, 1)])[1] for n in range(3)]
    bad_name = bad.publish_start("telemetry", [record("a", moment, 2), record("b", moment, value)])[1]
    names += [good.publish_start("telemetry", [record(f"after-{n}", moment, 1)])[1] for n in range(3)]
    assert all(good.receipt(name)["accepted"] == 1 for name in names)
    receipt = bad.receipt(bad_name)
    print(f"stored and refused within {time.monotonic() - started:.1f} s")
    assert (receipt["records"], receipt["accepted"], receipt["rejected"]) == (2, 0, 2)
    assert receipt["problems"][0]["code"] == "refused_by_database" and reason in receipt["problems"][0]["reason"]
    assert database.query("SELECT vendor, code, times FROM onemap.quarantine") == [("bad", "refused_by_database", 1)]
    assert database.query("SELECT c.vendor, c.records, c.taken, c.unjudged, c.rate FROM onemap.conformity_of('{}') c WHERE c.records > 0 ORDER BY 1") == [
        ("bad", 2, 0, 2, None), ("good", 6, 6, 0, 100)], "what the database cannot do is not its vendor's"
    assert database.value("SELECT count(*) FROM onemap.dust WHERE vendor = 'good'") == 6
    assert good.send("telemetry", [record("later", moment, 1)])["accepted"] == 1, "the subsystem goes on"
    assert hub.get("/readyz").status_code == 200
    # Once its cause is mended it is replayed, and is all there.
    database.query(MENDED)
    hub.run("quarantine", "replay", "--all")
    wait_until(lambda: database.value("SELECT count(*) FROM onemap.dust WHERE vendor = 'bad'") == 2, 30, "the replayed message is stored")
    assert database.query("SELECT messages, replayed, records, taken FROM onemap.vendor_conformity WHERE vendor = 'bad'") == [(1, 1, 2, 0)]


def test_lag_is_the_age_of_what_is_not_stored(hub, site, database):
    hub, moment = hub
    database.query("CREATE OR REPLACE FUNCTION public.made_to_fail() RETURNS trigger LANGUAGE plpgsql AS"
                   " $$ BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = '53100'; END $$")
    client = site.client("dust")
    client.publish_start("telemetry", [record("a", moment, 1)])
    wait_until(lambda: hub.metric("cityhub_lag_seconds", subsystem="dust") > 3, 30, "the lag grows while nothing is stored")
    assert hub.metric("cityhub_lag_seconds", subsystem="gas") == 0
    database.query(MENDED)
    wait_until(lambda: hub.metric("cityhub_lag_seconds", subsystem="dust") == 0, 30, "and is none once all is stored")


def test_figures_that_are_old_are_told(hub, site, database):
    """What jobs read or do stays as it was while they fail: devices online, open alarms, the quarantine; that shows."""
    hub, _ = hub
    wait_until(lambda: hub.metric("cityhub_job_overdue_seconds", job="gauges") == 0, 30, "the figures are read")
    database.query("REVOKE SELECT ON onemap.quarantine_day FROM cityhub_hub")
    wait_until(lambda: hub.metric("cityhub_job_overdue_seconds", job="gauges") > 3, 30, "they are old")
    assert hub.metric("cityhub_job_overdue_seconds", job="feed") < 3
    database.query("GRANT SELECT ON onemap.quarantine_day TO cityhub_hub")
    wait_until(lambda: hub.metric("cityhub_job_overdue_seconds", job="gauges") == 0, 30, "they are read again")


def test_replay_undoes_no_correction(hub, site, database):
    hub, moment = hub
    client = site.client("dust")
    first = client.send("telemetry", [record("a", moment, 10), record("", moment, 1)])
    assert (first["accepted"], first["rejected"]) == (1, 1)
    assert client.send("telemetry", [record("a", moment, 12)])["revised"] == 1
    (number,), = database.query("SELECT id FROM onemap.quarantine")
    receipts = len(client.receipts)
    hub.run("quarantine", "replay", number)
    wait_until(lambda: len(client.receipts) > receipts, 30, "the receipt of the replay")
    assert client.receipts[-1]["duplicates"] == 1 and client.receipts[-1]["revised"] == 0
    assert database.query("SELECT pm25_ug_m3 FROM onemap.dust WHERE device_code = 'a'") == [(12,)]
    # What was missing is filled in, and the replay of the replay is as old as the message was.
    (again, received_at), = database.query("SELECT id, received_at FROM onemap.quarantine WHERE replayed_at IS NULL")
    assert database.value("SELECT received_at FROM onemap.quarantine WHERE id = %s", number) == received_at
    assert client.send("telemetry", [record("a", moment, 13)])["revised"] == 1
    receipts = len(client.receipts)
    hub.run("quarantine", "replay", again)
    wait_until(lambda: len(client.receipts) > receipts, 30, "the receipt of the second replay")
    assert database.query("SELECT pm25_ug_m3 FROM onemap.dust WHERE device_code = 'a'") == [(13,)]
    assert database.value("SELECT count(*) FROM onemap.observation_revision") == 2


def test_replay_of_an_inventory_undoes_no_correction(hub, site, database):
    hub, _ = hub
    client = site.client("dust")
    kind = database.value("SELECT min(key) FROM onemap.device_kind WHERE subsystem = 'dust'")
    assert client.send("inventory", [{"device_code": "a", "kind": kind, "name": "old"}, {"device_code": "b", "kind": "nothing"}])["rejected"] == 1
    assert client.send("inventory", [{"device_code": "a", "kind": kind, "name": "new"}])["revised"] == 1
    receipts = len(client.receipts)
    hub.run("quarantine", "replay", "--all")
    wait_until(lambda: len(client.receipts) > receipts, 30, "the receipt of the replay")
    assert database.query("SELECT name_zh FROM onemap.device WHERE code = 'a'") == [("new",)]


def test_receipts_tell_what_became_of_places(hub, site, database):
    hub, moment = hub
    client = site.client("construction_waste")
    place = {"lon": 114.8, "lat": 34.5, "system": "WGS84"}

    def send(**fields):
        receipt = client.send("telemetry", [{"device_code": "t", "observed_at_ms": moment, "speed_km_h": 10, **fields}])
        return {key: receipt[key] for key in ("accepted", "duplicates", "merged", "revised") if receipt[key]}
    assert send() == {"accepted": 1}
    assert send() == {"duplicates": 1}
    assert send(position=place) == {"merged": 1}
    assert send(position=place) == {"duplicates": 1}
    assert send(position={**place, "lat": 34.51}) == {"revised": 1}
    assert send(position={**place, "lat": 34.51}, load_percent=50) == {"merged": 1}
    assert hub.metric("cityhub_records_merged_total", subsystem="construction_waste") == 2
    assert hub.metric("cityhub_records_revised_total", subsystem="construction_waste") == 1


def test_one_case_by_two_lanes(hub, site, database):
    """The same report on two lanes at once: the second waits for the first and is taken again, as a duplicate; none is refused."""
    site.client("streetlight", "acme").disconnect()
    assert database.value("SELECT onemap.case_catalogue_import(%s, 'for the test')", json.dumps([
        {"line": 2, "code": "20101", "class": "市容环境", "name": "暴露垃圾", "condition": "1", "registration_condition": "有暴露垃圾", "limit": "1",
         "unit": "工作日", "closing_condition": "清除", "responsible": "@grid", "source": "assumed"}]))["imported"]
    message = json.dumps({"subsystem": "streetlight", "vendor": "acme", "kind": "case", "topic": "t", "message": "m", "received_at_ms": now_ms(), "total": 1,
                          "records": [{"index": 0, "record": {"case_code": "k1", "occurred_at_ms": now_ms(), "title": "灯杆倾斜", "lon": 113.5, "lat": 34.5}}]})
    store = "SELECT accepted, duplicates, rejected FROM onemap.message_store(%s::jsonb, '')"
    first, second = database.connect(autocommit=False), database.connect(autocommit=False)
    refusals = []

    def repeat():
        try:
            second.cursor().execute(store, (message,))
        except psycopg2.errors.SerializationFailure as error:
            refusals.append(error)
    try:
        cursor = first.cursor()
        cursor.execute(store, (message,))
        assert cursor.fetchone() == (1, 0, 0)
        thread = threading.Thread(target=repeat)
        thread.start()
        wait_until(lambda: database.value("SELECT count(*) FROM pg_locks WHERE NOT granted") == 1, 30, "the second waits for the first")
        first.commit()
        thread.join(30)
        assert len(refusals) == 1, "the batch is to be taken again"
        second.rollback()
        again = second.cursor()
        again.execute(store, (message,))
        assert again.fetchone() == (0, 1, 0)
    finally:
        first.close()
        second.close()


def test_conformity_of_a_vendor(hub, site):
    """What came with nothing to mend, what had something, and what counts against nobody; of each kind of finding the last example."""
    hub, moment = hub
    client = site.client("dust", "conform")
    client.send("inventory", [{"device_code": "a", "kind": "site_monitor"}, {"device_code": "b", "kind": "no such kind"}])
    good = record("a", moment, 1)
    client.send("telemetry", json.dumps([good, record("new", moment, 2), record("a", moment - 2 * 3600 * 1000, 3), record("a", moment + 3600 * 1000, 4),
                                         record("a", moment + 1, -999), record("a", moment + 2, 5, noise_dba="--", wrong=1),
                                         record("a", moment + 3, 6, over_range=["pm25_ug_m3"])]).encode())
    client.send_telemetry(good)
    client.send("telemetry", b"junk", message="junk-1")
    shown = json.loads(hub.run("vendor", "conformity", "--vendor", "conform", "--json").stdout)
    # Refused: an unknown kind, a time of the future, junk. Something to mend: no value at all (so no reading), a bad field.
    assert shown == [{"subsystem": "dust", "vendor": "conform", "messages": 4, "replayed": 0, "records": 11, "taken": 8, "duplicates": 1, "merged": 0,
                      "revised": 0, "refused": 3, "unjudged": 0, "flawed": 2, "late": 1, "unlisted": 1, "rate": 54.54}]
    answer = requests.get(hub.http_url + "/api/v1/vendors/conformity/findings?vendor=conform", headers=hub.key("operator", rights="read,operate"), timeout=10).json()
    found = {(one["fate"], one["code"], one["field"]): one for one in answer["findings"]}
    assert {key: one["findings"] for key, one in found.items()} == {
        ("refused", "unknown_reference", None): 1, ("refused", "time_ahead", None): 1, ("refused", "malformed", None): 1, ("warning", "no_value", "pm25_ug_m3"): 1,
        ("field", "wrong_type", "noise_dba"): 1, ("warning", "unknown_field", None): 1, ("warning", "over_range", "pm25_ug_m3"): 1}
    assert found[("warning", "over_range", "pm25_ug_m3")]["excuse"] == "said"
    none = found[("warning", "no_value", "pm25_ug_m3")]["example"]
    assert (none["device"], none["value"], none["observed_at_ms"], none["index"]) == ("a", -999, moment + 1, 4)
    assert found[("refused", "malformed", None)]["example"]["message"] == "junk-1"
    assert found[("field", "wrong_type", "noise_dba")]["quarantined"] == 1
