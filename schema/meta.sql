-- What `cityhub migrate` itself needs before it can keep account of anything: run whenever something of it is missing, so every
-- statement must do no harm where it is there already. Not numbered; nothing else of the schema belongs here.

CREATE SCHEMA IF NOT EXISTS cityhub_meta;
COMMENT ON SCHEMA cityhub_meta IS 'What cityhub migrate did to this database';

CREATE TABLE IF NOT EXISTS cityhub_meta.migration (
    version    int PRIMARY KEY CHECK (version BETWEEN 1 AND 999),
    name       text NOT NULL UNIQUE,
    checksum   text NOT NULL CHECK (checksum ~ '^[0-9a-f]{64}$'),
    applied_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    applied_by text NOT NULL DEFAULT session_user,
    duration   interval NOT NULL,
    build      text NOT NULL
);
COMMENT ON TABLE cityhub_meta.migration IS
    'Applied schema files, by number; checksum: SHA-256 of the file as it was applied';

CREATE TABLE IF NOT EXISTS cityhub_meta.migration_superseded (
    name          text PRIMARY KEY,
    version       int NOT NULL,
    checksum      text NOT NULL,
    applied_at    timestamptz NOT NULL,
    applied_by    text NOT NULL,
    duration      interval NOT NULL,
    build         text NOT NULL,
    superseded_by text NOT NULL,
    superseded_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
COMMENT ON TABLE cityhub_meta.migration_superseded IS
    'Schema files of an earlier build that this database had applied, and the file that takes their place now';

CREATE TABLE IF NOT EXISTS cityhub_meta.rule_run (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_at         timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    run_by         text NOT NULL DEFAULT session_user,
    build          text NOT NULL,
    schema_version int,
    duration       interval NOT NULL
);
COMMENT ON TABLE cityhub_meta.rule_run IS
    'When, by whom and by which build the rules were run, all in one transaction; schema_version: the last numbered file then';

CREATE TABLE IF NOT EXISTS cityhub_meta.rule_edition (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id   bigint NOT NULL REFERENCES cityhub_meta.rule_run (id),
    name     text NOT NULL,
    checksum text CHECK (checksum ~ '^[0-9a-f]{64}$'),
    UNIQUE (run_id, name)
);
COMMENT ON TABLE cityhub_meta.rule_edition IS
    'Every edition of every file of rules since it came into force; the last row of a file is the one in force. checksum: SHA-256 '
    'of the file, NULL = the file was withdrawn';

-- What earlier builds recorded of the adapters' files: one run each, at its time; by whom was not recorded.
DO $$
DECLARE old record; run bigint;
BEGIN
    IF pg_catalog.to_regclass('cityhub_meta.repeatable') IS NOT NULL THEN
        FOR old IN SELECT r.name, r.checksum, r.applied_at, r.schema_version, r.duration, r.build
                   FROM cityhub_meta.repeatable r ORDER BY r.applied_at, r.name LOOP
            INSERT INTO cityhub_meta.rule_run (run_at, run_by, build, schema_version, duration)
            VALUES (old.applied_at, '', old.build, old.schema_version, old.duration) RETURNING id INTO run;
            INSERT INTO cityhub_meta.rule_edition (run_id, name, checksum) VALUES (run, old.name, old.checksum);
        END LOOP;
        DROP TABLE cityhub_meta.repeatable;
    END IF;
END $$;
