-- What nobody rewrites, in one list: its triggers fire for whoever asks, also for a session that plays a replica, and one that is
-- gone, switched off or not what it was is found (`cityhub case check`). Those of score_case and score_month stand with them.

CREATE OR REPLACE FUNCTION onemap.guard_list() RETURNS TABLE (relation text, trigger_name text)
LANGUAGE sql IMMUTABLE AS $$
    SELECT g.relation, substr(g.relation, position('.' IN g.relation) + 1) || k.kind
    FROM (VALUES ('onemap.audit_log'), ('cityhub_meta.rule_run'), ('cityhub_meta.rule_edition'),
            ('onemap.case_catalogue'), ('onemap.case_category'), ('onemap.case_condition'),
            ('onemap.case_event'), ('onemap.case_seal'), ('onemap.case_attachment'),
            ('onemap.score_formula'), ('onemap.score_input'), ('onemap.score_result'), ('onemap.score_adjustment'),
            ('onemap.assessment_entry'), ('onemap.assessment_award'), ('onemap.assessment_publication'),
            ('onemap.assessment_result'), ('onemap.hotline_order_event'), ('onemap.open311_remark'),
            ('onemap.exchange_county_record')) AS g (relation), (VALUES ('_append_only'), ('_no_truncate')) AS k (kind)
    UNION ALL
    -- What happened, who said it, and what was sent: its rows change or go one by one, by rules, and never all at once.
    SELECT 'onemap.' || g.relation, g.relation || '_no_truncate'
    FROM unnest(ARRAY['case_record', 'case_contact', 'case_alarm', 'case_warning', 'case_inbox', 'alarm', 'alarm_comment',
        'hotline_order', 'hotline_order_contact', 'hotline_order_case', 'hotline_order_file',
        'open311_request', 'open311_media', 'attachment', 'attachment_upload', 'account', 'token',
        'exchange_record', 'exchange_package', 'exchange_package_receipt', 'terminal_command',
        'quarantine', 'observation_revision', 'interval_revision', 'work_order', 'person', 'vehicle',
        'alarm_past', 'alarm_rule_past', 'case_record_past', 'department_past', 'device_past', 'grid_cell_past', 'heard_past',
        'person_past', 'presence_past', 'vehicle_past', 'vendor_past', 'work_order_past', 'work_standard_past',
        'zone_past']) AS g (relation)
    UNION ALL VALUES ('onemap.score_case', 'score_case_guard'), ('onemap.score_case', 'score_case_insert_guard'),
        ('onemap.score_case', 'score_case_no_truncate'), ('onemap.score_month', 'score_month_guard'),
        ('onemap.score_month', 'score_month_no_truncate')
$$;
COMMENT ON FUNCTION onemap.guard_list() IS
    'The triggers that keep journals, closed months and versions as they are, and history from being emptied';

CREATE OR REPLACE FUNCTION onemap.guard_now() RETURNS TABLE (relation text, trigger_name text, enabled "char", definition text,
    sha256 text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT l.relation, l.trigger_name, t.tgenabled, pg_get_triggerdef(t.oid), encode(sha256(convert_to(p.prosrc, 'UTF8')), 'hex')
    FROM onemap.guard_list() l JOIN pg_trigger t ON t.tgrelid = to_regclass(l.relation) AND t.tgname = l.trigger_name
        JOIN pg_proc p ON p.oid = t.tgfoid
$$;
COMMENT ON FUNCTION onemap.guard_now() IS 'These triggers as they are, and the SHA-256 of their functions'' text';

-- As the rules have just made them; what became of them since is held against that.
DO $$
DECLARE g record;
BEGIN
    FOR g IN SELECT l.relation, l.trigger_name, k.says FROM onemap.guard_list() l
            LEFT JOIN (VALUES ('_append_only', 'UPDATE OR DELETE ON %s FOR EACH ROW'),
                ('_no_truncate', 'TRUNCATE ON %s FOR EACH STATEMENT')) AS k (kind, says) ON right(l.trigger_name, 12) = k.kind LOOP
        IF g.says IS NOT NULL THEN
            EXECUTE pg_catalog.format('CREATE OR REPLACE TRIGGER %I BEFORE ' || g.says || ' EXECUTE FUNCTION onemap.append_only()',
                g.trigger_name, g.relation);
        END IF;
        EXECUTE pg_catalog.format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', g.relation, g.trigger_name);
    END LOOP;
    EXECUTE pg_catalog.format('CREATE OR REPLACE FUNCTION onemap.guard_kept() RETURNS TABLE (relation text, trigger_name text, '
        'definition text, sha256 text) LANGUAGE sql IMMUTABLE AS %L', (
        SELECT 'VALUES ' || string_agg(
            pg_catalog.format('(%L, %L, %L, %L)', k.relation, k.trigger_name, k.definition, k.sha256), ', '
            ORDER BY k.relation, k.trigger_name)
        FROM onemap.guard_now() k));
END $$;
COMMENT ON FUNCTION onemap.guard_kept() IS 'guard_now() when the rules were run';

CREATE OR REPLACE FUNCTION onemap.guard_check() RETURNS TABLE (relation text, problem text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT l.relation, CASE
        WHEN n.trigger_name IS NULL THEN format('the trigger %s is gone: nothing keeps its rows from being changed', l.trigger_name)
        WHEN n.enabled = 'D' THEN format('the trigger %s is switched off', l.trigger_name)
        WHEN n.enabled <> 'A' THEN format('the trigger %s does not fire in every session', l.trigger_name)
        WHEN n.definition <> k.definition THEN format('the trigger %s is not what it was: %s', l.trigger_name, n.definition)
        ELSE format('the trigger %s calls a function that was replaced', l.trigger_name) END
    FROM onemap.guard_list() l LEFT JOIN onemap.guard_now() n USING (relation, trigger_name)
        LEFT JOIN onemap.guard_kept() k USING (relation, trigger_name)
    WHERE n.enabled IS DISTINCT FROM 'A' OR (n.definition, n.sha256) IS DISTINCT FROM (k.definition, k.sha256)
    UNION ALL
    -- What else may swallow, change or hide its rows, where they never change.
    SELECT g.relation, x.problem
    FROM (SELECT DISTINCT l.relation FROM onemap.guard_list() l WHERE right(l.trigger_name, 12) <> '_no_truncate') g
        JOIN pg_class c ON c.oid = to_regclass(g.relation),
        LATERAL (SELECT format('the rule %s changes what is asked of it', r.rulename) FROM pg_rewrite r WHERE r.ev_class = c.oid
            UNION ALL SELECT format('the trigger %s may change what is written; it is not one of the rules', t.tgname)
            FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgtype & 2 > 0 -- BEFORE
                AND t.tgname NOT IN (SELECT l.trigger_name FROM onemap.guard_list() l WHERE l.relation = g.relation)
            UNION ALL SELECT 'row security may hide its rows' WHERE c.relrowsecurity) AS x (problem)
    ORDER BY 1, 2
$$;
COMMENT ON FUNCTION onemap.guard_check() IS
    'Triggers of guard_list() that are gone, switched off or changed, and what else stands before their tables; no rows = all '
    'stand';
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
