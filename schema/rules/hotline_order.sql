-- Orders of the hotlines (热线工单): what comes from 12345 and 12319 by programs, what is done with it, and what goes back.
-- An order is
-- not a case: it is signed for (签收), returned (退回), answered (办结) and followed up (回访) by clocks of its own, and
-- stands for none,
-- one or several cases, which go their own way (case_*.sql). One number of outside is one order, whoever sends it again. The
-- routes of
-- /api/v1/orders are here, too.

INSERT INTO onemap.setting (key, value, comment_zh) VALUES
    ('order_sign_limit', '2 hours', '热线工单未写明签收时限时：收到后多久内应签收'),
    ('order_answer_limit', '5 days', '热线工单未写明办结时限时：收到后多久内应办结')
ON CONFLICT (key) DO UPDATE SET comment_zh = excluded.comment_zh;

-- program: also the program that sent the order may do it.
CREATE OR REPLACE FUNCTION onemap.order_actions() RETURNS TABLE (action text, name_zh text, from_states text[], to_state text,
    posts text[], program boolean, reason_required boolean, fields text[])
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    VALUES ('sign', '签收', '{received}'::text[], 'signed', '{acceptor,registrar,dispatcher}'::text[], false, false, '{}'::text[]),
        ('return', '退回', '{received,signed}', 'returned', '{acceptor,registrar,dispatcher}', false, true, '{}'),
        ('open_case', '立案', '{signed}', '=', '{acceptor}', false, false,
            '{title,description,address,category,condition,lon,lat,grid_cell,component_code}'),
        ('link', '关联案卷', '{received,signed}', '=', '{acceptor,registrar}', false, false, '{case}'),
        ('answer', '办结', '{signed}', 'answered', '{acceptor,registrar}', false, false, '{result,text,attachments}'),
        ('visit', '回访', '{answered}', 'visited', '{acceptor}', true, false, '{satisfaction}'),
        ('redispatch', '复派', '{returned,answered,visited}', 'received', '{acceptor}', true, true, '{sign_by,answer_by}'),
        ('remind', '催办', '{received,signed}', '=', '{acceptor}', true, false, '{}')
$$;
COMMENT ON FUNCTION onemap.order_actions() IS
    'What is done with orders: in which states, by whom, what comes of it (''='': the state stays), and its own fields';

-- ---- who sees which ----

CREATE OR REPLACE FUNCTION onemap.order_seen(o onemap.hotline_order, request jsonb) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN i.who->'rights' ? 'order' AND i.who->>'kind' = 'token' THEN o.token_id = (i.who->>'id')::int
        WHEN NOT i.who->'rights' ? 'read' THEN false WHEN i.mine IS NULL THEN true
        ELSE EXISTS (SELECT FROM onemap.hotline_order_case k JOIN onemap.case_record c ON c.id = k.case_id
            WHERE k.order_id = o.id AND c.department_id = ANY (i.mine)) END
    FROM (SELECT onemap.identity(request) AS who, onemap.identity_departments(request) AS mine) i
$$;
COMMENT ON FUNCTION onemap.order_seen(onemap.hotline_order, jsonb) IS
    'Whether who asks sees an order: the program with the right order those that it sent, the centre all, a department those '
    'with a '
    'case that it has';

CREATE OR REPLACE FUNCTION onemap.order_entry(o onemap.hotline_order) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object('order', o.number, 'version', o.version, 'source', o.source, 'external_number', o.external_number,
        'title', o.title, 'address', o.address, 'urgent', o.urgent, 'state', o.state, 'result', o.result,
        'satisfaction', o.satisfaction, 'received_at', o.received_at, 'sign_by', o.sign_by, 'answer_by', o.answer_by,
        'signed_at', o.signed_at, 'answered_at', o.answered_at, 'visited_at', o.visited_at, 'round', o.round,
        'reminder_count', o.reminder_count, 'sign_overdue', o.state <> 'returned' AND coalesce(o.signed_at, now()) > o.sign_by,
        'answer_overdue', o.state <> 'returned' AND coalesce(o.answered_at, now()) > o.answer_by,
        'cases', (SELECT coalesce(jsonb_agg(jsonb_build_object('case', c.code, 'state', c.state) ORDER BY c.id), '[]')
            FROM onemap.hotline_order_case k JOIN onemap.case_record c ON c.id = k.case_id WHERE k.order_id = o.id))
$$;
COMMENT ON FUNCTION onemap.order_entry(onemap.hotline_order) IS 'An order as lists show it; who called is not told';

