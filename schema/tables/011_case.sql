-- Cases (案卷): the state machine's words, the record of each case, its journal, attachments, alarms and warnings. Every figure
-- of the statistics can be computed from case_event alone.
-- supersedes: schema/102_case.sql 58086854eceed49103b357bf0e1211ae14b4fcb28bf16fbbd6885da1315dbec9
-- supersedes: schema/103_case_flow.sql 65b6fcc52565a14ac3f9eec516f6fdbfa229fafba8c2eb9c7dadfdf6b7ea6c59
-- supersedes: schema/104_case_operation.sql 8533dfe83acb6a792b68379a119450803d7c80d0cbc932ca97ebe038fd5df634
-- supersedes: schema/105_case_reader.sql 23492a172abbf4346922403bae572fcc2656ae4c299e281607906bb84f4392bc
-- supersedes: schema/106_case_request.sql 9c79f0b015a599b1f890f770efcc0b2e2d6e801cfa886d6ba0fe6f91d809e578

CREATE TABLE onemap.case_state (
    state    text PRIMARY KEY,
    name_zh  text NOT NULL UNIQUE,
    position int NOT NULL UNIQUE,
    final    boolean NOT NULL,
    with_department boolean NOT NULL
);
COMMENT ON TABLE onemap.case_state IS 'States of a case; final: nothing is left to do; with_department: the handling limit runs';

CREATE TABLE onemap.case_role (
    role    text PRIMARY KEY,
    name_zh text NOT NULL UNIQUE
);
COMMENT ON TABLE onemap.case_role IS 'Posts (岗位) of the closed loop; system: the hub itself (alarms, subsystems, calendar)';

CREATE TABLE onemap.case_source (
    source  text PRIMARY KEY,
    name_zh text NOT NULL UNIQUE
);
COMMENT ON TABLE onemap.case_source IS 'Where cases come from (案卷来源)';

CREATE TABLE onemap.case_action (
    action          text PRIMARY KEY,
    name_zh         text NOT NULL UNIQUE,
    reason_required boolean NOT NULL DEFAULT false,
    fields          text[] NOT NULL DEFAULT '{}'
);
COMMENT ON TABLE onemap.case_action IS
    'What can be done with a case; reason_required: not without a reason; fields: what a request may say beyond the fields '
    'common to all';

-- to_state '=': the state stays; '<': back to the state before the suspension.
CREATE TABLE onemap.case_transition (
    action     text NOT NULL REFERENCES onemap.case_action (action),
    role       text NOT NULL REFERENCES onemap.case_role (role),
    from_state text NOT NULL REFERENCES onemap.case_state (state),
    to_state   text NOT NULL,
    PRIMARY KEY (action, from_state, role)
);
COMMENT ON TABLE onemap.case_transition IS
    'The state machine (状态机): who may do what in which state, and what comes of it; to_state = : stays, < : the state before '
    'the suspension';

CREATE TABLE onemap.case_report_right (
    source text NOT NULL REFERENCES onemap.case_source (source),
    role   text NOT NULL REFERENCES onemap.case_role (role),
    PRIMARY KEY (source, role)
);
COMMENT ON TABLE onemap.case_report_right IS
    'Which post may report cases of which source: the transition that has no state before it';

CREATE TABLE onemap.case_stage_limit (
    state       text PRIMARY KEY REFERENCES onemap.case_state (state),
    limit_value numeric NOT NULL CHECK (limit_value > 0),
    limit_unit  text NOT NULL REFERENCES onemap.time_unit (unit),
    source      text NOT NULL CHECK (source <> '')
);
COMMENT ON TABLE onemap.case_stage_limit IS
    'How long a case may stay in a state of the centre''s own (受理、核实、立案、派遣、核查、结案时限); counted by the clock '
    'where the condition''s limit is an urgent one';

