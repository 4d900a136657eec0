"""Devices that speak ThingsBoard's device interface over MQTT (v1/devices/me/telemetry): a token lets them in at the broker, whose plugin
says to the gateway whose message it is; they can do nothing else there."""
import json
import subprocess
import time

import paho.mqtt.client as mqtt
import pytest
from harness.gateway import Gateway, GatewayBroker, county_with_gateway
from harness.process import wait_until
from harness.site import Site

TOPIC, SECRET = "v1/devices/me/telemetry", "a-secret-of-the-tests"


class Broker(GatewayBroker):
    """One whose administrator lets devices in by the tokens that the hub writes."""

    def __init__(self, log_path):
        super().__init__(log_path)
        self.devices = self.secrets / "devices"
        with self.config_path.open("a") as settings:
            settings.write(f"\nplugin_opt_devices {self.devices}\n")

    def hub_settings(self):
        return {**super().hub_settings(), "mqtt.device_token_file": self.devices}


class Device:
    """As its firmware does it: the token is the user name; no password, no client id of its own."""

    def __init__(self, broker, token, client_id="", password=None, will=None):
        self.codes, self.granted, self.heard, self.lost = [], [], [], False
        self.client = mqtt.Client(client_id=client_id, protocol=mqtt.MQTTv311)
        self.client.username_pw_set(token, password)
        self.client.on_connect = lambda *arguments: self.codes.append(arguments[3])
        self.client.on_subscribe = lambda *arguments: self.granted.append(arguments[3])
        self.client.on_disconnect = lambda *arguments: setattr(self, "lost", True)
        self.client.on_message = lambda client, user, message: self.heard.append(message.topic)
        self.client.reconnect_delay_set(60, 60)  # who is refused is not to come again
        if will is not None:
            self.client.will_set(*will, qos=1)
        self.client.connect(broker.host, broker.vendor_port)
        self.client.loop_start()
        wait_until(lambda: self.codes, 30, "the broker has answered")

    def publish(self, message, topic=TOPIC, **options):
        """Whether the broker acknowledged it; else it ended the connection."""
        info = self.client.publish(topic, message if isinstance(message, bytes) else json.dumps(message), qos=1, **options)
        wait_until(lambda: self.lost or info.is_published(), 30, "the broker has acknowledged it or ended the connection")
        return info.is_published()

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


class County:
    def __init__(self, database, broker, folder):
        self.site, self.database, self.broker = Site(database, broker, folder), database, broker
        self.hub = self.site.hub(broker.hub_settings(), start=False)
        self.secret = folder / "secret"
        self.secret.write_text(SECRET + "\n")
        self.hub.run("vendor", "add", "--subsystem", "dust", "--vendor", "acme", "--password-file", self.secret)
        for name in ("tb-1", "tb-2"):
            self.add(name)
        self.hub.start()
        self.gateway = Gateway(self.hub, broker, folder, {"gateway.foreign_topics": "devices", "gateway.receipt_s": 5}).start()
        wait_until(lambda: self.gateway.terminals() == 2, 60, "the gateway has the list")
        wait_until(lambda: "state=connected" in self.gateway.process.log_path.read_text(), 60, "the gateway reads the topic")

    def add(self, name, *options, vendor="acme", secret=SECRET):
        self.secret.write_text(secret + "\n")
        self.hub.run("terminal", "add", "--protocol", "json", "--identity", name, "--subsystem", "dust", "--vendor", vendor, "--device", f"D-{name}",
                     "--secret-file", self.secret, *options)

    def values(self, name):
        return [row[0] for row in self.database.query("SELECT d.pm25_ug_m3 FROM onemap.dust d WHERE d.device_code = %s ORDER BY d.observed_at", f"D-{name}")]


@pytest.fixture(scope="module")
def county(cluster, logs):
    with county_with_gateway(County, cluster, logs / "test_gateway_devices", Broker) as county:
        yield county


@pytest.fixture
def device(county):
    opened = []

    def make(token, **options):
        opened.append(Device(county.broker, token, **options))
        return opened[-1]
    yield make
    for one in opened:
        one.close()


def reading(value, ago=60):
    return {"ts": int((time.time() - ago) * 1000), "values": {"pm25_ug_m3": value}}


def stored(county, name, values):
    wait_until(lambda: county.values(name) == values, 60, f"{name} has {values}")


def test_what_a_device_says_is_stored_as_its_own(county, device):
    one, other = device(f"tb-1.{SECRET}"), device(f"tb-2.{SECRET}", client_id="device.tb-2", password="")
    assert one.codes == other.codes == [0]
    assert one.publish(reading(35.5)) and other.publish(reading(40.5), retain=True) and other.publish([reading(41.5, 50)])
    stored(county, "tb-1", [35.5])
    stored(county, "tb-2", [40.5, 41.5])
    assert one.publish({"firmware": "1.4"}, topic="v1/devices/me/attributes")
    wait_until(lambda: county.database.query("SELECT r.value FROM onemap.interval_other_report r WHERE r.device_code = 'D-tb-1' AND r.name = 'firmware'") == [("1.4",)],
               60, "what it says of itself is kept")
    for log in (county.broker.process.log_path, county.gateway.process.log_path, county.hub.process.log_path):
        assert SECRET not in log.read_text(), f"{log} shows a token"
    assert "u'device.tb-1.1'" in county.broker.process.log_path.read_text()


@pytest.mark.parametrize("version, value", [("311", 33.5), ("5", 34.5)])
def test_as_the_guide_says_it(county, version, value):
    county.add(f"tb-v{version}")
    subprocess.run(["mosquitto_pub", "-V", version, "-h", county.broker.host, "-p", str(county.broker.vendor_port), "-q", "1", "-u", f"tb-v{version}.{SECRET}",
                    "-t", TOPIC, "-m", json.dumps({"pm25_ug_m3": value})], check=True, timeout=60)
    stored(county, f"tb-v{version}", [value])


