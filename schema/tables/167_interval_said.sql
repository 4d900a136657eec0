-- A record of kind interval is read once (onemap.interval_said), with its message's metrics looked up before.
DROP FUNCTION IF EXISTS onemap.interval_flaws(text, jsonb);
DROP FUNCTION IF EXISTS onemap.interval_said(text, jsonb);
DROP FUNCTION IF EXISTS onemap.interval_after(jsonb, jsonb, int, timestamptz, jsonb, jsonb);
