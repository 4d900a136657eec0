-- Readings beyond the upper limit of the instrument, as their senders say (over_range): stored with the quality bit that readings
-- outside the metric's physical range have; that they are within it tells them from these. An hour that has any says what they
-- stand for at least.
ALTER TABLE onemap.observation_hourly ADD COLUMN above_least float8[] NOT NULL DEFAULT '{}';
ALTER TABLE onemap.rollup_stage ADD COLUMN above_least float8[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN onemap.observation_hourly.flagged_above IS
    'By ordinal: readings above the metric''s physical range, or beyond the instrument''s upper limit as their sender says; they '
    'are in no other figure';
COMMENT ON COLUMN onemap.observation_hourly.above_least IS
    'By ordinal: the least of those that flagged_above counts within the metric''s physical range, NULL = there are none';
COMMENT ON TABLE onemap.observation_raw IS
    'Records of days that are not packed yet, and what came for packed ones since: readings[metric.ordinal]; quality: bit '
    '(ordinal - 1) set = outside the physical range, or, if it is within, beyond the instrument''s upper limit as the sender says; '
    'NULL = neither';

-- It has other arguments now.
DROP FUNCTION IF EXISTS onemap.observation_fate(float8[], jsonb, float8[], jsonb);
