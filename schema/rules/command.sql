-- What `cityhub`'s commands show people and read from them: for each list a table (columns and times as a person reads them,
-- _table) and its JSON (_json), and the few requests that need a word more than the rules give. A command calls one of these by
-- its name and knows no column. None of them decides anything about cases or scores: that is in the rules they call. Each stands
-- at the end of its subject's file; here are those of scores, which stand on several files, and who may call all of them.
--
-- Every function takes one request as JSON and ignores members that it does not know: the command's table of options says
-- which there are.

-- ---- score ----

CREATE OR REPLACE FUNCTION onemap.score_compute_json(request jsonb) RETURNS jsonb
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object('digital', onemap.score_compute(request), 'assessment', onemap.assessment_compute(request))
$$;
COMMENT ON FUNCTION onemap.score_compute_json(jsonb) IS 'A month''s digital scores and its assessment: {month, formula}';

CREATE OR REPLACE FUNCTION onemap.score_digital_table(request jsonb)
RETURNS TABLE ("group" text, rank int, department text, name text,
    score numeric, missing int)
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT r.group_name, r.rank, r.department, r.name, r.score, jsonb_array_length(r.missing)
    FROM jsonb_to_recordset(onemap.score_compute(request)->'rows') AS r (group_name text, rank int, department text, name text,
        score numeric, missing jsonb)
$$;
COMMENT ON FUNCTION onemap.score_digital_table(jsonb) IS 'Digital scores of a month for people: {month, formula}';

CREATE OR REPLACE FUNCTION onemap.score_assessment_table(request jsonb) RETURNS TABLE (rank int, department text, name text,
    total text, grade text, digital numeric, campaigns numeric, bonus numeric, deducted numeric, missing int)
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT r.rank, r.department, r.name, coalesce(onemap.assessment_shown((r.exact->>'total')::numeric), r.total::text), r.grade,
           r.digital, r.campaign_mean, r.bonus, r.deducted, jsonb_array_length(r.missing)
    FROM jsonb_to_recordset(onemap.assessment_compute(request)->'rows') AS r (rank int, department text, name text, total numeric,
        exact jsonb, grade text, digital numeric, campaign_mean numeric, bonus numeric, deducted numeric, missing jsonb)
$$;
COMMENT ON FUNCTION onemap.score_assessment_table(jsonb) IS 'The county''s assessment of a month for people: {month}';

CREATE OR REPLACE FUNCTION onemap.score_statistics_table(request jsonb)
RETURNS TABLE (key text, reported numeric, registered numeric,
    dispatched numeric, should_handle numeric, handled numeric, in_time numeric, overdue numeric, reworks numeric, returned numeric,
    deferred numeric, should_close numeric, closed_in_time numeric, handle_in_time_rate numeric, close_in_time_rate numeric)
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT r.key, m.reported, m.registered, m.dispatched, m.should_handle, m.handled, m.handled_in_time, m.overdue, m.rework_times,
           m.returned, m.deferred, m.should_close, m.closed_in_time, (r.rates->>'handle_in_time_rate')::numeric,
           (r.rates->>'close_in_time_rate')::numeric
    FROM jsonb_to_recordset(onemap.score_statistics(request)->'rows') AS r (key text, measures jsonb, rates jsonb),
        jsonb_to_record(r.measures) AS m (reported numeric, registered numeric, dispatched numeric, should_handle numeric,
            handled numeric, handled_in_time numeric, overdue numeric, rework_times numeric, returned numeric, deferred numeric,
            should_close numeric, closed_in_time numeric)
$$;
COMMENT ON FUNCTION onemap.score_statistics_table(jsonb) IS
    'Statistics for people, the most asked-for measures: {month | from, to, by}; all of them: score_statistics()';

CREATE OR REPLACE FUNCTION onemap.score_person_table(request jsonb) RETURNS TABLE (person text, action text, times int)
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT r.key, m.key, m.value::int
    FROM jsonb_to_recordset(onemap.score_statistics(request)->'rows') AS r (key text, measures jsonb), jsonb_each_text(r.measures) m
    ORDER BY r.key COLLATE "C", m.key COLLATE "C"
$$;
COMMENT ON FUNCTION onemap.score_person_table(jsonb) IS 'What each person did, for people: {month | from, to, by: person}';

CREATE OR REPLACE FUNCTION onemap.score_year_table(request jsonb)
RETURNS TABLE (rank int, department text, name text, total text,
    grade text, months int)
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT r.rank, r.department, r.name, onemap.assessment_shown(r.exact), r.grade, r.months
    FROM jsonb_to_recordset(onemap.assessment_year(request)->'rows')
        AS r (rank int, department text, name text, exact numeric, grade text, months int)
$$;
COMMENT ON FUNCTION onemap.score_year_table(jsonb) IS 'The year''s ranking for people: {year}';

