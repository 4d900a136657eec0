-- Working time: days, office hours, units of limits, and the spans in which each clock runs.
-- supersedes: schema/100_calendar.sql ee01c0bb5e800c1879824c7d9278c033f902e255327a71e2bc466a31dab90dd9

CREATE TABLE onemap.calendar_day (
    day     date PRIMARY KEY,
    working boolean NOT NULL,
    kind    text NOT NULL CHECK (kind IN ('workday', 'weekend', 'holiday', 'makeup')),
    name_zh text NOT NULL DEFAULT '',
    source  text NOT NULL DEFAULT '',
    CHECK (working = (kind IN ('workday', 'makeup')))
);
COMMENT ON TABLE onemap.calendar_day IS
    'Every day of the working calendar: workday, weekend, holiday (法定节假日及调休放假) or makeup (调休上班); source: the State '
    'Council notice that made it so, empty = plain week';

CREATE TABLE onemap.office_schedule (
    schedule text PRIMARY KEY CHECK (schedule ~ '^[a-z][a-z0-9_]{0,31}$' AND schedule NOT IN ('continuous', 'day')),
    name_zh  text NOT NULL,
    source   text NOT NULL CHECK (source <> '')
);
COMMENT ON TABLE onemap.office_schedule IS 'Office hours (办公时间) by name; a department names the one it keeps';

-- Seasons are given as month * 100 + day, both ends included; one that begins after it ends spans the new year.
CREATE TABLE onemap.office_period (
    schedule    text NOT NULL REFERENCES onemap.office_schedule (schedule) ON DELETE CASCADE,
    season_from int NOT NULL DEFAULT 101 CHECK (season_from BETWEEN 101 AND 1231),
    season_to   int NOT NULL DEFAULT 1231 CHECK (season_to BETWEEN 101 AND 1231),
    opens       time NOT NULL,
    closes      time NOT NULL,
    PRIMARY KEY (schedule, season_from, opens),
    CHECK (opens < closes)
);
COMMENT ON TABLE onemap.office_period IS
    'The periods of a working day in which an office is open, by season (month * 100 + day, inclusive)';

ALTER TABLE onemap.department ADD COLUMN schedule text NOT NULL DEFAULT 'standard' REFERENCES onemap.office_schedule (schedule);
COMMENT ON COLUMN onemap.department.schedule IS
    'Office hours that the department keeps: limits in working hours (工作时) run by them';

CREATE TABLE onemap.time_unit (
    unit       text PRIMARY KEY,
    name_zh    text NOT NULL UNIQUE,
    seconds    int NOT NULL CHECK (seconds > 0),
    clock      text NOT NULL CHECK (clock IN ('continuous', 'day', 'office')),
    definition text NOT NULL,
    source     text NOT NULL
);
COMMENT ON TABLE onemap.time_unit IS
    'Units of limits; clock: continuous = always running, day = the 24 hours of working days, office = the department''s office '
    'hours';

CREATE TABLE onemap.working_span (
    clock     text NOT NULL,
    opens_at  timestamptz NOT NULL,
    closes_at timestamptz NOT NULL,
    before_s  bigint NOT NULL CHECK (before_s >= 0),
    PRIMARY KEY (clock, opens_at),
    UNIQUE (clock, before_s),
    CHECK (opens_at < closes_at)
);
COMMENT ON TABLE onemap.working_span IS
    'When each clock runs (clock: day, or the name of an office schedule), and how many seconds it had run before each span; '
    'built by onemap.working_span_build()';
GRANT SELECT ON onemap.working_span, onemap.calendar_day, onemap.office_schedule, onemap.office_period, onemap.time_unit
    TO cityhub_api;
