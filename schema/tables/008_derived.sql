-- Marks of the sweeps that judge periods one by one, and who may read what migrate did.
-- supersedes: schema/008_derived.sql 8da7b557ec840a743f4afef381413a5a5f68bae0fd9d4dba97b51bfdc9341d28
-- supersedes: schema/009_command.sql 59de28eb5796e813d6c96c2abf79a2688179a81b0fe9392a99baa4ce7e4ad4e3

-- ---- sweeps ----
CREATE TABLE onemap.sweep_mark (
    name       text PRIMARY KEY,
    judged_to  timestamptz NOT NULL
);
COMMENT ON TABLE onemap.sweep_mark IS 'Up to when a sweep that judges periods one by one (slots, hours, days) has judged';
GRANT USAGE ON SCHEMA cityhub_meta TO cityhub_hub, cityhub_api, cityhub_read;
GRANT SELECT ON ALL TABLES IN SCHEMA cityhub_meta TO cityhub_hub, cityhub_api, cityhub_read;