CREATE TABLE onemap.case_record (
    id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code              text NOT NULL UNIQUE,
    version           int NOT NULL DEFAULT 1,
    state             text NOT NULL,
    source            text NOT NULL REFERENCES onemap.case_source (source),
    title             text NOT NULL DEFAULT '',
    description       text NOT NULL DEFAULT '',
    reporter          text NOT NULL DEFAULT '',
    address           text NOT NULL DEFAULT '',
    catalogue_version int NOT NULL REFERENCES onemap.case_catalogue (version),
    category_code     text,
    condition_number  int,
    geom              public.geometry(Point, 4326),
    grid_cell         char(15),
    street            char(9),
    component_code    char(16),
    device_id         int,
    subsystem         text,
    vendor            text,
    external_code     text,
    department_id     int REFERENCES onemap.department (id),
    candidates        int[] NOT NULL DEFAULT '{}',
    merged_into       bigint REFERENCES onemap.case_record (id),
    reported_at       timestamptz NOT NULL,
    accepted_at       timestamptz,
    registered_at     timestamptz,
    dispatched_at     timestamptz,
    handled_at        timestamptz,
    checked_at        timestamptz,
    ended_at          timestamptz,
    limit_value       numeric,
    limit_unit        text,
    clock             text,
    limit_s           numeric,
    clock_started_at  timestamptz,
    remaining_s       numeric,
    deadline_at       timestamptz,
    warn_at           timestamptz,
    stage_entered_at  timestamptz NOT NULL,
    stage_deadline_at timestamptz,
    resume_state      text,
    asked_extension   jsonb,
    asked_suspension  text,
    rework_count      int NOT NULL DEFAULT 0,
    return_count      int NOT NULL DEFAULT 0,
    wrong_dispatch_count int NOT NULL DEFAULT 0,
    extension_count   int NOT NULL DEFAULT 0,
    suspension_count  int NOT NULL DEFAULT 0,
    supervision_count int NOT NULL DEFAULT 0,
    reminder_count    int NOT NULL DEFAULT 0,
    flags             text[] NOT NULL DEFAULT '{}',
    satisfaction      text CHECK (satisfaction IN ('satisfied', 'basically_satisfied', 'dissatisfied')),
    event_count       int NOT NULL,
    last_event_at     timestamptz NOT NULL,
    last_hash         bytea NOT NULL,
    FOREIGN KEY (catalogue_version, category_code) REFERENCES onemap.case_category (version, code),
    FOREIGN KEY (catalogue_version, category_code, condition_number) REFERENCES onemap.case_condition (version, category_code,
        number),
    CONSTRAINT case_record_state_known CHECK (state IN ('reported', 'accepted', 'verifying', 'verified', 'registered', 'dispatched',
        'handling', 'returned', 'handled', 'checked', 'suspended', 'closed', 'rejected', 'voided', 'merged')),
    CONSTRAINT case_record_unit_known CHECK (limit_unit IN ('urgent_hour', 'work_hour', 'work_day', 'urgent_day')),
    CHECK ((state = 'merged') = (merged_into IS NOT NULL)),
    CHECK ((state = 'suspended') = (resume_state IS NOT NULL)),
    CHECK ((state IN ('closed', 'rejected', 'voided', 'merged')) = (ended_at IS NOT NULL)),
    CHECK ((clock_started_at IS NOT NULL) = (state IN ('dispatched', 'handling', 'returned')))
) WITH (fillfactor = 70);
COMMENT ON TABLE onemap.case_record IS
    'Cases (案卷) as they stand; what they went through is in case_event. limit_s: seconds of its clock that the handling '
    'department has, extensions included; clock_started_at: when the clock was last set going, NULL while it stands; '
    'remaining_s: seconds left then, or since it stands; deadline_at: end of the handling limit; warn_at: when the warning '
    'before it is due; street: first 9 digits of the grid cell';
