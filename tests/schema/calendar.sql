-- Notices of holidays: what enters nothing or contradicts itself is refused whole, with its place; a later notice replaces the
-- days of an earlier one; a year without one is told before a deadline falls into it.
BEGIN;
\ir include/case_fixture.sql
SELECT plan(68);
CREATE FUNCTION test.problems(notices text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(concat_ws(': ', nullif(p.place, ''), p.problem), ' / ' ORDER BY p.place) FROM onemap.calendar_import_problems(notices::jsonb) p
$$;
CREATE FUNCTION test.days(source text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(to_char(d.day, 'MM-DD') || left(d.kind, 1), ' ' ORDER BY d.day) FROM onemap.calendar_day d WHERE d.source = $1
$$;
CREATE TEMP TABLE before AS SELECT md5(string_agg(d::text, '' ORDER BY d.day)) AS sum FROM onemap.calendar_day d;

-- ---- refused ----
CREATE TEMP TABLE bad (notice text, problem text);
INSERT INTO bad VALUES
    ('[]', 'enters nothing: the list is empty'),
    ('{}', 'source: is missing: a notice needs its source, e.g. 国办发明电〔2025〕7号'),
    ('{"source": "x"}', 'enters nothing: it has neither holidays nor workdays'),
    ('{"source": "x", "holidays": []}', 'enters nothing: it has neither holidays nor workdays'),
    ('{"source": "x", "holidays": [], "workdays": []}', 'enters nothing: it has neither holidays nor workdays'),
    ('{"source": "x", "holiday": [{"name": "元旦", "first_day": "2031-01-01", "last_day": "2031-01-03"}]}', 'holiday: there is no such key; known are source, replaces, holidays and workdays'),
    ('{"source": "x", "holidays": [{"name": "元旦", "first_day": "2031-01-03", "last_day": "2031-01-01"}]}', 'holidays[0].last_day: 2031-01-01 is before the first day, 2031-01-03'),
    ('{"source": "x", "holidays": [{"name": "元旦", "first": "2031-01-01", "last_day": "2031-01-01"}]}', 'holidays[0]: there is no such key: first / holidays[0].first_day: must be a day such as 2027-01-01, not left out'),
    ('{"source": "x", "holidays": [{"name": " ", "first_day": "2031-01-01", "last_day": "2031-01-01"}]}', 'holidays[0].name: is missing'),
    ('{"source": "x", "holidays": [{"name": "a", "first_day": "2031-02-30", "last_day": "2031-03-01"}]}', 'holidays[0].first_day: must be a day such as 2027-01-01, not 2031-02-30'),
    ('{"source": "x", "holidays": [{"name": "a", "first_day": "2031/1/1", "last_day": "2031-03-01"}]}', 'holidays[0].first_day: must be a day such as 2027-01-01, not 2031/1/1'),
    ('{"source": "x", "holidays": [{"name": "a", "first_day": "2031-01-01", "last_day": "2032-01-03"}]}', 'holidays[0].last_day: 2032-01-03 is 367 days after the first day, 2031-01-01: no holiday is that long'),
    ('{"source": "x", "holidays": ["2031-01-01"]}', 'holidays[0]: must be an object {"name", "first_day", "last_day"}'),
    ('{"source": "x", "holidays": {"name": "a"}}', 'holidays: must be a list of {"name", "first_day", "last_day"}'),
    ('{"source": "x", "holidays": [{"name": "a", "first_day": "2031-01-01", "last_day": "2031-01-03"}, {"name": "b", "first_day": "2031-01-03", "last_day": "2031-01-04"}]}', 'holidays[1]: 2031-01-03 is in holidays[0] already'),
    ('{"source": "x", "holidays": [{"name": "a", "first_day": "2031-01-01", "last_day": "2031-01-05"}], "workdays": ["2031-01-04"]}', 'workdays[0]: 2031-01-04 is a holiday in holidays[0]'),
    ('{"source": "x", "workdays": ["2031-01-06"]}', 'workdays[0]: make-up workday 2031-01-06 is not on a weekend'),
    ('{"source": "x", "workdays": ["2031-01-04", "2031-01-04"]}', 'workdays[1]: 2031-01-04 is in workdays[0] already'),
    ('{"source": "x", "workdays": [20310104]}', 'workdays[0]: must be a day such as 2027-01-01, not 20310104'),
    ('{"source": "x", "workdays": "2031-01-04"}', 'workdays: must be a list of days'),
    ('{"source": "x", "holidays": [{"name": "a", "first_day": "2031-01-01", "last_day": "2031-01-01"}], "workdays": ["2033-01-08"]}', 'workdays[0]: 2033-01-08 is more than a year away from 2031-01-01: a notice is of one year'),
    ('{"source": "x", "workdays": ["2019-01-05"]}', 'workdays[0]: the calendar begins on 2021-01-01, it has no day 2019-01-05'),
    ('{"source": "x", "holidays": [{"name": "a", "first_day": "2231-01-01", "last_day": "2231-01-01"}]}', 'holidays[0]: 2231-01-01 is more than ten years ahead'),
    ('{"source": 7, "workdays": ["2031-01-04"]}', 'source: is missing: a notice needs its source, e.g. 国办发明电〔2025〕7号'),
    ('"x"', 'must be an object {"source", "holidays", "workdays"}'),
    ('[{"source": "x", "workdays": ["2031-01-04"]}, {"source": "x", "workdays": ["2031-01-05"]}]', '[1].source: x is there already, in [0]'),
    ('{"source": "\u3000", "workdays": ["2031-01-04"]}', 'source: is missing: a notice needs its source, e.g. 国办发明电〔2025〕7号'),
    ('{"source": "x ", "workdays": ["2031-01-04"]}', 'source: begins or ends with a blank'),
    ('{"source": "x", "holidays": [{"name": "\u3000", "first_day": "2031-01-01", "last_day": "2031-01-01"}]}', 'holidays[0].name: is missing'),
    ('{"source": "x", "holidays": [{"name": "元旦\u3000", "first_day": "2031-01-01", "last_day": "2031-01-01"}]}', 'holidays[0].name: begins or ends with a blank'),
    ('[{"source": "x", "holidays": [{"name": "a", "first_day": "2031-01-01", "last_day": "2031-01-05"}]}, {"source": "y", "workdays": ["2031-01-04"]}]', '[1].workdays[0]: 2031-01-04 is in [0].holidays[0] already'),
    ('[{"source": "x", "workdays": ["2031-01-04"]}, {"source": "y", "workdays": ["2031-01-06"]}]', '[1].workdays[0]: make-up workday 2031-01-06 is not on a weekend');
SELECT is(test.problems(b.notice), b.problem, b.notice) FROM bad b;
SELECT is((SELECT count(*)::int FROM bad b WHERE test.as_login('postgres', format('SELECT onemap.calendar_import(%L)', b.notice)) <> 'CH014'), 0, 'none of them is entered');
SELECT is((SELECT count(*)::int FROM bad b WHERE b.notice LIKE '{%' AND test.as_login('postgres', format('SELECT onemap.calendar_notice_put(%L)', b.notice)) <> 'CH014'), 0,
    'nor by the function behind it');
SELECT is((SELECT md5(string_agg(d::text, '' ORDER BY d.day)) FROM onemap.calendar_day d), (SELECT sum FROM before), 'and no day has changed');

-- ---- entered, and replaced ----
SELECT is(onemap.calendar_import('{"source": "first", "holidays": [{"name": "元旦", "first_day": "2031-01-01", "last_day": "2031-01-03"},
    {"name": "劳动节", "first_day": "2031-05-01", "last_day": "2031-05-05"}], "workdays": ["2031-04-26", "2031-05-10"]}'), '{"entered": ["first"], "replaced": []}', 'a notice');
SELECT is(test.days('first'), '01-01h 01-02h 01-03h 04-26m 05-01h 05-02h 05-03h 05-04h 05-05h 05-10m', 'its days');
CREATE TEMP TABLE second AS SELECT '{"source": "second", "holidays": [{"name": "劳动节", "first_day": "2031-05-01", "last_day": "2031-05-03"}]}'::jsonb AS notice;
SELECT is(test.problems(notice::text), 'holidays[0]: takes 劳动节 2031-05-01 to 2031-05-05 of first: if that is meant, name the source in "replaces"',
    'another''s holiday is not taken unasked') FROM second;
SELECT is(test.problems((notice || '{"replaces": ["last"]}')::text) LIKE 'holidays[0]: takes %', true, 'nor for a name that is none') FROM second;
SELECT throws_ok(format('SELECT onemap.calendar_notice_put(%L)', notice), 'CH014', NULL, 'by no way in') FROM second;
SELECT is(onemap.http_import_report('calendar', notice || '{"replaces": ["first"]}')->'warnings', '[{"place": "holidays[0]", "warning": "takes 劳动节 2031-05-01 to 2031-05-05 of first"}]',
    'the page says it before it is done') FROM second;
SELECT is(onemap.calendar_import(notice || '{"replaces": ["first"]}'), '{"entered": ["second"], "replaced": [{"source": "first", "name": "劳动节", "first_day": "2031-05-01", "last_day": "2031-05-05"}]}',
    'a later one shortens a holiday, and says whose') FROM second;
SELECT is((SELECT a.detail->'replaced'->0->>'source' FROM onemap.audit_log a WHERE a.action = 'calendar_notice_put' ORDER BY a.id DESC LIMIT 1), 'first', 'so does the audit log');
SELECT is(test.days('first') || ' | ' || test.days('second'), '01-01h 01-02h 01-03h 04-26m 05-10m | 05-01h 05-02h 05-03h', 'which is replaced, the others stay');
SELECT is((SELECT string_agg(d.kind, ' ' ORDER BY d.day) FROM onemap.calendar_day d WHERE d.day BETWEEN '2031-05-04' AND '2031-05-05'), 'weekend workday', 'what it no longer names is plain again');
SELECT is(test.problems('{"source": "third", "holidays": [{"name": "劳动节", "first_day": "2031-05-08", "last_day": "2031-05-10"}], "workdays": ["2031-05-03"]}'),
    'holidays[0]: takes 劳动节 2031-05-01 to 2031-05-03 of second, 调休上班 2031-05-10 of first: if that is meant, name the source in "replaces"',
    'a holiday of the same name nearby, and a make-up day');
SELECT is(test.problems('{"source": "third", "replaces": "second", "workdays": ["2031-05-03"]}'), 'replaces: must be a list of sources / workdays[0]: takes 劳动节 2031-05-03 of second: if that is meant, name the source in "replaces"',
    'a day of it that would be worked');
SELECT is(onemap.calendar_import('{"source": "third", "replaces": ["second"], "holidays": [{"name": "劳动节", "first_day": "2031-05-08", "last_day": "2031-05-09"}]}')->'replaced'->0->>'source', 'second',
    'another moves it');
SELECT is(test.days('second'), NULL, 'and nothing of the one before is left');
SELECT is((SELECT string_agg(r->>'source', ' ') FROM jsonb_array_elements(onemap.calendar_import('{"source": "fourth", "replaces": ["first", "third"], "holidays": [
    {"name": "元旦", "first_day": "2031-01-01", "last_day": "2031-01-01"}, {"name": "劳动节", "first_day": "2031-05-08", "last_day": "2031-05-08"}],
    "workdays": ["2031-05-11"]}')->'replaced') r), 'first third', 'a new one for the whole year');
SELECT is(coalesce(test.days('first'), '') || coalesce(test.days('third'), '') || test.days('fourth'), '01-01h 05-08h 05-11m', 'make-up days of those before go with their last holiday');
SELECT is((SELECT jsonb_agg(n->'source') FROM jsonb_array_elements(onemap.calendar_export_json('{"year": 2031}')) n), '["fourth"]', 'the export has what is in force');
CREATE TEMP TABLE until_2030 AS SELECT md5(string_agg(d::text, '' ORDER BY d.day)) AS sum FROM onemap.calendar_day d WHERE d.day < '2030-01-01';
SELECT is(onemap.calendar_import(onemap.calendar_export_json('{}'))->'entered'->>0, '国办发明电〔2020〕27号', 'and is entered again');
SELECT is((SELECT md5(string_agg(d::text, '' ORDER BY d.day)) FROM onemap.calendar_day d WHERE d.day < '2030-01-01'), (SELECT sum FROM until_2030), 'with nothing lost');
SELECT is(onemap.calendar_import(jsonb_build_object('source', 'far', 'holidays', jsonb_build_array(jsonb_build_object('name', '元旦',
    'first_day', (extract(year FROM now())::int + 9) || '-01-01', 'last_day', (extract(year FROM now())::int + 9) || '-01-01')))), '{"entered": ["far"], "replaced": []}', 'years ahead the calendar grows');
SELECT is((SELECT max(d.day) FROM onemap.calendar_day d), make_date(extract(year FROM now())::int + 9, 12, 31), 'to the end of that year');

-- ---- a year without a notice ----
UPDATE onemap.calendar_day d SET kind = 'holiday', working = false, name_zh = '元旦', source = 'known'
WHERE d.day = make_date(extract(year FROM d.day)::int, 1, 2);
SELECT is((SELECT w.warning FROM onemap.calendar_warning() w), NULL, 'every year has its notice: no warning');
UPDATE onemap.calendar_day d SET kind = CASE WHEN extract(isodow FROM d.day) < 6 THEN 'workday' ELSE 'weekend' END, working = extract(isodow FROM d.day) < 6, source = '', name_zh = ''
WHERE extract(year FROM d.day) = extract(year FROM onemap.local_time(now()));
SELECT is((SELECT w.warning FROM onemap.calendar_warning() w), format('no notice of holidays is entered for %s, into which deadlines fall: they are counted by a plain week; `cityhub calendar import` enters it',
    to_char(onemap.local_time(now()), 'YYYY')), 'the year that runs');
SELECT matches((SELECT w.warning_zh FROM onemap.calendar_warning() w), '还没有录入 ' || to_char(onemap.local_time(now()), 'YYYY') || ' 年的节假日安排', 'in Chinese, too');
UPDATE onemap.calendar_day d SET kind = 'holiday', working = false, name_zh = '元旦', source = 'known'
WHERE d.day = make_date(extract(year FROM onemap.local_time(now()))::int, 1, 2);
SELECT is((SELECT w.warning FROM onemap.calendar_warning() w), NULL, 'has one again');
UPDATE onemap.calendar_day d SET kind = CASE WHEN extract(isodow FROM d.day) < 6 THEN 'workday' ELSE 'weekend' END, working = extract(isodow FROM d.day) < 6, source = '', name_zh = ''
WHERE extract(year FROM d.day) = extract(year FROM onemap.local_time(now())) + 2;
SELECT is((SELECT w.warning FROM onemap.calendar_warning() w), NULL, 'the year after the next has none, and nothing falls into it');
SELECT test.act(r.code, 'grant_extension', 'leader', '{"amount": 1000}') FROM (SELECT test.drive('handling') AS code) r,
    LATERAL test.act(r.code, 'ask_extension', 'department', '{"amount": 1000}');
UPDATE onemap.case_record r SET deadline_at = now() + interval '25 months' WHERE r.state = 'handling';
SELECT matches((SELECT w.warning FROM onemap.calendar_warning() w), to_char(onemap.local_time(now()) + interval '2 years', 'YYYY'), 'until a deadline does');

-- ---- office hours ----
SELECT throws_ok(format('SELECT onemap.calendar_office_import(%L)', x.settings), 'CH014', NULL, 'refused: ' || x.settings) FROM (VALUES
    ('[]'), ('{"schedule": "w", "name_zh": "冬", "source": "x", "period": []}'),
    ('{"schedule": "w", "name_zh": "冬", "source": "x", "periods": [{"opens": "08:00", "closes": "12:00", "open": "x"}]}'),
    ('{"schedule": "w", "name_zh": "冬", "source": "x", "periods": ["08:00"]}'),
    ('[{"schedule": "w", "name_zh": "冬", "source": "x", "periods": [{"opens": "08:00", "closes": "12:00"}]}, {"schedule": "w", "name_zh": "夏", "source": "x", "periods": [{"opens": "09:00", "closes": "12:00"}]}]'))
    AS x (settings);
SELECT is(onemap.calendar_office_import('{"schedule": "w", "name_zh": "冬", "source": "x", "periods": [{"opens": "08:00", "closes": "12:00"}]}'), '{"entered": ["w"]}', 'as it should be');
SELECT * FROM finish();
ROLLBACK;
