-- Open311 GeoReport v2 (https://wiki.open311.org/GeoReport_v2/), with the updates that FixMyStreet reads and sends: what the public
-- knows of services, reports and updates. Public is an allow-list: services of onemap.open311_service, reports that came this way,
-- and of these the fields of open311_requests(): no text of a citizen, no name, no photograph, no reason of the journal. How a
-- report comes in, and the routes, are in http_open311.sql.

INSERT INTO onemap.setting (key, value, comment_zh) VALUES
    ('open311_repeat', '24 hours', 'Open311：内容相同的上报在多长时间内视为同一件'),
    ('open311_media_hosts', '', 'Open311：允许记录的图片地址主机名，以逗号分隔；留空则不记录'),
    ('open311_contact', '', 'Open311：discovery 中公布的联系方式')
ON CONFLICT (key) DO UPDATE SET comment_zh = excluded.comment_zh;

-- ---- what a request says ----

CREATE OR REPLACE FUNCTION onemap.open311_refuse(status int, description text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '%', description USING ERRCODE = 'CH077', DETAIL = status::text;
END $$;
COMMENT ON FUNCTION onemap.open311_refuse(int, text) IS
    'CH077: an error of Open311, with the HTTP status of its standard: 404 not there, 403 the key, 400 everything else';

CREATE OR REPLACE FUNCTION onemap.open311_decoded(typed text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF typed ~ '%(?![0-9A-Fa-f]{2})' THEN
        PERFORM onemap.open311_refuse(400, '表单编码有误 / the form is not encoded rightly: a % needs two hexadecimal digits');
    END IF;
    RETURN (SELECT convert_from(decode(string_agg(CASE WHEN p.n = 1 THEN encode(convert_to(p.part, 'UTF8'), 'hex')
            ELSE left(p.part, 2) || encode(convert_to(substr(p.part, 3), 'UTF8'), 'hex') END, '' ORDER BY p.n), 'hex'), 'UTF8')
        FROM string_to_table(replace(typed, '+', ' '), '%') WITH ORDINALITY AS p (part, n));
END $$;
COMMENT ON FUNCTION onemap.open311_decoded(text) IS 'A name or value of a form without its + and %XX; an error if it is no UTF-8';

CREATE OR REPLACE FUNCTION onemap.open311_form(sent bytea) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE result jsonb;
BEGIN
    SELECT jsonb_object_agg(f.name, f.value) INTO result
    FROM (SELECT p.name, string_agg(p.value, E'\n' ORDER BY p.n) AS value
          FROM (SELECT onemap.open311_decoded(split_part(e.e, '=', 1)) AS name, e.n,
                    onemap.bare(onemap.open311_decoded(substr(e.e, strpos(e.e, '=') + 1))) AS value
                FROM string_to_table(convert_from(sent, 'UTF8'), '&') WITH ORDINALITY AS e (e, n) WHERE strpos(e.e, '=') > 1) p
          WHERE p.value <> '' GROUP BY p.name) f;
    RETURN coalesce(result, '{}');
EXCEPTION WHEN character_not_in_repertoire OR untranslatable_character THEN
    PERFORM onemap.open311_refuse(400, '表单须为 UTF-8 / the form must be UTF-8');
    RETURN NULL;
END $$;
COMMENT ON FUNCTION onemap.open311_form(bytea) IS
    'A body of application/x-www-form-urlencoded as {name: value}: an empty argument counts as absent, values of one name are '
    'lines';

CREATE OR REPLACE FUNCTION onemap.open311_time(typed text, what text) RETURNS timestamptz
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE form text := '^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)?$';
    shown text := regexp_replace(upper(typed), ' ([0-9]{2}:?[0-9]{2})$', '+\1'); -- a + that was sent without being encoded
BEGIN
    IF coalesce(shown, '') = '' THEN
        RETURN NULL;
    ELSIF shown !~ form THEN
        PERFORM onemap.open311_refuse(400, what || ' 须为 W3C 时间 / must be a W3C time, such as 2026-11-24T08:00:00+08:00');
    END IF;
    RETURN onemap.typed_time(shown);
EXCEPTION WHEN data_exception THEN
    PERFORM onemap.open311_refuse(400, what || ' 须为 W3C 时间 / must be a W3C time, such as 2026-11-24T08:00:00+08:00');
    RETURN NULL;
END $$;
COMMENT ON FUNCTION onemap.open311_time(text, text) IS 'A time of a request; without an offset the county''s; NULL if it is '
    'absent';

CREATE OR REPLACE FUNCTION onemap.open311_shown(moment timestamptz) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT to_char(onemap.local_time(moment), 'YYYY-MM-DD"T"HH24:MI:SS') || CASE WHEN o.away < interval '0' THEN '-' ELSE '+' END
        || to_char(justify_interval(CASE WHEN o.away < interval '0' THEN -o.away ELSE o.away END), 'HH24:MI')
    FROM (SELECT onemap.local_time(moment) - moment AT TIME ZONE 'UTC' AS away) o
$$;
COMMENT ON FUNCTION onemap.open311_shown(timestamptz) IS 'A moment as the standard wants it: W3C, seconds, with the county''s '
    'offset';

CREATE OR REPLACE FUNCTION onemap.open311_key(api_key text) RETURNS int
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT t.id FROM onemap.token t
    WHERE t.hash = sha256(convert_to(api_key, 'UTF8')) AND t.revoked_at IS NULL AND t.expires_at > now()
        AND t.created_at <= now() + interval '1 minute' AND onemap.identity_of_token(t.id)->'rights' ? 'open311'
$$;
COMMENT ON FUNCTION onemap.open311_key(text) IS 'Id of the token that an api_key is, if it has the right open311; NULL if it '
    'is none';

CREATE OR REPLACE FUNCTION onemap.open311_here(request jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF coalesce(request->>'jurisdiction_id', '') NOT IN ('', onemap.setting('county_code')) THEN
        PERFORM onemap.open311_refuse(404, 'jurisdiction_id 不存在 / there is no jurisdiction ' ||
            left(request->>'jurisdiction_id', 64));
    ELSIF request->>'api_key' <> '' AND onemap.open311_key(request->>'api_key') IS NULL THEN
        PERFORM onemap.open311_refuse(403, 'api_key 无效 / the api_key is wrong, or has expired');
    END IF;
END $$;
COMMENT ON FUNCTION onemap.open311_here(jsonb) IS
    'CH077 if a request names another jurisdiction (this one''s is the setting county_code), or has a key that is none';

-- ---- states ----

CREATE OR REPLACE FUNCTION onemap.open311_state(state text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN state IN ('reported', 'accepted', 'verifying', 'verified') THEN 'INVESTIGATING'
        WHEN state IN ('registered', 'dispatched') THEN 'ACTION_SCHEDULED'
        WHEN state = 'closed' THEN 'FIXED' WHEN state IN ('rejected', 'voided') THEN 'NO_FURTHER_ACTION'
        WHEN state = 'merged' THEN 'DUPLICATE' ELSE 'IN_PROGRESS' END
$$;
COMMENT ON FUNCTION onemap.open311_state(text) IS 'A state of cases as FixMyStreet''s extended states name it';

CREATE OR REPLACE FUNCTION onemap.open311_notes(state text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE onemap.open311_state(state) WHEN 'INVESTIGATING' THEN '已收到，正在受理核实。'
        WHEN 'ACTION_SCHEDULED' THEN '已立案，已安排责任单位处置。' WHEN 'FIXED' THEN '已处置并结案。'
        WHEN 'NO_FURTHER_ACTION' THEN '经核实不再处理。' WHEN 'DUPLICATE' THEN
            '与此前的上报为同一事项，已合并处理，后续进展将继续告知。'
        ELSE '正在处置。' END
$$;
COMMENT ON FUNCTION onemap.open311_notes(text) IS
    'What the public is told of a state: fixed words, never what the journal says';

-- ---- services ----

CREATE OR REPLACE FUNCTION onemap.open311_services(request jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM onemap.open311_here(request);
    RETURN (SELECT coalesce(jsonb_agg(jsonb_build_object('service_code', s.service_code, 'service_name', s.name,
            'description', s.description, 'metadata', true, 'type', 'realtime', 'keywords', s.keywords, 'group', s.service_group)
            ORDER BY s.position, s.service_code), '[]') FROM onemap.open311_service s);
END $$;
COMMENT ON FUNCTION onemap.open311_services(jsonb) IS 'The service list';

CREATE OR REPLACE FUNCTION onemap.open311_definition(request jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM onemap.open311_here(request);
    IF NOT EXISTS (SELECT FROM onemap.open311_service s WHERE s.service_code = request->>'code') THEN
        PERFORM onemap.open311_refuse(404, 'service_code 不存在 / there is no such service_code');
    END IF;
    RETURN jsonb_build_object('service_code', request->>'code', 'attributes', (
        SELECT jsonb_agg(jsonb_build_object('variable', true, 'code', a.code, 'datatype', 'string', 'required', false,
            'datatype_description', '', 'order', a.place, 'description', a.description, 'automated', 'server_set', 'values',
                '[]'::jsonb)
            ORDER BY a.place)
        FROM (VALUES (1, 'fixmystreet_id', '发送方的编号：重发时据此识别 / the sender''s number, by which a repetition is known'),
            (2, 'closest_address', '最近的地址 / the closest address')) AS a (place, code, description)));
END $$;
COMMENT ON FUNCTION onemap.open311_definition(jsonb) IS
    'The attributes of a service: those that programs fill by themselves, the sender''s number above all';

-- ---- reports as the public sees them ----

-- The case that a report stands for: its own, or the one that it was merged into.
CREATE OR REPLACE FUNCTION onemap.open311_leader(case_id bigint) RETURNS bigint
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH RECURSIVE up AS (
        SELECT r.id, r.merged_into FROM onemap.case_record r WHERE r.id = $1
        UNION SELECT r.id, r.merged_into FROM up JOIN onemap.case_record r ON r.id = up.merged_into)
    SELECT u.id FROM up u WHERE u.merged_into IS NULL
$$;
COMMENT ON FUNCTION onemap.open311_leader(bigint) IS 'The case that a report stands for by now: its own, or the one it was '
    'merged into';

CREATE OR REPLACE FUNCTION onemap.open311_public(api_key text) RETURNS TABLE (case_id bigint, service_code text, service_name text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT q.case_id, q.service_code, s.name
    FROM onemap.open311_request q JOIN onemap.open311_service s ON s.service_code = q.service_code
    WHERE NOT s.private OR q.token_id = (SELECT onemap.open311_key(api_key))
$$;
COMMENT ON FUNCTION onemap.open311_public(text) IS
    'Reports that may be shown: of services that are public, and those that the program with this key has sent itself';

CREATE OR REPLACE FUNCTION onemap.open311_range(request jsonb, OUT since timestamptz, OUT until timestamptz)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    since := onemap.open311_time(request->>'start_date', 'start_date');
    until := onemap.open311_time(request->>'end_date', 'end_date');
    IF until < since THEN
        PERFORM onemap.open311_refuse(400, 'start_date 须早于 end_date / start_date must be before end_date');
    ELSIF until > since + interval '90 days 1 hour' THEN
        PERFORM onemap.open311_refuse(400, 'start_date 至 end_date 最长 90 天 / from start_date to end_date are 90 days at the '
        'most');
    END IF;
    until := coalesce(until, since + interval '90 days', now() + interval '1 day');
    since := coalesce(since, until - interval '91 days');
END $$;
COMMENT ON FUNCTION onemap.open311_range(jsonb) IS 'From when to when a request asks: 90 days, the last ones if it says nothing';

CREATE OR REPLACE FUNCTION onemap.open311_page(request jsonb, member text, usual int, most int) RETURNS int
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE typed text := coalesce(nullif(request->>member, ''), usual::text);
BEGIN
    IF typed !~ '^[0-9]{1,6}$' OR typed::int NOT BETWEEN 1 AND most THEN
        PERFORM onemap.open311_refuse(400, format('%s 须为 1 至 %s 的整数 / must be a whole number from 1 to %2$s', member, most));
    END IF;
    RETURN typed::int;
END $$;
COMMENT ON FUNCTION onemap.open311_page(jsonb, text, int, int) IS 'A whole number of a request from 1 to the most';

CREATE OR REPLACE FUNCTION onemap.open311_near(request jsonb, OUT point public.geometry, OUT radius int)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    lat text := nullif(request->>'lat', ''); lon text := nullif(request->>'long', '');
    number text := '^-?[0-9]{1,3}(\.[0-9]{1,15})?$';
BEGIN
    IF lat IS NULL AND lon IS NULL AND coalesce(request->>'radius', '') = '' THEN
        RETURN;
    ELSIF (lat ~ number AND lon ~ number) IS NOT TRUE OR abs(lat::float8) > 90 OR abs(lon::float8) > 180 THEN
        PERFORM onemap.open311_refuse(400, 'lat、long 须为 WGS-84 的度数 / lat and long must be degrees of WGS 84, both of them');
    END IF;
    point := public.ST_SetSRID(public.ST_MakePoint(lon::float8, lat::float8), 4326);
    radius := onemap.open311_page(request, 'radius', 250, 5000);
END $$;
COMMENT ON FUNCTION onemap.open311_near(jsonb) IS 'Round which point, and how many metres, a request asks; NULL if it says nothing';

CREATE OR REPLACE FUNCTION onemap.open311_requests(request jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    ids text[] := nullif(string_to_array(replace(coalesce(request->>'id', request->>'service_request_id', ''), ' ', ''), ','),
        '{}');
    codes text[] := string_to_array(nullif(request->>'service_code', ''), ',');
    wanted text[] := string_to_array(nullif(lower(request->>'status'), ''), ',');
    page int := onemap.open311_page(request, 'page', 1, 100000); size int := onemap.open311_page(request, 'page_size', 1000, 1000);
    span record; near record; found jsonb;
BEGIN
    PERFORM onemap.open311_here(request);
    SELECT * INTO near FROM onemap.open311_near(request);
    IF wanted IS NOT NULL AND NOT wanted <@ '{open,closed}' THEN
        PERFORM onemap.open311_refuse(400, 'status 须为 open 或 closed / must be open or closed');
    ELSIF EXISTS (SELECT FROM unnest(codes) k (code)
            WHERE NOT EXISTS (SELECT FROM onemap.open311_service s WHERE s.service_code = k.code)
            AND NOT EXISTS (SELECT FROM onemap.open311_request q WHERE q.service_code = k.code)) THEN
        PERFORM onemap.open311_refuse(404, 'service_code 不存在 / there is no such service_code');
    END IF;
    SELECT * INTO span FROM onemap.open311_range(request);
    SELECT coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object('service_request_id', p.code, 'status', p.status,
            'status_notes', onemap.open311_notes(p.state), 'service_name', p.service_name, 'service_code', p.service_code,
            'service_notice', CASE WHEN request->>'api_key' <> '' THEN onemap.open311_media_notice(p.id, request->>'api_key') END,
            'agency_responsible', (SELECT d.name_zh FROM onemap.department d WHERE d.id = p.department_id),
            'requested_datetime', onemap.open311_shown(p.reported_at), 'updated_datetime', onemap.open311_shown(
                (SELECT max(e.recorded_at) FROM onemap.case_event e WHERE e.case_id = p.leader
                    AND e.from_state IS DISTINCT FROM e.to_state)),
            'expected_datetime', onemap.open311_shown(p.deadline_at),
            'lat', trim_scale(round(public.ST_Y(p.geom)::numeric, 6)), 'long', trim_scale(round(public.ST_X(p.geom)::numeric, 6))))
            ORDER BY p.away, p.reported_at DESC, p.id DESC), '[]') INTO found
    FROM (SELECT public.ST_Distance(c.geom::public.geography, near.point::public.geography) AS away, c.id, c.code,
              c.reported_at, c.geom, q.service_code, q.service_name, l.id AS leader, l.state, l.department_id, l.deadline_at,
              CASE WHEN l.ended_at IS NULL THEN 'open' ELSE 'closed' END AS status
          FROM onemap.open311_public(request->>'api_key') q JOIN onemap.case_record c ON c.id = q.case_id
              JOIN onemap.case_record l ON l.id = onemap.open311_leader(c.id)
          WHERE CASE WHEN ids IS NOT NULL THEN c.code = ANY (ids)
              ELSE c.reported_at BETWEEN span.since AND span.until AND (codes IS NULL OR q.service_code = ANY (codes))
                  AND (near.point IS NULL OR public.ST_DWithin(c.geom::public.geography, near.point::public.geography, near.radius))
                  AND (wanted IS NULL OR CASE WHEN l.ended_at IS NULL THEN 'open' ELSE 'closed' END = ANY (wanted)) END
          ORDER BY away, c.reported_at DESC, c.id DESC LIMIT size OFFSET (page - 1) * size) p;
    IF request ? 'id' AND found = '[]' THEN
        PERFORM onemap.open311_refuse(404, 'service_request_id 不存在 / there is no such service_request_id');
    END IF;
    RETURN found;
END $$;
COMMENT ON FUNCTION onemap.open311_requests(jsonb) IS
    'Reports with the fields of the allow-list, newest first, or round a point nearest first, 1000 a page; one of them if the path '
    'names it';

CREATE OR REPLACE FUNCTION onemap.open311_token(request jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM onemap.open311_here(request);
    IF NOT EXISTS (SELECT FROM onemap.open311_public(request->>'api_key') q JOIN onemap.case_record c ON c.id = q.case_id
            WHERE c.code = request->>'id') THEN
        PERFORM onemap.open311_refuse(404, 'token 不存在 / there is no such token: a report is answered with its id at once');
    END IF;
    RETURN jsonb_build_array(jsonb_build_object('service_request_id', request->>'id', 'token', request->>'id'));
END $$;
COMMENT ON FUNCTION onemap.open311_token(jsonb) IS 'An id is its own token: every report has its id at once';

-- ---- updates ----

-- A step counts when the public's state changes by it. Who was merged is told of the leader's steps from then on, by numbers
-- of its own.
CREATE OR REPLACE FUNCTION onemap.open311_updates(request jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE span record;
BEGIN
    PERFORM onemap.open311_here(request);
    SELECT * INTO span FROM onemap.open311_range(request);
    RETURN (
        WITH RECURSIVE step AS (
            SELECT e.id, e.case_id, e.to_state, date_trunc('second', e.recorded_at) AS at, e.recorded_at FROM onemap.case_event e
            WHERE e.recorded_at >= date_trunc('second', span.since) AND e.recorded_at < span.until + interval '1 second'
                AND date_trunc('second', e.recorded_at) BETWEEN span.since AND span.until AND e.action <> 'report'
                AND onemap.open311_state(e.to_state) <> onemap.open311_state(coalesce(e.from_state, 'reported'))),
        told AS (
            SELECT s.id, s.case_id, s.to_state, s.at, s.recorded_at, s.id::text AS update_id FROM step s
            UNION SELECT t.id, r.id, t.to_state, t.at, t.recorded_at, t.id || '-' || r.id
                FROM told t JOIN onemap.case_record r ON r.merged_into = t.case_id
                WHERE t.recorded_at > (SELECT max(e.recorded_at) FROM onemap.case_event e WHERE e.case_id = r.id AND e.action
                    = 'merge'))
        SELECT coalesce(jsonb_agg(jsonb_build_object('update_id', t.update_id, 'service_request_id', c.code,
            'status', onemap.open311_state(t.to_state), 'updated_datetime', onemap.open311_shown(t.at),
            'description', onemap.open311_notes(t.to_state), 'media_url', '') ORDER BY t.recorded_at, t.id, t.update_id), '[]')
        FROM told t JOIN onemap.open311_public(request->>'api_key') q ON q.case_id = t.case_id
            JOIN onemap.case_record c ON c.id = t.case_id
        WHERE coalesce(request->>'service_request_id', '') IN ('', c.code));
END $$;
COMMENT ON FUNCTION onemap.open311_updates(jsonb) IS
    'Updates with the moments at which they were recorded, never earlier ones, in that order, in FixMyStreet''s extended states';

-- ---- the list of services, as its file has it ----

CREATE OR REPLACE FUNCTION onemap.open311_service_problems(rows jsonb) RETURNS TABLE (line int, problem text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT r.line, p.problem
    FROM jsonb_to_recordset(rows) AS r(line int, code text, category text, name text, description text, keywords text,
            "group" text, private text),
        LATERAL (VALUES
            (r.code !~ '^[A-Za-z0-9._-]{1,64}$', 'code must be 1 to 64 of A-Z, a-z, 0-9, ., _ and -'),
            ((SELECT count(*) FROM jsonb_to_recordset(rows) AS o(code text) WHERE o.code = r.code) > 1, 'code comes twice'),
            (r.category <> '' AND NOT EXISTS (SELECT FROM onemap.case_category k
                WHERE k.version = onemap.case_catalogue_current() AND k.code = r.category), 'the catalogue has no category '
                || r.category || ': leave it empty if the desk is to classify'),
            (coalesce(length(onemap.bare(r.name)), 0) NOT BETWEEN 1 AND 100, 'name must have 1 to 100 characters'),
            (length(r.description) > 500, 'description has more than 500 characters'),
            (length(r.keywords) > 300, 'keywords has more than 300 characters'),
            (length(r."group") > 100, 'group has more than 100 characters'),
            (concat(r.name, r.description, r.keywords, r."group") ~ '[\x01-\x1f\x7f]', 'there is a control character'),
            (coalesce(r.private, '') NOT IN ('yes', 'no'), 'private must be yes or no')) AS p (holds, problem)
    WHERE p.holds
    UNION ALL
    SELECT 1, 'the file has no services' WHERE jsonb_array_length(rows) = 0
    ORDER BY 1
$$;
COMMENT ON FUNCTION onemap.open311_service_problems(jsonb) IS 'What is wrong with the rows of a list of services, line by line';

CREATE OR REPLACE FUNCTION onemap.open311_service_check(rows jsonb) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object('problems', coalesce(jsonb_agg(to_jsonb(p)), '[]')) FROM onemap.open311_service_problems(rows) p
$$;
COMMENT ON FUNCTION onemap.open311_service_check(jsonb) IS 'What importing services would refuse: {problems: [{line, problem}]}';

CREATE OR REPLACE FUNCTION onemap.open311_service_import(rows jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE problems jsonb := onemap.open311_service_check(rows)->'problems'; gone text[];
BEGIN
    IF problems <> '[]' THEN
        RETURN jsonb_build_object('problems', problems);
    END IF;
    WITH dropped AS (DELETE FROM onemap.open311_service s
        WHERE NOT EXISTS (SELECT FROM jsonb_to_recordset(rows) AS r(code text) WHERE r.code = s.service_code) RETURNING
            s.service_code)
    SELECT coalesce(array_agg(d.service_code ORDER BY d.service_code), '{}') INTO gone FROM dropped d;
    INSERT INTO onemap.open311_service (service_code, category_code, name, description, keywords, service_group, private, position)
    SELECT r.code, nullif(r.category, ''), onemap.bare(r.name), coalesce(r.description, ''), coalesce(r.keywords, ''),
        coalesce(r."group", ''), r.private = 'yes', r.line
    FROM jsonb_to_recordset(rows) AS r(line int, code text, category text, name text, description text, keywords text, "group"
        text,
        private text)
    ON CONFLICT (service_code) DO UPDATE SET category_code = excluded.category_code, name = excluded.name,
        description = excluded.description, keywords = excluded.keywords, service_group = excluded.service_group,
        private = excluded.private, position = excluded.position;
    PERFORM onemap.audit('open311_service_import', jsonb_build_object('services', jsonb_array_length(rows), 'gone', gone));
    RETURN jsonb_build_object('services', jsonb_array_length(rows), 'gone', gone, 'problems', '[]'::jsonb);
END $$;
COMMENT ON FUNCTION onemap.open311_service_import(jsonb) IS
    'Takes the list of public services whole or not at all: what it does not name is public no more; returns {services, gone, '
    'problems}';

CREATE OR REPLACE FUNCTION onemap.open311_service_table(request jsonb) RETURNS TABLE (code text, category text, name text,
    description text, keywords text, "group" text, private text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT s.service_code, s.category_code, s.name, s.description, s.keywords, s.service_group,
        CASE WHEN s.private THEN 'yes' ELSE 'no' END
    FROM onemap.open311_service s WHERE request IS NOT NULL ORDER BY s.position, s.service_code
$$;
COMMENT ON FUNCTION onemap.open311_service_table(jsonb) IS 'The public services in the columns and order of their file';

CREATE OR REPLACE FUNCTION onemap.open311_service_json(request jsonb) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(to_jsonb(s)), '[]') FROM onemap.open311_service_table(request) s
$$;
COMMENT ON FUNCTION onemap.open311_service_json(jsonb) IS 'The same as JSON';
GRANT EXECUTE ON FUNCTION onemap.open311_service_problems(jsonb), onemap.open311_service_check(jsonb),
    onemap.open311_service_import(jsonb), onemap.open311_service_table(jsonb), onemap.open311_service_json(jsonb) TO cityhub_hub;
