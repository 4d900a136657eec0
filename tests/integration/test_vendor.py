"""`cityhub vendor`: who may push, and the broker's logins, with a real mosquitto that has a password file and an ACL."""
import json
import os
import stat
import threading

import paho.mqtt.client as mqtt
import pytest
from harness.guarded import HUB_PASSWORD, GuardedBroker
from harness.hub import Hub
from harness.process import wait_until
from harness.wire import Wire

class Nowhere:
    host, port = "127.0.0.1", 1


@pytest.fixture
def idle_broker(work_folder):
    """Its files are there, with the hub's own login; it does not run."""
    broker = GuardedBroker(work_folder / "mosquitto.log")
    yield broker
    broker.close()


@pytest.fixture
def logins(idle_broker):
    """The folder that the broker's files are in."""
    return idle_broker.secrets


@pytest.fixture
def passwords(idle_broker):
    return idle_broker.passwords


@pytest.fixture
def guarded_broker(idle_broker):
    idle_broker.start()
    return idle_broker


@pytest.fixture
def admin(database, work_folder, passwords):
    """Commands with a password file and no broker that is told."""
    return Hub(database, Nowhere, work_folder, {"mqtt.vendor_password_file": passwords})


@pytest.fixture
def guarded(database, work_folder, guarded_broker):
    """Commands that also make the running broker read its files again."""
    return Hub(database, guarded_broker, work_folder, guarded_broker.hub_settings())


def logins_of(passwords):
    return sorted(line.split(":")[0] for line in passwords.read_text().splitlines())


def secret(work_folder, text="correct horse battery", name="secret"):
    path = work_folder / name
    path.write_text(text + "\n")
    return path


def login(broker, username, password):
    """What the broker answers to this login: 'Success' or the reason for its refusal."""
    answer = []
    client = mqtt.Client(client_id=broker.client_id(username), protocol=mqtt.MQTTv5)
    client.username_pw_set(username, password)
    client.on_connect = lambda c, user, flags, reason, properties: answer.append(str(reason))
    client.connect(broker.host, broker.vendor_port)
    client.loop_start()
    try:
        return wait_until(lambda: answer, 30, f"the broker answers to the login {username}")[0]
    finally:
        client.disconnect()
        client.loop_stop()


def connect(broker, username, password):
    client = mqtt.Client(client_id=broker.client_id(username), protocol=mqtt.MQTTv5)
    client.username_pw_set(username, password)
    client.connect(broker.host, broker.vendor_port)
    client.loop_start()
    wait_until(client.is_connected, 30, f"{username} is connected")
    return client


def test_vendor_logs_in_and_pushes_its_own_topics_alone(guarded, guarded_broker, passwords, work_folder):
    done = guarded.run("vendor", "add", "--subsystem", "dust", "--vendor", "acme", "--generate-password", work_folder / "acme")
    assert "vendor acme of dust added" in done.stdout and str(work_folder / "acme") in done.stdout
    assert stat.S_IMODE((work_folder / "acme").stat().st_mode) == 0o600
    password = (work_folder / "acme").read_text().strip()
    assert len(password) >= 24 and password not in done.stdout + done.stderr
    wait_until(lambda: login(guarded_broker, "acme", password) == "Success", 30, "the new login works")
    assert login(guarded_broker, "acme", password + "x") != "Success", "a wrong password opens nothing"
    assert login(guarded_broker, "hub", HUB_PASSWORD) == "Success", "the hub's own login is as it was"

    hub, vendor, heard = connect(guarded_broker, "hub", HUB_PASSWORD), connect(guarded_broker, "acme", password), []
    subscribed, lost = threading.Event(), []
    vendor.on_disconnect = lambda *_: lost.append(True)
    hub.on_subscribe = lambda *_: subscribed.set()
    hub.on_message = lambda c, user, message: heard.append(message.topic)
    hub.subscribe("cityhub/#", qos=1)
    assert subscribed.wait(30)
    # The last one is its own: what was delivered before it is all that the broker let through.
    for topic in ("cityhub/v1/dust/other/telemetry", "cityhub/v1/dust/hub/telemetry", "cityhub/v1/dust/acme/telemetry"):
        vendor.publish(topic, "{}", qos=1).wait_for_publish(30)
    wait_until(lambda: "cityhub/v1/dust/acme/telemetry" in heard, 30, "its own message is delivered")
    assert heard == ["cityhub/v1/dust/acme/telemetry"]
    assert not lost, "a topic that is not its own costs a vendor that message, not its connection"
    hub.disconnect()
    vendor.disconnect()
    hub.loop_stop()
    vendor.loop_stop()


