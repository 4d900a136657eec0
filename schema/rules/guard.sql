-- What nobody rewrites, in one list: its triggers fire for whoever asks, also for a session that plays a replica, and one that is
-- gone or switched off is found (`cityhub case check`). The triggers themselves stand in their subjects' files.

CREATE OR REPLACE FUNCTION onemap.guard_list() RETURNS TABLE (relation text, trigger_name text)
LANGUAGE sql IMMUTABLE AS $$
    SELECT g.relation, substr(g.relation, position('.' IN g.relation) + 1) || k.kind
    FROM (VALUES ('onemap.audit_log'), ('cityhub_meta.rule_run'), ('cityhub_meta.rule_edition'),
            ('onemap.case_catalogue'), ('onemap.case_category'), ('onemap.case_condition'),
            ('onemap.case_event'), ('onemap.case_seal'), ('onemap.case_attachment'),
            ('onemap.score_formula'), ('onemap.score_input'), ('onemap.score_result'), ('onemap.score_adjustment'),
            ('onemap.assessment_entry'), ('onemap.assessment_award'), ('onemap.assessment_publication'),
            ('onemap.assessment_result')) AS g (relation), (VALUES ('_append_only'), ('_no_truncate')) AS k (kind)
    UNION ALL VALUES ('onemap.score_case', 'score_case_guard'), ('onemap.score_case', 'score_case_insert_guard'),
        ('onemap.score_case', 'score_case_no_truncate'), ('onemap.score_month', 'score_month_guard'),
        ('onemap.score_month', 'score_month_no_truncate')
$$;
COMMENT ON FUNCTION onemap.guard_list() IS 'The triggers that keep journals, closed months and versions as they are';

DO $$
DECLARE g record;
BEGIN
    FOR g IN SELECT l.relation, l.trigger_name FROM onemap.guard_list() l LOOP
        EXECUTE pg_catalog.format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', g.relation, g.trigger_name);
    END LOOP;
END $$;

CREATE OR REPLACE FUNCTION onemap.guard_check() RETURNS TABLE (relation text, problem text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT l.relation, CASE
        WHEN t.tgname IS NULL THEN format('the trigger %s is gone: nothing keeps its rows from being changed', l.trigger_name)
        WHEN t.tgenabled = 'D' THEN format('the trigger %s is switched off', l.trigger_name)
        WHEN t.tgenabled <> 'A' THEN format('the trigger %s does not fire in every session', l.trigger_name)
        ELSE format('the trigger %s calls another function', l.trigger_name) END
    FROM onemap.guard_list() l LEFT JOIN pg_trigger t ON t.tgrelid = to_regclass(l.relation) AND t.tgname = l.trigger_name
        LEFT JOIN pg_proc p ON p.oid = t.tgfoid
    WHERE t.tgenabled IS DISTINCT FROM 'A' OR p.pronamespace <> 'onemap'::regnamespace
        OR p.proname NOT IN ('append_only', 'score_case_guard', 'score_insert_guard', 'score_month_guard')
    ORDER BY 1, 2
$$;
COMMENT ON FUNCTION onemap.guard_check() IS 'Triggers of guard_list() that are gone, switched off or changed; no rows = all stand';
GRANT EXECUTE ON FUNCTION onemap.guard_check() TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.case_check_table(request jsonb) RETURNS TABLE (what text, seq int, problem text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT c.case_code, c.seq, c.problem FROM onemap.case_chain_check(request->>'case') c
    UNION ALL
    SELECT 'seal ' || s.seal_id, NULL, s.problem FROM onemap.case_seal_check() s WHERE NOT request ? 'case'
    UNION ALL
    SELECT g.relation, NULL, g.problem FROM onemap.guard_check() g
$$;
COMMENT ON FUNCTION onemap.case_check_table(jsonb) IS
    'Whatever does not fit in the journal of one case, or of all and in the seals, and triggers that no longer keep it: {case}; '
    'no rows = whole';
