"""What the vendors' pages say is true: every example of every guide is taken in as it stands, and the commands and the program
of docs/vendor.md run as they are printed, with a login of their own behind the broker's access rules."""
import json
import os
import re
import subprocess

import pytest
from harness import guides, messages, paths
from harness.guarded import GuardedBroker
from harness.process import wait_until
from harness.site import Site

CATALOGUE = [{"line": 2, "code": "20101", "class": "市容环境", "name": "暴露垃圾", "condition": "1", "registration_condition": "有暴露垃圾",
              "limit": "1", "unit": "工作日", "closing_condition": "清除", "responsible": "@grid", "source": "assumed"}]


def rows_of(database, subsystem, vendor):
    return [row[0] for row in database.query(
        f"SELECT to_jsonb(v) - 'device_id' - 'vendor' - 'received_at' FROM onemap.{subsystem} v WHERE v.vendor = %s", vendor)]


def send_all(client, subsystem, page, form, moment):
    """Sends every kind of example in one form and returns the receipts that are not as they should be."""
    wrong = []
    for kind in guides.KINDS:
        text = page.get(f"{kind} {form}") or page.get(f"{kind} json")
        if text is None:
            continue
        text = guides.brought_to(text, moment)
        if form == "json":
            payload, count = text.encode(), len(json.loads(text)) if text.startswith("[") else 1
        elif f"{kind} protobuf" in page:
            payload, count = guides.protobuf_text(subsystem, text), text.count("records {")
        else:  # written in JSON only: the same records as protobuf
            records = json.loads(text)
            records = records if isinstance(records, list) else [records]
            payload, count = messages.protobuf(subsystem, records, kind), len(records)
        receipt = client.send(kind, payload)
        told = (receipt["kind"], receipt["records"], receipt["accepted"], receipt["rejected"], receipt["warnings"])
        if told != (kind, count, count, 0, []):
            wrong.append(f"{subsystem}, {kind} as {form}: {receipt}")
    return wrong


def check_rows(database, subsystem, page):
    """Both forms have left the same row, and it has what the example says."""
    as_json, as_protobuf = rows_of(database, subsystem, "by-json"), rows_of(database, subsystem, "by-protobuf")
    assert len(as_json) == 1 and as_json == as_protobuf, subsystem
    row, record = as_json[0], json.loads(page["telemetry json"])
    record_type = messages.batch_type(subsystem).DESCRIPTOR.fields_by_name["records"].message_type
    expected = {}
    for key, value in record.items():
        field = record_type.fields_by_name[key]
        if key not in ("observed_at_ms", "position"):
            expected[key] = field.enum_type.values_by_name[value].number if field.enum_type else value
    assert {key: row[key] for key in expected} == expected, subsystem
    others = set(row) - set(expected) - {"observed_at", "device_kind"}
    assert {key: row[key] for key in others if row[key] is not None} == {}, subsystem
    inventory = json.loads(page["inventory json"])
    kinds = {one["device_code"]: one["kind"] for one in (inventory if isinstance(inventory, list) else [inventory])}
    assert row["device_kind"] == kinds[row["device_code"]], subsystem


def test_examples_of_all_guides(site, database):
    # Cases are opened under a catalogue of categories, which a county imports before its vendors report any.
    imported = database.value("SELECT onemap.case_catalogue_import(%s, 'for the guides')", json.dumps(CATALOGUE))
    assert imported["imported"], imported
    for subsystem in paths.SUBSYSTEMS:
        for form in ("json", "protobuf"):
            site.register(subsystem, f"by-{form}")
    site.hub()
    wrong, moment = [], guides.now_ms()
    for subsystem in paths.SUBSYSTEMS:
        page = guides.guide(subsystem)
        assert {"telemetry protobuf", "telemetry json", "inventory json"} <= set(page), subsystem
        for form in ("json", "protobuf"):
            wrong += send_all(site.client(subsystem, f"by-{form}"), subsystem, page, form, moment)
    assert not wrong, "\n".join(wrong)
    for subsystem in paths.SUBSYSTEMS:
        check_rows(database, subsystem, guides.guide(subsystem))
    assert database.query("SELECT topic, code, reason FROM onemap.quarantine") == []