CREATE OR REPLACE FUNCTION onemap.score_formula_json(request jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT onemap.score_formula_list()
$$;
COMMENT ON FUNCTION onemap.score_formula_json(jsonb) IS 'All versions of all formulas with their documents, oldest first';

CREATE OR REPLACE FUNCTION onemap.score_formula_table(request jsonb)
RETURNS TABLE (version int, key text, name text, from_month text,
    example text, author text, put text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT f.version, f.key, f.name, f.from_month, CASE WHEN f.example THEN 'yes' ELSE '' END, f.author,
           onemap.county_time(f.put_at)
    FROM jsonb_to_recordset(onemap.score_formula_list()) AS f (version int, key text, name text, from_month text, example boolean,
        author text, put_at timestamptz) ORDER BY f.version
$$;
COMMENT ON FUNCTION onemap.score_formula_table(jsonb) IS 'All versions of all formulas for people';

CREATE OR REPLACE FUNCTION onemap.score_formula_check(request jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object('problems', coalesce(jsonb_agg(p), '[]')) FROM onemap.score_formula_problems(request->'formula') p
$$;
COMMENT ON FUNCTION onemap.score_formula_check(jsonb) IS
    'What putting a formula would refuse: {formula}; returns {problems: [text]}';

CREATE OR REPLACE FUNCTION onemap.score_lead_json(request jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object('item', i.item, 'name', i.name_zh, 'part', i.part, 'weight', i.weight,
        'office', i.lead_office, 'clause', i.clause) ORDER BY i.position), '[]')
    FROM onemap.assessment_item i WHERE i.part <> 'digital'
$$;
COMMENT ON FUNCTION onemap.score_lead_json(jsonb) IS
    'Items of the assessment that offices enter, each with the office that alone may';

CREATE OR REPLACE FUNCTION onemap.score_lead_table(request jsonb) RETURNS TABLE (item text, name text, part text, weight numeric,
    office text, clause text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT l.item, l.name, l.part, l.weight, nullif(l.office, ''), l.clause
    FROM ROWS FROM (jsonb_to_recordset(onemap.score_lead_json(request)) AS (item text, name text, part text, weight numeric,
        office text, clause text)) WITH ORDINALITY AS l ORDER BY l.ordinality
$$;
COMMENT ON FUNCTION onemap.score_lead_table(jsonb) IS 'The same for people; no office: whoever enters names itself';

-- ---- who may call them ----

GRANT EXECUTE ON FUNCTION onemap.county_time(timestamptz, text), onemap.vendor_list_table(jsonb), onemap.vendor_list_json(jsonb),
    onemap.vendor_conformity_table(jsonb), onemap.vendor_conformity_json(jsonb),
    onemap.vendor_is_known(text), onemap.alarm_rule_words(onemap.alarm_rule), onemap.alarm_rule_words_zh(onemap.alarm_rule),
    onemap.alarm_rule_unit(onemap.alarm_rule), onemap.alarm_rule_list_json(jsonb),
    onemap.alarm_rule_list_table(jsonb), onemap.catalogue_list_table(jsonb), onemap.catalogue_list_json(jsonb),
    onemap.catalogue_versions_table(jsonb), onemap.catalogue_versions_json(jsonb), onemap.catalogue_version(jsonb),
    onemap.catalogue_export_table(jsonb),
    onemap.department_export_table(jsonb), onemap.department_list_table(jsonb), onemap.department_list_json(jsonb),
    onemap.calendar_days(jsonb), onemap.calendar_list_table(jsonb), onemap.calendar_list_json(jsonb),
    onemap.calendar_day_read(text), onemap.calendar_members(jsonb), onemap.calendar_notice_days(jsonb),
    onemap.calendar_notice_form(jsonb), onemap.calendar_notice_problems(jsonb), onemap.calendar_import_problems(jsonb),
    onemap.calendar_notice_replaced(jsonb), onemap.calendar_replaced_json(jsonb),
    onemap.calendar_replaced_words(text, text, date, date),
    onemap.calendar_export_json(jsonb), onemap.calendar_office_names(jsonb), onemap.calendar_office_json(jsonb),
    onemap.calendar_office_table(jsonb),
    onemap.case_list_table(jsonb), onemap.case_show_json(jsonb), onemap.case_clock_words(jsonb), onemap.case_can_words(jsonb),
    onemap.case_show_facts(jsonb), onemap.case_show_journal(jsonb), onemap.case_check_table(jsonb),
    onemap.score_compute_json(jsonb), onemap.score_digital_table(jsonb), onemap.score_assessment_table(jsonb),
    onemap.score_statistics_table(jsonb), onemap.score_person_table(jsonb), onemap.score_year_table(jsonb),
    onemap.score_formula_json(jsonb), onemap.score_formula_table(jsonb), onemap.score_lead_json(jsonb),
    onemap.score_lead_table(jsonb), onemap.problem_codes(), onemap.quarantine_filter(jsonb),
    onemap.quarantine_list_table(jsonb), onemap.quarantine_list_json(jsonb),
    onemap.quarantine_ids(jsonb), onemap.quarantine_last_id(), onemap.quarantine_show_facts(jsonb) TO cityhub_hub, cityhub_read;
GRANT EXECUTE ON FUNCTION onemap.quarantine_message(bigint), onemap.quarantine_is_whole(bigint) TO cityhub_hub;
GRANT EXECUTE ON FUNCTION onemap.alarm_rule_change_check(onemap.alarm_rule, jsonb), onemap.alarm_rule_change(jsonb),
    onemap.case_catalogue_check(jsonb), onemap.department_check(jsonb), onemap.calendar_import(jsonb),
    onemap.calendar_office_problem(jsonb), onemap.calendar_office_import(jsonb), onemap.case_do_now(jsonb),
    onemap.score_formula_check(jsonb), onemap.vendor_end(jsonb) TO cityhub_hub;
