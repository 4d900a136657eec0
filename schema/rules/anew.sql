-- What is made anew whenever the rules are run, so that nothing stays of what a file no longer says: who may call which
-- function and read which view, and the list of sweeps. The files after this one say all of it again; nobody else sees the time
-- between, as all of them are one transaction.

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA onemap FROM PUBLIC, cityhub_hub, cityhub_api, cityhub_read;
DO $$
DECLARE v record;
BEGIN
    FOR v IN SELECT c.oid::regclass AS name FROM pg_catalog.pg_class c
             WHERE c.relnamespace = 'onemap'::regnamespace AND c.relkind = 'v' LOOP
        EXECUTE pg_catalog.format('REVOKE ALL ON %s FROM PUBLIC, cityhub_hub, cityhub_api, cityhub_read', v.name);
    END LOOP;
END $$;
DELETE FROM onemap.sweep;
