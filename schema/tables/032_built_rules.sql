-- By which rules the rows of a month that is not closed were built: an amendment builds them anew, whole.

ALTER TABLE onemap.score_month ADD COLUMN built_run_id bigint REFERENCES cityhub_meta.rule_run (id);
COMMENT ON COLUMN onemap.score_month.built_run_id IS
    'The run of the rules by which the month''s rows were built from the whole journal; none: by an earlier build of cityhub';
