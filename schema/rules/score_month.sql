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
CREATE OR REPLACE FUNCTION onemap.score_month_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'month % is closed: it stays as it is', to_char(OLD.month, 'YYYY-MM')
        USING ERRCODE = 'CH031', HINT = 'Correct it by an adjustment: onemap.score_adjust.';
END $$;
COMMENT ON FUNCTION onemap.score_month_guard() IS 'Trigger that refuses any change of a closed month itself, whoever asks';
CREATE OR REPLACE TRIGGER score_month_guard BEFORE UPDATE OR DELETE ON onemap.score_month
    FOR EACH ROW WHEN (OLD.closed_at IS NOT NULL) EXECUTE FUNCTION onemap.score_month_guard();

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

-- What a month is read from, so that whoever reads never writes: the rows that are kept; of cases with events since then, what the
-- journal says now; and of a month that nobody has built yet, the journal alone. The figures are the same to the bit.
CREATE OR REPLACE FUNCTION onemap.score_month_kept(month date) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Rows of before an amendment beside rows of after it would be a score by no rules at all.
    RETURN EXISTS (SELECT FROM onemap.score_month m WHERE m.month = $1
        AND (m.closed_at IS NOT NULL OR onemap.score_rules_since(coalesce(m.built_run_id, 0)) = '[]'));
END $$;
COMMENT ON FUNCTION onemap.score_month_kept(date) IS 'Whether a month''s rows are there, by the rules in force or closed';

CREATE OR REPLACE FUNCTION onemap.score_rows_sql(month date) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE since timestamptz := onemap.local_midnight(month); until timestamptz := onemap.score_month_end(month); stale bigint[];
BEGIN
    IF NOT onemap.score_month_kept(month) THEN
        RETURN format('onemap.score_case_derive(%1$L, %2$L, onemap.score_candidates(%1$L, %2$L, %3$s), %3$s) r WHERE true', since,
            until, 9223372036854775807);
    ELSIF NOT EXISTS (SELECT FROM onemap.score_month m WHERE m.month = $1 AND m.closed_at IS NOT NULL) THEN
        SELECT array_agg(DISTINCT d.case_id) INTO stale FROM onemap.score_dirty d WHERE d.at < until;
    END IF;
    IF stale IS NULL THEN
        RETURN format('onemap.score_case r WHERE r.month = %L', month);
    END IF;
    RETURN format('(SELECT c.* FROM onemap.score_case c WHERE c.month = %1$L AND c.case_id <> ALL (%2$L::bigint[]) UNION ALL '
        'SELECT d.* FROM onemap.score_case_derive(%3$L, %4$L, %2$L::bigint[], %5$s) d) r WHERE true', month, stale, since, until,
        9223372036854775807);
END $$;
COMMENT ON FUNCTION onemap.score_rows_sql(date) IS
    'The rows r of a month as of now, as the FROM and the beginning of the WHERE of a statement';

CREATE OR REPLACE FUNCTION onemap.score_month_begun(month date) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF now() < onemap.local_midnight(month) THEN
        RAISE EXCEPTION 'month % has not begun: it has no score yet', to_char(month, 'YYYY-MM') USING ERRCODE = 'CH031';
    END IF;
END $$;
COMMENT ON FUNCTION onemap.score_month_begun(date) IS 'Refuses (CH031) a month that is still to come in the county';

-- Never waits for the lock: the sweeps before it in the same transaction may have written to the journal, which whoever
-- closes a month locks after score_lock().
CREATE OR REPLACE FUNCTION onemap.score_sweep() RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE this_month date := onemap.score_month_of(now()); unbuilt date;
BEGIN
    -- The month that runs and the one before it are kept, so that asking for them is quick.
    SELECT w.month INTO unbuilt FROM (VALUES (this_month), ((this_month - interval '1 month')::date)) AS w (month)
    WHERE NOT onemap.score_month_kept(w.month) ORDER BY w.month DESC LIMIT 1;
    IF NOT EXISTS (SELECT FROM onemap.score_dirty) AND unbuilt IS NULL
        OR NOT pg_try_advisory_xact_lock(hashtext('onemap.score')) THEN
        RETURN 0;
    END IF;
    IF unbuilt IS NOT NULL THEN
        PERFORM onemap.score_month_build(unbuilt);
    END IF;
    RETURN onemap.score_refresh();
END $$;
COMMENT ON FUNCTION onemap.score_sweep() IS
    'Builds the month that runs and the one before it, one a call, and keeps the statistics of open months up to the journal; '
    'leaves it to the next time while a month is being built or closed';
INSERT INTO onemap.sweep (function_name) VALUES ('score_sweep') ON CONFLICT DO NOTHING;

CREATE OR REPLACE FUNCTION onemap.score_month_ready(month date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM onemap.score_month m WHERE m.month = $1 AND m.closed_at IS NOT NULL) THEN
        RETURN;
    END IF;
    IF NOT onemap.score_month_kept($1) THEN
        PERFORM onemap.score_month_build($1);
    ELSIF EXISTS (SELECT FROM onemap.score_dirty) THEN
        PERFORM onemap.score_refresh();
    END IF;
END $$;
COMMENT ON FUNCTION onemap.score_month_ready(date) IS
    'Makes sure that a month''s rows are there, by the rules in force, and up to the journal; does nothing to a closed month';