@pytest.mark.parametrize("token, client_id", [("tb-1.wrong", ""), ("nobody." + SECRET, ""), ("tb-1", ""), ("device.tb-1.1", ""), ("acme", ""), (f"tb-1.{SECRET}", "gateway-gateway"),
                                              (f"tb-1.{SECRET}", "device.tb-2"), (f"tb-1.{SECRET}", "device.tb-1-a"), (f"tb-1.{SECRET}", "acme.1")])
def test_who_has_no_token_or_another_s_client_id_is_refused(device, token, client_id):
    assert device(token, client_id=client_id).codes == [5]


def test_a_device_can_do_nothing_else(county, device):
    county.add("tb-7")
    county.add("tb-8")
    one = device(f"tb-7.{SECRET}")
    for topic in ("cityhub/v1/dust/acme/telemetry", "cityhub/v1/device/tb-8/telemetry", "v1/devices/tb-8/telemetry", "v1/devices/me/rpc/request/1", "v1/gateway/telemetry"):
        one.publish(reading(99, 10), topic=topic)
    one.client.subscribe([("v1/devices/#", 1), ("cityhub/v1/dust/acme/receipt", 1), ("v1/devices/me/attributes", 1)])
    wait_until(lambda: one.granted, 30, "the broker has answered")
    assert one.granted == [(128, 128, 128)]
    assert one.publish(reading(36.5, 5))
    stored(county, "tb-7", [36.5])
    for topic in (TOPIC, "cityhub/v1/device/tb-8/telemetry"):  # a will goes to nobody, and stops nobody
        device(f"tb-8.{SECRET}", will=(topic, json.dumps(reading(97, 9)))).client._sock.shutdown(2)
    assert 99 not in county.values("tb-8") + county.values("tb-7") and one.heard == []
    vendor = device("acme", password=SECRET)
    assert vendor.codes == [0]
    vendor.publish(reading(98, 10), topic="cityhub/v1/device/tb-7/telemetry")
    vendor.publish(reading(98, 10), topic=TOPIC)
    assert one.publish(reading(37.5, 4))
    stored(county, "tb-7", [36.5, 37.5])


def test_nothing_is_lost_while_the_hub_and_the_gateway_are_away(county, device):
    county.add("tb-9")
    one = device(f"tb-9.{SECRET}")
    county.gateway.kill()
    county.hub.stop()
    assert one.publish(reading(42.5, 40))
    county.hub.start()
    county.gateway.start()
    stored(county, "tb-9", [42.5])


def test_a_new_device_is_let_in_at_once_and_one_whose_right_has_ended_no_more(county, device):
    before = county.gateway.terminals()
    county.add("tb-3")
    one = device(f"tb-3.{SECRET}")
    assert one.codes == [0] and one.publish(reading(43.5))
    stored(county, "tb-3", [43.5])
    county.gateway.kill()
    (county.gateway.state / "terminals.json").unlink()  # whose it is the gateway hears from the hub alone
    assert one.publish(reading(44.5, 30)), "the broker keeps it"
    county.hub.run("terminal", "revoke", "--protocol", "json", "--identity", "tb-3")
    assert not one.publish(reading(45.5, 20)) and one.lost
    assert device(f"tb-3.{SECRET}").codes == [5]
    county.gateway.start()
    stored(county, "tb-3", [43.5, 44.5])  # what was acknowledged before is its own
    assert county.gateway.terminals() == before, "it is counted no more"


def test_a_device_that_gets_another_token_goes_on_by_that_alone(county, device):
    county.add("tb-4")
    one = device(f"tb-4.{SECRET}")
    assert one.publish(reading(46.5, 30))
    county.add("tb-4", secret="another-secret")
    assert not one.publish(reading(47.5, 20)) and one.lost
    assert device(f"tb-4.{SECRET}").codes == [5]
    assert device("tb-4.another-secret").publish(reading(48.5, 10))
    stored(county, "tb-4", [46.5, 48.5])


def test_one_device_s_fault_holds_up_no_other(county, device):
    county.hub.run("vendor", "add", "--subsystem", "dust", "--vendor", "beta", "--password-file", county.secret)
    county.add("tb-5", "--dialect", "no-such-mapping")
    county.add("tb-6", vendor="beta")
    county.add("tb-10")
    county.gateway.sync()
    six = device(f"tb-6.{SECRET}")
    county.gateway.kill()
    assert device(f"tb-5.{SECRET}").publish(reading(51.5)) and device(f"tb-5.{SECRET}").publish(b"no JSON") and six.publish(reading(52.5))
    county.hub.run("vendor", "revoke", "--vendor", "beta", "--subsystem", "dust")
    assert not six.publish(reading(53.5))
    assert device(f"tb-10.{SECRET}").publish(reading(54.5, 4))
    county.gateway.start()
    stored(county, "tb-10", [54.5])
    wait_until(lambda: all(county.database.query("SELECT 1 FROM onemap.quarantine q WHERE convert_from(q.payload, 'UTF8') LIKE %s", f"%{what}%")
                           for what in ("51.5", "no JSON", "52.5")), 60, "what the hub does not take is in quarantine")
    wait_until(lambda: county.gateway.metric("cityhub_gateway_pushes_total", outcome="refused") == 1, 30, "the hub refused it")
    county.gateway.stop()
    county.gateway.start()
    assert device(f"tb-10.{SECRET}").publish(reading(55.5, 3))
    stored(county, "tb-10", [54.5, 55.5])
    assert county.gateway.metric("cityhub_gateway_pushes_total", outcome="refused") == 0, "it was acknowledged to the broker, and does not come again"
