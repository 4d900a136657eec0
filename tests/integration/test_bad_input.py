"""Bad input: never a crash, never a silent loss. Whatever a vendor sends, the hub lives, what is good is stored, be it a record of a
message or a field of a record; what is not is in quarantine with its whole payload and its code, a receipt says so, and the counters
add up."""
import json
import random
import struct
import subprocess
import time

import pytest
from google.protobuf import json_format
from harness import messages
from harness.process import wait_until

SHARED_SETTINGS = {"lane.max_payload_bytes": 4_194_304}
FATES = ("accepted", "duplicates", "merged", "revised", "rejected")
YEAR_2100_MS, YEAR_1970_MS = 4102444800000, 1000


def now_ms():
    return int(time.time() * 1000)


def good(code="good", **fields):
    return {"device_code": code, "observed_at_ms": now_ms(), "pm25_ug_m3": 12.5, **fields}


def text(record):
    return json.dumps(record, ensure_ascii=False)


def json_of(*parts):
    """An array of records, each given as a dict or as the text that stands there."""
    return ("[" + ",".join(part if isinstance(part, str) else text(part) for part in parts) + "]").encode()


def field(number, kind, value):
    """One field of protobuf's wire form."""
    tag = bytes([number << 3 | kind]) if number < 16 else bytes([(number << 3 | kind) & 0x7f | 0x80, number >> 4])
    return tag + (varint(len(value)) + value if kind == 2 else value)


def varint(number):
    out = b""
    while number > 0x7f:
        out, number = out + bytes([number & 0x7f | 0x80]), number >> 7
    return out + bytes([number])


def wire(*records):
    return b"".join(field(1, 2, record) for record in records)


def wire_record(code=b"good", moment=None, pm25=struct.pack("<d", 12.5), more=b""):
    return (field(1, 2, code) if code is not None else b"") + (field(2, 0, varint(moment or now_ms()))) + field(10, 1, pm25) + more


def told(problem):
    """(index, code) of a record that was refused, (index, code, field) of a field that its record was stored without."""
    return (problem["index"], problem["code"]) + ((problem["field"],) if "field" in problem else ())


def quarantined(site, client):
    return [(code, bytes(payload), [told(one) for one in problems]) for code, payload, problems in site.database.query(
        "SELECT code, payload, problems FROM onemap.quarantine WHERE vendor = %s ORDER BY id", client.vendor)]


def stored(site, client, subsystem="dust"):
    return [code for code, in site.database.query(
        f"SELECT device_code FROM onemap.{subsystem} WHERE vendor = %s ORDER BY observed_at, device_code", client.vendor)]


def check(site, payload, problems, good_records=0, kind="telemetry", subsystem="dust"):
    """Sends the payload as a vendor of its own: exactly these problems (as told), in the receipt and in quarantine."""
    client = site.new_client(subsystem)
    receipt = client.send(kind, payload)
    assert [told(one) for one in receipt["problems"]] == problems, receipt
    assert all(one["reason"] for one in receipt["problems"])
    whole, refused = bool(problems) and problems[0][0] == -1, [one for one in problems if len(one) == 2]
    assert receipt["rejected"] == len(refused) and receipt["bad_fields"] == len(problems) - len(refused), receipt
    assert receipt["records"] == (0 if whole else len(refused) + good_records), receipt
    assert sum(receipt[fate] for fate in FATES) == receipt["records"] + whole
    kept = payload[:65536] if problems and problems[0][1] == "too_large" else payload
    assert quarantined(site, client) == ([(problems[0][1], kept, problems)] if problems else [])
    if kind == "telemetry":
        assert len(stored(site, client, subsystem)) == good_records
    assert receipt["accepted"] == good_records
    return receipt