-- What changes with every transition (state, deadline) is named by CHECK and not by foreign keys, whose row locks all
-- transitions would share, and stands in no index nor in an index's condition, so that updates stay HOT. Open cases are few.
CREATE INDEX case_record_open ON onemap.case_record (id) WHERE ended_at IS NULL;
CREATE INDEX case_record_reported ON onemap.case_record (reported_at);
CREATE INDEX case_record_department ON onemap.case_record (department_id, reported_at);
CREATE INDEX case_record_device ON onemap.case_record (device_id, category_code) WHERE device_id IS NOT NULL;
CREATE INDEX case_record_geom ON onemap.case_record USING gist (geom);
CREATE UNIQUE INDEX case_record_alarm ON onemap.case_record (device_id, category_code) WHERE source = 'alarm' AND ended_at IS NULL;
CREATE UNIQUE INDEX case_record_external ON onemap.case_record (subsystem, vendor, external_code) WHERE external_code IS NOT NULL;
CREATE INDEX case_record_merged ON onemap.case_record (merged_into) WHERE merged_into IS NOT NULL;

CREATE TABLE onemap.case_contact (
    case_id bigint PRIMARY KEY REFERENCES onemap.case_record (id),
    name    text NOT NULL DEFAULT '',
    phone   text NOT NULL DEFAULT ''
);
COMMENT ON TABLE onemap.case_contact IS
    'Who reported and how to call back: personal data, kept apart and not readable by cityhub_read';
REVOKE ALL ON onemap.case_contact FROM cityhub_read, cityhub_hub;

-- The journal. It names departments, categories and grid cells by code, so that it can be judged alone. No foreign keys: the
-- functions of rules/case_writer.sql, its only writers, write nothing that case_transition does not have, and case_chain_check()
-- looks again.
CREATE TABLE onemap.case_event (
    id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    case_id           bigint NOT NULL,
    case_code         text NOT NULL,
    seq               int NOT NULL CHECK (seq > 0),
    at                timestamptz NOT NULL,
    recorded_at       timestamptz NOT NULL,
    action            text NOT NULL,
    from_state        text,
    to_state          text NOT NULL,
    role              text NOT NULL,
    actor             text NOT NULL,
    recorded_by       text NOT NULL,
    department        text,
    previous_department text,
    source            text NOT NULL,
    catalogue_version int NOT NULL,
    category          text,
    condition_number  int,
    grid_cell         char(15),
    street            char(9),
    limit_value       numeric,
    limit_unit        text,
    deadline_at       timestamptz,
    used_s            numeric,
    overdue_s         numeric,
    stage_deadline_at timestamptz,
    flags             text[] NOT NULL DEFAULT '{}',
    satisfaction      text,
    reason            text,
    detail            jsonb NOT NULL DEFAULT '{}',
    previous_hash     bytea NOT NULL,
    hash              bytea NOT NULL,
    UNIQUE (case_id, seq)
);
COMMENT ON TABLE onemap.case_event IS
    'The journal of cases: one row per action, never changed; hash: SHA-256 over previous_hash and the row, see '
    'onemap.case_event_hash(). Columns are explained one by one';
COMMENT ON COLUMN onemap.case_event.at IS 'When it happened; never before the event before it';
COMMENT ON COLUMN onemap.case_event.recorded_at IS 'When it was written; later than at only for loaded history';
COMMENT ON COLUMN onemap.case_event.recorded_by IS 'Database login that wrote it';
COMMENT ON COLUMN onemap.case_event.department IS 'Code of the department responsible after the event';
COMMENT ON COLUMN onemap.case_event.previous_department IS
    'Code of the department responsible before the event, where it is another: on dispatch the one that had it wrongly';
COMMENT ON COLUMN onemap.case_event.deadline_at IS
    'End of the handling limit as it stands after the event; NULL before dispatch and while suspended';
COMMENT ON COLUMN onemap.case_event.used_s IS
    'Seconds of the handling clock used up at the event, suspensions left out; from dispatch on';
COMMENT ON COLUMN onemap.case_event.overdue_s IS
    'Seconds of the handling clock by which the event came after the deadline in force before it; NULL = not overdue';
