-- Quarantined messages sent again on the page: an administrator alone, no more than fits, once while one is under way, noted.
BEGIN;
SELECT plan(15);
SELECT onemap.user_add(jsonb_build_object('login', l, 'name', '某', 'posts', p, 'password_hash', '$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA'))
FROM (VALUES ('boss', 'admin'), ('li', 'supervisor')) v (l, p);
CREATE FUNCTION pg_temp.request(login text, more jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('identity', onemap.identity_of_account(a.id) || '{"address": "10.1.2.3"}') || more FROM onemap.account a WHERE a.login = $1 $$;
CREATE FUNCTION pg_temp.add(n int, bytes int DEFAULT 12) RETURNS bigint LANGUAGE sql AS $$
    INSERT INTO onemap.quarantine (received_at, subsystem, vendor, kind, topic, payload, code, reason, bytes)
    VALUES (now(), 'dust', 'acme', 'telemetry', 'cityhub/v1/dust/acme/telemetry', decode(substr(md5(random()::text), 1, 24), 'hex'), CASE WHEN n % 2 = 0 THEN 'malformed' ELSE 'missing_time' END, 'x', bytes) RETURNING id $$;
CREATE FUNCTION pg_temp.replay(login text, more jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(r.code || ' ' || r.hint, r.status || ' ' || r.body) FROM onemap.http_quarantine_replay(pg_temp.request(login, more)) r $$;
SELECT pg_temp.add(1) AS one, pg_temp.add(2) AS two, pg_temp.add(3) AS three, pg_temp.add(5, 9999) AS part \gset
SELECT jsonb_build_object('id', :one) AS first, jsonb_build_object('id', :part) AS beginning, jsonb_build_object('id', :one + 1000) AS none \gset

SELECT matches(pg_temp.replay('li', :'first'), '^CH066 ', 'who is no administrator replays nothing');
SELECT is((SELECT concat_ws(' ', l.action, l.person, l.detail) FROM onemap.audit_log l ORDER BY l.id DESC LIMIT 1), 'refused li {"code": "CH066", "action": "quarantine_replay"}', 'and that he tried is noted');
SELECT is(pg_temp.replay('boss', :'none'), NULL, 'what is not there');
SELECT throws_ok(format($$SELECT pg_temp.replay('boss', %L)$$, :'beginning'), 'CH013', NULL, 'of which only the beginning is kept');
SELECT throws_ok($$SELECT pg_temp.replay('boss', '{"vendor": "moon"}')$$, 'CH013', NULL, 'of no such vendor');
SELECT is(pg_temp.replay('boss', :'first'), '202 {"asked" : 1, "left" : 0}', 'one');
SELECT is(pg_temp.replay('boss', :'first'), '202 {"asked" : 0, "left" : 1}', 'which is under way');
SELECT is((SELECT h.body->>'replaying' FROM onemap.http_quarantine_message(pg_temp.request('boss', :'first')) h), 'true', 'as it says');
SELECT is((SELECT concat_ws(' ', l.person, host(l.address), l.detail - 'id') FROM onemap.audit_log l WHERE l.action = 'quarantine_replay_asked' ORDER BY l.id LIMIT 1),
    'boss 10.1.2.3 {"messages": 1}', 'noted with person and address');
SELECT is(pg_temp.replay('boss', '{"code": "missing_time"}'), '202 {"asked" : 1, "left" : 2}', 'those of a reason that are whole and not under way');
SELECT onemap.outbox_sent(ARRAY(SELECT o.id FROM onemap.outbox o WHERE o.replay IS NOT NULL));
SELECT onemap.outbox_sent(ARRAY(SELECT o.id FROM onemap.outbox o WHERE o.replay IS NOT NULL));
SELECT is((SELECT string_agg(concat_ws(' ', q.id = :two, q.replayed_at IS NOT NULL, q.replay_count), ', ' ORDER BY q.id) FROM onemap.quarantine q WHERE q.id IN (:one, :two, :three)),
    'f t 1, t f 0, f t 1', 'what the broker has is replayed, once');
SELECT is((SELECT h.body->>'replaying' FROM onemap.http_quarantine_message(pg_temp.request('boss', :'first')) h), 'false', 'and under way no more');
SELECT count(pg_temp.add(2)) FROM generate_series(1, 250);
SELECT is(pg_temp.replay('boss', '{"code": "malformed"}'), '202 {"asked" : 200, "left" : 51}', 'no more than fits');
SELECT is(pg_temp.replay('boss', '{}'), '202 {"asked" : 0, "left" : 252}', 'whoever asks');
DELETE FROM onemap.quarantine;
SELECT is((SELECT count(*)::int FROM onemap.outbox o WHERE o.replay IS NOT NULL), 0, 'what is dropped is not sent');
SELECT * FROM finish();
ROLLBACK;
