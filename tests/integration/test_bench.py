"""`cityhub bench`: what it measures, and that it never writes into a county."""
import json
import re

SHARED_SETTINGS = {}


def figure_of(text, name):
    """The last number of a line."""
    return float(re.findall(r"[0-9.]+", re.search(rf"^{name} .*", text, re.MULTILINE)[0])[-1])


def test_on_a_hub_of_its_own(shared):
    hub = shared.hubs[0]
    done = hub.run("bench", "--vendor", "tester", "--seconds", "1")
    for line in ("this machine ", "disk ", "COPY ", "hub, batches ", "hub, singles ", "hub, devices ", "storage ", "tiles "):
        assert re.search(f"^{line}.*[1-9]", done.stdout, re.MULTILINE), done.stdout
    told = [line.split() for line in done.stdout.splitlines() if line.lstrip().startswith("each ")]
    assert [row[1] for row in told] == ["1", "10", "30", "60", "300", "900"]
    carried = [[int(number.replace(",", "").lstrip(">")) for number in row[3:5]] for row in told]
    assert carried == sorted(carried) and carried[0][0] >= carried[0][1] > 0, carried
    assert max(max(row) for row in carried) <= 1_000_000, "more was never tried"
    hours_s = figure_of(done.stdout, "hub, devices")
    assert all(batches <= max(hours_s * int(row[1]) / 2, 60_000) for row, (batches, _) in zip(told, carried)), "many devices' hours are written with each record"
    # All that it counted is there, and nothing else: 500 devices' rows, no table that it left.
    stored = shared.database.value("SELECT count(*) FROM onemap.observation")
    assert stored + 500 == hub.metric("cityhub_records_committed_total", subsystem="dust") > 1000, "and an inventory of 500"
    assert shared.database.value("SELECT count(*) FROM onemap.device WHERE code ~ '^bench-[0-9]{3}$'") == 500
    assert shared.database.value("SELECT to_regclass('onemap.bench_copy') IS NULL")
    assert shared.database.value("SELECT count(*) FROM onemap.device_state WHERE device_id < 0") == 0
    assert shared.database.value("SELECT count(*) FROM onemap.observation_hourly WHERE device_id < 0") == 0
    assert shared.database.query("SELECT count(*), count(revoked_at) FROM onemap.token WHERE name ~ '^bench-'") == [(1, 1)], "its token ended with it"
    assert shared.database.value("SELECT count(*) FROM onemap.point_device WHERE lon BETWEEN 104.9 AND 105.1") == 500
    figures = json.loads(hub.run("bench", "--vendor", "tester", "--seconds", "1", "--json").stdout)
    assert set(figures) == {"commit_ms", "commit_ms_p99", "copy_records_s", "batch_records_s", "single_records_s", "bytes_per_record",
                            "device_states_s", "device_hours_s", "values_per_record", "tiles_s"}
    assert all(value > 0 for value in figures.values()), figures


def test_refused(shared):
    hub = shared.hubs[0]
    refused = hub.run("bench", "--vendor", "tester", "--password-file", "/nowhere", code=1)
    assert "/nowhere" in refused.stderr
    client = shared.new_client("gas")
    client.send("telemetry", [{"device_code": "g", "observed_at_ms": 1_790_000_000_000, "pressure_kpa": 2.0}])
    stored = shared.database.value("SELECT count(*) FROM onemap.observation")
    refused = hub.run("bench", "--vendor", "tester", code=1)
    assert "devices of a county" in refused.stderr and "--bench" in refused.stderr
    assert shared.database.value("SELECT count(*) FROM onemap.observation") == stored