NOT_A_TIME = '{"device_code": "a", "observed_at_ms": %s, "pm25_ug_m3": 1}'
NOT_A_VALUE = '{"device_code": "a", "observed_at_ms": NOW, "pm25_ug_m3": %s}'
JSON_CASES = {
    "empty payload": (b"", [], 0),
    "blanks": (b" \n\t ", [(-1, "malformed")], 0),
    "empty array": (b"[]", [(-1, "empty_batch")], 0),
    "empty records": (b'{"records": []}', [(-1, "empty_batch")], 0),
    "records null": (b'{"records": null}', [(-1, "empty_batch")], 0),
    "text": (b"hello", [(-1, "malformed")], 0),
    "text with blanks": ("\n 中文 \n".encode(), [(-1, "malformed")], 0),
    "cut": (b'[{"device_code": "a", "observed', [(-1, "malformed")], 0),
    "no code": (["GOOD", '{"observed_at_ms": NOW, "pm25_ug_m3": 1}'], [(1, "missing_device_code")], 1),
    "empty code": (["GOOD", '{"device_code": "", "observed_at_ms": NOW, "pm25_ug_m3": 1}'], [(1, "missing_device_code")], 1),
    "no time": (['{"device_code": "a", "pm25_ug_m3": 1}', "GOOD"], [(0, "missing_time")], 1),
    "nothing measured": (['{"device_code": "a", "observed_at_ms": NOW}', "GOOD"], [(0, "no_readings")], 1),
    "time as text": ([NOT_A_TIME % '"2026-01-01"', "GOOD"], [(0, "wrong_type")], 1),
    "time of 1970": ([NOT_A_TIME % YEAR_1970_MS, "GOOD"], [(0, "time_too_old")], 1),
    "time of 2100": ([NOT_A_TIME % YEAR_2100_MS, "GOOD"], [(0, "time_ahead")], 1),
    "time before 1970": ([NOT_A_TIME % -62135596800001, "GOOD"], [(0, "time_too_old")], 1),
    "time too large": ([NOT_A_TIME % 9223372036854775807, "GOOD"], [(0, "time_ahead")], 1),
    "time beyond 64 bits": ([NOT_A_TIME % 10**30, "GOOD"], [(0, "wrong_type")], 1),
    "time in seconds": ([NOT_A_TIME % 1700000000, "GOOD"], [(0, "time_too_old")], 1),
    "value as text": (["GOOD", NOT_A_VALUE % '"12"'], [], 2),
    "value as text with blanks": (["GOOD", NOT_A_VALUE % '" 12.5\\r\\n"', NOT_A_VALUE.replace('"a"', '"b"') % '"1 2"'], [(2, "wrong_type")], 2),
    "value as word": (["GOOD", NOT_A_VALUE % '"--"'], [(1, "wrong_type")], 1),
    "value as object": (["GOOD", NOT_A_VALUE % "{}"], [(1, "wrong_type")], 1),
    "value as bool": (["GOOD", NOT_A_VALUE % "true"], [(1, "wrong_type")], 1),
    "value too large": (["GOOD", NOT_A_VALUE % "1e999"], [(1, "not_finite")], 1),
    "value null": (["GOOD", '{"device_code": "a", "observed_at_ms": NOW, "pm25_ug_m3": null, "pm10_ug_m3": 4}'], [], 2),
    "record as number": (["GOOD", "7"], [(1, "wrong_type")], 1),
    "duplicate field": (["GOOD", '{"device_code": "a", "observed_at_ms": NOW, "pm25_ug_m3": 1, "pm25_ug_m3": 2}'], [(1, "duplicate_field")], 1),
    "long code": (["GOOD", '{"device_code": "%s", "observed_at_ms": NOW, "pm25_ug_m3": 1}' % ("码" * 10000)], [(1, "bad_code")], 1),
    "code of 129 bytes": (["GOOD", '{"device_code": "%s", "observed_at_ms": NOW, "pm25_ug_m3": 1}' % ("c" * 129)], [(1, "bad_code")], 1),
    "code of 128 bytes": (["GOOD", '{"device_code": "%s", "observed_at_ms": NOW, "pm25_ug_m3": 1}' % ("c" * 128)], [], 2),
    "code with a NUL": (["GOOD", '{"device_code": "a\\u0000b", "observed_at_ms": NOW, "pm25_ug_m3": 1}'], [(1, "bad_code")], 1),
    "code with quotes": (["GOOD", '{"device_code": "a\'); DROP TABLE onemap.device; --\\\\ \\"", "observed_at_ms": NOW, "pm25_ug_m3": 1}'], [], 2),
    "half a surrogate": (["GOOD", '{"device_code": "a\\ud800", "observed_at_ms": NOW, "pm25_ug_m3": 1}'], [(1, "bad_code")], 1),
    "place without system": (["GOOD", '{"device_code": "a", "observed_at_ms": NOW, "position": {"lon": 114, "lat": 33}}'],
                             [(1, "missing_coordinate_system")], 1),
    "place off the Earth": (["GOOD", '{"device_code": "a", "observed_at_ms": NOW, "position": {"lon": 200, "lat": 33, "system": "WGS84"}}'],
                            [(1, "bad_position")], 1),
    "place of no system": (["GOOD", '{"device_code": "a", "observed_at_ms": NOW, "position": {"lon": 114, "lat": 33, "system": "MARS"}}'],
                           [(1, "bad_enum")], 1),
    "another subsystem's": (['{"device_code": "a", "observed_at_ms": NOW, "furnace_temp_upper_c": 900}', "GOOD"], [(0, "no_readings")], 1),
}


