"""A quiet vendor that measures: publishes a record now and then and waits until a query sees its row."""
import time

LOOK_S = 0.002  # between two looks for a row: looking without a pause would take a processor from those who are measured
PAUSE_S = 0.02


class Probe:
    def __init__(self, site, subsystem, metric, **login):
        self.subsystem, self.metric = subsystem, metric
        self.client = site.client(subsystem, **login)
        self.connection = site.database.connect()

    def _once(self, cursor, code):
        at = int(time.time() * 1000)
        started = time.monotonic()
        self.client.publish_start("telemetry", [{"device_code": code, "observed_at_ms": at, self.metric: 1.0}])
        while True:
            cursor.execute("SELECT 1 FROM onemap.observation_raw o JOIN onemap.device d ON d.id = o.device_id WHERE d.subsystem = %s"
                           " AND d.code = %s AND o.observed_at = to_timestamp(%s / 1000.0)", (self.subsystem, code, at))
            if cursor.fetchone():
                return (time.monotonic() - started) * 1000
            if time.monotonic() - started > 30:
                raise AssertionError("a probe's row is not there after 30 s")
            time.sleep(LOOK_S)

    def run(self, samples, over=None):
        """(p50, p99) in ms of so many records, and of more as long as over() is false."""
        times = []
        with self.connection.cursor() as cursor:
            while len(times) < samples or not (over is None or over()):
                times.append(self._once(cursor, f"probe-{len(times) % 10}"))
                time.sleep(PAUSE_S)
        times.sort()
        return times[len(times) // 2], times[int(len(times) * 0.99)]


def seconds_to_store(site, hub, subsystem, record):
    """From the start of the program to the row of a message that waits at the broker."""
    client = site.client(subsystem)
    client.publish("telemetry", [{**record, "observed_at_ms": int(time.time() * 1000)}])
    client.disconnect()
    connection = site.database.connect()
    with connection.cursor() as cursor:
        def stored():
            cursor.execute("SELECT count(*) FROM onemap.batch_log")
            return cursor.fetchone()[0]
        before, started = stored(), time.monotonic()
        hub.start(ready=False)
        while stored() == before:
            hub.process.check_running()
            time.sleep(LOOK_S)
        seconds = time.monotonic() - started
    connection.close()
    return seconds
