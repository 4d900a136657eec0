-- The simulator's functions and the role that writes the past leave a county's database; `cityhub migrate --simulation` brings
-- them where they are wanted. The role itself belongs to the whole cluster and stays.

DROP FUNCTION IF EXISTS onemap.simulation_box(jsonb), onemap.simulation_check(), onemap.simulation_prepare(jsonb),
    onemap.simulation_facts(date), onemap.simulation_month(jsonb);
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'cityhub_history') THEN
        REVOKE ALL ON SCHEMA onemap FROM cityhub_history;
        REVOKE ALL ON ALL FUNCTIONS IN SCHEMA onemap FROM cityhub_history;
    END IF;
END $$;

-- What migrate did is for everybody to see, editions of rules included.
GRANT SELECT ON ALL TABLES IN SCHEMA cityhub_meta TO cityhub_hub, cityhub_api, cityhub_read;
