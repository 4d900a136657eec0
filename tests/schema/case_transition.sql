-- The state machine: every action by every role in every state, allowed and refused, and that its words are one set.
BEGIN;
\ir include/case_fixture.sql
SELECT no_plan();
CREATE TEMP TABLE one AS SELECT w.state, test.drive(w.state, test.report()) AS code FROM test.way w;
CREATE TEMP TABLE spare AS SELECT test.report() AS code;
SELECT is((SELECT count(*) FROM one JOIN onemap.case_record r USING (code) WHERE r.state = one.state), (SELECT count(*) FROM onemap.case_state),
    'a case is in every state there is');
-- What is asked before it can be answered.
SELECT test.act(one.code, 'ask_extension', 'department', '{"amount": 2}'), test.act(one.code, 'ask_suspension', 'department')
FROM one WHERE one.state IN ('dispatched', 'handling');

SELECT is(test.try(one.code, a.action, r.role, test.fields(a.action, spare.code)),
    coalesce(CASE t.to_state WHEN '=' THEN one.state WHEN '<' THEN c.resume_state ELSE t.to_state END, 'CH010'),
    format('%s: %s by %s', one.state, a.action, r.role))
FROM one JOIN onemap.case_record c USING (code) CROSS JOIN spare CROSS JOIN onemap.case_action a CROSS JOIN onemap.case_role r
LEFT JOIN onemap.case_transition t ON t.from_state = one.state AND t.action = a.action AND t.role = r.role
WHERE a.action <> 'report' ORDER BY one.state, a.action, r.role;

-- Which posts may report which source: allowed and refused.
SELECT is(x.result, CASE WHEN EXISTS (SELECT FROM onemap.case_report_right t WHERE t.source = s.source AND t.role = r.role) THEN '' ELSE 'CH010' END,
    format('report %s by %s', s.source, r.role))
FROM onemap.case_source s CROSS JOIN onemap.case_role r CROSS JOIN LATERAL (SELECT test.as_login('postgres', format(
    'SELECT onemap.case_report(%L)', jsonb_build_object('source', s.source, 'role', r.role, 'actor', 'x', 'category', '20301',
    'subsystem', 'dust', 'vendor', 'sites', 'device_code', 'D1'))) AS result) x;

SELECT is(test.try(spare.code, 'report', 'supervisor'), 'CH013', 'report is no action on a case') FROM spare;
SELECT is(test.try(spare.code, 'dance', 'supervisor'), 'CH013', 'no such action') FROM spare;
SELECT is(test.try(spare.code, 'accept', 'king'), 'CH013', 'no such role') FROM spare;
SELECT ok((SELECT t.to_state FROM onemap.case_transition t WHERE (t.action, t.role, t.from_state) = ('close', 'registrar', 'checked')) = 'closed',
    'only who is to close closes');
SELECT is((SELECT count(*)::int FROM onemap.case_transition t JOIN onemap.case_state s ON s.state = t.from_state
           WHERE s.final AND t.action NOT IN ('flag', 'call_back')), 0, 'what has ended stays ended');
SELECT is_empty($$SELECT t.to_state FROM onemap.case_transition t WHERE t.to_state NOT IN ('=', '<')
    AND NOT EXISTS (SELECT FROM onemap.case_state s WHERE s.state = t.to_state)$$, 'transitions lead to states that there are');
SELECT is_empty('SELECT * FROM onemap.case_chain_check()', 'and the journal is whole');
SELECT * FROM finish();
ROLLBACK;