CREATE OR REPLACE FUNCTION onemap.order_for(request jsonb, entry jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN m.mine IS NULL THEN entry ELSE entry || jsonb_build_object('cases', (
            SELECT coalesce(jsonb_agg(e.e ORDER BY c.id), '[]')
            FROM jsonb_array_elements(entry->'cases') e (e) JOIN onemap.case_record c ON c.code = e.e->>'case'
            WHERE c.department_id = ANY (m.mine))) END
    FROM (SELECT onemap.identity_departments(request) AS mine) m
$$;
COMMENT ON FUNCTION onemap.order_for(jsonb, jsonb) IS 'An order''s entry for who asks: a department is told of its own cases alone';

CREATE OR REPLACE FUNCTION onemap.order_show(o onemap.hotline_order) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT onemap.order_entry(o) || jsonb_build_object('content', o.content, 'answer', o.answer,
        'lon', public.ST_X(o.geom), 'lat', public.ST_Y(o.geom),
        'attachments', (SELECT coalesce(jsonb_agg(jsonb_build_object('sha256', encode(f.sha256, 'hex'), 'media_type', a.media_type,
                'size_bytes', a.size_bytes) ORDER BY f.sha256), '[]')
            FROM onemap.hotline_order_file f JOIN onemap.attachment a ON a.sha256 = f.sha256 WHERE f.order_id = o.id),
        'journal', (SELECT coalesce(jsonb_agg(jsonb_build_object('version', e.version, 'at', e.at, 'action', e.action,
                'action_zh', coalesce(a.name_zh, '收到'), 'state', e.state, 'actor', e.actor, 'reason', e.reason)
                ORDER BY e.version), '[]')
            FROM onemap.hotline_order_event e LEFT JOIN onemap.order_actions() a ON a.action = e.action
            WHERE e.order_id = o.id))
$$;
COMMENT ON FUNCTION onemap.order_show(onemap.hotline_order) IS 'An order whole, with its answer and journal';

-- ---- writing ----

-- One transaction after the other draws ids of events, so that they are seen in their order: orders are few.
CREATE OR REPLACE FUNCTION onemap.order_note(o onemap.hotline_order, action text, actor text, reason text, detail jsonb)
RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('onemap.hotline_order_event', 0));
    INSERT INTO onemap.hotline_order_event (order_id, version, at, action, state, actor, reason, detail)
    VALUES (o.id, o.version, clock_timestamp(), action, o.state, actor, reason, detail);
END $$;
COMMENT ON FUNCTION onemap.order_note(onemap.hotline_order, text, text, text, jsonb) IS
    'Adds what was done to the journal of an order';

CREATE OR REPLACE FUNCTION onemap.order_time(sent jsonb, member text, usual timestamptz) RETURNS timestamptz
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE typed text := onemap.case_text(sent, member, 40); moment timestamptz;
BEGIN
    IF typed IS NULL THEN
        RETURN usual;
    END IF;
    BEGIN
        moment := CASE WHEN typed ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(Z|[+-][0-9]{2}:[0-9]{2})$' THEN typed::timestamptz END;
    EXCEPTION WHEN data_exception THEN
        moment := NULL;
    END;
    IF moment IS NULL THEN
        RAISE EXCEPTION 'field "%" is no time with an offset: %', member, typed
            USING ERRCODE = 'CH014', DETAIL = format('时间 %s 须带时区：%s', member, typed),
                HINT = '例如 2026-12-03T18:00:00+08:00。';
    ELSIF abs(extract(epoch FROM moment - now())) > 366 * 86400 THEN
        RAISE EXCEPTION 'field "%" is more than a year away: %', member, typed
            USING ERRCODE = 'CH014', DETAIL = format('时限 %s 与现在相差一年以上：%s', member, typed), HINT = '请核对年份。';
    END IF;
    RETURN moment;
END $$;
COMMENT ON FUNCTION onemap.order_time(jsonb, text, timestamptz) IS
    'A limit of a body, or the usual one; CH014 if it is no moment, or more than a year away';

CREATE OR REPLACE FUNCTION onemap.order_new(sent jsonb, token int) RETURNS onemap.hotline_order
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    o onemap.hotline_order; moment timestamptz := clock_timestamp();
    lon numeric := onemap.case_number(sent, 'lon', -180, 180); lat numeric := onemap.case_number(sent, 'lat', -90, 90);
