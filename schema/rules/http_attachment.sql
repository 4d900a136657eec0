-- Attachments (附件) over HTTP: a person sends a file, names it by its SHA-256 in a report or an action of a case, and from then on
-- who sees that part of the case sees the file. Before, the person alone does. The hub keeps the files; here is what it knows of
-- them. Nobody attaches by its SHA-256 a file that somebody else has sent: that would be a way to see it.

INSERT INTO onemap.setting (key, value, comment_zh) VALUES
    ('attachment_waiting', '50', '一个人已上传、还没有附到案卷的附件最多几个'),
    ('attachment_case', '100', '一个案卷经接口附加的附件最多几个')
ON CONFLICT (key) DO UPDATE SET comment_zh = excluded.comment_zh;

-- ---- taking one ----

CREATE OR REPLACE FUNCTION onemap.attachment_uri(sha256 bytea) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT '/api/v1/attachments/' || encode(sha256, 'hex') $$;
COMMENT ON FUNCTION onemap.attachment_uri(bytea) IS 'How a case names a file that the hub keeps';

CREATE OR REPLACE FUNCTION onemap.attachment_name(name text) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT CASE WHEN name ~ '^[0-9a-f]{64}$' THEN decode(name, 'hex') END $$;
COMMENT ON FUNCTION onemap.attachment_name(text) IS 'The SHA-256 that a text is in hexadecimal digits, NULL if it is none';

-- What a camera writes may be no time at all: then it is not kept.
CREATE OR REPLACE FUNCTION onemap.attachment_time(said text) RETURNS timestamptz
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE WHEN said ~ '(Z|[+-][0-9]{2}:[0-9]{2})$' THEN said::timestamptz
        ELSE said::timestamp AT TIME ZONE onemap.time_zone() END;
EXCEPTION WHEN data_exception THEN
    RETURN NULL;
END $$;
COMMENT ON FUNCTION onemap.attachment_time(text) IS
    'When a file says that it was made: without an offset by the county''s clocks; NULL if that is no time';

CREATE OR REPLACE FUNCTION onemap.http_attachment_check(request jsonb, name bytea) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE most int := onemap.setting('attachment_waiting')::int; who text := onemap.identity(request)->>'login';
BEGIN
    IF NOT EXISTS (SELECT FROM onemap.post p WHERE p.case_role IS NOT NULL AND request->'identity'->'posts' ? p.post) THEN
        RAISE EXCEPTION '% acts on no case', who USING ERRCODE = 'CH019',
            DETAIL = format('账号 %s 不办案', who), HINT = '上传附件的人须有办案的岗位，程序须有权限 act。';
    ELSIF (SELECT count(*) FROM onemap.attachment_upload u
           WHERE u.login = who AND u.bound_at IS NULL AND u.sha256 <> name) >= most THEN
        RAISE EXCEPTION '% has % attachments that no case has', who, most USING ERRCODE = 'CH057',
            DETAIL = format('账号 %s 有 %s 个附件还没有附到案卷', who, most),
            HINT = '请先附到案卷；一天后没有附到案卷的自动删除。';
    END IF;
END $$;
COMMENT ON FUNCTION onemap.http_attachment_check(jsonb, bytea) IS
    'Refuses a file of who acts on no case (CH019), or has too many that no case has (CH057)';