def test_a_login_may_do_what_the_database_says(guarded, guarded_broker, work_folder):
    """Rights come and go while the vendor is connected; what it may not push does not reach the hub at all."""
    guarded.run("vendor", "add", "--subsystem", "dust", "--vendor", "acme", "--password-file", secret(work_folder))
    steps = (((), "dust"), (("add", "gas"), "dust gas"), (("add", "water"), "dust gas water"), (("revoke", "gas"), "dust water"),
             (("add", "gas"), "dust gas water"), (("revoke", "dust"), "gas water"))
    with Wire(guarded_broker.host, guarded_broker.vendor_port) as vendor:
        assert vendor.connect("acme.1", "acme", "correct horse battery") == 0
        for step, rights in steps:
            if step:
                guarded.run("vendor", step[0], "--subsystem", step[1], "--vendor", "acme")

            def has():
                return " ".join(subsystem for subsystem in ("dust", "gas", "water", "heating")
                                if vendor.publish(f"cityhub/v1/{subsystem}/acme/telemetry") < 0x80)
            wait_until(lambda: has() == rights, 10, f"after {step}: {rights}")  # the broker reads its files when it has a moment


OLD_ACCESS = """# An earlier version let every login publish in every subsystem.
user hub
topic readwrite cityhub/#
user monitor
topic read cityhub/#
topic read $SYS/#
pattern read cityhub/v1/+/%u/receipt
pattern write cityhub/v1/gas/%u/telemetry
pattern write home/%u/#
pattern readwrite #
user acme
topic readwrite cityhub/v1/gas/acme/#
# of acme

user beta
topic readwrite cityhub/v1/gas/#
"""


def test_files_are_compared_with_the_database_and_mended(guarded, guarded_broker, work_folder, passwords):
    for vendor in ("acme", "beta"):
        guarded.run("vendor", "add", "--subsystem", "dust", "--vendor", vendor, "--password-file", secret(work_folder))
    guarded.run("vendor", "revoke", "--subsystem", "dust", "--vendor", "beta")
    assert "say what the database says" in guarded.run("vendor", "check").stdout
    right, access = passwords.read_text(), guarded_broker.access
    written = access.read_text()
    assert [line for line in written.splitlines() if "beta" in line] == []
    assert written.count("topic write cityhub/v1/dust/acme/") == 6 and "topic read cityhub/v1/+/acme/receipt\n" in written

    passwords.write_text(right.replace("acme:", "akme:") + "beta:$7$101$AAAAAAAAAAAAAAAA$" + "A" * 86 + "==\n")
    access.write_text(OLD_ACCESS)
    done = guarded.run("vendor", "check", code=1)
    assert "$7$" not in done.stdout + done.stderr, "hashes are nobody's business"
    told = done.stdout.splitlines()
    assert f"{passwords}: should not be there: beta" in told and f"{passwords}: is missing: acme" in told
    assert f"{access}: should not be there: pattern write cityhub/v1/gas/%u/telemetry" in told
    assert f"{access}: should not be there: topic readwrite cityhub/v1/gas/#" in told
    assert f"{access}: is missing: topic write cityhub/v1/dust/acme/telemetry" in told
    assert "`cityhub vendor sync` makes the files anew" in done.stderr

    guarded.run("vendor", "sync")
    assert "say what the database says" in guarded.run("vendor", "check").stdout
    kept = ["user hub", "topic readwrite cityhub/#", "user monitor", "topic read cityhub/#", "topic read $SYS/#", "pattern write home/%u/#"]
    lines = [line for line in access.read_text().splitlines() if line and not line.startswith("#")]
    assert lines[:len(kept)] == kept and lines[len(kept)] == "user acme" and len(lines) == len(kept) + 8
    assert sorted(logins_of(passwords)) == ["acme", "akme", "hub"], "what is not a vendor's stays as it is"
    before = access.read_text()
    guarded.run("vendor", "sync")
    assert access.read_text() == before