@pytest.mark.parametrize("name", JSON_CASES)
def test_json(shared, name):
    parts, problems, good_records = JSON_CASES[name]
    payload = parts if isinstance(parts, bytes) else json_of(
        *(good() if part == "GOOD" else part.replace("NOW", str(now_ms())) for part in parts))
    check(shared, payload, problems, good_records)


def test_json_that_is_cut_after_good_records(shared):
    client, payload = shared.new_client("dust"), json_of(good("a"), good("b"), good("c"))[:-20]
    receipt = client.send("telemetry", payload)
    assert stored(shared, client) == ["a", "b"] and (receipt["records"], receipt["accepted"], receipt["rejected"]) == (3, 2, 1)
    assert quarantined(shared, client) == [("malformed", payload, [(2, "malformed")])]


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "nan", "0x10", "1.", ".5", "+1", "01"])
def test_numbers_that_json_does_not_have(shared, literal):
    """Of a record that has nothing else nothing is left; its neighbours have theirs."""
    client = shared.new_client("dust")
    payload = json_of(good("before"), NOT_A_VALUE.replace("NOW", str(now_ms())) % literal, good("after"))
    receipt = client.send("telemetry", payload)
    ((code, kept, problems),) = quarantined(shared, client)
    assert kept == payload and code in ("not_finite", "wrong_type") and problems == [(1, code)]
    assert stored(shared, client) == ["before", "after"] or stored(shared, client) == ["after", "before"]
    assert (receipt["accepted"], receipt["rejected"], receipt["records"]) == (2, 1, 3)


# ---- one bad field costs that field

BAD_FIELDS = {
    "NaN": ("NaN", "not_finite"), "nan": ("-nan", "not_finite"), "infinity": ("Infinity", "not_finite"), "inf": ("-inf", "not_finite"),
    "Windows": ("1.#QNAN", "not_finite"), "NaN as text": ('"NaN"', "not_finite"), "infinity as text": ('"-Infinity"', "not_finite"),
    "too large": ("1e999", "not_finite"), "dashes": ("--", "wrong_type"), "dashes as text": ('"--"', "wrong_type"), "nothing": ("", "wrong_type"),
    "leading zero": ("007", "wrong_type"), "hexadecimal": ("0x1f", "wrong_type"), "comma": ('"1,5"', "wrong_type"), "unit": ('"35 ℃"', "wrong_type"),
    "object": ('{"value": 3}', "wrong_type"), "array": ("[3]", "wrong_type"), "bool": ("true", "wrong_type"), "None": ("None", "wrong_type"),
}


@pytest.mark.parametrize("name", BAD_FIELDS)
def test_a_bad_field_costs_that_field(shared, name):
    value, code = BAD_FIELDS[name]
    record = '{"device_code": "good", "observed_at_ms": %d, "air_temp_c": %s, "pm25_ug_m3": 12.5}' % (now_ms(), value)
    check(shared, json_of(good("before"), record, good("after")), [(1, code, "air_temp_c")], 3)
    client = shared.new_client("dust")
    assert told(client.send("telemetry", record.encode())["problems"][0]) == (0, code, "air_temp_c")
    assert shared.database.query("SELECT pm25_ug_m3, air_temp_c FROM onemap.dust WHERE vendor = %s", client.vendor) == [(12.5, None)]


