-- With which edition of the rules a month was closed: who computes it again after an amendment can tell why it differs.

ALTER TABLE onemap.score_month ADD COLUMN rule_run_id bigint REFERENCES cityhub_meta.rule_run (id);
COMMENT ON COLUMN onemap.score_month.rule_run_id IS
    'The run of the rules in force when the month was closed (cityhub_meta.rule_run); NULL: closed before this was kept, or open';

-- Months are built one by one, see onemap.score_month_build().
DROP FUNCTION IF EXISTS onemap.score_rebuild(date, date);
