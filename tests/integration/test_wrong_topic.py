"""Sent to the wrong topic: another subsystem's message must not become readings. JSON has names; protobuf has numbers alone, so the
batch may say whose it is, and what does not is judged by its fields and by what is known of its device."""
import itertools
import json
import subprocess
import time

import pytest
from harness import messages, paths

NOW_MS = int(time.time() * 1000)


def value_of(metric, field):
    """In the middle of its range, as the field has it."""
    if field.cpp_type == field.CPPTYPE_STRING:
        return "x"
    if field.enum_type is not None:
        return field.enum_type.values[0].number
    value = metric["min_value"] + (metric["max_value"] - metric["min_value"]) / 4
    return value if field.cpp_type in (field.CPPTYPE_DOUBLE, field.CPPTYPE_FLOAT) else int(value)


@pytest.fixture(scope="module")
def records(shared):
    """A record with all that each kind of device sends: [(subsystem, kind, record)]."""
    path = shared.folder / "empty.ini"
    path.write_text("")
    catalogue = json.loads(subprocess.run([paths.cityhub(), "--config", path, "check-config", "--catalogue"], check=True,
                                          capture_output=True).stdout)
    metrics = {(one["subsystem"], one["key"]): one for one in catalogue["metrics"]}
    found = []
    for kind in catalogue["kinds"]:
        fields = messages.batch_type(kind["subsystem"]).DESCRIPTOR.fields_by_name["records"].message_type.fields_by_name
        found.append((kind["subsystem"], kind["key"], {"device_code": f"{kind['subsystem']}-{kind['key']}", "observed_at_ms": NOW_MS, **{
            key: value_of(metrics[kind["subsystem"], key], fields[key]) for key in kind["metrics"]}}))
    return found


def batch(subsystem, record, said=None):
    message = messages.batch_type(subsystem).FromString(messages.protobuf(subsystem, [record]))
    if said:
        message.subsystem = said
    return message.SerializeToString()


def readings_of(shared, client):
    return shared.database.value("SELECT count(*) FROM onemap.observation o JOIN onemap.device d ON d.id = o.device_id WHERE d.vendor = %s",
                                 client.vendor)


def test_a_batch_that_says_whose_it_is(shared, records):
    """Whatever its fields look like."""
    for here in ("gas", "dust"):
        client = shared.new_client(here)
        sent = [client.publish("telemetry", batch(subsystem, record, subsystem)) for subsystem, _, record in records if subsystem != here]
        for name in sent:
            receipt = client.receipt(name)
            assert [(one["index"], one["code"]) for one in receipt["problems"]] == [(-1, "wrong_topic")], receipt
            assert receipt["accepted"] == 0
        assert readings_of(shared, client) == 0
        own = [record for subsystem, _, record in records if subsystem == here]
        for number, record in enumerate(own):
            receipt = client.send("telemetry", batch(here, record, here))
            assert (receipt["accepted"], receipt["problems"], receipt["warnings"]) == (1, [], []), receipt
            assert readings_of(shared, client) == number + 1


@pytest.mark.parametrize("form", ["before", "after"])
def test_json_that_says_whose_it_is(shared, form):
    client, record = shared.new_client("gas"), {"device_code": "a", "observed_at_ms": NOW_MS, "fault_text": "x"}
    for said, accepted in (("water", 0), ("GAS", 1), ("gas", 0), ("", 0), ("diesel", 0)):
        record["observed_at_ms"] += said == "GAS" or said == ""
        wrapped = {"subsystem": said, "records": [record]} if form == "before" else {"records": [record], "subsystem": said}
        receipt = client.send("telemetry", wrapped)
        expected = {"water": [(-1, "wrong_topic")], "diesel": [(-1, "wrong_topic")]}.get(said, [])
        assert [(one["index"], one["code"]) for one in receipt["problems"]] == expected
        assert receipt["accepted"] == (1 if said == "" else accepted)


def test_documents_say_it_too(shared):
    client = shared.new_client("gas")
    record = {"kind": "PERSON", "code": "p", "observed_at_ms": NOW_MS}
    message = messages.batch_type("gas", "staff").FromString(messages.protobuf("gas", [record], "staff"))
    message.subsystem = "water"
    assert client.send("staff", message)["problems"][0]["code"] == "wrong_topic"
    message.subsystem = "gas"
    assert client.send("staff", message)["accepted"] == 1
    # One kind of message on another's topic: what it has is not what the topic's kind needs, or is no kind's field at all.
    work = messages.protobuf("gas", [{"work_code": "w", "status": "STARTED", "observed_at_ms": NOW_MS, "title": "t"}], "work")
    for kind in ("inventory", "staff", "case"):
        receipt = client.send(kind, work)
        assert (receipt["accepted"], receipt["rejected"]) == (0, 1), receipt


def test_protobuf_without_a_word(shared, records):
    """Every kind of device on every other subsystem's topic, full records, devices that no inventory has."""
    clients = {subsystem: shared.new_client(subsystem, receipts="all") for subsystem in paths.SUBSYSTEMS}
    sent = [(subsystem, kind, here, clients[here].publish("telemetry", batch(subsystem, record)))
            for (subsystem, kind, record), here in itertools.product(records, clients) if here != subsystem]
    taken = [(subsystem, kind, here) for subsystem, kind, here, name in sent if clients[here].receipt(name)["accepted"] > 0]
    assert len(sent) == 490
    assert len(taken) <= 20, taken
    for subsystem, kind, here in taken:
        print(f"{subsystem} {kind} on {here}")


def test_protobuf_of_a_vendor_of_both(shared, records):
    """The same, but the vendor has the right topic, too, and its devices are in the inventory there: nothing passes."""
    clients = {subsystem: shared.client(subsystem, "vendor-of-all") for subsystem in paths.SUBSYSTEMS}
    for subsystem, kind, record in records:
        assert clients[subsystem].send("inventory", {"device_code": record["device_code"], "kind": kind})["accepted"] == 1
    shared.hubs[0].sync_registry()
    sent = [(subsystem, kind, here, clients[here].publish("telemetry", batch(subsystem, record)))
            for (subsystem, kind, record), here in itertools.product(records, clients) if here != subsystem]
    taken = [(subsystem, kind, here) for subsystem, kind, here, name in sent if clients[here].receipt(name)["accepted"] > 0]
    assert taken == []
    for subsystem, _, record in records:
        receipt = clients[subsystem].send("telemetry", batch(subsystem, record))
        assert (receipt["accepted"], receipt["problems"]) == (1, []), receipt


def test_a_device_of_the_inventory_is_believed(shared):
    """A field of a wrong type costs that field, whatever subsystem it may look like."""
    client = shared.new_client("gas")
    assert client.send("inventory", {"device_code": "g", "kind": "leak_detector"})["accepted"] == 1
    shared.hubs[0].sync_registry()
    record = messages.batch_type("construction_waste")()
    record.records.add(device_code="g", observed_at_ms=NOW_MS, cover_closed=True, fuel_percent=60, load_percent=5, mileage_km=7)
    receipt = client.send("telemetry", record)  # gas has leak_percent_lel where fuel_percent is, and gas_temp_c where cover_closed is
    assert (receipt["accepted"], [one.get("field") for one in receipt["problems"]]) == (1, ["gas_temp_c"]), receipt
    assert shared.database.value("SELECT leak_percent_lel FROM onemap.gas WHERE vendor = %s", client.vendor) == 60
