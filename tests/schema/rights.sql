-- Who may read and write what, table by table: a new table or view belongs into one of these lists, so that it is decided.
BEGIN;
SELECT plan(22);
CREATE TEMP VIEW relation AS
    SELECT c.oid, c.relname::text AS name FROM pg_catalog.pg_class c
    WHERE c.relnamespace = 'onemap'::regnamespace AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition;
CREATE FUNCTION pg_temp.readable(role text) RETURNS text[] LANGUAGE sql AS $$
    SELECT array_agg(r.name ORDER BY r.name) FROM relation r WHERE has_table_privilege(role, r.oid, 'SELECT')
$$;
CREATE TEMP TABLE secret (name text);
INSERT INTO secret (name) VALUES ('case_contact'), ('vendor_credential'), ('vendor_company'),
    ('account'), ('account_post'), ('attachment'), ('attachment_upload'), ('session'), ('token'), ('token_right'), ('terminal'), ('gateway_media'),
    ('hotline_order_contact'), ('webhook'), ('open311_media'), ('terminal_command');

SELECT is((SELECT array_agg(r.name ORDER BY r.name) FROM relation r WHERE NOT has_table_privilege('cityhub_read', r.oid, 'SELECT')),
    (SELECT array_agg(n ORDER BY n) FROM (SELECT s.name FROM secret s UNION VALUES ('broker_identity'), ('lane'), ('quarantine')) a (n)), 'cityhub_read reads all but these');
SELECT is((SELECT array_agg(r.name ORDER BY r.name) FROM relation r WHERE NOT has_table_privilege('cityhub_hub', r.oid, 'SELECT')),
    (SELECT array_agg(s.name ORDER BY s.name) FROM secret s), 'so does the hub');
SELECT is(pg_temp.readable('cityhub_api'), ARRAY['access_right', 'assessment_award_kind', 'assessment_item', 'calendar_day', 'case_action', 'case_catalogue',
    'case_category', 'case_condition', 'case_report_right', 'case_role', 'case_source', 'case_stage_limit', 'case_state', 'case_transition',
    'office_period', 'office_schedule', 'post', 'post_right', 'score_measure', 'score_rate', 'time_unit', 'working_span'], 'the API reads the words and limits');
SELECT is((SELECT array_agg(a.attname::text ORDER BY a.attname) FROM pg_catalog.pg_attribute a
    WHERE a.attrelid = 'onemap.vendor_company'::regclass AND a.attnum > 0
        AND has_column_privilege('cityhub_read', a.attrelid, a.attnum, 'SELECT')), '{created_at,name_zh,vendor}'::text[],
    'of a vendor, all but whom to call');
SELECT is((SELECT array_agg(a.attname::text ORDER BY a.attname) FROM pg_catalog.pg_attribute a
    WHERE a.attrelid = 'onemap.quarantine'::regclass AND a.attnum > 0
        AND NOT has_column_privilege('cityhub_read', a.attrelid, a.attnum, 'SELECT')), '{payload}'::text[], 'of a message in quarantine, all but what it says');
SELECT ok(NOT has_function_privilege('cityhub_read', 'onemap.quarantine_message(bigint)', 'EXECUTE'), 'nor by a function');
SET LOCAL ROLE cityhub_read;
SELECT lives_ok($$SELECT * FROM onemap.quarantine_show_facts('{"id": 1}')$$, 'and what is told of one');
RESET ROLE;
SELECT is((SELECT array_agg(r.name || ' ' || w.way ORDER BY r.name, w.way) FROM relation r, unnest('{INSERT,UPDATE,DELETE,TRUNCATE}'::text[]) w (way)
    WHERE has_table_privilege('cityhub_hub', r.oid, w.way)), ARRAY['batch_log INSERT', 'batch_unstated DELETE', 'batch_unstated INSERT',
    'broker_identity INSERT', 'delivery DELETE', 'delivery INSERT',
    'device_state INSERT', 'device_state UPDATE', 'lane DELETE', 'lane INSERT', 'observation_raw INSERT', 'observation_revision INSERT', 'outbox INSERT',
    'rollup_recompute INSERT', 'rollup_stage INSERT', 'track_point_raw INSERT',
    'vendor_intake INSERT'], 'what the hub writes itself');
SELECT is((SELECT array_agg(c.relname || '.' || a.attname ORDER BY c.relname, a.attname) FROM pg_catalog.pg_attribute a
    JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
    WHERE c.relnamespace = 'onemap'::regnamespace AND NOT c.relispartition AND a.attnum > 0
        AND has_column_privilege('cityhub_hub', c.oid, a.attnum, 'UPDATE') AND NOT has_table_privilege('cityhub_hub', c.oid, 'UPDATE')),
    ARRAY['observation_raw.attributes', 'observation_raw.quality', 'observation_raw.readings', 'observation_raw.received_at',
    'packed_record.lifted', 'track_point_raw.geom',
    'track_point_raw.geom_outside', 'track_point_raw.received_at'], 'and the columns that it merges');
SELECT is((SELECT count(*)::int FROM relation r, unnest('{cityhub_api,cityhub_read,cityhub_exchange}'::text[]) o (role),
    unnest('{INSERT,UPDATE,DELETE,TRUNCATE}'::text[]) w (way) WHERE has_table_privilege(o.role, r.oid, w.way)), 0, 'nobody else writes any table');