def test_limits_of_all_guides(database):
    """The limits that the guides tell are those that a fresh database has."""
    general, wrong = ("device_offline", "vendor_silent"), []
    for subsystem in paths.SUBSYSTEMS:
        text = (paths.ROOT / "adapters" / subsystem / f"{subsystem}.md").read_text()
        block = text[text.index("<!-- table: limits -->"):]
        told = {line.split("`")[1]: line for line in block[:block.index("<!-- table end -->")].splitlines() if line.startswith("| `")}
        stored = dict(database.query("SELECT key, threshold FROM onemap.alarm_rule WHERE subsystem = %s AND key <> ALL (%s)",
                                     subsystem, list(general)))
        if set(told) != set(stored):
            wrong.append(f"{subsystem}: only in the guide {set(told) - set(stored)}, only in the database {set(stored) - set(told)}")
        wrong += [f"{subsystem}: {key} has the limit {stored[key]:g}: {told[key]}" for key in set(told) & set(stored)
                  if stored[key] is not None and not re.search(rf"[>=<] {re.escape(f'{stored[key]:g}')}\b", told[key])]
    assert not wrong, "\n".join(wrong)


def test_names_that_the_pages_tell(database):
    """Every table, view and function of schema onemap that a page names is there."""
    pages = [*sorted((paths.ROOT / "adapters").glob("*/*.md")), paths.ROOT / "docs" / "vendor.md"]
    assert len(pages) == len(paths.SUBSYSTEMS) + 1
    there = {name for (name,) in database.query(
        "SELECT proname FROM pg_proc WHERE pronamespace = 'onemap'::regnamespace "
        "UNION SELECT relname FROM pg_class WHERE relnamespace = 'onemap'::regnamespace AND relkind IN ('r', 'p', 'v')")}
    missing = {f"{page.name}: onemap.{name}" for page in pages for name in re.findall(r"`onemap\.(\w+)", page.read_text())
               if name not in there}
    assert not missing, "\n".join(sorted(missing))


def test_problems_in_words_on_the_page():
    """The operators' page has a sentence for each code that the guide tells vendors of, and for no other."""
    table = (paths.ROOT / "docs" / "vendor.md").read_text().split("<!-- table: codes -->")[1].split("<!-- table end -->")[0]
    told = set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))
    said = set(re.findall(r'^  (\w+): "', (paths.ROOT / "web" / "src" / "lib" / "problems.ts").read_text(), re.MULTILINE))
    assert len(told) > 20 and told == said, told ^ said


def test_what_does_not_count_against_a_vendor(database):
    """What a record says of itself as it should is counted as nothing to mend where it is found, and is told as that: of the same codes."""
    table = (paths.ROOT / "hub" / "ingest" / "findings.c").read_text().split("warning_codes[FINDINGS_WARNING_CODES] = {")[1].split("};")[0]
    honest = dict(re.findall(r'\{"(\w+)", (true|false)\}', table))
    codes = set(re.findall(r"`(\w+)`", (paths.ROOT / "docs" / "vendor.md").read_text())) | set(honest)
    excused = dict(database.query("SELECT c, onemap.conformity_excuse(c) FROM unnest(%s) c", list(codes)))
    assert len(honest) > 5 and {code for code, why in excused.items() if why == "said"} == {code for code, is_honest in honest.items() if is_honest == "true"}
    # Of these there is no record that could count.
    assert {code for code in honest if excused[code] not in (None, "said")} == {"empty_message"}


# ---- docs/vendor.md, with logins

class Guarded:
    """A broker that asks for logins, and a folder that looks like the source tree after the quickstart."""

    def __init__(self, work_folder):
        self.broker = GuardedBroker(work_folder / "mosquitto.log")
        self.tree = work_folder / "tree"
        (self.tree / "var").mkdir(parents=True)
        (self.tree / "proto").symlink_to(paths.ROOT / "proto")

    def environment(self):
        named = {"CITYHUB_HOST": self.broker.host, "CITYHUB_PORT": str(self.broker.vendor_port)}
        others = {key: value for key, value in os.environ.items() if not key.startswith("CITYHUB_")}
        return {**others, **named, "HOME": str(self.tree)}

    def run(self, argv, timeout_s=120):
        done = subprocess.run(argv, cwd=self.tree, env=self.environment(), capture_output=True, text=True, timeout=timeout_s)
        assert done.returncode == 0, f"{argv[0]} ended with {done.returncode}:\n{done.stdout}{done.stderr}\n" \
                                     f"{self.broker.process.log_tail(20)}"
        return done.stdout


@pytest.fixture
def guarded(work_folder):
    guarded = Guarded(work_folder)
    try:
        guarded.broker.start()
        yield guarded
    finally:
        guarded.broker.close()


