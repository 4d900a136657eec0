"""The hub and a vendor on the broker's TLS listener: with the right authority all goes as without TLS; with another one, or a
certificate of another host, nothing is sent."""
import json
import pathlib
import shutil
import subprocess
import tempfile
import time
import types

import pytest
from harness.broker import Broker
from harness.hub import Hub
from harness.process import free_port, give_to, unprivileged_user, wait_until


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def make_authority(folder, name):
    openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.crt")


def make_server(folder, authority, name, host):
    """A certificate for `host`, signed by `authority`."""
    openssl(folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}",
            "-keyout", f"{name}.key", "-out", f"{name}.csr")
    (folder / f"{name}.ext").write_text(f"subjectAltName={host}\n")
    openssl(folder, "x509", "-req", "-days", "2", "-in", f"{name}.csr", "-CA", f"{authority}.crt", "-CAkey", f"{authority}.key",
            "-CAcreateserial", "-extfile", f"{name}.ext", "-out", f"{name}.crt")
    give_to(folder / f"{name}.key", unprivileged_user())


@pytest.fixture(scope="module")
def certificates():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="cityhub-tls-"))
    folder.chmod(0o755)
    for authority in ("county", "stranger"):
        make_authority(folder, authority)
    make_server(folder, "county", "broker", "IP:127.0.0.1")
    make_server(folder, "county", "elsewhere", "DNS:elsewhere.example")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def listener(certificates, work_folder):
    """Starts a broker that has a TLS listener with the named certificate; returns where it is."""
    brokers = []

    def start(certificate):
        port = free_port()
        settings = (f"listener {port} 127.0.0.1\ncertfile {certificates}/{certificate}.crt\n"
                    f"keyfile {certificates}/{certificate}.key\ntls_version tlsv1.2\n")
        broker = Broker(work_folder / "mosquitto.log", more_settings=settings)
        brokers.append(broker)
        broker.start()
        return types.SimpleNamespace(host="127.0.0.1", port=port)

    yield start
    for broker in brokers:
        broker.close()


@pytest.fixture
def start_hub(database, work_folder, certificates):
    hubs = []

    def start(broker, authority, ready=True):
        database.query("SELECT onemap.vendor_put('dust', 'tester', %s)", json.dumps({"receipts_all": True}))
        hub = Hub(database, broker, work_folder, {"mqtt.tls_ca_file": certificates / f"{authority}.crt"})
        hubs.append(hub)
        return hub.start(ready=ready)

    yield start
    for hub in hubs:
        hub.stop()


def publish(broker, authority, certificates):
    record = {"device_code": "TLS-1", "observed_at_ms": int(time.time() * 1000), "pm25_ug_m3": 12.5}
    return subprocess.run(["mosquitto_pub", "-V", "mqttv5", "-h", broker.host, "-p", str(broker.port), "-q", "1", "--cafile",
                           certificates / f"{authority}.crt", "-t", "cityhub/v1/dust/tester/telemetry", "-m", json.dumps(record)],
                          capture_output=True, text=True, timeout=60)


def test_a_record_through_tls(listener, start_hub, database, certificates):
    broker = listener("broker")
    hub = start_hub(broker, "county")
    assert publish(broker, "county", certificates).returncode == 0
    wait_until(lambda: database.query("SELECT pm25_ug_m3 FROM onemap.dust") == [(12.5,)], 30, "the record is in the one map")
    wait_until(lambda: database.value("SELECT count(*) FROM onemap.outbox WHERE sent_at IS NOT NULL") == 1, 30, "its receipt is sent")
    assert hub.metric("cityhub_outbox_failures_total") == 0


@pytest.mark.parametrize("certificate, authority", [("broker", "stranger"), ("elsewhere", "county")])
def test_a_broker_that_is_not_the_county_s(listener, start_hub, certificates, certificate, authority):
    broker = listener(certificate)
    hub = start_hub(broker, authority, ready=False)
    wait_until(lambda: "certificate verify failed" in hub.process.log_text(), 30, "the log says why")
    wait_until(lambda: "is not connected to the broker" in hub.get("/readyz").text, 30, "/readyz names a lane")
    assert hub.get("/readyz").status_code == 503
    assert publish(broker, authority, certificates).returncode != 0, "nor does a vendor's client trust it"