def test_bad_fields_of_every_type(shared):
    client, place = shared.new_client("construction_waste"), '"position": {"lon": 114.4, "lat": 34.5, "system": "WGS84"}'
    for number, (field_text, problem) in enumerate((
            ('"plate": 5', (0, "wrong_type", "plate")), ('"plate": "%s"' % ("x" * 1025), (0, "bad_text", "plate")),
            ('"plate": "a\\u0000b"', (0, "bad_text", "plate")), ('"plate": "\\ud800"', (0, "bad_text", "plate")),
            ('"passage": 7', (0, "bad_enum", "passage")), ('"passage": "SIDEWAYS"', (0, "bad_enum", "passage")),
            ('"trucks_inside": -1', (0, "wrong_type", "trucks_inside")), ('"trucks_inside": 4294967296', (0, "wrong_type", "trucks_inside")),
            ('"trucks_inside": 2.5', (0, "wrong_type", "trucks_inside")), ('"bed_lifted": "up"', (0, "wrong_type", "bed_lifted")),
            ('"bed_lifted": 2', (0, "wrong_type", "bed_lifted")), ('"load_kg": 1, "loadKg": 2', (0, "duplicate_field", "load_kg")),
            ('"position": 5', (0, "wrong_type", "position")), ('"position": {"lon": 114, "lat": 34}', (0, "missing_coordinate_system", "position")),
            ('"position": {"lon": NaN, "lat": 34, "system": "WGS84"}', (0, "bad_position", "position")),
            ('"position": {"lon": 200, "lat": 34, "system": "WGS84"}', (0, "bad_position", "position")),
            ('"position": {"lon": 0, "lat": 0, "system": "WGS84"}', (0, "bad_position", "position")),
            ('"position": {"lon": 114, "lat": 34, "system": "MARS"}', (0, "bad_enum", "position")),
            (f"{place}, {place}", (0, "duplicate_field", "position")))):
        record = '{"device_code": "T-1", "observed_at_ms": %d, %s, "speed_km_h": 30}' % (now_ms(), field_text)
        receipt = client.send("telemetry", record.encode())
        assert ([told(one) for one in receipt["problems"]], receipt["accepted"], receipt["bad_fields"]) == ([problem], 1, 1), receipt
        assert quarantined(shared, client)[number:] == [(problem[1], record.encode(), [problem])]
    assert set(shared.database.query("SELECT speed_km_h, plate, bed_lifted, load_kg, trucks_inside, passage FROM onemap.construction_waste"
                                     " WHERE vendor = %s", client.vendor)) == {(30,) + (None,) * 5}


def test_bad_fields_of_protobuf(shared):
    def record(*more):
        return wire(wire_record(more=b"".join(more)))
    nan, text_of = struct.pack("<d", float("nan")), field(16, 2, b"--")
    check(shared, record(field(16, 1, nan)), [(0, "not_finite", "air_temp_c")], 1)
    check(shared, record(text_of), [(0, "wrong_type", "air_temp_c")], 1)
    check(shared, record(field(16, 1, nan), field(17, 1, nan)), [(0, "not_finite", "air_temp_c"), (0, "not_finite", "humidity_percent")], 1)
    check(shared, record(field(16, 1, nan), field(16, 1, struct.pack("<d", 20.0))), [], 1)  # the last one counts
    check(shared, record(field(3, 2, field(1, 1, struct.pack("<d", 114.0)))), [(0, "bad_position", "position")], 1)


def test_what_a_record_cannot_do_without(shared):
    """A bad code or time costs the record, as do bad fields that leave nothing."""
    check(shared, json_of('{"device_code": 5, "observed_at_ms": %d, "pm25_ug_m3": 1}' % now_ms(), good()), [(0, "wrong_type")], 1)
    check(shared, json_of('{"device_code": "a", "observed_at_ms": NaN, "pm25_ug_m3": 1}', good()), [(0, "wrong_type")], 1)
    check(shared, json_of('{"device_code": "a", "observed_at_ms": %d, "pm25_ug_m3": NaN, "noise_dba": "--"}' % now_ms(), good()),
          [(0, "not_finite")], 1)


def test_optional_fields_of_documents(shared):
    moment = now_ms()
    client = shared.new_client("sanitation")
    receipt = client.send("inventory", json_of(
        {"device_code": "s1", "kind": "sweeper", "name": 5, "component_code": "12", "parent_code": "nobody", "department_code": "nowhere",
         "attributes": [{"key": "a", "value": "1"}, {"key": "b", "value": 2}], "position": {"lon": 500, "lat": 34, "system": "WGS84"}}))
    assert (receipt["accepted"], receipt["rejected"]) == (1, 0)
    assert [told(one)[1:] for one in receipt["problems"]] == [
        ("wrong_type", "name"), ("bad_value", "component_code"), ("wrong_type", "attributes"), ("bad_position", "position"),
        ("unknown_reference", "parent_code"), ("unknown_reference", "department_code")], receipt
    assert receipt["bad_fields"] == 6
    assert shared.database.query("SELECT kind, name_zh, component_code, attributes FROM onemap.device WHERE vendor = %s", client.vendor) == [
        ("sweeper", "", None, {"a": "1"})]
    receipt = client.send("staff", json_of({"kind": "PERSON", "code": "p", "on_duty": True, "observed_at_ms": moment, "plate": "x" * 5000}))
    assert (receipt["accepted"], [told(one) for one in receipt["problems"]]) == (1, [(0, "bad_text", "plate")])
    receipt = client.send("work", '{"work_code": "w", "status": "STARTED", "observed_at_ms": %d, "quantity": NaN, "quality_score": 500}'.replace("%d", str(moment)).encode())
    assert (receipt["accepted"], [told(one) for one in receipt["problems"]]) == (1, [(0, "not_finite", "quantity"), (0, "bad_value", "quality_score")])
    assert shared.database.query("SELECT status, quantity FROM onemap.work_order WHERE vendor = %s", client.vendor) == [("STARTED", None)]
    assert [(code, len(problems)) for code, _, problems in quarantined(shared, client)] == [("wrong_type", 6), ("bad_text", 1), ("not_finite", 2)]


