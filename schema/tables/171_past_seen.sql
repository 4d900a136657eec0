-- The readings at a moment say when the device was heard of last, too (schema/rules/past.sql).
DROP FUNCTION IF EXISTS onemap.readings_as_of(int, timestamptz, timestamptz);
