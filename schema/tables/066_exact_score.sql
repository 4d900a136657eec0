-- Grades, ranks and limits by exact figures. What was closed and published before stays what it was made by.
ALTER TABLE onemap.score_month ADD COLUMN exact boolean NOT NULL DEFAULT true;
UPDATE onemap.score_month SET exact = false WHERE closed_at IS NOT NULL;
COMMENT ON COLUMN onemap.score_month.exact IS
    'Closed by exact figures; false: closed before, when rates and points were rounded to 4 decimals on the way';
ALTER TABLE onemap.assessment_result ADD COLUMN exact numeric;
COMMENT ON COLUMN onemap.assessment_result.exact IS 'The total without rounding; NULL: published before that was kept';

-- They have another form now.
DROP FUNCTION IF EXISTS onemap.score_rate_item(jsonb, jsonb), onemap.score_count_item(jsonb, jsonb),
    onemap.score_unit(jsonb, jsonb, jsonb, date), onemap.score_evaluate(date, timestamptz, jsonb, jsonb);
DROP FUNCTION IF EXISTS onemap.score_assessment_table(jsonb), onemap.score_year_table(jsonb);