# ---- what protobuf's own printer makes of the contract

def batch_of(subsystem, records, kind="telemetry", said=None):
    batch = messages.batch_type(subsystem, kind).FromString(messages.protobuf(subsystem, records, kind))
    if said:
        batch.subsystem = said
    return batch


PRINTERS = {"as it is": {}, "kept names": {"preserving_proto_field_name": True}, "numbers": {"use_integers_for_enums": True},
            "sorted": {"sort_keys": True, "indent": None}, "no ascii": {"ensure_ascii": False, "float_precision": 9}}


@pytest.mark.parametrize("name", PRINTERS)
def test_what_protobuf_prints(shared, name):
    moment = now_ms()
    place = {"lon": 114.4, "lat": 34.5, "system": "GCJ02"}
    record = {"device_code": "渣土-1", "observed_at_ms": moment, "position": place, "speed_km_h": 30.5, "bed_lifted": True, "passage": 1,
              "trucks_inside": 7, "plate": "豫B12345"}
    client = shared.new_client("construction_waste")
    for said in (None, "construction_waste"):
        record["observed_at_ms"] += 1000
        printed = json_format.MessageToJson(batch_of("construction_waste", [record], said=said), **PRINTERS[name])
        receipt = client.send("telemetry", printed.encode())
        assert (receipt["accepted"], receipt["problems"], receipt["warnings"]) == (1, [], []), receipt
    assert shared.database.query("SELECT speed_km_h, bed_lifted, passage, trucks_inside, plate FROM onemap.construction_waste WHERE vendor = %s",
                                 client.vendor) == [(30.5, 1, 1, 7, "豫B12345")] * 2
    documents = {
        "inventory": [{"device_code": "渣土-1", "kind": "truck", "name": "车", "attributes": [{"key": "k", "value": "v"}], "position": place}],
        "staff": [{"kind": "PERSON", "code": "p", "on_duty": True, "observed_at_ms": moment, "position": place}],
        "work": [{"work_code": "w", "status": "STARTED", "observed_at_ms": moment, "planned_start_ms": moment - 5000, "quantity": 1.5}]}
    for kind, records in documents.items():
        receipt = client.send(kind, json_format.MessageToJson(batch_of("construction_waste", records, kind), **PRINTERS[name]).encode())
        assert (receipt["accepted"], receipt["problems"], receipt["warnings"]) == (1, [], []), (kind, receipt)
    one = json_format.MessageToDict(batch_of("construction_waste", [record]))["records"][0]
    assert client.send("telemetry", {**one, "observedAtMs": moment + 9000})["accepted"] == 1  # a record of its own


def test_what_protobuf_prints_of_no_number(shared):
    batch = batch_of("dust", [good(air_temp_c=float("nan"), humidity_percent=float("-inf"))])
    check(shared, json_format.MessageToJson(batch).encode(), [(0, "not_finite", "air_temp_c"), (0, "not_finite", "humidity_percent")], 1)


# ---- after the end

@pytest.mark.parametrize("tail", [b"\0", b"\0\0\0\0", b"\n", b" \r\n\t", b"\n\0", b"\0\n"], ids=repr)
def test_nul_and_blanks_after_the_end(shared, tail):
    client, moment = shared.new_client("dust"), now_ms()
    sent = [("telemetry", json_of(good("1"))), ("telemetry", text(good("2")).encode()), ("telemetry", text({"records": [good("3")]}).encode()),
            ("inventory", json_of({"device_code": "a", "kind": "site_monitor"})),
            ("staff", text({"kind": "PERSON", "code": "p", "observed_at_ms": moment}).encode())]
    if tail.strip(b"\0") == b"":
        sent.append(("telemetry", wire(wire_record(code=b"4"))))
    for kind, payload in sent:
        receipt = client.send(kind, payload + tail)
        assert (receipt["records"], receipt["accepted"], receipt["problems"]) == (1, 1, []), (kind, receipt)
    assert quarantined(shared, client) == []
    check(shared, json_of(good()) + tail + b"x", [(1, "malformed")], 1)


