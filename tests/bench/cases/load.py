"""Load for the bench of transitions: pgbench scripts, their run, and what their logs say. Knows nothing of how the cases came
to be there; changes nothing but through the statements that it measures."""
import math
import os
import pathlib
import resource
import statistics
import subprocess
import time

from harness import paths
from harness.process import run_as, wait_until

CLIENTS = 50
WARM_S = 10  # of each leg, not counted: connections, plans and caches
WARM_CASES = 6  # of each client, its last: every connection takes them all the way before it is measured, and takes it back

# The way of a case, (action, role, other fields). DEPARTMENT stands for the code of the case's department.
STEPS = (
    ("accept", "acceptor", ""), ("register", "registrar", ""), ("dispatch", "dispatcher", ', "department": "DEPARTMENT"'),
    ("handle", "department", ', "unit": "DEPARTMENT"'),
    ("feed_back", "department", ', "unit": "DEPARTMENT", "reason": "已清理完毕", "attachments": [{"uri": "media/2026/11/after.jpg", "sha256": "'
     + "5f" * 32 + '", "size_bytes": 248113, "media_type": "image/jpeg"}]'),
    ("check", "supervisor", ""), ("close", "registrar", ""))
LATE_MS = 2000  # in an open loop whoever is so late is not served; what the warming-up has made late goes so
LAG = 60  # a client comes back to a case, for its next step, after this many rounds of all steps: some 20,000 cases are under way
DEPARTMENTS = 60

READY = "SELECT nextval('bench.warm') AS ready \\gset\n\\set n 0\n"
BARE = "\\if :n < 0\n" + READY + """\\endif
\\set id random(:first_open, :last_open)
UPDATE bench.bare SET version = version + 1 WHERE id = :id;
"""


def call(version, action, role, fields, case, department):
    """The SQL call of one step; case and department: expressions for the numbers in their codes."""
    fields = fields.replace("DEPARTMENT", f"D' || ({department}) || '")
    return (f"""onemap.case_do(('{{"case": "20261101-' || {case} || '", "action": "{action}", "role": "{role}", "actor": "{role} 王建国", """
            f""""version": {version}{fields}}}')::jsonb)""")


def case_script():
    """Each pgbench transaction is one transition, each of another case; the steps take turns. n counts a client's transitions."""
    lines = ["\\if :n < 0", "BEGIN;", "SELECT bench.warm_up(:first_case + (:client_id + 1) * :cases_each);", "ROLLBACK;", READY.strip(),
             "SELECT c.n FROM bench.client c WHERE c.id = :client_id \\gset", "\\endif",
             f"\\set step :n % {len(STEPS)}",
             f"\\set id :first_case + :client_id * :cases_each + :n / {len(STEPS)} + ({len(STEPS) - 1} - :step) * {LAG}",
             f"\\set department 10 + :id % {DEPARTMENTS}", "\\set n :n + 1"]
    for version, (action, role, fields) in enumerate(STEPS, start=1):
        lines += [f"\\{'if' if version == 1 else 'elif'} :step = {version - 1}", f"SELECT {call(version, action, role, fields, ':id', ':department')};"]
    return "\n".join(lines + ["\\endif", ""])


def warm_function():
    """Takes the cases before one with a given number from report to closing: the caller rolls back."""
    steps = "\n".join(f"        PERFORM {call(version, *step, 'id', '10 + id % ' + str(DEPARTMENTS))};" for version, step in enumerate(STEPS, start=1))
    return (f"CREATE FUNCTION bench.warm_up(after bigint) RETURNS void LANGUAGE plpgsql AS $$\nBEGIN\n"
            f"    FOR id IN after - {WARM_CASES} .. after - 1 LOOP\n{steps}\n    END LOOP;\nEND $$")