SELECT is((SELECT count(*)::int FROM relation r JOIN pg_catalog.pg_class c ON c.oid = r.oid, aclexplode(c.relacl) a WHERE a.grantee = 0), 0,
    'nothing is open to PUBLIC');
SELECT is((SELECT count(*)::int FROM pg_catalog.pg_default_acl d, aclexplode(d.defaclacl) a
    WHERE d.defaclobjtype = 'r' AND a.grantee <> d.defaclrole), 0, 'and no table becomes readable by default');
-- A view's functions run with the rights of whoever reads it: each that a role may read, it can.
CREATE FUNCTION pg_temp.unreadable(role text) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE r text; found text[] := '{}';
BEGIN
    EXECUTE format('SET LOCAL ROLE %I', role);
    FOR r IN SELECT c.oid::regclass FROM pg_catalog.pg_class c WHERE c.relnamespace = 'onemap'::regnamespace AND c.relkind = 'v'
            AND has_table_privilege(c.oid, 'SELECT') LOOP
        BEGIN
            EXECUTE format('SELECT FROM (SELECT * FROM %s LIMIT 1) v', r);
        EXCEPTION WHEN insufficient_privilege THEN
            found := found || concat_ws(' ', role, r);
        END;
    END LOOP;
    RESET ROLE;
    RETURN found;
END $$;
SELECT is(pg_temp.unreadable('cityhub_hub') || pg_temp.unreadable('cityhub_read') || pg_temp.unreadable('cityhub_api')
    || pg_temp.unreadable('cityhub_exchange'), '{}', 'what a role may read, it can');
-- So do functions that are not SECURITY DEFINER: whoever may call one may call what it calls.
SELECT is((SELECT array_agg(DISTINCT concat_ws(' ', r.role, p.proname, c.name[1]))
    FROM pg_catalog.pg_proc p CROSS JOIN regexp_matches(concat(p.prosrc, pg_get_function_sqlbody(p.oid)), 'onemap\.([a-z0-9_]+)\(', 'g') c (name),
        unnest('{cityhub_hub,cityhub_read,cityhub_api,cityhub_exchange}'::text[]) r (role)
    WHERE p.pronamespace = 'onemap'::regnamespace AND NOT p.prosecdef AND has_function_privilege(r.role, p.oid, 'EXECUTE')
        AND (SELECT NOT bool_or(has_function_privilege(r.role, q.oid, 'EXECUTE')) FROM pg_catalog.pg_proc q
             WHERE q.pronamespace = 'onemap'::regnamespace AND q.proname = c.name[1])), NULL, 'what a role may call, it can');
CREATE TABLE onemap.made_by_test (id int);
SELECT ok(NOT has_table_privilege('cityhub_read', 'onemap.made_by_test', 'SELECT'), 'as a new one shows');

-- ---- personal data ----
SELECT hasnt_column('onemap', 'case_record', 'reporter', 'a case does not say who reported it');
SELECT is((SELECT count(*)::int FROM relation r JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attname ~ '^(reporter|phone|contact)'
        AND a.attname <> 'contactor_closed'
    WHERE has_column_privilege('cityhub_read', r.oid, a.attnum, 'SELECT') OR has_column_privilege('cityhub_hub', r.oid, a.attnum, 'SELECT')
        OR has_column_privilege('cityhub_api', r.oid, a.attnum, 'SELECT')), 0, 'no role reads a column with a reporter or whom to call');
SELECT ok(NOT has_function_privilege('cityhub_hub', 'onemap.case_contact_show(text, text)', 'EXECUTE')
    AND NOT has_function_privilege('cityhub_read', 'onemap.case_contact_show(text, text)', 'EXECUTE'), 'nor asks for it, the API excepted');
SELECT ok(has_function_privilege('cityhub_hub', 'onemap.vendor_logins()', 'EXECUTE')
    AND NOT has_function_privilege('cityhub_api', 'onemap.vendor_logins()', 'EXECUTE'), 'hashes of logins go to the hub alone, by one function');

-- ---- the vendor behind its rights ----
SELECT onemap.vendor_add('{"subsystem": "dust", "vendor": "acme", "name_zh": "扬尘平台", "company": "某某科技", "contact": "王工 13800000000"}');
SELECT onemap.vendor_add('{"subsystem": "gas", "vendor": "acme", "name_zh": "燃气平台"}');
SELECT is((SELECT array_agg(v.subsystem || ' ' || v.name_zh || ' ' || v.company ORDER BY v.subsystem) FROM onemap.vendor_overview v
    WHERE v.vendor = 'acme'), '{"dust 扬尘平台 某某科技","gas 燃气平台 某某科技"}'::text[], 'one company, two rights');
SELECT is(onemap.vendor_contact_show('acme', '李四'), '{"vendor": "acme", "company": "某某科技", "contact": "王工 13800000000"}', 'whom to call');
SELECT is((SELECT array_agg(l.action ORDER BY l.id) FROM onemap.audit_log l WHERE l.detail->>'vendor' = 'acme' AND l.detail::text !~ '13800000000'),
    '{vendor_put,vendor_put,vendor_contact_show}'::text[], 'is noted, and is in no log');
SELECT * FROM finish();
ROLLBACK;
