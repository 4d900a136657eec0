"""A writer of case journals for the tests of scores: random histories that obey onemap.case_transition, or given ones. It
writes the rows of case_event itself, with deadlines and findings as docs/cases.md says, as history is loaded."""
import datetime as dt
import json

import psycopg2.extras

COUNTY = dt.timezone(dt.timedelta(hours=8))
FINAL = {"closed", "rejected", "voided", "merged"}
COLUMNS = ("case_id", "case_code", "seq", "at", "recorded_at", "action", "from_state", "to_state", "role", "actor", "recorded_by", "department",
           "previous_department", "source", "catalogue_version", "category", "grid_cell", "street", "limit_unit", "deadline_at", "overdue_s",
           "stage_deadline_at", "flags", "satisfaction", "previous_hash", "hash")


def prepare(database, departments):
    """The county's departments [(code, name, kind)] and an empty catalogue, version 1."""
    database.query("INSERT INTO onemap.case_catalogue (version, content_sha256, conditions) VALUES (1, '\\x00', 0) ON CONFLICT DO NOTHING")
    for position, (code, name, kind) in enumerate(departments):
        database.query("INSERT INTO onemap.department (code, name_zh, kind, position) VALUES (%s, %s, %s, %s)", code, name, kind, position)


def transitions(database):
    """{from_state: [(action, role, to_state)]} as the database has it."""
    table = {}
    for action, role, from_state, to_state in database.query(
            "SELECT action, role, from_state, to_state FROM onemap.case_transition ORDER BY from_state, action, role"):
        table.setdefault(from_state, []).append((action, role, to_state))
    return table


def write(database, events):
    """Appends events (dicts) to the journal, and the rows of case_record that they refer to."""
    connection = database.connect(autocommit=False)
    with connection, connection.cursor() as cursor:
        psycopg2.extras.execute_values(cursor, """INSERT INTO onemap.case_record (id, code, state, source, catalogue_version, reported_at,
            stage_entered_at, event_count, last_event_at, last_hash) OVERRIDING SYSTEM VALUE VALUES %s ON CONFLICT DO NOTHING""",
            [(e["case_id"], e["case_code"], "reported", e["source"], 1, e["at"], e["at"], 1, e["at"], b"\0") for e in events if e["seq"] == 1])
        psycopg2.extras.execute_values(cursor, f"INSERT INTO onemap.case_event ({', '.join(COLUMNS)}) VALUES %s",
                                       [tuple(e.get(c) for c in COLUMNS) for e in events], page_size=500)
    connection.close()


def event(case_id, seq, at, action, from_state, to_state, **more):
    return {"case_id": case_id, "case_code": f"C{case_id:05d}", "seq": seq, "at": at, "recorded_at": at, "action": action,
            "from_state": from_state, "to_state": to_state, "role": "system", "actor": "nobody", "recorded_by": "test", "source": "supervisor",
            "catalogue_version": 1, "category": "20101", "grid_cell": "410221001001001", "street": "410221001", "limit_unit": "work_day",
            "flags": [], "previous_hash": b"\0", "hash": b"\0", **more}


class RandomCase:
    """One case that lives at random: `random` decides, the table of transitions says what may happen."""

    def __init__(self, random, case_id, begin, table, departments, sources):
        self.random, self.table, self.departments = random, table, departments
        self.id, self.at, self.state, self.seq = case_id, begin, None, 0
        self.source = random.choice(sources)
        self.cell = f"410221{random.randrange(1, 4):03d}{random.randrange(1, 4):03d}001"
        self.category = random.choice(["10101", "20101", "20102", "20305"])
        self.unit = random.choice(["work_day", "work_hour", "urgent_hour", "urgent_day"])
        self.department = self.deadline = self.stage_deadline = self.kept_deadline = self.resume = None
        self.remaining = dt.timedelta(0)
        self.events = []

    def append(self, action, role, to_state, **more):
        self.seq += 1
        previous = more.pop("previous_department", None)
        self.events.append(event(self.id, self.seq, self.at, action, self.state, to_state, role=role, source=self.source,
                                 actor=f"{role}{self.random.randrange(3)}", department=self.department, previous_department=previous,
                                 category=self.category, grid_cell=self.cell, street=self.cell[:9], deadline_at=self.deadline,
                                 limit_unit=self.unit if self.department else None, stage_deadline_at=self.stage_deadline, **more))
        self.state = to_state
        self.stage_deadline = self.at + dt.timedelta(hours=self.random.randrange(1, 48)) if self.random.random() < 0.8 else None

    def pass_time(self):
        # Now and then something happens at the very moment of a deadline, or at once.
        kind = self.random.random()
        if kind < 0.05 and self.deadline is not None and self.deadline > self.at:
            self.at = self.deadline
        elif kind > 0.1:
            self.at += dt.timedelta(minutes=self.random.randrange(1, 60 * 24 * 6))

    def step(self):
        weights = {"void": 0.05, "reject": 0.2, "merge": 0.05, "suspend": 0.3, "attach": 0.1, "supervise": 0.15, "retime": 0.1, "flag": 0.25, "remind": 0.15}
        choices = self.table.get(self.state, [])
        if not choices:
            return False
        action, role, to_state = self.random.choices(choices, [weights.get(c[0], 1) for c in choices])[0]
        before, late, more = self.department, None, {}
        to_state = self.state if to_state == "=" else to_state
        if self.deadline is not None and self.at > self.deadline:
            late = int((self.at - self.deadline).total_seconds())
        if action == "dispatch":
            self.department = self.random.choice(self.departments)
            self.deadline = self.at + dt.timedelta(hours=self.random.randrange(2, 24 * 12))
            if before not in (None, self.department):
                more = {"previous_department": before, "flags": ["wrong_dispatch"]}
        elif action == "suspend":
            self.resume, self.kept_deadline = self.state, self.deadline
            self.remaining = self.deadline - self.at if self.deadline else None
            self.deadline = None
        elif action == "resume":
            to_state = self.resume
            self.deadline = self.at + self.remaining if self.remaining is not None else None
        elif action in ("grant_extension", "retime") and self.deadline is not None:
            self.deadline += dt.timedelta(hours=self.random.randrange(1, 24 * 5))
        elif action == "flag":
            more = {"flags": [self.random.choice(["shirking", "fraud", "poor_cooperation"])]}
        elif action == "refuse_return" and self.random.random() < 0.5:
            more = {"flags": ["shirking"]}
        elif action == "call_back":
            more = {"satisfaction": self.random.choice(["satisfied", "basically_satisfied", "dissatisfied"])}
        elif action == "classify":
            self.category = self.random.choice(["10101", "20101", "20102", "20305"])
        self.append(action, role, to_state, overdue_s=late, **more)
        return self.state not in FINAL or self.random.random() < 0.3

    def live(self, most=25):
        self.append("report", "supervisor", "reported")
        for _ in range(most):
            self.pass_time()
            if not self.step():
                break
        return self.events


def dump(value):
    return json.dumps(value, ensure_ascii=False)
