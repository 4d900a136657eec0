-- Being above (上级): other hubs report here over the interface by which this one reports (config/upstream/cityhub.json). A county
-- comes in by its own token, its records are kept apart, and nothing that it sends can touch another's.

CREATE OR REPLACE FUNCTION onemap.exchange_county_put(request jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM onemap.token t WHERE t.name = request->>'token' AND t.revoked_at IS NULL) THEN
        RAISE EXCEPTION 'there is no token "%"', request->>'token' USING ERRCODE = 'CH070',
            HINT = 'Make one that may nothing else: `cityhub token add NAME --rights exchange`.';
    ELSIF EXISTS (SELECT FROM onemap.exchange_county c WHERE c.token = request->>'token' AND c.county <> request->>'county') THEN
        RAISE EXCEPTION 'token "%" is another county''s', request->>'token' USING ERRCODE = 'CH070';
    END IF;
    INSERT INTO onemap.exchange_county AS c (county, name_zh, token)
    VALUES (request->>'county', request->>'name_zh', request->>'token')
    ON CONFLICT (county) DO UPDATE SET name_zh = excluded.name_zh, token = excluded.token;
    PERFORM onemap.audit('exchange_county', request);
    RETURN jsonb_build_object('county', request->'county');
END $$;
COMMENT ON FUNCTION onemap.exchange_county_put(jsonb) IS
    'Adds a county that reports here, or changes it: {county, name_zh, token: by which it comes in}; CH070';

CREATE OR REPLACE FUNCTION onemap.exchange_county_check(request jsonb) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE who jsonb := onemap.identity(request); named text;
BEGIN
    SELECT c.token INTO named FROM onemap.exchange_county c WHERE c.county = request->>'county';
    IF named IS NULL OR who->>'kind' IS DISTINCT FROM 'token' OR who->>'name' IS DISTINCT FROM named THEN
        RAISE EXCEPTION '% does not report for county "%"', coalesce(who->>'login', '-'), request->>'county'
            USING ERRCODE = 'CH075', HINT = '每个区县用自己的令牌：cityhub upstream county。';
    END IF;
    RETURN true;
END $$;
COMMENT ON FUNCTION onemap.exchange_county_check(jsonb) IS 'Refuses (CH075) whoever is not the county that the path names';

CREATE OR REPLACE FUNCTION onemap.exchange_county_take(county text, resource text, one jsonb) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE told bytea; had bytea;
BEGIN
    IF (one->>'number') !~ '^[0-9]{1,18}$' OR (one->>'hash') !~ '^[0-9a-f]{64}$' OR (one->>'version') !~ '^[1-9][0-9]{0,8}$'
        OR coalesce(one->>'record', '') = '' OR (one->>'content') IS NULL
        OR (one->>'number') IS NULL OR (one->>'hash') IS NULL OR (one->>'version') IS NULL THEN
        RETURN 'number, record, version, hash and content must be there';
    END IF;
    told := decode(one->>'hash', 'hex');
    IF sha256(convert_to(one->>'content', 'UTF8')) <> told THEN
        RETURN 'the hash is not that of the content';
    ELSIF jsonb_typeof((one->>'content')::jsonb) <> 'object' THEN
        RETURN 'the content is no object';
    END IF;
    INSERT INTO onemap.exchange_county_record AS r (county, number, resource, record, version, hash, content)
    VALUES ($1, (one->>'number')::bigint, $2, one->>'record', (one->>'version')::int, told, (one->>'content')::jsonb)
    ON CONFLICT DO NOTHING;
    SELECT r.hash INTO had FROM onemap.exchange_county_record r WHERE r.county = $1 AND r.number = (one->>'number')::bigint
        AND r.resource = $2 AND r.record = one->>'record' AND r.version = (one->>'version')::int;
    RETURN CASE WHEN had IS NULL THEN 'this number or version was another record''s'
        WHEN had <> told THEN 'this number came before with another hash' END;
EXCEPTION WHEN invalid_text_representation OR untranslatable_character THEN
    RETURN 'the content is no JSON';
