-- What every later file stands on: the append-only guard, the audit log, the county's settings, its days and times as people
-- type them. Nothing here knows a device, a case or a score.

CREATE OR REPLACE FUNCTION onemap.append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on %.% refused: %', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME,
        CASE TG_OP WHEN 'TRUNCATE' THEN 'what it holds is not emptied' ELSE 'the table is append-only' END
        USING ERRCODE = 'insufficient_privilege';
END $$;
COMMENT ON FUNCTION onemap.append_only() IS 'Trigger that refuses UPDATE and DELETE on journals, and TRUNCATE on history';

CREATE OR REPLACE FUNCTION onemap.audit(action text, detail jsonb) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO onemap.audit_log (action, detail) VALUES (action, detail)
$$;
COMMENT ON FUNCTION onemap.audit(text, jsonb) IS 'Appends one line to the audit log under the session user';
GRANT EXECUTE ON FUNCTION onemap.audit(text, jsonb) TO cityhub_hub, cityhub_api;

CREATE OR REPLACE FUNCTION onemap.has_role(role_name text) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (SELECT FROM pg_catalog.pg_roles r
        WHERE r.rolname = role_name AND pg_catalog.pg_has_role(session_user, r.oid, 'MEMBER'));
END $$;
COMMENT ON FUNCTION onemap.has_role(text) IS 'Whether the login that is connected has a role; false if there is no such role';

-- Small readers like these are in plpgsql, which keeps its plan: a function in SQL that holds a query is planned anew in every
-- subtransaction, and records of messages are stored in one each.
-- A county's own value stays.
INSERT INTO onemap.setting (key, value, comment_zh) VALUES
    ('time_zone', 'Asia/Shanghai', '县所在时区：统计日、小时、工作时均按此时区'),
    ('max_ahead', '5 minutes', '采集时间最多比枢纽的时钟超前多久：枢纽启动时按其 [time] max_ahead_s 记下，只增不减，勿改')
ON CONFLICT (key) DO UPDATE SET comment_zh = excluded.comment_zh;

CREATE OR REPLACE FUNCTION onemap.setting(key text) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT s.value FROM onemap.setting s WHERE s.key = $1);
END $$;
COMMENT ON FUNCTION onemap.setting(text) IS 'Value of one setting, or NULL';
GRANT EXECUTE ON FUNCTION onemap.setting(text) TO cityhub_hub, cityhub_api, cityhub_read;

-- ---- the county's time: the only place where its zone is read ----

CREATE OR REPLACE FUNCTION onemap.time_zone() RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN coalesce((SELECT s.value FROM onemap.setting s WHERE s.key = 'time_zone'), 'UTC');
END $$;
COMMENT ON FUNCTION onemap.time_zone() IS 'The county''s time zone (setting time_zone), UTC if none is set';

CREATE OR REPLACE FUNCTION onemap.local_time(moment timestamptz) RETURNS timestamp LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT moment AT TIME ZONE onemap.time_zone()
$$;
COMMENT ON FUNCTION onemap.local_time(timestamptz) IS 'What the county''s clocks show at a moment';

CREATE OR REPLACE FUNCTION onemap.local_moment(shown timestamp) RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT shown AT TIME ZONE onemap.time_zone()
$$;
COMMENT ON FUNCTION onemap.local_moment(timestamp) IS 'The moment at which the county''s clocks show this';

CREATE OR REPLACE FUNCTION onemap.local_midnight(day date) RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT day::timestamp AT TIME ZONE onemap.time_zone()
$$;
COMMENT ON FUNCTION onemap.local_midnight(date) IS 'Where a day of the county begins';
CREATE OR REPLACE FUNCTION onemap.county_time(moment timestamptz, form text DEFAULT 'YYYY-MM-DD HH24:MI') RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT pg_catalog.to_char(onemap.local_time(moment), form)
$$;
COMMENT ON FUNCTION onemap.county_time(timestamptz, text) IS 'A moment as the county''s clocks show it, in a form of to_char()';
GRANT EXECUTE ON FUNCTION onemap.time_zone(), onemap.local_time(timestamptz), onemap.local_moment(timestamp),
    onemap.local_midnight(date) TO cityhub_hub, cityhub_api, cityhub_read;