@pytest.fixture
def demo(guarded, database, work_folder):
    """A running hub and the vendor `demo` of dust with the login that `cityhub vendor add` gave it."""
    site = Site(database, guarded.broker, work_folder)
    try:
        hub = site.hub(guarded.broker.hub_settings(), start=False)
        hub.run("vendor", "add", "--subsystem", "dust", "--vendor", "demo", "--generate-password",
                guarded.tree / "var" / "demo.password")
        hub.start()
        yield guarded
    finally:
        site.close()


def demo_rows(database):
    return database.query("SELECT device_code, pm25_ug_m3, pm10_ug_m3, noise_dba, spraying_on FROM onemap.dust WHERE vendor = 'demo' "
                          "ORDER BY device_code, observed_at")


def test_first_message_by_command_line(demo, database):
    page = guides.vendor_page()
    output = demo.run(["bash", "-euc", page["subscribe"] + page["publish"] + page["receipt"]])
    (receipt,) = json.loads(output)["receipts"]
    assert {key: receipt[key] for key in ("message", "kind", "records", "accepted", "rejected", "problems", "warnings")} == {
        "message": "hello-1", "kind": "telemetry", "records": 1, "accepted": 1, "rejected": 0, "problems": [], "warnings": []}
    assert demo_rows(database) == [("YC-DEMO-1", 42.5, 96.0, 63.4, None)]


def test_python_program(demo, database):
    page = guides.vendor_page()
    demo.run(["bash", "-euc", page["protoc"]])
    (demo.tree / "example.py").write_text(page["python"])
    receipt = json.loads(demo.run(["/usr/bin/python3", "example.py"]))
    assert (receipt["kind"], receipt["records"], receipt["accepted"], receipt["rejected"]) == ("telemetry", 4, 4, 0)
    assert demo_rows(database) == [("YC-DEMO-PY-1", 41.0, 93.5, 61.0, 1.0)] * 2 + [("YC-DEMO-PY-2", 42.0, 94.5, 61.0, 0.0)] * 2


def test_readme(demo, database):
    """Its two examples, with the names of this vendor and broker."""
    page = guides.examples(paths.ROOT / "README.md")
    publish, program = (text.replace("acme.password", "var/demo.password").replace("acme", "demo") for text in (page["publish"], page["python"]))
    demo.run(["bash", "-euc", publish])
    demo.run(["protoc", "-I", "proto", "--python_out=.", "proto/common.proto", "proto/dust.proto"])
    demo.run(["/usr/bin/python3", "-c", program])

    def rows():
        return database.query("SELECT device_code, count(*)::int, min(pm25_ug_m3) FROM onemap.dust WHERE vendor = 'demo' GROUP BY 1 ORDER BY 1")
    wait_until(lambda: rows() == [("D-17", 1, 35.2), ("D-18", 60, 35.2)], 30, "all records are in the one map")


def test_what_a_login_may_do(demo):
    """What docs/vendor.md tells of the access rules: own subsystems' topics alone are written, own receipts alone are read."""
    login = ["-V", "mqttv5", "-h", demo.broker.host, "-p", str(demo.broker.vendor_port), "-u", "demo", "-P",
             (demo.tree / "var" / "demo.password").read_text().strip(), "-q", "1"]

    def refused(program, *options):
        done = subprocess.run([program, *login, *options], capture_output=True, text=True, timeout=30)
        return any(word in (done.stdout + done.stderr).lower() for word in ("not authorized", "denied"))
    topics = ("dust/demo/telemetry", "dust/demo/case", "gas/demo/telemetry", "dust/other/telemetry", "dust/demo/receipt", "dust/demo/x")
    assert [topic for topic in topics if not refused("mosquitto_pub", "-i", "demo.4", "-t", f"cityhub/v1/{topic}", "-m", "{}")] == [
        "dust/demo/telemetry", "dust/demo/case"]
    filters = ("dust/demo/receipt", "+/demo/receipt", "#", "dust/demo/#", "dust/+/receipt", "dust/other/receipt", "dust/demo/telemetry")
    assert [topic for topic in filters if not refused("mosquitto_sub", "-i", "demo.4", "-t", f"cityhub/v1/{topic}", "-E")] == [
        "dust/demo/receipt", "+/demo/receipt"]
    ids = ("demo", "demo.1", "demo-gateway-1", "demo1", "other", "other-1", "auto-1", "")
    assert [name for name in ids if not refused("mosquitto_pub", *(["-i", name] if name else []), "-t", "cityhub/v1/dust/demo/telemetry",
                                                "-m", "{}")] == ["demo", "demo.1", "demo-gateway-1", ""]