BEGIN
    IF (lon IS NULL) <> (lat IS NULL) OR onemap.place_flaw(lon::float8, lat::float8) IS NOT NULL THEN
        RAISE EXCEPTION 'a place needs "lon" and "lat" within the county'
            USING ERRCODE = 'CH013', DETAIL = '位置须有 lon 和 lat，并在县域之内';
    ELSIF sent->>'source' !~ '^[a-z0-9][a-z0-9._-]{0,31}$' THEN
        RAISE EXCEPTION 'field "source" must be 1 to 32 of a-z, 0-9, ., _ and -' USING ERRCODE = 'CH013',
            DETAIL = '来源 source 须为 1 至 32 个小写字母、数字、点、下划线或连字符', HINT = '例如 12345。';
    ELSIF jsonb_typeof(sent->'urgent') NOT IN ('boolean', 'null') THEN
        RAISE EXCEPTION 'field "urgent" must be true or false, not %', sent->'urgent'
            USING ERRCODE = 'CH013', DETAIL = format('是否紧急 urgent 须为 true 或 false，不能是 %s', sent->'urgent'),
                HINT = '紧急写 true，不紧急写 false。';
    ELSIF onemap.order_time(sent, 'answer_by', NULL) < onemap.order_time(sent, 'sign_by', NULL) THEN
        RAISE EXCEPTION 'field "answer_by", %, is before "sign_by", %', sent->>'answer_by', sent->>'sign_by'
            USING ERRCODE = 'CH014', DETAIL = format('办结时限 answer_by（%s）早于签收时限 sign_by（%s）', sent->>'answer_by',
                sent->>'sign_by'), HINT = '请核对两个时限。';
    END IF;
    o.id := nextval('onemap.hotline_order_id_seq');
    o.number := 'H' || to_char(onemap.local_time(moment), 'YYYYMMDD') || '-' || lpad(o.id::text, greatest(6,
        length(o.id::text)), '0');
    INSERT INTO onemap.hotline_order (id, number, source, external_number, token_id, title, content, address, geom, urgent, state,
        received_at, sign_by, answer_by)
    OVERRIDING SYSTEM VALUE
    VALUES (o.id, o.number, sent->>'source', onemap.case_text(sent, 'external_number', 100), token,
        coalesce(onemap.case_text(sent, 'title', 200), ''), onemap.case_text(sent, 'content', 4000),
        coalesce(onemap.case_text(sent, 'address', 300), ''),
        public.ST_SetSRID(public.ST_MakePoint(lon::float8, lat::float8), 4326), coalesce((sent->>'urgent')::boolean, false),
        'received', moment, onemap.order_time(sent, 'sign_by', moment + onemap.setting('order_sign_limit')::interval),
        onemap.order_time(sent, 'answer_by', moment + onemap.setting('order_answer_limit')::interval))
    ON CONFLICT DO NOTHING RETURNING * INTO o;
    IF o.id IS NOT NULL AND sent->'contact' <> 'null' THEN
        INSERT INTO onemap.hotline_order_contact (order_id, name, phone)
        VALUES (o.id, coalesce(onemap.case_text(sent->'contact', 'name', 100), ''),
            coalesce(onemap.case_text(sent->'contact', 'phone', 40), ''));
    END IF;
    RETURN o;
END $$;
COMMENT ON FUNCTION onemap.order_new(jsonb, int) IS 'Keeps an order that has just come; NULLs if its number is there already';

-- Who sends a number again with something else must know that it was not taken. A limit that was set anew by a redispatch is not
-- compared.
CREATE OR REPLACE FUNCTION onemap.order_differs(o onemap.hotline_order, sent jsonb) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(f.field, ', ' ORDER BY f.n)
    FROM (VALUES (1, 'title', onemap.case_text(sent, 'title', 200), o.title),
        (2, 'content', onemap.case_text(sent, 'content', 4000), o.content),
        (3, 'address', onemap.case_text(sent, 'address', 300), o.address),
        (4, 'lon', (sent->>'lon')::float8::text, public.ST_X(o.geom)::text),
        (5, 'lat', (sent->>'lat')::float8::text, public.ST_Y(o.geom)::text),
        (6, 'urgent', nullif(sent->'urgent', 'null')::text, o.urgent::text),
        (7, 'sign_by', onemap.order_time(sent, 'sign_by', NULL)::text, o.sign_by::text),
        (8, 'answer_by', onemap.order_time(sent, 'answer_by', NULL)::text, o.answer_by::text),
        (9, 'contact.name', onemap.case_text(sent->'contact', 'name', 100),
            (SELECT k.name FROM onemap.hotline_order_contact k WHERE k.order_id = o.id)),
        (10, 'contact.phone', onemap.case_text(sent->'contact', 'phone', 40),
            (SELECT k.phone FROM onemap.hotline_order_contact k WHERE k.order_id = o.id))) AS f (n, field, said, has)
    WHERE f.said IS NOT NULL AND f.said IS DISTINCT FROM f.has AND (f.field NOT IN ('sign_by', 'answer_by') OR o.round = 1)
