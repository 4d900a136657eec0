-- The records of a message of kind interval are worked out before anything is stored (schema/rules/interval.sql): thousands of one
-- interval took longer than a statement may.
DROP TRIGGER IF EXISTS interval_value_keep ON onemap.interval_value;
DROP FUNCTION IF EXISTS onemap.interval_keep();
DROP FUNCTION IF EXISTS onemap.interval_put(text, text, jsonb, timestamptz);
DROP FUNCTION IF EXISTS onemap.interval_other_put(int, timestamptz, int, jsonb, timestamptz);
DROP FUNCTION IF EXISTS onemap.interval_pick(boolean, float8, float8);
DROP FUNCTION IF EXISTS onemap.interval_flat(int, timestamptz, int);
DROP FUNCTION IF EXISTS onemap.member_store(jsonb, jsonb, timestamptz);
DROP FUNCTION IF EXISTS onemap.record_put(text, text, text, jsonb, timestamptz);
