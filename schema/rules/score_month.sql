-- The months of onemap.score_case: built from the journal, kept up to it, and guarded once they are closed.

CREATE OR REPLACE FUNCTION onemap.score_mark_dirty() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    -- One event at a time is what cases write; only their functions, which run as the owner, can.
    INSERT INTO onemap.score_dirty (case_id, at) VALUES (NEW.case_id, NEW.at);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION onemap.score_mark_dirty() IS 'Trigger: notes which cases the statistics must look at again';
CREATE OR REPLACE TRIGGER case_event_score AFTER INSERT ON onemap.case_event
    FOR EACH ROW EXECUTE FUNCTION onemap.score_mark_dirty();

CREATE OR REPLACE FUNCTION onemap.score_case_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE touched date;
BEGIN
    FOREACH touched IN ARRAY CASE TG_OP WHEN 'DELETE' THEN ARRAY[OLD.month] ELSE ARRAY[OLD.month, NEW.month] END LOOP
        IF EXISTS (SELECT FROM onemap.score_month m WHERE m.month = touched AND m.closed_at IS NOT NULL) THEN
            RAISE EXCEPTION 'month % is closed: its figures do not change', to_char(touched, 'YYYY-MM')
                USING ERRCODE = 'CH031', HINT = 'Correct it by an adjustment: onemap.score_adjust.';
        END IF;
    END LOOP;
    RETURN coalesce(NEW, OLD);
END $$;
COMMENT ON FUNCTION onemap.score_case_guard() IS 'Trigger that refuses any change of a closed month''s rows, whoever asks';
CREATE OR REPLACE TRIGGER score_case_guard BEFORE UPDATE OR DELETE ON onemap.score_case
    FOR EACH ROW EXECUTE FUNCTION onemap.score_case_guard();
CREATE OR REPLACE TRIGGER score_case_no_truncate BEFORE TRUNCATE ON onemap.score_case
    FOR EACH STATEMENT EXECUTE FUNCTION onemap.append_only();

CREATE OR REPLACE FUNCTION onemap.score_insert_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM onemap.score_month m
               WHERE m.closed_at IS NOT NULL AND m.month IN (SELECT DISTINCT n.month FROM new_rows n)) THEN
        RAISE EXCEPTION 'rows of a closed month are not added to'
            USING ERRCODE = 'CH031', HINT = 'Correct it by an adjustment: onemap.score_adjust.';
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION onemap.score_insert_guard() IS 'Trigger that refuses new rows for a closed month, by statement';
CREATE OR REPLACE TRIGGER score_case_insert_guard AFTER INSERT ON onemap.score_case REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION onemap.score_insert_guard();

-- One at a time: two that build the same month would both insert its rows.
CREATE OR REPLACE FUNCTION onemap.score_lock() RETURNS void LANGUAGE sql AS $$
    SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('onemap.score'))
$$;
COMMENT ON FUNCTION onemap.score_lock() IS 'Waits for whoever else builds or closes months, until the end of the transaction';

CREATE OR REPLACE FUNCTION onemap.score_month_build(month date) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    period_from timestamptz := onemap.local_midnight(month); period_to timestamptz := onemap.score_month_end(month); built bigint;
BEGIN
    PERFORM onemap.score_lock();
    DELETE FROM onemap.score_case c WHERE c.month = $1;
    built := onemap.score_case_store(period_from, period_to,
        onemap.score_candidates(period_from, period_to, 9223372036854775807));
    INSERT INTO onemap.score_month AS m (month, built_run_id) SELECT $1, max(r.id) FROM cityhub_meta.rule_run r
        ON CONFLICT ON CONSTRAINT score_month_pkey DO UPDATE SET built_at = clock_timestamp(), built_run_id = excluded.built_run_id;
    RETURN built;
END $$;
COMMENT ON FUNCTION onemap.score_month_build(date) IS
    'Builds the rows of a month that is not closed from the whole journal; returns how many there are';

CREATE OR REPLACE FUNCTION onemap.score_refresh() RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE m date; cases bigint[]; refreshed int := 0; dirty_cases bigint[]; dirty_from timestamptz[];
BEGIN
    PERFORM onemap.score_lock();
    WITH taken AS (DELETE FROM onemap.score_dirty d RETURNING d.case_id, d.at),
        one AS (SELECT t.case_id, min(t.at) AS at FROM taken t GROUP BY t.case_id)
    SELECT array_agg(o.case_id ORDER BY o.case_id), array_agg(o.at ORDER BY o.case_id) INTO dirty_cases, dirty_from FROM one o;
    IF dirty_cases IS NULL THEN
        RETURN 0;
    END IF;
    -- Months that are not there yet are built whole when somebody asks for them.
    FOR m IN SELECT s.month FROM onemap.score_month s WHERE s.closed_at IS NULL ORDER BY s.month LOOP
        SELECT array_agg(u.case_id) INTO cases FROM unnest(dirty_cases, dirty_from) AS u (case_id, at)
        WHERE u.at < onemap.score_month_end(m);
        CONTINUE WHEN cases IS NULL;
        DELETE FROM onemap.score_case c WHERE c.month = m AND c.case_id = ANY (cases);
        PERFORM onemap.score_case_store(onemap.local_midnight(m), onemap.score_month_end(m), cases);
        refreshed := refreshed + cardinality(cases);
    END LOOP;
    RETURN refreshed;
END $$;
COMMENT ON FUNCTION onemap.score_refresh() IS
    'Brings the months that are there and not closed up to the journal, case by case; returns the cases looked at';
GRANT EXECUTE ON FUNCTION onemap.score_refresh() TO cityhub_hub, cityhub_api;

-- Never waits for the lock: the sweeps before it in the same transaction may have written to the journal, which whoever
-- closes a month locks after score_lock().
CREATE OR REPLACE FUNCTION onemap.score_sweep() RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM onemap.score_dirty) AND pg_try_advisory_xact_lock(hashtext('onemap.score')) THEN
        RETURN onemap.score_refresh();
    END IF;
    RETURN 0;
END $$;
COMMENT ON FUNCTION onemap.score_sweep() IS
    'Keeps the statistics of open months up to the journal; leaves it to the next time while a month is being built or closed';
INSERT INTO onemap.sweep (function_name) VALUES ('score_sweep') ON CONFLICT DO NOTHING;

CREATE OR REPLACE FUNCTION onemap.score_month_ready(month date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE kept onemap.score_month;
BEGIN
    SELECT m.* INTO kept FROM onemap.score_month m WHERE m.month = $1;
    IF kept.closed_at IS NOT NULL THEN
        RETURN;
    END IF;
    -- Rows of before an amendment beside rows of after it would be a score by no rules at all.
    IF kept.month IS NULL OR onemap.score_rules_since(coalesce(kept.built_run_id, 0)) <> '[]' THEN
        PERFORM onemap.score_month_build($1);
    ELSIF EXISTS (SELECT FROM onemap.score_dirty) THEN
        PERFORM onemap.score_refresh();
    END IF;
END $$;
COMMENT ON FUNCTION onemap.score_month_ready(date) IS
    'Makes sure that a month''s rows are there, by the rules in force, and up to the journal; does nothing to a closed month';