def cpu_seconds(pid):
    """CPU time of a process and of the children that it has waited for."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(int(x) for x in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def server_cpu(postmaster):
    """CPU time of the whole server so far: one moment, so take it while the same processes run."""
    total = 0.0
    children = pathlib.Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    for pid in (str(postmaster), *children):
        try:
            total += cpu_seconds(pid)
        except FileNotFoundError:
            pass
    return total


class Leg:
    """What one run of pgbench measured, its warming-up left out: latencies in ms (infinite: not served), rate of those served in
    1/s, CPU in us for each."""

    def __init__(self, latencies, seconds, server_s, client_us):
        served = sum(x < math.inf for x in latencies)
        self.latencies, self.rate = latencies, served / seconds
        self.server_us, self.client_us = server_s * 1e6 / served, client_us

    @property
    def median(self):
        return statistics.median(self.latencies)


class Load:
    """Runs legs against one database; counts what each client has done, and fails if the server refused anything."""

    def __init__(self, database, variables):
        self.database, self.variables = database, variables
        self.folder = database.cluster.folder / "load"
        self.folder.mkdir()
        os.chmod(self.folder, 0o777)
        for name, text in (("case", case_script()), ("bare", BARE)):
            (self.folder / f"{name}.sql").write_text(text)
        self.done, self.warmed = [0] * CLIENTS, 0
        database.query(warm_function())
        database.query("CREATE SEQUENCE bench.warm")
        database.query("CREATE TABLE bench.client (id int PRIMARY KEY, n int NOT NULL)")
        database.query("INSERT INTO bench.client SELECT g, 0 FROM generate_series(0, %s - 1) g", CLIENTS)

    def run(self, name, seconds, rate=None):
        for old in self.folder.glob("log.*"):
            old.unlink()
        self.database.query("CHECKPOINT")  # every leg pays for its own full page images
        events = self.database.value("SELECT count(*) FROM onemap.case_event")
        argv = [paths.postgres_program("pgbench"), "--no-vacuum", "-c", CLIENTS, "-j", 2, "-M", "prepared", "-T", seconds + WARM_S, "-l",
                "--log-prefix", self.folder / "log", "-f", self.folder / f"{name}.sql", "-D", "n=-1"]
        argv += [x for key, value in self.variables.items() for x in ("-D", f"{key}={value}")]
        argv += ["-R", rate, "-L", LATE_MS] if rate else []
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        child = subprocess.Popen([str(a) for a in argv] + [self.database.conninfo], cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                 text=True, **run_as(self.database.cluster.user))
        postmaster = self.database.cluster.process.child.pid
        start = time.monotonic()
        wait_until(lambda: child.poll() is not None or self.database.value("SELECT last_value FROM bench.warm") >= self.warmed + CLIENTS, 60,
                   "all connections are warm")
        self.warmed += CLIENTS
        time.sleep(max(0.0, start + WARM_S - time.monotonic()))
        left = start + WARM_S + seconds - 0.5 - time.monotonic()
        if left < seconds / 2:
            raise RuntimeError(f"of {seconds} s {left:.1f} were left when all connections were warm: WARM_S is too short for this machine")
        begin, cpu = time.time(), server_cpu(postmaster)
        time.sleep(left)
        end, cpu = time.time(), server_cpu(postmaster) - cpu
        output = child.communicate()[0]
        if child.returncode != 0 or "aborted" in output:
            raise RuntimeError(f"pgbench {name} failed:\n{output}")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        client = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return self._read(name, begin, end, cpu, client, events)

    def _read(self, name, begin, end, cpu, client_cpu, events):
        latencies, total = [], 0
        for log in self.folder.glob("log.*"):
            for line in log.read_text().splitlines():
                client, _, latency, _, at_s, at_us = line.split()[:6]
                served = latency != "skipped"
                total += served
                if name == "case" and served:
                    self.done[int(client)] += 1
                if begin <= int(at_s) + int(at_us) / 1e6 < end:
                    latencies.append(int(latency) / 1000 if served else math.inf)
        if name == "case":
            written = self.database.value("SELECT count(*) FROM onemap.case_event") - events
            if written != total:
                raise RuntimeError(f"{total} transitions answered, {written} in the journal")
            self.database.query("UPDATE bench.client c SET n = d.n FROM unnest(%s) WITH ORDINALITY d (n, place) WHERE c.id = d.place - 1", self.done)
        return Leg(latencies, end - begin, cpu, client_cpu * 1e6 / total)
