-- What documents bring: people and vehicles on duty (人员管控), work and its standards (作业过程, 作业标准, 作业绩效), cases.
-- supersedes: schema/007_work.sql 053acce13077afed3e4849482ab1ea95227a7edae1efdd227e51e52bd2ad2332

CREATE TABLE onemap.person (
    id            int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subsystem     text NOT NULL,
    vendor        text NOT NULL,
    code          text NOT NULL CHECK (octet_length(code) BETWEEN 1 AND 128),
    name          text NOT NULL DEFAULT '',
    role          text NOT NULL DEFAULT '',
    department_id int REFERENCES onemap.department (id),
    device_id     int,
    on_duty       boolean,
    observed_at   timestamptz NOT NULL,
    geom          public.geometry(Point, 4326),
    UNIQUE (subsystem, vendor, code),
    FOREIGN KEY (subsystem, vendor) REFERENCES onemap.vendor (subsystem, vendor)
);
COMMENT ON TABLE onemap.person IS
    'People on duty (作业人员): last message of kind staff; device_id: the terminal whose track is theirs';

CREATE TABLE onemap.vehicle (
    id            int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subsystem     text NOT NULL,
    vendor        text NOT NULL,
    code          text NOT NULL CHECK (octet_length(code) BETWEEN 1 AND 128),
    name          text NOT NULL DEFAULT '',
    role          text NOT NULL DEFAULT '',
    plate         text NOT NULL DEFAULT '',
    department_id int REFERENCES onemap.department (id),
    device_id     int,
    on_duty       boolean,
    observed_at   timestamptz NOT NULL,
    geom          public.geometry(Point, 4326),
    UNIQUE (subsystem, vendor, code),
    FOREIGN KEY (subsystem, vendor) REFERENCES onemap.vendor (subsystem, vendor)
);
COMMENT ON TABLE onemap.vehicle IS
    'Vehicles on duty (作业车辆): last message of kind staff; device_id: the on-board device whose track is theirs';

CREATE TABLE onemap.work_standard (
    id          int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subsystem   text NOT NULL REFERENCES onemap.subsystem (key),
    code        text NOT NULL CHECK (octet_length(code) BETWEEN 1 AND 128),
    name        text NOT NULL DEFAULT '',
    requirement text NOT NULL DEFAULT '',
    source      text NOT NULL DEFAULT '',
    UNIQUE (subsystem, code)
);
COMMENT ON TABLE onemap.work_standard IS 'Standards that work must meet (作业标准); source: whose standard it is';

CREATE TABLE onemap.work_order (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subsystem     text NOT NULL,
    vendor        text NOT NULL,
    code          text NOT NULL CHECK (octet_length(code) BETWEEN 1 AND 128),
    title         text NOT NULL DEFAULT '',
    status        text NOT NULL CHECK (status IN ('PLANNED', 'STARTED', 'FINISHED', 'CANCELLED')),
    standard_id   int REFERENCES onemap.work_standard (id),
    department_id int REFERENCES onemap.department (id),
    person_id     int REFERENCES onemap.person (id),
    vehicle_id    int REFERENCES onemap.vehicle (id),
    device_id     int,
    planned_start timestamptz,
    planned_end   timestamptz,
    started_at    timestamptz,
    finished_at   timestamptz,
    quantity      float8,
    quantity_unit text NOT NULL DEFAULT '',
    quality_score float8 CHECK (quality_score BETWEEN 0 AND 100),
    result        text NOT NULL DEFAULT '',
    observed_at   timestamptz NOT NULL,
    geom          public.geometry(Point, 4326),
    UNIQUE (subsystem, vendor, code),
    FOREIGN KEY (subsystem, vendor) REFERENCES onemap.vendor (subsystem, vendor),
    CONSTRAINT work_order_planned_end_after_start CHECK (planned_end >= planned_start),
    CONSTRAINT work_order_finished_after_started CHECK (finished_at >= started_at)
);
COMMENT ON TABLE onemap.work_order IS 'Work (作业): what was to be done, by which standard, how it went; last state by observed_at';
CREATE INDEX work_order_open ON onemap.work_order (subsystem, status) WHERE status IN ('PLANNED', 'STARTED');

CREATE TABLE onemap.case_inbox (
    subsystem   text NOT NULL,
    vendor      text NOT NULL,
    code        text NOT NULL CHECK (octet_length(code) BETWEEN 1 AND 128),
    record      jsonb NOT NULL,
    received_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (subsystem, vendor, code),
    FOREIGN KEY (subsystem, vendor) REFERENCES onemap.vendor (subsystem, vendor)
);
COMMENT ON TABLE onemap.case_inbox IS 'Problems as subsystems reported them (topic kind case), for the case module';
