-- Packages: numbered without gaps, each a transaction, taken once and in order.
BEGIN;
\ir include/case_fixture.sql
SELECT plan(17);
SELECT test.drive('dispatched') AS one \gset
SELECT onemap.exchange_target_put('{"target": "city", "resources": ["case_step"]}');
INSERT INTO onemap.token (name, hash, expires_at) VALUES ('from-county', sha256('x'), now() + interval '1 day');
INSERT INTO onemap.exchange_county (county, name_zh, token) VALUES ('qixian', '杞县', 'from-county');
CREATE FUNCTION pg_temp.take(p jsonb, county text DEFAULT 'qixian') RETURNS text LANGUAGE sql AS $$
    SELECT (t.t->>'outcome') || ' ' || (t.t->>'message') FROM onemap.package_take('qixian', 'city', county, (p->>'number')::bigint, p->>'hash', p->>'content') t (t) $$;
CREATE FUNCTION pg_temp.sealed(content jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT jsonb_build_object('number', content->'number', 'content', content::text, 'hash', encode(sha256(convert_to(content::text, 'UTF8')), 'hex')) $$;
SELECT onemap.package_make('city', 'qixian', 3, 3600) AS first \gset
SELECT is(onemap.package_make('city', 'qixian', 3, 3600), :'first'::jsonb, 'what is not written yet is the same again');
SELECT onemap.package_written('city', 1);
SELECT is((SELECT p.content FROM onemap.exchange_package p), NULL, 'once written its content is not kept twice');
SELECT onemap.package_make('city', 'qixian', 3, 3600) AS second \gset
SELECT onemap.package_written('city', 2);
SELECT is((SELECT string_agg(e->>'record', ' ' ORDER BY n.n) FROM (VALUES (1, :'first'::jsonb), (2, :'second'::jsonb)) n (n, p), jsonb_array_elements((n.p->>'content')::jsonb->'records') e),
    format('%1$s/1 %1$s/2 %1$s/3 %1$s/4', :'one'), 'all of a case goes, in its order, three a package');
SELECT is(onemap.package_make('city', 'qixian', 3, 3600), NULL, 'then there is nothing');
SELECT is((SELECT count(*)::int FROM onemap.exchange_record r WHERE r.state = 'waiting'), 4, 'and nothing is accepted');
SELECT is(pg_temp.take(:'second'), 'gap missing: 1', 'one that is missing is named');
SELECT is(pg_temp.take(:'first'::jsonb || '{"content": "{}"}'), 'wrong the hash is not that of the content', 'one that was changed');
SELECT is(pg_temp.take(pg_temp.sealed('{"format": 1, "from": "tongxu", "to": "city", "number": 1}')), 'wrong it goes from "tongxu" to "city"', 'one of somebody else');
SELECT is(pg_temp.take(pg_temp.sealed('{"format": 1, "from": "qixian", "to": "city", "number": 1, "records": {}, "receipts": []}')), 'wrong records and receipts must be lists', 'one that has no records');
SELECT is(pg_temp.take(:'first'), 'stored 3 records, 0 of them refused, 0 receipts', 'the next is stored');
SELECT is(pg_temp.take(:'first'), 'again it came before', 'once');
SELECT is(pg_temp.take(pg_temp.sealed('{"format": 1, "from": "qixian", "to": "city", "number": 1, "records": [], "receipts": []}')), 'wrong this number came before with another content',
    'its number is not another''s');
SELECT is(pg_temp.take(:'second'), 'stored 1 records, 0 of them refused, 0 receipts', 'then the one behind it');
SELECT is((SELECT count(*)::int FROM onemap.exchange_county_record), 4, 'all four are there');
SELECT is((SELECT string_agg(e->>'outcome', ' ') FROM jsonb_array_elements((onemap.package_make('qixian', 'city', 10, 3600)->>'content')::jsonb->'receipts') e),
    'accepted accepted accepted accepted', 'a receipt for each');
SELECT throws_ok($$SELECT onemap.package_lost('{"peer": "qixian", "lost": 9, "reason": "x"}')$$, 'CH083', 'package 9 of "qixian" is not the next one, which is 3', 'only the next can be given up');
SELECT onemap.package_lost('{"peer": "qixian", "lost": 3, "reason": "x"}');
SELECT is(pg_temp.take(pg_temp.sealed('{"format": 1, "from": "qixian", "to": "city", "number": 3, "records": [], "receipts": []}')), 'stored 0 records, 0 of them refused, 0 receipts',
    'one that was given up and comes after all is stored');
SELECT * FROM finish();
ROLLBACK;