COMMENT ON COLUMN onemap.case_event.stage_deadline_at IS
    'Deadline of the stage (from_state) that the event took place in: after it = late';
COMMENT ON COLUMN onemap.case_event.flags IS
    'Findings of this event: wrong_dispatch (错误派遣), shirking (推诿), fraud (弄虚作假), poor_cooperation (配合不力), '
    'unfounded (不属实), overdue (超期), stage_overdue (环节超时), direct (未接单直接反馈)';
CREATE INDEX case_event_at ON onemap.case_event (at);
REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON onemap.case_event FROM PUBLIC, cityhub_hub, cityhub_api, cityhub_read;

CREATE TABLE onemap.case_seal (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sealed_at   timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    through_id  bigint NOT NULL,
    events      bigint NOT NULL,
    previous_hash bytea NOT NULL,
    hash        bytea NOT NULL
);
COMMENT ON TABLE onemap.case_seal IS
    'Seals of the whole journal: hash over the previous seal and the hashes of all events up to through_id, so that a case taken '
    'away whole shows too; publish the last one outside';
REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON onemap.case_seal FROM PUBLIC, cityhub_hub, cityhub_api, cityhub_read;

CREATE TABLE onemap.case_seal_due (
    through_id bigint NOT NULL,
    settled_at pg_catalog.xid8 NOT NULL
);
COMMENT ON TABLE onemap.case_seal_due IS
    'The next seal: events up to through_id, once no transaction older than settled_at runs that could still add one below it';

CREATE TABLE onemap.case_attachment (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    case_id    bigint NOT NULL REFERENCES onemap.case_record (id),
    seq        int NOT NULL,
    uri        text NOT NULL CHECK (length(uri) BETWEEN 1 AND 2000),
    sha256     bytea NOT NULL CHECK (octet_length(sha256) = 32),
    size_bytes bigint NOT NULL CHECK (size_bytes >= 0),
    media_type text NOT NULL CHECK (media_type ~ '^[a-z]+/[a-zA-Z0-9.+-]+$'),
    FOREIGN KEY (case_id, seq) REFERENCES onemap.case_event (case_id, seq)
);
COMMENT ON TABLE onemap.case_attachment IS
    'References to photographs and documents with hash, size and type; seq: the event that brought them, whose detail has them too';
CREATE INDEX case_attachment_case ON onemap.case_attachment (case_id);

CREATE TABLE onemap.case_alarm (
    alarm_id bigint PRIMARY KEY,
    case_id  bigint NOT NULL REFERENCES onemap.case_record (id),
    seq      int NOT NULL,
    close_seq int,
    FOREIGN KEY (case_id, seq) REFERENCES onemap.case_event (case_id, seq)
);
COMMENT ON TABLE onemap.case_alarm IS
    'Alarms that became a case or were attached to one, by event seq; close_seq: the event that noted the alarm''s end, 0 = the '
    'case had ended before';
CREATE INDEX case_alarm_case ON onemap.case_alarm (case_id);
CREATE INDEX case_alarm_standing ON onemap.case_alarm (alarm_id) WHERE close_seq IS NULL;

CREATE TABLE onemap.case_warning (
    case_id     bigint NOT NULL REFERENCES onemap.case_record (id),
    kind        text NOT NULL CHECK (kind IN ('due_soon', 'overdue', 'stage_overdue')),
    deadline_at timestamptz NOT NULL,
    warned_at   timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (case_id, kind, deadline_at)
);
COMMENT ON TABLE onemap.case_warning IS
    'Warnings given, once per case and deadline: before the handling limit ends (due_soon), after it, after a stage''s limit';
GRANT SELECT ON onemap.case_state, onemap.case_role, onemap.case_source, onemap.case_action, onemap.case_transition,
    onemap.case_report_right, onemap.case_stage_limit TO cityhub_api;