END $$;
COMMENT ON FUNCTION onemap.exchange_county_take(text, text, jsonb) IS
    'Keeps a county''s record {number, record, version, hash, content: its text}; the same again changes nothing. Returns '
    'NULL, or why it is refused';

CREATE OR REPLACE FUNCTION onemap.http_exchange_take(request jsonb, sent jsonb) RETURNS TABLE (body json)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM onemap.exchange_county_check(request);
    IF NOT EXISTS (SELECT FROM onemap.exchange_resource r WHERE r.resource = request->>'resource') THEN
        RAISE EXCEPTION 'there is no resource "%"', request->>'resource' USING ERRCODE = 'CH076',
            HINT = (SELECT string_agg(r.resource || ' ' || r.name_zh, '，' ORDER BY r.position) FROM onemap.exchange_resource r);
    ELSIF jsonb_typeof(sent->'records') IS DISTINCT FROM 'array' OR jsonb_array_length(sent->'records') > 500 THEN
        RAISE EXCEPTION 'records must be a list of at most 500' USING ERRCODE = 'CH076', HINT = 'records 应为数组，至多 500 条。';
    END IF;
    RETURN QUERY SELECT json_build_object('results', coalesce(json_agg(json_build_object('number', t.one->>'number',
            'code', CASE WHEN t.why IS NULL THEN 0 ELSE 1 END, 'message', coalesce(t.why, ''),
            'receipt', (request->>'county') || '/' || (t.one->>'number')) ORDER BY t.place), '[]'))
        FROM (SELECT e.one, e.place, onemap.exchange_county_take(request->>'county', request->>'resource', e.one) AS why
              FROM jsonb_array_elements(sent->'records') WITH ORDINALITY e (one, place)) t;
END $$;
COMMENT ON FUNCTION onemap.http_exchange_take(jsonb, jsonb) IS
    'POST /api/v1/exchange/{county}/{resource}: {records: [{number, record, version, hash, content}]}; {results: [{number, code: 0 '
    'kept, 1 refused, message, receipt}]}';

CREATE OR REPLACE FUNCTION onemap.http_exchange_held(request jsonb) RETURNS TABLE (body json)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM onemap.exchange_county_check(request);
    RETURN QUERY SELECT json_build_object('records', coalesce(json_agg(json_build_object('number', r.number::text, 'hash',
            encode(r.hash, 'hex')) ORDER BY r.number), '[]'), 'next', CASE WHEN count(*) = 1000 THEN max(r.number)::text END)
        FROM (SELECT x.number, x.hash FROM onemap.exchange_county_record x
              WHERE x.county = request->>'county' AND x.resource = request->>'resource'
                AND x.number > coalesce((request->>'after')::bigint, 0) ORDER BY x.number LIMIT 1000) r;
END $$;
COMMENT ON FUNCTION onemap.http_exchange_held(jsonb) IS
    'GET /api/v1/exchange/{county}/ledger/records: {records: [{number, hash}], next}: what is here of a resource, for its '
    'reconciliation';

CREATE OR REPLACE VIEW onemap.exchange_county_newest AS
    SELECT DISTINCT ON (r.county, r.resource, r.record) r.county, r.resource, r.record, r.version, r.number, r.content,
           r.received_at
    FROM onemap.exchange_county_record r ORDER BY r.county, r.resource, r.record, r.version DESC;
COMMENT ON VIEW onemap.exchange_county_newest IS 'What counties reported, as it is after all corrections';
GRANT SELECT ON onemap.exchange_county_newest TO cityhub_hub, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.exchange_county_month(county text, month date) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object(
        'statistics', (SELECT coalesce(jsonb_object_agg(m.key, m.total), '{}') FROM (
            SELECT e.key, sum(e.value::numeric) AS total FROM onemap.exchange_county_newest r,
                jsonb_each_text(r.content - '{month,department}'::text[]) e (key, value)
            WHERE r.county = $1 AND r.resource = 'statistics' AND r.content->>'month' = $2::text AND e.value IS NOT NULL
            GROUP BY e.key) m),
        'scores', (SELECT coalesce(jsonb_agg(jsonb_build_object('department', r.content->'department',
                'name_zh', d.content->'name_zh', 'score', r.content->'score') ORDER BY r.record), '[]')
            FROM onemap.exchange_county_newest r LEFT JOIN onemap.exchange_county_newest d
                ON d.county = $1 AND d.resource = 'department' AND d.record = r.content->>'department'
            WHERE r.county = $1 AND r.resource = 'score' AND r.content->>'month' = $2::text))
