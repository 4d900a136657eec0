-- Rows instead of a record: the planner takes it into the statement then.
DROP FUNCTION IF EXISTS onemap.state_merge(float8[], timestamptz[], bigint, float8[], timestamptz[], bigint, timestamptz);