def test_changed_password_and_revocation(guarded, guarded_broker, passwords, work_folder):
    first, second = secret(work_folder, "the first password", "one"), secret(work_folder, "the second password", "two")
    guarded.run("vendor", "add", "--subsystem", "dust", "--vendor", "acme", "--password-file", first)
    guarded.run("vendor", "add", "--subsystem", "gas", "--vendor", "acme")
    wait_until(lambda: login(guarded_broker, "acme", "the first password") == "Success", 30, "the login works")
    done = guarded.run("vendor", "add", "--subsystem", "dust", "--vendor", "acme", "--password-file", second)
    assert "vendor acme of dust changed" in done.stdout
    wait_until(lambda: login(guarded_broker, "acme", "the second password") == "Success", 30, "the new password works")
    assert login(guarded_broker, "acme", "the first password") != "Success", "the old one does not"

    done = guarded.run("vendor", "revoke", "--subsystem", "dust", "--vendor", "acme")
    assert "its login stays for its other subsystems" in done.stdout
    assert login(guarded_broker, "acme", "the second password") == "Success"
    done = guarded.run("vendor", "revoke", "--subsystem", "gas", "--vendor", "acme")
    assert "it has no login any more" in done.stdout
    wait_until(lambda: login(guarded_broker, "acme", "the second password") != "Success", 30, "the login is gone")
    assert logins_of(passwords) == ["hub"]
    assert "was revoked before" in guarded.run("vendor", "revoke", "--subsystem", "gas", "--vendor", "acme").stdout
    done = guarded.run("vendor", "revoke", "--subsystem", "gas", "--vendor", "nobody", code=1)
    assert 'subsystem "gas" has no vendor "nobody"' in done.stderr


def test_list(admin, database, work_folder):
    assert "There is no vendor yet" in admin.run("vendor", "list").stdout
    database.query("INSERT INTO onemap.department (code, name_zh, kind) VALUES ('street', '街道', 'street')")
    admin.run("vendor", "add", "--subsystem", "dust", "--vendor", "acme", "--name-zh", "甲公司", "--unknown-devices", "quarantine",
              "--receipts", "problems", "--silent-after", "5 minutes", "--department", "street", "--password-file", secret(work_folder))
    admin.run("vendor", "add", "--subsystem", "gas", "--vendor", "beta")
    rows = json.loads(admin.run("vendor", "list", "--json").stdout)
    assert [(row["subsystem"], row["vendor"], row["login"]) for row in rows] == [("dust", "acme", True), ("gas", "beta", False)]
    assert {key: rows[0][key] for key in ("name_zh", "unknown_devices", "receipts", "silent_after", "department", "devices", "revoked_at")} == {
        "name_zh": "甲公司", "unknown_devices": "quarantine", "receipts": "problems", "silent_after": "00:05:00", "department": "street",
        "devices": 0, "revoked_at": None}
    table = admin.run("vendor", "list").stdout
    assert "甲公司" in table and "beta" in table and "$7$" not in table


def test_file_is_replaced_as_a_whole(admin, logins, passwords):
    """Whoever reads the file at any moment finds every line that belongs in it, whole."""
    problems, stop = [], threading.Event()
    reads = 0

    def read():
        nonlocal reads
        while not stop.is_set():
            text = passwords.read_text()
            reads += 1
            if not text.startswith("hub:") or not text.endswith("\n") or any(line.count(":") != 1 for line in text.splitlines()):
                problems.append(text)
    before = passwords.stat()
    reader = threading.Thread(target=read)
    reader.start()
    try:
        for number in range(6):
            admin.run("vendor", "add", "--subsystem", "dust", "--vendor", f"v{number}", "--generate-password", logins / f"p{number}")
    finally:
        stop.set()
        reader.join()
    assert reads > 0 and not problems, f"one of {reads} readings found: {problems[0]!r}"
    after = passwords.stat()
    assert logins_of(passwords) == ["hub", "v0", "v1", "v2", "v3", "v4", "v5"]
    assert after.st_ino != before.st_ino, "it was written in place"
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid), "owner and rights are as they were"
    assert [name for name in os.listdir(logins) if ".new." in name] == [], "nothing half written is left"