$$;
COMMENT ON FUNCTION onemap.exchange_county_month(text, date) IS
    'A county''s month as it reported it: {statistics: {measure: the departments'' sum}, scores: [{department, name_zh, score}]}';

CREATE OR REPLACE FUNCTION onemap.exchange_counties(request jsonb) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object('county', c.county, 'name_zh', c.name_zh, 'records', n.records,
        'corrections', n.corrections, 'received_at', n.received_at, 'month', to_char(m.month, 'YYYY-MM'))
        || onemap.exchange_county_month(c.county, m.month) ORDER BY c.county), '[]')
    FROM onemap.exchange_county c
    CROSS JOIN LATERAL (SELECT count(*) AS records, count(*) FILTER (WHERE r.version > 1) AS corrections,
        max(r.received_at) AS received_at FROM onemap.exchange_county_record r WHERE r.county = c.county) n
    CROSS JOIN LATERAL (SELECT CASE WHEN request ? 'month' THEN onemap.score_month_parse(request->>'month')
        ELSE (SELECT max((r.content->>'month')::date) FROM onemap.exchange_county_record r
              WHERE r.county = c.county AND r.resource = 'statistics') END AS month) m
$$;
COMMENT ON FUNCTION onemap.exchange_counties(jsonb) IS
    'Counties side by side: {month, by default each one''s newest}: how much came and when, that month''s statistics and scores';

CREATE OR REPLACE FUNCTION onemap.exchange_counties_table(request jsonb) RETURNS TABLE (county text, name text, records bigint,
    received text, month text, reported numeric, should_close numeric, closed numeric, closed_in_time numeric)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT c.county, c.name_zh, c.records, onemap.county_time(c.received_at), c.month, (c.statistics->>'reported')::numeric,
           (c.statistics->>'should_close')::numeric, (c.statistics->>'closed')::numeric, (c.statistics->>'closed_in_time')::numeric
    FROM jsonb_to_recordset(onemap.exchange_counties(request)) AS c (county text, name_zh text, records bigint,
        received_at timestamptz, month text, statistics jsonb)
    ORDER BY c.county
$$;
COMMENT ON FUNCTION onemap.exchange_counties_table(jsonb) IS 'The same for people';

CREATE OR REPLACE FUNCTION onemap.http_counties(request jsonb) RETURNS TABLE (body json)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT json_build_object('counties', CASE WHEN (SELECT onemap.identity_departments(request)) IS NULL
        THEN onemap.exchange_counties(request) ELSE '[]' END,
        'measures', (SELECT json_agg(json_build_object('measure', m.measure, 'name_zh', m.name_zh) ORDER BY m."position")
            FROM onemap.score_measure m))
$$;
COMMENT ON FUNCTION onemap.http_counties(jsonb) IS
    'GET /api/v1/counties: {counties, measures}: side by side what counties reported, and what the measures of its statistics are '
    'called; not for who sees single departments alone';

GRANT EXECUTE ON FUNCTION onemap.http_exchange_take(jsonb, jsonb), onemap.http_exchange_held(jsonb), onemap.http_counties(jsonb)
    TO cityhub_api;
GRANT EXECUTE ON FUNCTION onemap.exchange_county_put(jsonb) TO cityhub_hub;
GRANT EXECUTE ON FUNCTION onemap.exchange_counties(jsonb), onemap.exchange_counties_table(jsonb) TO cityhub_hub, cityhub_read;
