-- Statistics: what each case contributes to each month, the months, measures and rates.
-- supersedes: schema/110_statistics.sql bca9d93a522b9470305267c47dbfe52d9a6933970007d8f03bdeec75195ce259

CREATE TABLE onemap.score_case (
    month        date NOT NULL CHECK (extract(day FROM month) = 1),
    case_id      bigint NOT NULL,
    duty         int NOT NULL,
    case_code    text NOT NULL,
    department   text NOT NULL,
    source       text NOT NULL,
    category     text NOT NULL,
    grid_cell    text NOT NULL,
    street       text NOT NULL,
    urgent       boolean NOT NULL,
    handle_due_at timestamptz,
    close_due_at timestamptz,
    deferred_at  timestamptz,
    handled      smallint NOT NULL,
    handled_in_time smallint NOT NULL,
    closed       smallint NOT NULL,
    closed_in_time smallint NOT NULL,
    reported     smallint NOT NULL,
    accepted     smallint NOT NULL,
    accepted_in_time smallint NOT NULL,
    rejected     smallint NOT NULL,
    verified     smallint NOT NULL,
    refuted      smallint NOT NULL,
    registered   smallint NOT NULL,
    registered_in_time smallint NOT NULL,
    dispatched   smallint NOT NULL,
    dispatched_in_time smallint NOT NULL,
    wrong_dispatch smallint NOT NULL,
    feed_backs   smallint NOT NULL,
    feed_backs_late smallint NOT NULL,
    returned     smallint NOT NULL,
    returns_refused smallint NOT NULL,
    rework_times smallint NOT NULL,
    rework_third smallint NOT NULL,
    checked      smallint NOT NULL,
    checked_in_time smallint NOT NULL,
    closings     smallint NOT NULL,
    extensions_asked smallint NOT NULL,
    extended     smallint NOT NULL,
    suspended    smallint NOT NULL,
    resumed      smallint NOT NULL,
    supervised   smallint NOT NULL,
    reminded     smallint NOT NULL,
    voided       smallint NOT NULL,
    merged       smallint NOT NULL,
    shirking     smallint NOT NULL,
    fraud        smallint NOT NULL,
    poor_cooperation smallint NOT NULL,
    satisfied    smallint NOT NULL,
    basically_satisfied smallint NOT NULL,
    dissatisfied smallint NOT NULL,
    PRIMARY KEY (month, case_id, duty)
);
COMMENT ON TABLE onemap.score_case IS
    'What a case contributes to a month (county time), by duty: 0 = before any department has it. Derived from case_event, see '
    'score_case_derive(); the counters are events of the month, handled to closed_in_time the state at its end of what fell due '
    'in it';
COMMENT ON COLUMN onemap.score_case.department IS 'Code of the department that has the case in this duty; empty = none yet';
COMMENT ON COLUMN onemap.score_case.urgent IS 'The handling limit is counted by the clock (紧急工作时, 紧急工作日)';
COMMENT ON COLUMN onemap.score_case.handle_due_at IS 'When it fell due for handling (应处置), if in this month';
COMMENT ON COLUMN onemap.score_case.close_due_at IS 'When it fell due for closing (应结案), if in this month';
COMMENT ON COLUMN onemap.score_case.deferred_at IS 'When it would have fallen due in this month, but was suspended (挂账、缓办)';
COMMENT ON COLUMN onemap.score_case.rework_third IS '1 in the month of the third rework of the duty';
CREATE INDEX score_case_department ON onemap.score_case (month, department);

-- The journal is written in the order of time and deadlines follow it: a block range index finds a month's deadlines at
-- next to no cost for the writer.
CREATE INDEX case_event_deadline ON onemap.case_event USING brin (deadline_at) WITH (pages_per_range = 32, autosummarize = on);

CREATE TABLE onemap.score_month (
    month      date PRIMARY KEY CHECK (extract(day FROM month) = 1),
    built_at   timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    closed_at  timestamptz,
    closed_by  text,
    through_id bigint,
    formula_version int,
    CHECK (num_nulls(closed_at, closed_by, through_id, formula_version) IN (0, 4))
);
COMMENT ON TABLE onemap.score_month IS
    'Months whose rows of score_case are there. Closed: its figures are final, they hold the events of the journal up to '
    'through_id, and later ones count through adjustments alone';

CREATE TABLE onemap.score_dirty (
    case_id bigint NOT NULL,
    at      timestamptz NOT NULL
);
COMMENT ON TABLE onemap.score_dirty IS 'Cases with events that score_case does not have yet; at: the earliest of these events';

-- Measures (指标) that statistics and formulas name. expression: over rows r of score_case; $1 = as of (a due moment that has
-- not come yet does not count). Only migrations write here: the expressions become part of a statement.
CREATE TABLE onemap.score_measure (
    measure    text PRIMARY KEY CHECK (measure ~ '^[a-z_]+$'),
    name_zh    text NOT NULL UNIQUE,
    position   int NOT NULL UNIQUE,
    expression text NOT NULL
);
COMMENT ON TABLE onemap.score_measure IS 'What is counted, by name: sums over score_case';

CREATE TABLE onemap.score_rate (
    rate        text PRIMARY KEY CHECK (rate ~ '^[a-z_]+_rate$'),
    name_zh     text NOT NULL UNIQUE,
    position    int NOT NULL UNIQUE,
    numerator   text[] NOT NULL,
    denominator text[] NOT NULL
);
COMMENT ON TABLE onemap.score_rate IS 'Rates (%): sums of measures over sums of measures; a leading - subtracts';
GRANT SELECT ON onemap.score_measure, onemap.score_rate TO cityhub_api;