def test_an_empty_message_is_only_told(shared):
    for client in (shared.new_client("dust"), shared.new_client("dust", receipts="problems")):
        receipt = client.send("telemetry", b"")
        assert [one["code"] for one in receipt["warnings"]] == ["empty_message"] and receipt["rejected"] == receipt["warned"] - 1 == 0
        assert quarantined(shared, client) == []


@pytest.mark.parametrize("depth", [100, 1_000_000])
@pytest.mark.parametrize("opening, closing", ["[]", ("{\"a\":", "}")], ids=["arrays", "objects"])
def test_deeply_nested_json(shared, opening, closing, depth):
    client, payload = shared.new_client("dust"), (opening * depth + closing * depth).encode()
    if len(payload) > SHARED_SETTINGS["lane.max_payload_bytes"]:
        payload = payload[:SHARED_SETTINGS["lane.max_payload_bytes"]]
    receipt = client.send("telemetry", payload)
    assert receipt["rejected"] >= 1 and receipt["accepted"] == 0
    ((_, kept, _),) = quarantined(shared, client)
    assert kept == payload


def test_nested_value_of_an_unknown_field_is_passed_over(shared):
    deep = "[" * 20 + "]" * 20
    receipt = check(shared, json_of(f'{{"device_code": "a", "observed_at_ms": {now_ms()}, "extra": {deep}, "pm25_ug_m3": 1}}'), [], 1)
    assert [one["code"] for one in receipt["warnings"]] == ["unknown_field"]