def test_file_that_cannot_be_written(database, work_folder, logins):
    hub = Hub(database, Nowhere, work_folder, {"mqtt.vendor_password_file": logins / "not_there" / "passwords"})
    done = hub.run("vendor", "add", "--subsystem", "dust", "--vendor", "acme", "--password-file", secret(work_folder), code=1)
    assert "not_there/passwords: cannot be written" in done.stderr
    # The database has it; once the cause is mended `sync` brings it to the broker.
    hub = Hub(database, Nowhere, work_folder, {"mqtt.vendor_password_file": logins / "new"})
    assert f"{logins / 'new'} is written" in hub.run("vendor", "sync").stdout
    assert logins_of(logins / "new") == ["acme"]
    folder = (logins / "new").stat()
    assert (stat.S_IMODE(folder.st_mode), folder.st_gid) == (0o640, logins.stat().st_gid), "readable for the broker's group alone"


def test_sync_without_a_file(database, work_folder):
    hub = Hub(database, Nowhere, work_folder)
    for action in ("sync", "check"):
        assert "vendor_password_file and vendor_definitions_file are empty" in hub.run("vendor", action, code=1).stderr
    done = hub.run("vendor", "add", "--subsystem", "dust", "--vendor", "acme", "--password-file", secret(work_folder))
    assert "no broker is told" in done.stdout


def test_reload_that_fails_is_told(database, work_folder, passwords):
    hub = Hub(database, Nowhere, work_folder, {"mqtt.vendor_password_file": passwords, "mqtt.vendor_reload_command": "exit 3"})
    done = hub.run("vendor", "add", "--subsystem", "dust", "--vendor", "acme", "--password-file", secret(work_folder), code=1)
    assert "vendor_reload_command `exit 3` failed: the broker may not know it yet" in done.stderr
    assert logins_of(passwords) == ["acme", "hub"], "the file is written nevertheless"


def test_logins_of_others_are_kept_and_not_taken(admin, passwords, work_folder):
    with open(passwords, "a") as file:
        file.write("operator:$7$101$AAAAAAAAAAAAAAAA$" + "B" * 86 + "==")  # without a line end
    done = admin.run("vendor", "add", "--subsystem", "dust", "--vendor", "operator", "--password-file", secret(work_folder), code=1)
    assert "`operator` is a login of the broker already, and not a vendor's" in done.stderr
    admin.run("vendor", "add", "--subsystem", "dust", "--vendor", "acme", "--password-file", secret(work_folder))
    assert logins_of(passwords) == ["acme", "hub", "operator"]
    admin.run("vendor", "revoke", "--subsystem", "dust", "--vendor", "acme")
    assert logins_of(passwords) == ["hub", "operator"]


def test_secrets_are_nowhere_but_in_their_file(admin, database, cluster, passwords, work_folder):
    password = "Ungeheuer-geheim-4711"
    log = cluster.process.log_path
    start = log.stat().st_size
    database.query(f"ALTER DATABASE {database.name} SET log_statement = 'all'")
    done = admin.run("vendor", "add", "--subsystem", "dust", "--vendor", "acme", "--password-file", secret(work_folder, password))
    with open(log, "rb") as file:
        file.seek(start)
        logged = file.read().decode(errors="replace")
    assert "onemap.vendor_add" in logged, "the server logged the statements"
    stored = database.query("SELECT v::text FROM onemap.vendor v UNION ALL SELECT c::text FROM onemap.vendor_credential c"
                            " UNION ALL SELECT a::text FROM onemap.audit_log a")
    for place, text in {"output": done.stdout + done.stderr, "server log": logged, "database": str(stored), "broker's file": passwords.read_text()}.items():
        assert password not in text, f"the password is in the {place}"
    assert "$7$" not in done.stdout + done.stderr and "$7$" not in str(database.query("SELECT detail::text FROM onemap.audit_log"))
    # It cannot be given as an argument, and a mistaken try is not repeated in a complaint.
    for arguments in (("--password", password), (f"--password={password}",), ("--pass", password)):
        done = admin.run("vendor", "add", "--subsystem", "dust", "--vendor", "acme", *arguments, code=2)
        assert password not in done.stdout + done.stderr


