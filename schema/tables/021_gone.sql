-- Functions that rules no longer make.

-- onemap.local_midnight() is the same.
DROP FUNCTION IF EXISTS onemap.score_day_start(date);
-- The clock follows the state (onemap.case_enter), so the time of a suspension is nothing to it.
DROP FUNCTION IF EXISTS onemap.case_suspend(onemap.case_record, text, jsonb, timestamptz);