$$;
COMMENT ON FUNCTION onemap.order_differs(onemap.hotline_order, jsonb) IS
    'The fields in which an order that is sent again is another than it was; NULL: none. What is not sent is not compared';

CREATE OR REPLACE FUNCTION onemap.order_put(request jsonb, sent jsonb, OUT said jsonb, OUT added boolean)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    who jsonb := onemap.identity(request); o onemap.hotline_order; program boolean := who->>'kind' = 'token';
    known text[] := '{source,external_number,title,content,address,lon,lat,urgent,sign_by,answer_by,contact}'::text[];
    differs text;
BEGIN
    IF NOT (CASE WHEN program THEN who->'rights' ? 'order' ELSE who->'posts' ? 'acceptor' END) THEN
        RAISE EXCEPTION '% takes in no orders', who->>'login'
            USING ERRCODE = 'CH019', DETAIL = format('“%s”不能录入工单', who->>'login'),
            HINT = '由受理员，或有 order 权限的程序（令牌）录入。';
    END IF;
    PERFORM onemap.case_fields_check(sent, known, '{source,external_number,content}');
    IF sent->'contact' <> 'null' THEN
        IF jsonb_typeof(sent->'contact') <> 'object' THEN
            RAISE EXCEPTION 'field "contact" must be {"name": ..., "phone": ...}, not %', sent->'contact' USING ERRCODE = 'CH013',
                DETAIL = format('联系人 contact 须为 {"name": 姓名, "phone": 电话}，不能是 %s', sent->'contact');
        END IF;
        PERFORM onemap.case_fields_check(sent->'contact', '{name,phone}', '{}');
    END IF;
    o := onemap.order_new(sent, CASE WHEN program THEN (who->>'id')::int END);
    added := o.id IS NOT NULL;
    IF added THEN
        INSERT INTO onemap.hotline_order_case (order_id, case_id) -- one that the desk has entered before by hand
        SELECT o.id, c.id FROM onemap.case_record c
        WHERE c.vendor IS NULL AND c.source = 'hotline'
            AND upper(normalize(c.external_code, NFKC)) = upper(normalize(o.external_number, NFKC));
        PERFORM onemap.order_note(o, 'receive', who->>'login', NULL, '{}');
    ELSE
        SELECT * INTO o FROM onemap.hotline_order x WHERE x.source = sent->>'source'
            AND upper(normalize(x.external_number, NFKC)) = upper(normalize(onemap.case_text(sent, 'external_number', 100), NFKC));
        IF NOT onemap.order_seen(o, request) THEN
            RAISE EXCEPTION 'order % of % was sent by another program', o.external_number, o.source
                USING ERRCODE = 'CH018', DETAIL = format('工单 %s（%s）是别的程序送来的', o.external_number, o.source);
        END IF;
        differs := onemap.order_differs(o, sent);
        IF differs IS NOT NULL THEN
            RAISE EXCEPTION 'order % of % is there already, as %, with another %: nothing was changed', o.external_number, o.source,
                o.number, differs USING ERRCODE = 'CH018',
                DETAIL = format('工单 %s（%s）已按先前的内容收下，编号 %s，这次的 %s 与之不同，没有采用',
                    o.external_number, o.source, o.number, differs),
                HINT = '补充情况请催办（remind，写明 reason）；另一件事请用新的编号。';
        END IF;
    END IF;
    said := onemap.order_show(o);
END $$;
COMMENT ON FUNCTION onemap.order_put(jsonb, jsonb) IS 'Takes an order in, or tells of the one that has this number already';

CREATE OR REPLACE FUNCTION onemap.order_open_case(o onemap.hotline_order, who jsonb, sent jsonb) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    before int := (SELECT count(*)::int FROM onemap.hotline_order_case k WHERE k.order_id = o.id); opened text;
    contact jsonb := (SELECT jsonb_strip_nulls(jsonb_build_object('name', nullif(k.name, ''), 'phone', nullif(k.phone, '')))
        FROM onemap.hotline_order_contact k WHERE k.order_id = o.id);
    place jsonb := CASE WHEN o.geom IS NOT NULL AND NOT sent ? 'lon'
        THEN jsonb_build_object('lon', public.ST_X(o.geom), 'lat', public.ST_Y(o.geom)) ELSE '{}' END;
