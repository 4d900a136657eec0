-- Records are settled in sets: the functions that took them turn by turn are gone, and those that settle know the batch's stamp.
DROP FUNCTION IF EXISTS onemap.observation_judge(int, timestamptz, timestamptz);
DROP FUNCTION IF EXISTS onemap.observation_change(int, timestamptz, timestamptz);
DROP FUNCTION IF EXISTS onemap.observation_settle();
DROP FUNCTION IF EXISTS onemap.track_point_settle();
-- What a redelivered batch brings is recognised by what it was replaced by.
GRANT SELECT ON onemap.observation_revision TO cityhub_hub;
-- A replay says when the message came first.
DROP FUNCTION IF EXISTS onemap.quarantine_message(bigint);
-- Records of documents, too, are merged or revised, and a replayed one is older than what came since.
DROP FUNCTION IF EXISTS onemap.message_store(jsonb, bytea);
DROP FUNCTION IF EXISTS onemap.inventory_put(text, text, jsonb);
DROP FUNCTION IF EXISTS onemap.staff_put(text, text, jsonb);
DROP FUNCTION IF EXISTS onemap.work_put(text, text, jsonb);
