"""Rollups are what the records say, to the bit: whatever came late, twice, changed, out of range or in no order, and whoever was
killed when. The figures are computed here, from the rows that are stored, with fractions instead of floating point."""
import fractions
import random
import time

from harness.process import wait_until

HOUR_MS = 3_600_000
KEYS = ("pm25_ug_m3", "pm10_ug_m3", "noise_dba", "air_temp_c")
ROUNDS = 6
COLUMNS = "h.records, h.last_at, h.counts, h.minima, h.maxima, h.sums, h.firsts, h.lasts, h.flagged_above, h.flagged_below, h.above_least"


def exact(values):
    """The sum, rounded once; each reading is a multiple of 2^-52, or the nearest one."""
    total = sum(round(fractions.Fraction(value) * 2**52) for value in values)
    return float(fractions.Fraction(total, 2**52))


def computed(database, vendor, part="hour"):
    """{(device, hour): COLUMNS} from the records alone."""
    limits = dict(database.query("SELECT ordinal, ARRAY[min_value, max_value] FROM onemap.metric WHERE subsystem = 'dust'"))
    groups = {}
    for device, hour, at, readings, quality in database.query(
            "SELECT o.device_id, date_trunc('hour', o.observed_at, 'UTC'), o.observed_at, o.readings, coalesce(o.quality, 0)"
            " FROM onemap.observation o JOIN onemap.device d ON d.id = o.device_id WHERE d.vendor = %s ORDER BY 1, 3", vendor):
        groups.setdefault((device, hour), []).append((at, readings, quality))
    rollups = {}
    for key, rows in groups.items():
        good, size = [[] for _ in limits], 0
        above, below, least = [0] * len(limits), [0] * len(limits), [None] * len(limits)
        for _, readings, quality in rows:
            for i, value in enumerate(readings):
                size = max(size, i + 1) if value is not None else size
                if value is not None and quality >> i & 1 == 0:
                    good[i].append(value + 0.0)
                elif value is not None:
                    above[i] += value >= limits[i + 1][0]
                    below[i] += value < limits[i + 1][0]
                    if limits[i + 1][0] <= value <= limits[i + 1][1]:  # as its sender says
                        least[i] = min(value + 0.0, value + 0.0 if least[i] is None else least[i])
        good = good[:size]
        flagged = max((i + 1 for i in range(len(above)) if above[i] + below[i] > 0), default=0)
        figures = [[None if not values else f(values) for values in good]
                   for f in (min, max, exact, lambda values: values[0], lambda values: values[-1])]
        within = max((i + 1 for i in range(len(least)) if least[i] is not None), default=0)
        rollups[key] = (len(rows), rows[-1][0], [len(values) for values in good], *figures, above[:flagged], below[:flagged],
                        least[:within])
    return rollups


def stored(database, vendor):
    return {row[:2]: row[2:] for row in database.query(
        f"SELECT h.device_id, h.hour, {COLUMNS} FROM onemap.observation_hourly h JOIN onemap.device d ON d.id = h.device_id"
        " WHERE d.vendor = %s", vendor)}


def await_rollups(database):
    wait_until(lambda: database.value("SELECT (SELECT count(*) FROM onemap.batch_log WHERE rolled_up_at IS NULL)"
                                      " + (SELECT count(*) FROM onemap.rollup_recompute)") == 0, 60, "all batches are rolled up")


def compare(database, vendor):
    wanted, found = computed(database, vendor), stored(database, vendor)
    assert found.keys() == wanted.keys()
    for key, row in wanted.items():
        # As texts, too: 0 and -0 are equal and not the same.
        assert found[key] == row and repr(found[key]) == repr(row), f"device {key[0]}, {key[1]}"
    return len(wanted)


def random_records(dice, start_ms, sent):
    records = []
    for _ in range(dice.randrange(1, 60)):
        at = start_ms + dice.randrange(5) * HOUR_MS // 2 + dice.randrange(HOUR_MS)
        record = {"device_code": f"d-{dice.randrange(6)}", "observed_at_ms": at}
        for key in dice.sample(KEYS, dice.randrange(1, 4)):
            record[key] = dice.choice([dice.uniform(0, 60), dice.uniform(-1, 1) / 3, dice.gauss(20, 9), 0.1, -0.0, 5000.0, -200.0])
        if dice.random() < 0.2:
            record["over_range"] = [dice.choice([key for key in record if key in KEYS])]
        if sent and dice.random() < 0.1:  # the same once more, or another value for it
            record = dict(dice.choice(sent))
            if dice.random() < 0.5:
                record[dice.choice(KEYS)] = dice.uniform(1, 50)
        records.append(record)
    return records


def test_rollups_are_what_the_records_say(shared):
    database, client, hub = shared.database, shared.new_client("dust"), shared.hubs[0]
    dice, sent, start_ms = random.Random(7), [], (int(time.time() * 1000) // HOUR_MS - 4) * HOUR_MS
    for turn in range(ROUNDS):
        for _ in range(dice.randrange(4, 12)):
            records = random_records(dice, start_ms, sent)
            sent += records
            client.send_telemetry(*records)
            time.sleep(dice.random() / 10)
        if turn % 2 == 0:
            hub.kill()  # at once: of some batches all is written, of some nothing, of one perhaps we know not what
            hub.start()
        else:
            await_rollups(database)
            compare(database, client.vendor)
    await_rollups(database)
    assert compare(database, client.vendor) > 10
    made_anew = stored(database, client.vendor)
    database.query("INSERT INTO onemap.rollup_recompute (device_id, hour) SELECT device_id, hour FROM onemap.observation_hourly")
    await_rollups(database)
    assert stored(database, client.vendor) == made_anew