BEGIN
    opened := onemap.case_report(jsonb_build_object('title', o.title, 'description', o.content, 'address', o.address) || place
        || (sent - '{action,version,reason,post}'::text[])
        || jsonb_build_object('source', 'hotline', 'role', 'acceptor', 'actor', who->>'login', 'external_code',
            o.source || ':' || o.external_number || CASE WHEN before > 0 THEN '/' || before + 1 ELSE '' END)
        || CASE WHEN contact IS NULL THEN '{}' ELSE jsonb_build_object('contact', contact) END)->>'case';
    INSERT INTO onemap.hotline_order_case (order_id, case_id)
    SELECT o.id, c.id FROM onemap.case_record c WHERE c.code = opened;
    RETURN opened;
END $$;
COMMENT ON FUNCTION onemap.order_open_case(onemap.hotline_order, jsonb, jsonb) IS
    'Opens a case of an order, with what the order says unless the action says otherwise, and who called as its contact';

CREATE OR REPLACE FUNCTION onemap.order_link(o onemap.hotline_order, sent jsonb) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE wanted text := onemap.case_text(sent, 'case', 32);
BEGIN
    INSERT INTO onemap.hotline_order_case (order_id, case_id)
    SELECT o.id, c.id FROM onemap.case_record c WHERE c.code = wanted
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no case "%", or it is the order''s already', wanted
            USING ERRCODE = 'CH017', DETAIL = format('没有案卷 %s，或已经关联', wanted);
    END IF;
    RETURN wanted;
END $$;
COMMENT ON FUNCTION onemap.order_link(onemap.hotline_order, jsonb) IS 'Links an order to a case that is there; CH017 if it is not';

