-- Alarms: rules (limits with their source), what they found, conditions that hold but not yet long enough, and the sweeps.
-- supersedes: schema/005_alarm.sql 7ae977b5b52300fb5ab15715ebb4798b38a5085262f6a75f8d1e2c0e54a6be6d

CREATE TABLE onemap.alarm_rule (
    id              int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subsystem       text NOT NULL REFERENCES onemap.subsystem (key),
    key             text NOT NULL CHECK (key ~ '^[a-z][a-z0-9_]*$'),
    name_zh         text NOT NULL,
    kind            text NOT NULL CHECK (kind IN ('threshold', 'derived', 'offline', 'silent')),
    metric          text,
    device_kind     text,
    comparison      text CHECK (comparison IN ('above', 'below', 'equals')),
    threshold       float8,
    clear_threshold float8,
    duration_s      int NOT NULL DEFAULT 0 CHECK (duration_s BETWEEN 0 AND 604800),
    severity        text NOT NULL CHECK (severity IN ('info', 'minor', 'major', 'critical')),
    source          text NOT NULL CHECK (source <> ''),
    category_code   text,
    window_from     time,
    window_to       time,
    enabled         boolean NOT NULL DEFAULT true,
    edited          boolean NOT NULL DEFAULT false,
    UNIQUE (subsystem, key),
    FOREIGN KEY (subsystem, metric) REFERENCES onemap.metric (subsystem, key),
    FOREIGN KEY (subsystem, device_kind) REFERENCES onemap.device_kind (subsystem, key),
    CHECK (kind <> 'threshold' OR (metric IS NOT NULL AND comparison IS NOT NULL AND threshold IS NOT NULL)),
    CHECK (comparison <> 'above' OR clear_threshold <= threshold),
    CHECK (comparison <> 'below' OR clear_threshold >= threshold),
    CHECK ((window_from IS NULL) = (window_to IS NULL))
);
COMMENT ON TABLE onemap.alarm_rule IS
    'Limits: threshold beyond which (for duration_s) an alarm opens, clear_threshold at which it closes (hysteresis), local time '
    'window, source of the limit, case category it opens; edited = changed by the county, defaults leave it alone';

CREATE TABLE onemap.alarm (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rule_id         int NOT NULL REFERENCES onemap.alarm_rule (id),
    device_id       int NOT NULL DEFAULT 0,
    vendor          text NOT NULL DEFAULT '',
    opened_at       timestamptz NOT NULL,
    closed_at       timestamptz,
    value           float8,
    closing_value   float8,
    close_reason    text,
    severity        text NOT NULL,
    detail          jsonb NOT NULL DEFAULT '{}',
    recorded_at     timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    acknowledged_at timestamptz,
    acknowledged_by text,
    UNIQUE (rule_id, device_id, vendor, opened_at),
    CHECK (closed_at >= opened_at)
);
COMMENT ON TABLE onemap.alarm IS
    'Alarms, one open per device and rule; device_id 0: of a whole vendor; opened_at/closed_at: time of the record that did it';
CREATE UNIQUE INDEX alarm_one_open ON onemap.alarm (rule_id, device_id, vendor) WHERE closed_at IS NULL;
CREATE INDEX alarm_device ON onemap.alarm (device_id, opened_at);

CREATE TABLE onemap.alarm_pending (
    device_id int NOT NULL,
    rule_id   int NOT NULL REFERENCES onemap.alarm_rule (id) ON DELETE CASCADE,
    since     timestamptz NOT NULL,
    PRIMARY KEY (device_id, rule_id)
);
COMMENT ON TABLE onemap.alarm_pending IS
    'Conditions that hold but not yet for the rule''s duration; lets the duration survive a restart';

CREATE TABLE onemap.sweep (
    function_name text PRIMARY KEY CHECK (function_name ~ '^[a-z][a-z0-9_]*_sweep$'),
    subsystem     text REFERENCES onemap.subsystem (key)
);
COMMENT ON TABLE onemap.sweep IS
    'Functions onemap.<function_name>() that the hub calls periodically to judge what single records cannot show';