@pytest.mark.parametrize("text, reason", [("short", "must have 12 to 1024"), ("x" * 1025, "must have 12 to 1024"), ("", "12 to 1024")],
                         ids=["short", "long", "none"])
def test_password_that_will_not_do(admin, database, passwords, work_folder, text, reason):
    done = admin.run("vendor", "add", "--subsystem", "dust", "--vendor", "acme", "--password-file", secret(work_folder, text), code=1)
    assert reason in done.stderr
    assert logins_of(passwords) == ["hub"]
    assert database.value("SELECT count(*) FROM onemap.vendor") == 0, "the vendor was added without its login"


def test_files_of_passwords(admin, work_folder):
    (work_folder / "there").write_text("something of value\n")
    done = admin.run("vendor", "add", "--subsystem", "dust", "--vendor", "acme", "--generate-password", work_folder / "there", code=1)
    assert "there: cannot be made: File exists" in done.stderr
    assert (work_folder / "there").read_text() == "something of value\n", "a file that was there is as it was"
    done = admin.run("vendor", "add", "--subsystem", "nonsense", "--vendor", "acme", "--generate-password", work_folder / "new", code=2)
    assert "--subsystem nonsense: must be one of construction_waste, dust, " in done.stderr
    done = admin.run("vendor", "add", "--subsystem", "dust", "--vendor", "acme", "--department", "nowhere", "--generate-password", work_folder / "new", code=2)
    assert '"nowhere" is no department' in done.stderr
    assert not (work_folder / "new").exists(), "a password that opens nothing is left behind"
    done = admin.run("vendor", "add", "--subsystem", "dust", "--vendor", "acme", "--password-file", work_folder / "nothing", code=1)
    assert done.stderr.startswith("cityhub: ") and "nothing: No such file or directory" in done.stderr and "event=" not in done.stderr


@pytest.mark.parametrize("arguments, reason", [
    (("add", "--vendor", "acme"), "missing: --subsystem KEY\n"), (("add",), "missing: --subsystem KEY, --vendor NAME\n"),
    (("add", "--subsystem", "dust", "--vendor", "A/b"), "--vendor A/b: must be 1 to 63 of a-z"),
    (("add", "--subsystem", "dust", "--vendor", "acme", "--receipts", "some"), "--receipts some: must be one of all, problems"),
    (("add", "--subsystem", "dust"), "missing: --vendor NAME\n"),
    (("add", "--subsystem", "dust", "--vendor", "acme", "more"), "`more` is one argument too many"),
    (("add", "--subsystem", "dust", "--vendor", "acme", "--colour", "red"), "there is no option --colour"),
    (("add", "--subsystem", "dust", "--vendor", "acme", "--password-file", "a", "--generate-password", "b"), "--password-file and --generate-password: only one of them"),
    (("list", "more"), "`more` is one argument too many"),
    (("list", "--yaml"), "there is no option --yaml"),
    (("revoke", "--subsystem", "dust"), "missing: --vendor NAME\n"),
    (("sync", "more"), "`more` is one argument too many"),
    (("nonsense",), "`nonsense` is no action"),
    ((), "usage: cityhub vendor"),
], ids=lambda value: "-".join(value) or "nothing" if isinstance(value, tuple) else "")
def test_wrong_use(admin, database, arguments, reason):
    done = admin.run("vendor", *arguments, code=2)
    assert reason in done.stderr and done.stdout == ""
    assert database.value("SELECT count(*) FROM onemap.vendor") == 0


def test_without_a_migrated_database(cluster, work_folder):
    class Empty:
        conninfo = hub_conninfo = cluster.conninfo("postgres")
    done = Hub(Empty, Nowhere, work_folder).run("vendor", "list", code=1)
    assert "run `cityhub migrate`" in done.stderr
