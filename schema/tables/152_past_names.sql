-- Alarm rules and vendors as they stood before they were changed, so that an alarm of the past has the name, the limit and the
-- department that held then: versions beside the tables, as in 121_past.sql. Of those that are there already nothing older is
-- known: they count as having been so always.

DO $$
DECLARE t record;
BEGIN
    FOR t IN SELECT x.what, x.key FROM (VALUES ('alarm_rule', 'id'), ('vendor', 'subsystem, vendor')) AS x (what, key) LOOP
        EXECUTE pg_catalog.format('CREATE TABLE onemap.%I (LIKE onemap.%I, until_at timestamptz NOT NULL, there boolean NOT NULL,
            past_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY)', t.what || '_past', t.what);
        EXECUTE pg_catalog.format('CREATE INDEX %I ON onemap.%I (%s, until_at, past_id)', t.what || '_past_key', t.what || '_past',
            t.key);
        EXECUTE pg_catalog.format('CREATE INDEX %I ON onemap.%I (until_at)', t.what || '_past_until', t.what || '_past');
        EXECUTE pg_catalog.format('COMMENT ON TABLE onemap.%I IS %L', t.what || '_past', pg_catalog.format('Versions of onemap.%s '
            'that were over at until_at; not there: until then there was none. A column added there is added here too', t.what));
        EXECUTE pg_catalog.format('GRANT SELECT ON onemap.%I TO cityhub_hub, cityhub_read', t.what || '_past');
    END LOOP;
END $$;

-- It asks for a moment too now.
DROP FUNCTION IF EXISTS onemap.http_case_csv_line(onemap.case_record, bigint);
