"""`cityhub gateway`: platforms that publish their own JSON on their own topics: acknowledged to the broker when it is committed, and kept by
the broker while the gateway or the hub is away."""
import json
import time

import paho.mqtt.client as mqtt
import pytest
from harness.gateway import Gateway, GatewayBroker, county_with_gateway
from harness.process import wait_until
from harness.site import Site

TOPIC, PASSWORD = "v1/gateway/telemetry", "a-password-of-the-tests"


class Broker(GatewayBroker):
    """One whose administrator has given a platform its topic, and the gateway the right to read it."""

    def __init__(self, log_path):
        super().__init__(log_path)
        self.add_login("platform", PASSWORD)
        self.access.write_text(self.access.read_text().replace("user gateway\n", f"user gateway\ntopic read {TOPIC}\n")
                               + f"\nuser platform\ntopic write {TOPIC}\n")


class County:
    def __init__(self, database, broker, folder):
        self.site, self.database, self.broker = Site(database, broker, folder), database, broker
        self.hub = self.site.hub(broker.hub_settings(), start=False)
        secret = folder / "vendor.password"
        secret.write_text(PASSWORD + "\n")
        self.hub.run("vendor", "add", "--subsystem", "dust", "--vendor", "acme", "--password-file", secret)
        self.hub.run("terminal", "add", "--protocol", "json", "--identity", "tb", "--subsystem", "dust", "--vendor", "acme", "--dialect", "thingsboard-gateway",
                     "--secret-file", secret)
        self.hub.start()
        self.gateway = Gateway(self.hub, broker, folder, {"gateway.foreign_topics": f"tb={TOPIC}", "gateway.receipt_s": 2}).start()
        wait_until(lambda: self.gateway.terminals() == 1, 60, "the gateway has the list")
        wait_until(lambda: "state=connected" in self.gateway.process.log_path.read_text(), 60, "the gateway reads the topic")

    def values(self, device):
        return [row[0] for row in self.database.query("SELECT d.pm25_ug_m3 FROM onemap.dust d WHERE d.device_code = %s ORDER BY d.observed_at", device)]

    def publish(self, *messages):
        """As a platform does it: QoS 1, until the broker has each."""
        client = mqtt.Client(client_id="platform-1", protocol=mqtt.MQTTv5)
        client.username_pw_set("platform", PASSWORD)
        client.connect(self.broker.host, self.broker.port)
        client.loop_start()
        for message in messages:
            client.publish(TOPIC, message if isinstance(message, bytes) else json.dumps(message), qos=1).wait_for_publish(30)
        client.disconnect()
        client.loop_stop()


@pytest.fixture(scope="module")
def county(cluster, logs):
    with county_with_gateway(County, cluster, logs / "test_gateway_foreign", Broker) as county:
        yield county


def telemetry(device, values, start=None):
    start = int(time.time() * 1000) - 60_000 if start is None else start
    return {device: [{"ts": start + 1000 * n, "values": {"pm25_ug_m3": value}} for n, value in enumerate(values)]}


def test_its_own_messages_become_readings(county):
    county.publish(telemetry("F-1", [35.5, 36.5]), telemetry("F-2", [40]))
    wait_until(lambda: county.values("F-1") == [35.5, 36.5] and county.values("F-2") == [40], 60, "they are stored")


def test_what_no_record_can_be_made_of_is_in_quarantine_and_holds_up_nothing(county):
    county.publish(b"\xff no JSON", b"", {"F-3": "nothing"}, telemetry("F-4", [41]))
    wait_until(lambda: county.values("F-4") == [41], 60, "the next one is stored")
    kept = county.database.query("SELECT convert_from(q.payload, 'UTF8') FROM onemap.quarantine q WHERE q.vendor = 'acme'")
    text = " ".join(row[0] for row in kept)
    assert b"\xff no JSON".hex() in text and "F-3" in text


def test_nothing_is_lost_while_the_hub_or_the_gateway_is_away(county):
    start = int(time.time() * 1000) - 50_000
    county.hub.stop()
    county.publish(*(telemetry("F-5", [n], start + 1000 * n) for n in range(20)))
    wait_until(lambda: county.gateway.metric("cityhub_gateway_pushes_total", outcome="unsure") >= 1, 60, "nobody has kept it")
    county.gateway.kill()
    county.publish(*(telemetry("F-5", [n], start + 1000 * n) for n in range(20, 40)))
    county.gateway.start()
    county.hub.start()
    wait_until(lambda: county.values("F-5") == list(range(40)), 90, "all of it is stored, each once")