CREATE OR REPLACE FUNCTION onemap.http_attachment_add(request jsonb, made jsonb)
RETURNS TABLE (body json, status int, location text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE name bytea := onemap.attachment_name(made->>'sha256');
BEGIN
    PERFORM onemap.http_attachment_check(request, name);
    INSERT INTO onemap.attachment AS a (sha256, media_type, size_bytes, thumbnail_bytes)
    VALUES (name, made->>'media_type', (made->>'size_bytes')::bigint, (made->>'thumbnail_bytes')::bigint)
    ON CONFLICT (sha256) DO UPDATE SET last_uploaded_at = clock_timestamp(),
        thumbnail_bytes = coalesce(excluded.thumbnail_bytes, a.thumbnail_bytes);
    INSERT INTO onemap.attachment_upload AS u (sha256, login, original_sha256, taken_at, geom)
    VALUES (name, onemap.identity(request)->>'login', decode(made->>'original_sha256', 'hex'),
        onemap.attachment_time(made->>'taken_at'),
        public.ST_SetSRID(public.ST_MakePoint((made->>'lon')::float8, (made->>'lat')::float8), 4326))
    ON CONFLICT (sha256, login) DO UPDATE SET uploaded_at = clock_timestamp(), original_sha256 = excluded.original_sha256,
        taken_at = coalesce(excluded.taken_at, u.taken_at), geom = coalesce(excluded.geom, u.geom);
    RETURN QUERY SELECT json_build_object('sha256', encode(a.sha256, 'hex'), 'uri', onemap.attachment_uri(a.sha256),
            'media_type', a.media_type, 'size_bytes', a.size_bytes, 'thumbnail', a.thumbnail_bytes IS NOT NULL,
            'original_sha256', encode(u.original_sha256, 'hex'), 'taken_at', u.taken_at, 'lon', public.ST_X(u.geom),
            'lat', public.ST_Y(u.geom)), 201, onemap.attachment_uri(a.sha256)
    FROM onemap.attachment a JOIN onemap.attachment_upload u ON u.sha256 = a.sha256
    WHERE a.sha256 = name AND u.login = request->'identity'->>'login';
END $$;
COMMENT ON FUNCTION onemap.http_attachment_add(jsonb, jsonb) IS
    'POST /api/v1/attachments: what the hub has made of a file: {sha256, original_sha256, media_type, size_bytes, thumbnail_bytes, '
    'taken_at, lon, lat}; after this it gives the file its name, and then answers';
GRANT EXECUTE ON FUNCTION onemap.http_attachment_add(jsonb, jsonb) TO cityhub_api;

-- ---- attaching ----

CREATE OR REPLACE FUNCTION onemap.http_attachment_fill(request jsonb, item jsonb) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE name bytea := onemap.attachment_name(item->>'sha256'); result jsonb;
BEGIN
    IF item->>'uri' IS NOT NULL AND item->>'uri' !~ '/api/v1/attachments/' THEN
        RETURN item; -- kept elsewhere: a reference alone
    END IF;
    UPDATE onemap.attachment_upload u SET bound_at = coalesce(u.bound_at, clock_timestamp())
    WHERE u.sha256 = name AND u.login = onemap.identity(request)->>'login';
    -- Written, so that a sweep that looks at this row just now waits, and finds it referred to.
    UPDATE onemap.attachment a SET referred_at = coalesce(a.referred_at, clock_timestamp())
    WHERE FOUND AND a.sha256 = name
    RETURNING jsonb_build_object('uri', onemap.attachment_uri(a.sha256), 'sha256', encode(a.sha256, 'hex'),
        'size_bytes', a.size_bytes, 'media_type', a.media_type) INTO result;
    IF result IS NULL THEN
        RAISE EXCEPTION 'you have sent no attachment "%"', item->>'sha256' USING ERRCODE = 'CH013',
            DETAIL = format('没有您上传的附件 %s', item->>'sha256'),
            HINT = '请先用 POST /api/v1/attachments 上传，再写应答中的 sha256。';
    END IF;
    RETURN result;
END $$;
COMMENT ON FUNCTION onemap.http_attachment_fill(jsonb, jsonb) IS
    'An entry of "attachments" as a case keeps it: {sha256} of a file that who asks has sent becomes a whole reference; CH013 if '
    'there is none; a reference to elsewhere stays';

CREATE OR REPLACE FUNCTION onemap.http_attachments_fill(request jsonb, asked jsonb, case_id bigint) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE most int := onemap.setting('attachment_case')::int; had bigint; filled jsonb;
BEGIN
    IF jsonb_typeof(asked->'attachments') IS DISTINCT FROM 'array' OR jsonb_array_length(asked->'attachments') > 100 THEN
        RETURN asked; -- refused by what reads it
    END IF;
    SELECT count(*) INTO had FROM onemap.case_attachment a WHERE a.case_id = $3;
    IF had + jsonb_array_length(asked->'attachments') > most THEN
        RAISE EXCEPTION 'a case has % attachments at the most', most USING ERRCODE = 'CH013',
            DETAIL = format('一个案卷至多 %s 个附件，该案卷已有 %s 个', most, had), HINT = '请减少附件。';
    END IF;
    SELECT jsonb_agg(onemap.http_attachment_fill(request, e.e) ORDER BY e.place) INTO filled
    FROM jsonb_array_elements(asked->'attachments') WITH ORDINALITY AS e (e, place);
    RETURN asked || jsonb_build_object('attachments', coalesce(filled, '[]'));
END $$;
COMMENT ON FUNCTION onemap.http_attachments_fill(jsonb, jsonb, bigint) IS
    'A report''s or action''s body with whole references to the files that it names; case_id: the case that has others already, or '
    'NULL; CH013 beyond the setting attachment_case';

-- ---- showing ----

CREATE OR REPLACE FUNCTION onemap.http_case_attachments(case_id bigint, reach int) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object('seq', a.seq, 'uri', a.uri, 'sha256', encode(a.sha256, 'hex'),
            'size_bytes', a.size_bytes, 'media_type', a.media_type, 'thumbnail', f.thumbnail_bytes IS NOT NULL,
            'taken_at', u.taken_at, 'lon', public.ST_X(u.geom), 'lat', public.ST_Y(u.geom)) ORDER BY a.id), '[]')
    FROM onemap.case_attachment a LEFT JOIN onemap.case_event e ON e.case_id = a.case_id AND e.seq = a.seq
        LEFT JOIN onemap.attachment_upload u ON u.sha256 = a.sha256 AND u.login = e.actor
            AND a.uri = onemap.attachment_uri(a.sha256)
        LEFT JOIN onemap.attachment f ON f.sha256 = u.sha256
    WHERE a.case_id = $1 AND a.seq < reach