INVALID = [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xe4\xb8"]


@pytest.mark.parametrize("octets", INVALID, ids=[octets.hex() for octets in INVALID])
def test_invalid_utf8(shared, octets):
    check(shared, wire(wire_record(), wire_record(code=b"a" + octets + b"b")), [(1, "bad_code")], 1)
    record = b'{"device_code": "a' + octets + b'b", "observed_at_ms": %d, "pm25_ug_m3": 1}' % now_ms()
    check(shared, b"[" + text(good()).encode() + b"," + record + b"]", [(1, "bad_code")], 1)
    plate = field(1, 2, b"truck") + field(2, 0, varint(now_ms())) + field(
        messages.module("construction_waste").ConstructionWasteRecord.DESCRIPTOR.fields_by_name["plate"].number, 2, octets)
    check(shared, wire(plate), [(0, "bad_text")], 0, subsystem="construction_waste")


WIRE_CASES = {
    "NaN": (lambda: wire_record(pm25=struct.pack("<d", float("nan"))), "not_finite"),
    "infinity": (lambda: wire_record(pm25=struct.pack("<d", float("inf"))), "not_finite"),
    "minus infinity": (lambda: wire_record(pm25=struct.pack("<d", float("-inf"))), "not_finite"),
    "no code": (lambda: wire_record(code=None), "missing_device_code"),
    "long code": (lambda: wire_record(code=b"c" * 10000), "bad_code"),
    "no time": (lambda: field(1, 2, b"a") + field(10, 1, b"\0" * 8), "missing_time"),
    "1970": (lambda: wire_record(moment=YEAR_1970_MS), "time_too_old"),
    "2100": (lambda: wire_record(moment=YEAR_2100_MS), "time_ahead"),
    "negative time": (lambda: wire_record(moment=2**64 - 5), "time_too_old"),
    "time as text": (lambda: field(1, 2, b"a") + field(2, 2, b"now") + field(10, 1, b"\0" * 8), "wrong_type"),
    "value as varint": (lambda: field(1, 2, b"a") + field(2, 0, varint(now_ms())) + field(10, 0, b"\1"), "wrong_type"),
    "cut": (lambda: wire_record()[:-3], "malformed"),
    "empty": (lambda: b"", "missing_device_code"),
}


@pytest.mark.parametrize("name", WIRE_CASES)
def test_protobuf(shared, name):
    make, code = WIRE_CASES[name]
    check(shared, wire(wire_record(), make(), wire_record(code=b"last")), [(1, code)], 2)


def test_protobuf_field_that_comes_twice_counts_last(shared):
    client = shared.new_client("dust")
    client.send("telemetry", wire(wire_record(more=field(10, 1, struct.pack("<d", 77.0)))))
    assert shared.database.value("SELECT pm25_ug_m3 FROM onemap.dust WHERE vendor = %s", client.vendor) == 77.0


# ---- documents

def test_documents(shared):
    check(shared, b"[]", [(-1, "empty_batch")], kind="inventory")
    check(shared, json_of({"device_code": "a"}), [(0, "missing_field")], kind="inventory")
    check(shared, json_of({"device_code": "a", "kind": "no_such_kind"}), [(0, "unknown_reference")], kind="inventory")
    check(shared, json_of({"work_code": "w", "status": "LATE", "observed_at_ms": now_ms()}), [(0, "bad_enum")], kind="work")
    at = now_ms()
    check(shared, json_of({"work_code": "w", "status": "FINISHED", "started_ms": at - 1000, "finished_ms": at - 2000, "observed_at_ms": at}),
          [(0, "bad_value", "finished_ms")], 1, kind="work")
    check(shared, b"\x0a\x05hello", [(0, "malformed")], kind="staff")
    client = shared.new_client("dust")
    payload = json_of({"device_code": "ok", "kind": "site_monitor"}, {"device_code": "bad", "kind": "no"}, {"kind": "site_monitor"})
    receipt = client.send("inventory", payload)
    assert (receipt["records"], receipt["accepted"], receipt["rejected"]) == (3, 1, 2)
    assert {one["index"]: one["code"] for one in receipt["problems"]} == {1: "unknown_reference", 2: "missing_device_code"}
    ((_, kept, _),) = quarantined(shared, client)
    assert kept == payload
    assert shared.database.query("SELECT code FROM onemap.device WHERE vendor = %s", client.vendor) == [("ok",)]


def test_ten_megabytes(shared):
    payload = json_of(*(good(f"d{n}") for n in range(3))) + b" " * (10 * 1024 * 1024)
    check(shared, payload, [(-1, "too_large")])


def test_largest_payload_that_is_taken(shared):
    payload = json_of(good())
    check(shared, payload + b" " * (SHARED_SETTINGS["lane.max_payload_bytes"] - len(payload)), [], 1)
    payload = json_of(good())
    check(shared, payload + b" " * (SHARED_SETTINGS["lane.max_payload_bytes"] + 1 - len(payload)), [(-1, "too_large")])


def test_too_many_records(shared):
    check(shared, wire(*([b""] * 20001)), [(-1, "too_many_records")])
    check(shared, b"[" + b",".join([b"{}"] * 20001) + b"]", [(-1, "too_many_records")])


def test_as_many_bad_records_as_a_message_may_have(shared):
    """Only the first thousand problems are listed, all are counted."""
    client, payload = shared.new_client("dust"), b"[" + b",".join([b"{}"] * 20000) + b"]"
    receipt = client.send("telemetry", payload)
    assert (receipt["records"], receipt["rejected"], len(receipt["problems"])) == (20000, 20000, 1000)


def test_document_with_more_bad_records_than_are_listed(shared):
    client = shared.new_client("dust")
    receipt = client.send("inventory", json_of({"device_code": "ok", "kind": "site_monitor"}, *([{"device_code": "bad"}] * 1500)))
    assert (receipt["records"], receipt["accepted"], receipt["rejected"], len(receipt["problems"])) == (1501, 1, 1500, 1000)


# ---- topics and names

def publish_raw(site, topic, payload):
    """mosquitto_pub, as the client of the tests would encode the topic itself; tells whether the broker took it."""
    done = subprocess.run(["mosquitto_pub", "-V", "mqttv5", "-h", site.broker.host, "-p", str(site.broker.port), "-q", "1", "-t", topic, "-s"],
                          input=payload, capture_output=True, timeout=30)
    return done.returncode == 0 and b"rror" not in done.stderr


ODD_VENDORS = ["", " ", "UPPER", "a" * 3000, "厂" * 30, "厂" * 2000, "'; DROP TABLE onemap.vendor; --", 'quo"te\\', "$share", "..", "%s%n", "a b\u00a0c"]


@pytest.mark.parametrize("vendor", ODD_VENDORS, ids=lambda vendor: repr(vendor[:12]))
def test_odd_vendors(shared, vendor):
    payload = json_of(good("odd"))
    assert publish_raw(shared, f"cityhub/v1/dust/{vendor}/telemetry", payload)

    def kept():
        return shared.database.query("SELECT vendor, code, payload, topic FROM onemap.quarantine WHERE vendor = %s", vendor)
    wait_until(kept, 30, "the message is in quarantine")
    assert [(name, code, bytes(raw), topic) for name, code, raw, topic in kept()] == [
        (vendor, "unknown_vendor", payload, f"cityhub/v1/dust/{vendor}/telemetry")]
    assert shared.database.value("SELECT rejected FROM onemap.receipt WHERE vendor = %s", vendor) == 1
    wait_until(lambda: shared.database.value("SELECT count(*) FROM onemap.outbox WHERE sent_at IS NULL") == 0, 30, "its receipt has gone out")


def test_topics_outside_the_contract_do_no_harm(shared):
    """Nobody subscribes to them, so the broker has no one to give them to; what comes after is stored."""
    for topic in ("cityhub/v1/dust/tester/rubbish", "cityhub/v2/dust/tester/telemetry", "cityhub/v1/nothing/tester/telemetry",
                  "cityhub/v1/dust/tester/telemetry/more", "cityhub/v1/dust/telemetry", "cityhub/v1/dust/tester/receipt", "cityhub"):
        assert publish_raw(shared, topic, b"rubbish"), topic
    check(shared, json_of(good()), [], 1)
    assert shared.database.query("SELECT topic FROM onemap.quarantine WHERE vendor = 'tester'") == []


# ---- noise

def mutations(seed, count):
    """Truncated, random and damaged messages, each different."""
    chance = random.Random(seed)
    sources = [wire(wire_record(code=b"device-1"), wire_record(code=b"device-2", more=field(3, 2, field(1, 1, b"\0" * 8)))),
               json_of(good("device-3"), {**good("device-4"), "position": {"lon": 114.0, "lat": 33.0, "system": "GCJ02"}})]
    for number in range(count):
        source = sources[number % 2]
        kind = number % 6 // 2
        if kind == 0:
            yield source[:chance.randrange(1, len(source))]
        elif kind == 1:
            yield chance.randbytes(chance.randrange(1, 200))
        else:
            damaged = bytearray(source)
            for _ in range(chance.randrange(1, 6)):
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
            yield bytes(damaged)


def test_noise(shared):
    """A few hundred messages: each has its receipt; each of which anything was rejected is in quarantine as it came."""
    client, sent = shared.new_client("dust"), {}
    for payload in mutations(seed=2, count=600):
        info, name = client.publish_start("telemetry", payload)
        sent[name] = payload
    wait_until(lambda: len({one["message"] for one in client.receipts}) == len(sent), 60, "every message has its receipt")
    receipts = {one["message"]: one for one in client.receipts}
    assert len(client.receipts) == len(sent)
    bad = sorted({sent[name] for name, receipt in receipts.items() if receipt["rejected"] + receipt["bad_fields"] > 0})
    kept = quarantined(shared, client)
    assert sorted(payload for _, payload, _ in kept) == bad
    assert all(code and problems and problems[0][1] == code for code, _, problems in kept)
    for name, receipt in receipts.items():
        fields = sum("field" in one for one in receipt["problems"])
        assert (receipt["bad_fields"], receipt["rejected"]) == (fields, len(receipt["problems"]) - fields), (name, receipt)
    assert len(bad) > len(sent) / 2
    for name, receipt in receipts.items():
        whole = bool(receipt["problems"]) and receipt["problems"][0]["index"] == -1
        assert sum(receipt[fate] for fate in FATES) == receipt["records"] + whole, (name, receipt)
    fates = {fate: sum(receipt[fate] for receipt in receipts.values()) for fate in FATES}
    assert len(stored(shared, client)) == fates["accepted"]
    print(f"{len(sent)} messages, {len(bad)} in quarantine, {fates}")


def test_documents_of_noise(shared):
    client, count = shared.new_client("sanitation"), 0
    for number, payload in enumerate(mutations(seed=3, count=240)):
        client.publish_start(("inventory", "staff", "work", "case")[number % 4], payload)
        count += 1
    wait_until(lambda: len({one["message"] for one in client.receipts}) == count, 60, "every message has its receipt")
    rejected = [one for one in client.receipts if one["rejected"] + one["bad_fields"] > 0]
    assert shared.database.value("SELECT sum(times) FROM onemap.quarantine WHERE vendor = %s", client.vendor) == len(rejected)


# ---- afterwards

def test_counters_add_up(shared):
    """Last in this file: the hub that took all of it is the one that was started, and every record is accounted for."""
    hub = shared.hubs[0]
    hub.process.check_running()
    metrics = hub.metrics()
    metrics.check()
    received, *fates = (metrics.value(f"cityhub_records_{what}_total")
                        for what in ("received", "committed", "duplicate", "merged", "revised", "rejected"))
    assert received == sum(fates), f"{received} received, fates {fates}"
    assert metrics.value("cityhub_messages_quarantined_total") == shared.database.value("SELECT sum(times) FROM onemap.quarantine")
    assert metrics.value("cityhub_records_rejected_total", subsystem="dust") == shared.database.value(
        "SELECT sum(r.rejected) FROM onemap.receipt r WHERE r.subsystem = 'dust' AND r.records > 0")
    assert shared.database.value("SELECT count(*) FROM onemap.outbox WHERE sent_at IS NULL") == 0
