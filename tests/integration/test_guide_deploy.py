"""docs/deploy.md from its packages to its backup, as an administrator types it, on a throw-away machine (harness/machine.py): the blocks
of the page in their order, and the edits of files that it asks for. Nothing is put there that the page does not speak of; what is built
and installed is the build under test."""
import re

import pytest

from harness import guides, paths
from harness.machine import Machine, possible
from harness.process import wait_until

SETTINGS = "/etc/cityhub/cityhub.ini"
SEND = ("mosquitto_pub -h broker.example.org -p 8883 --cafile /root/cityhub-authority/authority.crt -V {version} -q 1 -u acme -i acme"
        " -P \"$(cat acme.password)\" -t cityhub/v1/gas/acme/telemetry -m '[{{\"device_code\": \"G-1\", \"observed_at_ms\": '$(date +%s%3N)',"
        " \"pressure_kpa\": {value}}}]'")
VALUES = "runuser -u postgres -- psql -At cityhub -c \"SELECT string_agg(pressure_kpa::text, ' ' ORDER BY observed_at) FROM onemap.gas\""


class Administrator:
    def __init__(self, machine):
        self.machine, self.page = machine, guides.examples(paths.ROOT / "docs" / "deploy.md")

    def follow(self, name):
        """Types a block. The build under test is there already: of the two lines that build, what is left is to install it."""
        text = re.sub(r"^cmake -G .*\n", "", self.page[name], flags=re.M)
        text = text.replace("ninja -C build/release && cmake --install build/release", f"cmake --install {paths.build_folder()}")
        return self.machine.type(text)

    def edit(self, path, change):
        file = self.machine.inside(path)
        file.write_text(change(file.read_text()))

    def set(self, name):
        """Writes a block of settings into the configuration, each in the place of the shipped one."""
        section, *lines = self.page[name].splitlines()

        def change(text):
            head, begin, rest = text.partition(f"{section}\n")
            body, following, tail = rest.partition("\n[")
            for line in lines:
                body, found = re.subn(rf"^{line.split(' =')[0]} =.*$", line, body, flags=re.M)
                assert found == 1, f"the shipped configuration has no place for `{line}`"
            return head + begin + body + following + tail
        self.edit(SETTINGS, change)

    def values(self, wanted):
        wait_until(lambda: self.machine.type(VALUES).strip() == wanted, 30, f"the readings {wanted} are in the one map")


@pytest.fixture(scope="module")
def administrator(logs):
    if not possible():
        pytest.skip("a throw-away machine needs root, and a kernel that lets it mount an overlay")
    machine = Machine(logs / "machine.log")
    try:
        machine.start()
        # As a fresh machine is: the packages are there, and no cluster.
        machine.type("rm -rf /etc/postgresql/* /var/lib/postgresql/*; echo '127.0.0.1 broker.example.org' >> /etc/hosts")
        yield Administrator(machine)
    finally:
        machine.close()


def test_from_packages_to_a_restored_backup(administrator):
    machine, follow = administrator.machine, administrator.follow
    follow("install")
    follow("cluster")
    large_pages = int(machine.type("sed -n 's/^vm.nr_hugepages = //p' /etc/sysctl.d/60-cityhub.conf"))
    assert large_pages * 2 > 4096, "as many as the shipped settings' 4 GB need"
    follow("start of the database")
    follow("roles")
    administrator.edit("/etc/postgresql/15/main/pg_hba.conf",
                       lambda text: re.sub(r"^local", administrator.page["hba"] + "local", text, count=1, flags=re.M))
    administrator.edit("/etc/postgresql/15/main/pg_ident.conf", lambda text: text + administrator.page["ident"])
    machine.type("systemctl reload postgresql@15-main")
    administrator.set("database settings")
    follow("schema")
    assert machine.type("runuser -u postgres -- psql -At cityhub -c 'SHOW max_locks_per_transaction; SHOW data_checksums'") == "512\non\n"
    follow("certificate")
    follow("mosquitto")
    administrator.set("mosquitto settings")
    follow("vendor")
    follow("county")

    # What it shows goes on until it is stopped.
    hub = administrator.page["hub"]
    shown = hub[hub.index("cityhub status"):]
    assert shown.splitlines() == ["cityhub status --follow", "journalctl -u cityhub -f"]
    machine.type(hub.removesuffix(shown))
    complaints = machine.type("systemd-analyze verify /etc/systemd/system/cityhub.service 2>&1 || true")
    assert "cityhub.service" not in complaints, complaints
    wait_until(lambda: "200" in machine.type("curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8080/readyz"), 60, "the hub is ready")
    status = machine.type("cityhub status")
    assert "gas" in status
    # They are this machine's own and were not set aside for the test: so the hub says what is missing.
    assert f"set vm.nr_hugepages to {large_pages} or more" in status
    assert machine.type("ps -o user= -C cityhubd").split() == ["cityhub"]
    machine.type(SEND.format(version="mqttv5", value=2.5))
    administrator.values("2.5")
    assert "say what the database says" in machine.type("cityhub vendor check")

    follow("backup")
    machine.type(SEND.format(version="mqttv5", value=3.5))
    administrator.values("2.5 3.5")
    follow("restore")
    administrator.values("2.5")
    machine.type(SEND.format(version="mqttv5", value=4.5))
    administrator.values("2.5 4.5")
    follow("update")
    machine.type(SEND.format(version="mqttv311", value=5.5))
    administrator.values("2.5 4.5 5.5")


def test_rabbitmq(administrator):
    """A county that changes to RabbitMQ: the first test's machine goes on."""
    machine = administrator.machine
    machine.type("systemctl stop cityhub mosquitto")
    # The package is there already.
    recipe = administrator.page["rabbitmq"]
    install, rest = recipe.split("\n", 1)
    assert install == "apt-get install --no-install-recommends rabbitmq-server"
    machine.type(rest, timeout_s=180)
    administrator.set("rabbitmq settings")
    # Passwords are hashed for one broker: a vendor that comes now.
    machine.type(administrator.page["vendor"].replace("--vendor acme", "--vendor acme2").replace("acme.password", "acme2.password"))
    machine.type("systemctl start cityhub")
    wait_until(lambda: "200" in machine.type("curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8080/readyz"), 60, "the hub is ready")
    machine.type(SEND.format(version="mqttv311", value=6.5).replace("acme", "acme2"))
    administrator.values("2.5 4.5 5.5 6.5")