$$;
COMMENT ON FUNCTION onemap.http_case_attachments(bigint, int) IS
    'A case''s attachments up to before an event; thumbnail, taken_at, lon, lat: of a file that the hub keeps';

CREATE OR REPLACE FUNCTION onemap.http_attachment_seen(request jsonb, name bytea) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM onemap.attachment_upload u
            WHERE u.sha256 = name AND u.login = onemap.identity(request)->>'login' AND u.bound_at IS NULL
                AND request->'identity'->>'kind' = 'person')
        OR EXISTS (SELECT FROM onemap.case_attachment a JOIN onemap.case_event e ON e.case_id = a.case_id AND e.seq = a.seq
                JOIN onemap.attachment_upload u ON u.sha256 = a.sha256 AND u.login = e.actor
                JOIN onemap.case_record c ON c.id = a.case_id
            WHERE a.sha256 = name AND a.uri = onemap.attachment_uri(a.sha256) AND a.seq < onemap.http_case_reach(c, request))
$$;
COMMENT ON FUNCTION onemap.http_attachment_seen(jsonb, bytea) IS
    'Whether who asks may see a file: of a case as far as that may be read, if who attached it had sent it; or an own one that no '
    'case has yet';

CREATE OR REPLACE FUNCTION onemap.http_attachment(request jsonb)
RETURNS TABLE (body text, etag text, file text, file_type text, file_bytes bigint, file_small boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT '', request->>'sha256', request->>'sha256', a.media_type, a.size_bytes, false
    FROM onemap.attachment a
    WHERE a.sha256 = onemap.attachment_name(request->>'sha256') AND onemap.http_attachment_seen(request, a.sha256)
$$;
COMMENT ON FUNCTION onemap.http_attachment(jsonb) IS 'GET /api/v1/attachments/{sha256}: no row: none, or not to be seen';

CREATE OR REPLACE FUNCTION onemap.http_attachment_thumbnail(request jsonb)
RETURNS TABLE (body text, etag text, file text, file_type text, file_bytes bigint, file_small boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT '', (request->>'sha256') || '-small', request->>'sha256', 'image/jpeg', a.thumbnail_bytes, true
    FROM onemap.attachment a
    WHERE a.sha256 = onemap.attachment_name(request->>'sha256') AND a.thumbnail_bytes IS NOT NULL
        AND onemap.http_attachment_seen(request, a.sha256)
$$;
COMMENT ON FUNCTION onemap.http_attachment_thumbnail(jsonb) IS
    'GET /api/v1/attachments/{sha256}/thumbnail: no row: it has none, or is not to be seen';
GRANT EXECUTE ON FUNCTION onemap.http_attachment(jsonb), onemap.http_attachment_thumbnail(jsonb) TO cityhub_api;

-- ---- sweeping ----

CREATE OR REPLACE FUNCTION onemap.attachment_sweep(prefix text, names text[]) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF prefix ~ '^[0-9a-f]{2}$' THEN
        DELETE FROM onemap.attachment a
        WHERE a.sha256 >= decode(prefix, 'hex') AND a.sha256 < decode(rpad(prefix, 66, 'f'), 'hex')
            AND a.referred_at IS NULL AND a.last_uploaded_at < onemap.retention_now() - interval '1 day';
    END IF;
    RETURN QUERY SELECT DISTINCT n FROM unnest(names) n
    WHERE NOT EXISTS (SELECT FROM onemap.attachment a WHERE a.sha256 = onemap.attachment_name(n));
END $$;
COMMENT ON FUNCTION onemap.attachment_sweep(text, text[]) IS
    'Forgets files whose names begin so, to which nothing has referred for a day, and tells which of the names that are there '
    'nobody wants';
GRANT EXECUTE ON FUNCTION onemap.attachment_sweep(text, text[]) TO cityhub_api;