CREATE OR REPLACE FUNCTION onemap.order_files(o onemap.hotline_order, sent jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE stray text;
BEGIN
    IF NOT sent ? 'attachments' THEN
        RETURN;
    ELSIF jsonb_typeof(sent->'attachments') <> 'array' OR jsonb_array_length(sent->'attachments') > 20 THEN
        RAISE EXCEPTION 'field "attachments" must be a list of 20 at the most'
            USING ERRCODE = 'CH013', DETAIL = '附件 attachments 至多 20 个';
    END IF;
    SELECT e.e INTO stray FROM jsonb_array_elements_text(sent->'attachments') e (e)
    WHERE NOT EXISTS (SELECT FROM onemap.hotline_order_case k JOIN onemap.case_attachment a ON a.case_id = k.case_id
        JOIN onemap.attachment f ON f.sha256 = a.sha256 WHERE k.order_id = o.id AND encode(a.sha256, 'hex') = e.e) LIMIT 1;
    IF stray IS NOT NULL THEN
        RAISE EXCEPTION 'no case of the order has the attachment "%"', stray USING ERRCODE = 'CH013',
            DETAIL = format('关联的案卷里没有附件 %s', stray),
            HINT = '附件须为关联案卷中由本系统保存的附件，以其 sha256 指明。';
    END IF;
    INSERT INTO onemap.hotline_order_file (order_id, sha256)
    SELECT DISTINCT o.id, decode(e.e, 'hex') FROM jsonb_array_elements_text(sent->'attachments') e (e) ON CONFLICT DO NOTHING;
END $$;
COMMENT ON FUNCTION onemap.order_files(onemap.hotline_order, jsonb) IS
    'Which photographs go with the answer: SHA-256 of attachments of the order''s cases; CH013 for any other';

-- The public's word on an order is its word on the cases: what the score counts is there.
CREATE OR REPLACE FUNCTION onemap.order_satisfaction(o onemap.hotline_order, who jsonb, reason text) RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE c onemap.case_record; told int := 0;
BEGIN
    FOR c IN SELECT r.* FROM onemap.hotline_order_case k JOIN onemap.case_record r ON r.id = k.case_id
             WHERE k.order_id = o.id AND r.state IN ('handled', 'checked', 'closed') ORDER BY r.id FOR NO KEY UPDATE OF r LOOP
        PERFORM onemap.case_apply(c, 'call_back', CASE WHEN who->>'kind' = 'person' THEN 'acceptor' ELSE 'system' END,
            who->>'login',
            greatest(clock_timestamp(), c.last_event_at), jsonb_strip_nulls(jsonb_build_object('satisfaction', o.satisfaction,
            'reason', reason)), '=');
        told := told + 1;
    END LOOP;
    RETURN told;
END $$;
COMMENT ON FUNCTION onemap.order_satisfaction(onemap.hotline_order, jsonb, text) IS
    'Calls back (回访) the order''s cases that are handled, with its satisfaction; how many there were';

CREATE OR REPLACE FUNCTION onemap.order_may(o onemap.hotline_order, request jsonb, sent jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE who jsonb := onemap.identity(request); a record;
BEGIN
    SELECT * INTO a FROM onemap.order_actions() x WHERE x.action = sent->>'action';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no action "%"', sent->>'action' USING ERRCODE = 'CH013',
            DETAIL = format('没有办理动作 %s', sent->>'action'),
            HINT = (SELECT 'Actions: ' || string_agg(x.action || ' ' || x.name_zh, ', ') FROM onemap.order_actions() x);
    END IF;
    PERFORM onemap.case_fields_check(sent, '{action,version,reason}' || a.fields, '{action,version}');
    IF NOT (CASE WHEN who->>'kind' = 'token' THEN a.program AND who->'rights' ? 'order'
        ELSE EXISTS (SELECT FROM unnest(a.posts) p (p) WHERE who->'posts' ? p.p) END) THEN
        RAISE EXCEPTION '% does not %', who->>'login', a.action USING ERRCODE = 'CH019',
            DETAIL = format('“%s”不能%s', who->>'login', a.name_zh),
            HINT = '可由以下岗位办理：' || array_to_string(a.posts, '、') || CASE WHEN a.program THEN '，及来件程序' ELSE '' END;
    ELSIF o.state <> ALL (a.from_states) THEN
        RAISE EXCEPTION 'order % is %: % is for %', o.number, o.state, a.action, array_to_string(a.from_states, ', ')
            USING ERRCODE = 'CH010', DETAIL = format('工单 %s 现在的状态不能%s', o.number, a.name_zh),
            HINT = '请刷新工单后办理。';
    ELSIF onemap.case_whole(sent, 'version', 1, 2147483647) <> o.version THEN
        RAISE EXCEPTION 'order %: version % is no longer its last, which is %', o.number, sent->>'version', o.version
            USING ERRCODE = 'CH011',
            DETAIL = format('工单 %s 的版本 %s 已不是最新，最新为 %s', o.number, sent->>'version', o.version);
    ELSIF a.reason_required AND onemap.case_text(sent, 'reason', 2000) IS NULL THEN
        RAISE EXCEPTION 'order %: % needs a reason', o.number, a.action
            USING ERRCODE = 'CH012', DETAIL = format('%s须写明理由', a.name_zh);
    ELSIF a.action = 'answer' AND (onemap.case_whole(sent, 'result', 0, 3) IS NULL OR onemap.case_text(sent, 'text', 4000) IS
        NULL) THEN
        RAISE EXCEPTION 'an answer needs "result" (0 solved, 1 not, 2 partly, 3 not handled) and "text"'
            USING ERRCODE = 'CH013', DETAIL = '办结须写明办理结果 result（0 至 3）和答复 text';
    ELSIF a.action = 'visit'
        AND coalesce(sent->>'satisfaction', '') NOT IN ('satisfied', 'basically_satisfied', 'dissatisfied') THEN
        RAISE EXCEPTION 'field "satisfaction": satisfied, basically_satisfied or dissatisfied'
            USING ERRCODE = 'CH013', DETAIL = '满意度须为满意、基本满意、不满意之一';
    END IF;
END $$;
COMMENT ON FUNCTION onemap.order_may(onemap.hotline_order, jsonb, jsonb) IS
    'Refuses what may not be done: CH010 in this state, CH011 changed meanwhile, CH012 without a reason, CH013 fields, CH019 '
    'not for '
    'who asks';

CREATE OR REPLACE FUNCTION onemap.order_can(o onemap.hotline_order, request jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(jsonb_build_object('action', a.action, 'name_zh', a.name_zh, 'reason_required', a.reason_required,
        'fields', a.fields) ORDER BY a.ordinality), '[]')
    FROM onemap.order_actions() WITH ORDINALITY a, (SELECT onemap.identity(request) AS who) i
    WHERE o.state = ANY (a.from_states) AND CASE WHEN i.who->>'kind' = 'token' THEN a.program AND i.who->'rights' ? 'order'
        ELSE EXISTS (SELECT FROM unnest(a.posts) p (p) WHERE i.who->'posts' ? p.p) END
$$;
COMMENT ON FUNCTION onemap.order_can(onemap.hotline_order, jsonb) IS
    'What who asks may do with an order as it is: [{action, name_zh, reason_required, fields}]; order_may() decides';

CREATE OR REPLACE FUNCTION onemap.order_do(o onemap.hotline_order, request jsonb, sent jsonb) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    who jsonb := onemap.identity(request); verb text := sent->>'action'; moment timestamptz := clock_timestamp();
    reason text := onemap.case_text(sent, 'reason', 2000); detail jsonb := jsonb_build_object(); target text;
BEGIN
    PERFORM onemap.order_may(o, request, sent);
    SELECT nullif(a.to_state, '=') INTO target FROM onemap.order_actions() a WHERE a.action = verb;
    o.state := coalesce(target, o.state);
    o.version := o.version + 1;
    o.signed_at := CASE verb WHEN 'sign' THEN moment WHEN 'redispatch' THEN NULL ELSE o.signed_at END;
    o.answered_at := CASE verb WHEN 'answer' THEN moment WHEN 'redispatch' THEN NULL ELSE o.answered_at END;
    o.visited_at := CASE verb WHEN 'visit' THEN moment WHEN 'redispatch' THEN NULL ELSE o.visited_at END;
    o.reminder_count := o.reminder_count + (verb = 'remind')::int;
    o.result := CASE verb WHEN 'answer' THEN onemap.case_whole(sent, 'result', 0, 3)::smallint WHEN 'return' THEN 3::smallint
        WHEN 'redispatch' THEN NULL ELSE o.result END;
    o.answer := CASE verb WHEN 'answer' THEN onemap.case_text(sent, 'text', 4000) WHEN 'redispatch' THEN NULL ELSE o.answer END;
    o.satisfaction := CASE verb WHEN 'visit' THEN sent->>'satisfaction' WHEN 'redispatch' THEN NULL ELSE o.satisfaction END;
    IF verb = 'redispatch' THEN
        o.round := o.round + 1;
        o.sign_by := onemap.order_time(sent, 'sign_by', moment + onemap.setting('order_sign_limit')::interval);
        o.answer_by := onemap.order_time(sent, 'answer_by', moment + onemap.setting('order_answer_limit')::interval);
        DELETE FROM onemap.hotline_order_file f WHERE f.order_id = o.id;
    ELSIF verb = 'open_case' THEN
        detail := jsonb_build_object('case', onemap.order_open_case(o, who, sent));
    ELSIF verb = 'link' THEN
        detail := jsonb_build_object('case', onemap.order_link(o, sent));
    ELSIF verb = 'answer' THEN
        PERFORM onemap.order_files(o, sent);
        detail := jsonb_build_object('result', o.result, 'text', o.answer);
    ELSIF verb = 'visit' THEN
        detail := jsonb_build_object('satisfaction', o.satisfaction, 'cases', onemap.order_satisfaction(o, who, reason));
    END IF;
    UPDATE onemap.hotline_order x SET state = o.state, version = o.version, signed_at = o.signed_at, answered_at = o.answered_at,
        visited_at = o.visited_at, reminder_count = o.reminder_count, result = o.result, answer = o.answer,
        satisfaction = o.satisfaction, round = o.round, sign_by = o.sign_by, answer_by = o.answer_by
    WHERE x.id = o.id;
    PERFORM onemap.order_note(o, verb, who->>'login', reason, detail);
    RETURN onemap.order_show(o);
END $$;
COMMENT ON FUNCTION onemap.order_do(onemap.hotline_order, jsonb, jsonb) IS
    'One action on an order that is locked: what changes, what goes with it, the line of its journal; the order after it';

-- ---- routes ----

CREATE OR REPLACE FUNCTION onemap.http_order_put(request jsonb, sent jsonb) RETURNS TABLE (body json, status int, location text)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT p.said::json, CASE WHEN p.added THEN 201 ELSE 200 END, '/api/v1/orders/' || (p.said->>'order')
    FROM onemap.order_put(request, sent) p
$$;
COMMENT ON FUNCTION onemap.http_order_put(jsonb, jsonb) IS
    'POST /api/v1/orders: {source, external_number, content, title, address, lon, lat, urgent, sign_by, answer_by, contact: '
    '{name, '
    'phone}}; 201, or 200 with the order that has this number already';

CREATE OR REPLACE FUNCTION onemap.http_orders(request jsonb) RETURNS TABLE (body json)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM onemap.http_words_check(request, 'state', '{received,signed,returned,answered,visited}');
    -- A program asks for its own orders, also before there is one.
    IF request ? 'source' AND NOT onemap.identity(request)->'rights' ? 'order' THEN
        PERFORM onemap.http_there_check(request, 'source',
            EXISTS (SELECT FROM onemap.hotline_order o WHERE o.source = request->>'source'),
            (SELECT coalesce('工单来源：' || string_agg(DISTINCT o.source, '、') || '。', '还没有工单。')
                FROM onemap.hotline_order o));
    END IF;
    RETURN QUERY SELECT json_build_object('orders',
            coalesce(json_agg(onemap.order_for(request, onemap.order_entry(p)) ORDER BY p.id DESC), '[]'),
        'next', CASE WHEN count(*) = (request->>'limit')::int THEN min(p.id) END)
    FROM (SELECT o.* FROM onemap.hotline_order o
          WHERE onemap.order_seen(o, request) AND (NOT request ? 'after' OR o.id < (request->>'after')::bigint)
              AND (NOT request ? 'state' OR request->'state' ? o.state) AND (NOT request ? 'source' OR o.source =
                  request->>'source')
              AND (NOT request ? 'overdue' OR (o.state = 'received' AND o.sign_by < now()
                  OR o.state IN ('received', 'signed') AND o.answer_by < now()) = (request->>'overdue')::boolean)
          ORDER BY o.id DESC LIMIT (request->>'limit')::int) p;
END $$;
COMMENT ON FUNCTION onemap.http_orders(jsonb) IS 'GET /api/v1/orders: {orders, next}, newest first, page by page';

CREATE OR REPLACE FUNCTION onemap.http_order_changes(request jsonb) RETURNS TABLE (body json)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT json_build_object('changes', coalesce(json_agg(json_build_object('change', p.id, 'order', p.number, 'source', p.source,
            'external_number', p.external_number, 'version', p.version, 'at', p.at, 'action', p.action, 'state', p.state,
            'reason', p.reason, 'detail', p.detail) ORDER BY p.id), '[]'),
        'next', coalesce(max(p.id), (request->>'after')::bigint))
    FROM (SELECT e.id, o.number, o.source, o.external_number, e.version, e.at, e.action, e.state, e.reason, e.detail
          FROM onemap.hotline_order_event e JOIN onemap.hotline_order o ON o.id = e.order_id
          WHERE e.id > (request->>'after')::bigint AND onemap.order_seen(o, request)
          ORDER BY e.id LIMIT (request->>'limit')::int) p
$$;
COMMENT ON FUNCTION onemap.http_order_changes(jsonb) IS
    'GET /api/v1/orders/changes: {changes, next}: what was done, each once and in order; next is the cursor to go on from';

CREATE OR REPLACE FUNCTION onemap.http_order(request jsonb) RETURNS TABLE (body json)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT (onemap.order_for(request, onemap.order_show(o)) || jsonb_build_object('can', onemap.order_can(o, request)))::json
    FROM onemap.hotline_order o
    WHERE o.number = request->>'number' AND onemap.order_seen(o, request)
$$;
COMMENT ON FUNCTION onemap.http_order(jsonb) IS 'GET /api/v1/orders/{number}: one order; no row: none, or not to be seen';

CREATE OR REPLACE FUNCTION onemap.http_order_do(request jsonb, sent jsonb) RETURNS TABLE (body json)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE o onemap.hotline_order;
BEGIN
    SELECT * INTO o FROM onemap.hotline_order x WHERE x.number = request->>'number' FOR UPDATE;
    IF o.id IS NULL OR NOT onemap.order_seen(o, request) THEN
        RETURN;
    END IF;
    RETURN QUERY SELECT onemap.order_do(o, request, sent)::json;
END $$;
COMMENT ON FUNCTION onemap.http_order_do(jsonb, jsonb) IS
    'POST /api/v1/orders/{number}/actions: {action, version, reason, and the action''s own fields}; the order after it';

CREATE OR REPLACE FUNCTION onemap.http_order_file(request jsonb)
RETURNS TABLE (body text, etag text, file text, file_type text, file_bytes bigint, file_small boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT '', request->>'sha256', request->>'sha256', a.media_type, a.size_bytes, false
    FROM onemap.hotline_order o JOIN onemap.hotline_order_file f ON f.order_id = o.id JOIN onemap.attachment a ON a.sha256 =
        f.sha256
    WHERE o.number = request->>'number' AND onemap.order_seen(o, request) AND encode(f.sha256, 'hex') = request->>'sha256'
$$;
COMMENT ON FUNCTION onemap.http_order_file(jsonb) IS
    'GET /api/v1/orders/{number}/attachments/{sha256}: a photograph of an order''s answer';
GRANT EXECUTE ON FUNCTION onemap.http_order_put(jsonb, jsonb), onemap.http_orders(jsonb), onemap.http_order_changes(jsonb),
    onemap.http_order(jsonb), onemap.http_order_do(jsonb, jsonb), onemap.http_order_file(jsonb) TO cityhub_api;
