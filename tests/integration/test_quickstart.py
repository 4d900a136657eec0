"""deploy/quickstart.sh as a newcomer calls it: from nothing to all subsystems' records, Ctrl-C leaves nothing behind,
a second start goes on with the data. On ports and in a folder of its own; with the build under test."""
import contextlib
import os
import pathlib
import pty
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import psycopg2
import pytest
import requests

from harness import paths
from harness.process import wait_until

SCRIPT = paths.ROOT / "deploy" / "quickstart.sh"


def ctrl_c_is_heard():
    """A suite that was started in the background (`tests/run.sh &`) hands on an ignored SIGINT, which no shell can trap."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Quickstart:
    def __init__(self, var):
        self.var, self.child, self.screen = var, None, b""
        self.environment = {**os.environ, "CITYHUB_VAR": str(var), "CITYHUB_BUILD": str(paths.build_folder()),
                            "CITYHUB_SPEED": "15"}

    def run(self, *arguments, code=0, timeout_s=300, input=""):
        done = subprocess.run([SCRIPT, *map(str, arguments)], env=self.environment, capture_output=True, text=True,
                              timeout=timeout_s, input=input)
        assert done.returncode == code, f"exit status {done.returncode}, not {code}\n{done.stdout}{done.stderr}\n{self.logs()}"
        return done

    def start(self, *arguments):
        """As a person starts it: with a terminal of its own."""
        self.terminal, other = pty.openpty()
        self.child = subprocess.Popen([SCRIPT, *arguments], env=self.environment, stdin=other, stdout=other, stderr=other,
                                      start_new_session=True, preexec_fn=ctrl_c_is_heard)
        os.close(other)
        self.screen = b""
        self.reader = threading.Thread(target=self._look, daemon=True)
        self.reader.start()

    def _look(self):
        """A terminal that nobody reads stops whoever writes to it."""
        try:
            while some := os.read(self.terminal, 65536):
                self.screen += some
        except OSError:
            pass  # nobody has it open any more

    def read(self):
        return self.screen.decode(errors="replace")

    def end(self, timeout_s=200):
        """Ctrl-C, to the whole foreground process group as the terminal does it."""
        os.killpg(self.child.pid, signal.SIGINT)
        try:
            return self.child.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still there {timeout_s} s after Ctrl-C:\n{self.read()}") from None

    def logs(self):
        return "\n".join(f"--- {path.name}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-15:])
                         for path in sorted((self.var / "log").glob("*.log")))

    def settings(self):
        return dict(line.split("=") for line in (self.var / "ports").read_text().split())

    def query(self, sql):
        folder = self.var / "socket_folder"
        data = self.var / "data_folder"
        data = pathlib.Path(data.read_text().strip()) if data.exists() else self.var / "data"
        socket = folder.read_text().strip() if folder.exists() else data / "socket"
        connection = psycopg2.connect(f"host={socket} port={self.settings()['postgres_port']} user=postgres dbname=cityhub")
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall()
        finally:
            connection.close()

    def processes(self):
        """Command lines of all processes that have to do with this folder."""
        found = []
        for folder in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                where = os.readlink(folder / "cwd")
            except OSError:
                continue
            if int(folder.name) != os.getpid() and (str(self.var) in command or where.startswith(str(self.var))):
                found.append(f"{folder.name} {command}")
        return found


@pytest.fixture
def quickstart(work_folder):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="cityhub-quick-"))
    folder.chmod(0o755)
    quickstart = Quickstart(folder / "var")
    yield quickstart
    if quickstart.child is not None and quickstart.child.poll() is None:
        quickstart.child.terminate()
        quickstart.child.wait(200)  # every part that does not end is killed after a while: 145 s for all of them
    subprocess.run([SCRIPT, "--stop"], env=quickstart.environment, capture_output=True, timeout=200)
    (work_folder / "screen.log").write_bytes(quickstart.screen)
    if (quickstart.var / "log").exists():
        shutil.copytree(quickstart.var / "log", work_folder / "quickstart-log", dirs_exist_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def test_from_nothing_and_on_again(quickstart):
    done = quickstart.run("--seconds", 25)
    every = len(paths.SUBSYSTEMS)
    assert f"records of {every} of {every} subsystems were stored" in done.stdout, done.stdout + quickstart.logs()
    ranking = done.stdout[done.stdout.index("the ranking of "):].splitlines()
    month = ranking[0].split()[3]
    assert f"month {month} is played: 1500 cases" in done.stdout
    assert [line.split()[0] for line in ranking[3:6]] == ["1", "2", "3"] and "优秀" in ranking[3], ranking[:6]
    for ending in ("bulletin.html", "bulletin.xlsx", "ranking.csv"):
        assert (quickstart.var / "bulletin" / f"{month}-{ending}").stat().st_size > 1000
    # Devices that speak HJ 212 and JT/T 808: what the gateway took is stored.
    arrived = {line.split()[1]: (int(line.split()[2]), int(line.split()[-1])) for line in done.stdout.splitlines() if line.startswith("gateway: ")}
    assert {protocol: count for protocol, (count, _) in arrived.items()} == {"hj212": 6, "jt808": 12}, done.stdout
    assert all(stored > 0 for _, stored in arrived.values()), done.stdout + quickstart.logs()
    assert "quickstart-gateway" in done.stdout
    assert quickstart.processes() == []
    first_ports = quickstart.settings()

    started = time.monotonic()
    quickstart.start()
    wait_until(lambda: "cityhub is at work" in quickstart.read() or quickstart.child.poll() is not None, 120,
               "the second start is done")
    assert quickstart.child.poll() is None, quickstart.read() + quickstart.logs()
    second_s = time.monotonic() - started
    assert ranking[3] in quickstart.read().replace("\r", "") and "playing" not in quickstart.read(), "the ranking that is stored"
    assert quickstart.query("SELECT count(*) FROM onemap.assessment_publication") == [(1,)]
    assert quickstart.settings() == first_ports
    before = quickstart.query("SELECT count(*) FROM onemap.observation")[0][0]
    assert before > 2000, "the data of the first start is there"
    devices = quickstart.query("SELECT count(*) FROM onemap.device")[0][0]
    wait_until(lambda: quickstart.query("SELECT count(*) FROM onemap.observation")[0][0] > before + 200, 60,
               "records are stored on top of them")
    assert quickstart.query("SELECT count(*) FROM onemap.device")[0][0] == devices
    assert quickstart.query("SELECT count(*) FROM onemap.quarantine") == [(0,)]

    refused = quickstart.run("--seconds", 5, code=1)
    assert "runs already" in refused.stderr
    assert "sanitation" in quickstart.run("--status").stdout

    wait_until(lambda: "sanitation" in quickstart.read(), 30, "the live status shows")
    assert quickstart.end() == 130, quickstart.read()
    assert quickstart.processes() == []
    print(f"the second start took {second_s:.1f} s")


def test_demo_vendor_gets_in(quickstart):
    """What the script prints works: a mosquitto_pub that knows the login alone, and nobody without one."""
    quickstart.start("--no-cases")
    wait_until(lambda: "cityhub is at work" in quickstart.read() or quickstart.child.poll() is not None, 240, "it is at work")
    assert quickstart.child.poll() is None, quickstart.read() + quickstart.logs()
    data = quickstart.var / "data"
    port = quickstart.settings()["broker_port"]

    def publish(topic, user):
        login = ["-u", user, "-P", (data / "secrets" / f"{user}.password").read_text().strip()] if user else []
        message = '{"device_code": "mine-1", "observed_at_ms": %d, "pm25_ug_m3": 35.2}' % (time.time() * 1000)
        return subprocess.run(["mosquitto_pub", "-V", "mqttv5", "-q", "1", "-h", "127.0.0.1", "-p", port, *login, "-t", topic,
                               "-m", message], capture_output=True, text=True, timeout=30)
    assert publish("cityhub/v1/dust/demo/telemetry", None).returncode != 0
    publish("cityhub/v1/dust/sim/telemetry", "demo")
    assert publish("cityhub/v1/dust/demo/telemetry", "demo").returncode == 0
    stored = wait_until(lambda: quickstart.query("SELECT device_code, pm25_ug_m3 FROM onemap.dust WHERE device_code = 'mine-1'"),
                        60, "the record is in onemap.dust")
    assert stored == [("mine-1", 35.2)]
    password = (quickstart.var / "admin.password").read_text().strip()
    assert (data / "secrets" / "admin.password").stat().st_mode & 0o777 == 0o600 and quickstart.read().count(password) == 1
    url = f"http://127.0.0.1:{quickstart.settings()['http_port']}/api/v1"
    with requests.Session() as session:
        assert session.post(f"{url}/login", json={"login": "admin", "password": password}, timeout=30).status_code == 200
        assert session.get(f"{url}/me", timeout=30).json()["posts"] == ["admin"]
    assert quickstart.query("SELECT vendor FROM onemap.device WHERE code = 'mine-1'") == [("demo",)], "nothing under another's name"
    assert quickstart.query("SELECT count(*) FROM onemap.audit_log WHERE action = 'simulate_cases'") == [(0,)]
    quickstart.run("--stop")  # from another terminal
    assert quickstart.child.wait(60) == 143 and quickstart.processes() == [], quickstart.read()
    assert "no answer" not in quickstart.read(), "the live status goes first"


def test_ports_that_are_taken(quickstart):
    """The broker's, and that of HJ 212, whose next one is JT/T 808's."""
    with contextlib.ExitStack() as taken:
        for port in (18830, 9001):
            held = taken.enter_context(socket.socket())
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                held.bind(("127.0.0.1", port))
            except OSError:
                continue  # somebody else has it: so much the better
            held.listen()
        # One second is too short for all subsystems: the exit status is not the point here.
        done = subprocess.run([SCRIPT, "--seconds", "1", "--no-cases"], env=quickstart.environment, capture_output=True, text=True,
                              timeout=300)
    assert "port 18830 is taken" in done.stdout and "port 9001 is taken" in done.stdout, done.stdout + done.stderr
    settings = quickstart.settings()
    assert settings["broker_port"] != "18830" and settings["hj212_port"] != "9001"
    assert len(set(settings.values())) == len(settings) == 6, settings
    assert "has ended instead of starting" not in done.stderr, done.stderr


def test_what_the_machine_carries(quickstart):
    told = quickstart.run("--bench", "--seconds", "1").stdout
    for line in ("this machine ", "disk ", "COPY ", "hub, batches ", "hub, singles ", "storage ", "tiles "):
        assert re.search(f"^{line}.*[1-9]", told, re.MULTILINE), told
    assert not list(quickstart.var.parent.glob("var-bench/data*")), "nothing is left"


def test_port_of_a_connection():
    """That goes out by it: nobody listens there, and nobody else can. Once it has ended it is free."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as out:
        asked = ["bash", "-c", f"var=/nowhere; . {paths.ROOT}/deploy/quickstart_lib.sh; port_taken {out.getsockname()[1]}"]
        assert subprocess.run(asked, check=False).returncode == 0
        out.close()
        assert subprocess.run(asked, check=False).returncode == 1


def test_wrong_use(quickstart):
    for arguments in (["--seconds", "soon"], ["--seconds"], ["--faster"]):
        quickstart.run(*arguments, code=2)
    assert "nothing runs here" in quickstart.run("--status", code=1).stderr


def test_clean_asks(quickstart):
    (quickstart.var / "data").mkdir(parents=True)
    (quickstart.var / "data" / "precious").write_text("x")
    # What stands for a part that runs: the question comes before anything is stopped.
    (quickstart.var / "run").mkdir()
    part = subprocess.Popen(["sleep", "300"])
    started = pathlib.Path(f"/proc/{part.pid}/stat").read_text().rpartition(") ")[2].split()[19]
    (quickstart.var / "run" / "simulate.pid").write_text(f"{part.pid} {started}\n")
    quickstart.run("--clean", code=1, input="n\n")
    assert (quickstart.var / "data" / "precious").exists() and part.poll() is None
    quickstart.run("--clean", code=1, input="")
    assert part.poll() is None, "nothing answered is no"
    quickstart.run("--clean", input="y\n")
    assert part.wait(20) != 0
    assert not (quickstart.var / "data").exists()