-- ---- what requests and settings in JSON have in common ----

CREATE OR REPLACE FUNCTION onemap.unknown_keys(object jsonb, known text[]) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF object - known = '{}' THEN
        RETURN NULL;
    END IF;
    RETURN (SELECT string_agg(k, ', ' ORDER BY k) FROM jsonb_object_keys(object - known) k);
END $$;
COMMENT ON FUNCTION onemap.unknown_keys(jsonb, text[]) IS 'Keys that an object should not have, NULL if there are none';
-- Functions that run with their caller's rights use it, such as quarantine_find().
GRANT EXECUTE ON FUNCTION onemap.unknown_keys(jsonb, text[]) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.bare(words text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT btrim(words, E' \t\r\n\u00a0\u200b\u3000\ufeff')
$$;
COMMENT ON FUNCTION onemap.bare(text) IS
    'A text without blanks of any width, line ends and marks that nobody sees at its ends; the hub takes the same from messages';
GRANT EXECUTE ON FUNCTION onemap.bare(text) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.missing_key(object jsonb, needed text[]) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE k text;
BEGIN
    FOREACH k IN ARRAY needed LOOP
        IF onemap.bare(coalesce(object->>k, '')) = '' THEN
            RETURN k;
        END IF;
    END LOOP;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION onemap.missing_key(jsonb, text[]) IS 'The first of these keys that is absent or blank, NULL if all are there';

CREATE OR REPLACE FUNCTION onemap.with_article(word text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN word ~ '^[aeiou]' THEN 'an ' ELSE 'a ' END || word
$$;
COMMENT ON FUNCTION onemap.with_article(text) IS 'A word in a sentence: "an acceptor", "a registrar"';

CREATE OR REPLACE FUNCTION onemap.number_within(typed text, digits int, lowest numeric, highest numeric) RETURNS numeric
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF typed ~ format('^-?[0-9]{1,%s}(\.[0-9]{1,%1$s})?$', digits) AND typed::numeric BETWEEN lowest AND highest THEN
        RETURN typed::numeric;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION onemap.number_within(text, int, numeric, numeric) IS
    'A number with at most so many digits before and behind the point, within its range; NULL if the text is none';

-- A mean is a sum of binary fractions: one that is just at its limit on paper must not come out a hair above it.
CREATE OR REPLACE FUNCTION onemap.figure(value float8) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT pg_catalog.round(value::numeric, 6)::float8
$$;
COMMENT ON FUNCTION onemap.figure(float8) IS 'A computed value rounded to six decimals, before it is compared with a limit';
GRANT EXECUTE ON FUNCTION onemap.figure(float8) TO cityhub_hub, cityhub_api, cityhub_read;

-- Times as people type them. Without an offset they are the county's own.
CREATE OR REPLACE FUNCTION onemap.typed_time(typed text) RETURNS timestamptz
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF typed ~ '^[0-9]+ *(second|minute|hour|day|week|month)s?( ago)?$' THEN
        RETURN now() - regexp_replace(typed, ' ago$', '')::interval;
    ELSIF typed ~ '[0-9] *(Z|[+-][0-9]{2}(:?[0-9]{2})?)$' AND typed !~ '^[0-9]{4}-[0-9]{2}(-[0-9]{2})?$' THEN
        RETURN typed::timestamptz;
    END IF;
    RETURN onemap.local_moment(typed::timestamp);
EXCEPTION WHEN data_exception THEN -- no form, no such day, no such offset, too long an interval
    RAISE EXCEPTION '"%" is no time', typed
        USING ERRCODE = 'invalid_datetime_format',
            HINT = 'For example 2026-11-24, "2026-11-24 08:00", 2026-11-24T08:00:00Z or "2 hours".';
END $$;
COMMENT ON FUNCTION onemap.typed_time(text) IS
    'A time as people type it: a date or date and time in the county''s time zone, one with an offset, or how long ago ("2 hours")';
GRANT EXECUTE ON FUNCTION onemap.typed_time(text) TO cityhub_hub, cityhub_api, cityhub_read;
