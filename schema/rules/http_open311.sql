-- Open311 over HTTP: how a citizen's report or addition comes in, the standard's documents as JSON and XML, and its routes, two of
-- each. What is refused is told in the standard's form, errors [{code, description}].

-- ---- reports ----

-- The key comes in the form, as the standard wants it; the server has asked for no identity.
CREATE OR REPLACE FUNCTION onemap.open311_sender(sent jsonb) RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE sender int := onemap.open311_key(sent->>'api_key');
BEGIN
    IF sender IS NULL THEN
        PERFORM onemap.open311_refuse(403, 'api_key 缺失或无效 / the api_key is missing or wrong');
    END IF;
    UPDATE onemap.token t SET last_used_at = now() WHERE t.id = sender AND t.last_used_at > now() - interval '1 minute' IS NOT
        TRUE;
    RETURN sender;
END $$;
COMMENT ON FUNCTION onemap.open311_sender(jsonb) IS 'The token whose key a form has; CH077 with 403 if there is none';

CREATE OR REPLACE FUNCTION onemap.open311_said(sent jsonb, most int) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN onemap.case_text(jsonb_build_object('description', regexp_replace(sent->>'description', '\r\n?', E'\n', 'g')),
        'description', most);
EXCEPTION WHEN SQLSTATE 'CH013' THEN
    PERFORM onemap.open311_refuse(400, format('description 最多 %s 字，不得有控制字符 / at most %1$s characters, none of them a '
        'control character', most));
    RETURN NULL;
END $$;
COMMENT ON FUNCTION onemap.open311_said(jsonb, int) IS 'What a citizen says, NULL if nothing; CH077 if it is too long';

CREATE OR REPLACE FUNCTION onemap.open311_place(lat text, lon text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE flaw text;
BEGIN
    IF onemap.number_within(lat, 15, -90, 90) IS NULL AND lat IS NOT NULL
        OR onemap.number_within(lon, 15, -180, 180) IS NULL AND lon IS NOT NULL THEN
        PERFORM onemap.open311_refuse(400, 'lat、long 须为 WGS-84 的度数 / lat and long must be degrees of WGS 84');
    END IF;
    flaw := onemap.place_flaw(lon::float8, lat::float8);
    IF flaw IS NOT NULL THEN
        PERFORM onemap.open311_refuse(400, '位置不在本县范围内，请核对 lat、long / the place is not possible: ' || flaw);
    END IF;
END $$;
COMMENT ON FUNCTION onemap.open311_place(text, text) IS 'CH077 if a report''s place is none of the county';

CREATE OR REPLACE FUNCTION onemap.open311_case(sent jsonb, s onemap.open311_service, sender text) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    place text := coalesce(sent->>'address_string', sent->>'attribute[closest_address]', nullif(sent->>'address_id',
        '#NOTPINPOINTED#'));
    media record; who text := concat_ws(' ', sent->>'last_name', sent->>'first_name');
BEGIN
    IF (sent ? 'lat') <> (sent ? 'long') OR NOT sent ?| '{lat,address_string,address_id}' THEN
        PERFORM onemap.open311_refuse(400, '须有 lat 和 long，或 address_string，或 address_id / a place is needed: lat and long, '
            'address_string or address_id');
    END IF;
    PERFORM onemap.open311_said(sent, 4000), onemap.open311_place(sent->>'lat', sent->>'long');
    IF length(place) > 300 OR length(who) > 100 OR length(sent->>'phone') > 40 OR length(sent->>'email') > 100 THEN
        PERFORM onemap.open311_refuse(400, '地址最多 300 字，姓名、email 最多 100 字，phone 最多 40 字 / at most 300 characters of '
            'address, 100 of name or email, 40 of phone');
    END IF;
    SELECT * INTO media FROM onemap.open311_media(sent->>'media_url');
    RETURN jsonb_strip_nulls(jsonb_build_object('source', 'public', 'title', left(s.name, 200), 'category', s.category_code,
        'description', left(concat_ws(E'\n', regexp_replace(sent->>'description', '\r\n?', E'\n', 'g'),
            '图片：' || media.kept), 4000), 'address', place,
        'lon', sent->>'long', 'lat', sent->>'lat', 'external_code', sender || ':' || (sent->>'attribute[fixmystreet_id]'),
        'reporter', nullif(left(concat_ws(' ', nullif(who, ''), sent->>'email'), 100), ''),
        'contact', CASE WHEN sent ?| '{phone,first_name,last_name}'
            THEN jsonb_strip_nulls(jsonb_build_object('name', nullif(who, ''), 'phone', sent->>'phone')) END));
END $$;
COMMENT ON FUNCTION onemap.open311_case(jsonb, onemap.open311_service, text) IS 'A form as a report of case_new()';

CREATE OR REPLACE FUNCTION onemap.open311_before(sender int, client text, hash bytea) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT c.code FROM onemap.open311_request q JOIN onemap.case_record c ON c.id = q.case_id
    WHERE q.token_id = sender AND CASE WHEN client IS NOT NULL THEN q.client_id = client
        ELSE q.content_hash = hash AND q.recorded_at > now() - onemap.setting('open311_repeat')::interval END
    ORDER BY q.case_id LIMIT 1
$$;
COMMENT ON FUNCTION onemap.open311_before(int, text, bytea) IS
    'The case that this report has already: by the sender''s number, else by its content within the setting open311_repeat';

CREATE OR REPLACE FUNCTION onemap.open311_client(sent jsonb, field text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF length(sent->>field) > 60 THEN -- cut, two numbers would be one
        PERFORM onemap.open311_refuse(400, field || ' 最多 60 字 / at most 60 characters');
    END IF;
    RETURN sent->>field;
END $$;
COMMENT ON FUNCTION onemap.open311_client(jsonb, text) IS 'The sender''s own number of a report or addition, NULL if it has none';

CREATE OR REPLACE FUNCTION onemap.open311_hash(sent jsonb, client text) RETURNS bytea
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT sha256(convert_to((CASE WHEN client IS NULL THEN sent - 'api_key' ELSE (
        SELECT jsonb_object_agg(f.key, f.value) FROM jsonb_each(sent) f
        WHERE f.key = ANY ('{service_code,lat,long,address_string,address_id,attribute[closest_address],description,media_url,'
            'service_request_id,attribute[fixmystreet_id],update_id}'::text[])) END)::text, 'UTF8'))
$$;
COMMENT ON FUNCTION onemap.open311_hash(jsonb, text) IS
    'By which a form that comes again is known: all of it, or of one with a number of its sender what it is about';

CREATE OR REPLACE FUNCTION onemap.open311_again(sent jsonb, s onemap.open311_service) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM onemap.open311_place(sent->>'lat', sent->>'long');
    RETURN concat_ws(E'\n', '同一编号再次上报，内容与先前不同。类别：' || s.name,
        '位置：' || concat_ws(' ', sent->>'long', sent->>'lat', sent->>'address_string'), onemap.open311_said(sent, 4000));
END $$;
COMMENT ON FUNCTION onemap.open311_again(jsonb, onemap.open311_service) IS
    'What a report says that comes by the number of an earlier one and is another, as an addition to that one';

-- What is known by its sender's number and says something else now is an addition of its own: what was acknowledged is kept.
CREATE OR REPLACE FUNCTION onemap.open311_add(report text, sender int, client text, hash bytea, words text, media_url text)
RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE c onemap.case_record; known bigint; reported bigint;
BEGIN
    SELECT r.* INTO c FROM onemap.case_record r JOIN onemap.open311_request q ON q.case_id = r.id
    WHERE r.code = report AND q.token_id = sender FOR NO KEY UPDATE OF r;
    IF c.id IS NULL THEN
        PERFORM onemap.open311_refuse(404, 'service_request_id 不存在 / there is no such report of yours');
    END IF;
    reported := c.id;
    SELECT k.id INTO known FROM onemap.open311_remark k WHERE k.case_id = reported AND k.content_hash = hash;
    IF known IS NOT NULL THEN
        RETURN known;
    ELSIF c.merged_into IS NOT NULL THEN
        SELECT r.* INTO c FROM onemap.case_record r WHERE r.id = onemap.open311_leader(c.id) FOR NO KEY UPDATE;
    END IF;
    IF c.ended_at IS NOT NULL THEN
        PERFORM onemap.open311_refuse(400, format('%s 已办结，请用新的编号重新上报 / it has ended: please report it anew, by '
            'another number', report));
    END IF;
    PERFORM onemap.case_apply(c, 'attach', 'system', 'token:' || (SELECT t.name FROM onemap.token t WHERE t.id = sender),
        greatest(clock_timestamp(), c.last_event_at), jsonb_build_object('reason', words), '=');
    INSERT INTO onemap.open311_remark (case_id, token_id, client_id, content_hash)
    VALUES (reported, sender, CASE WHEN NOT EXISTS (SELECT FROM onemap.open311_remark k
        WHERE k.token_id = sender AND k.client_id = client) THEN client END, hash) RETURNING id INTO known;
    PERFORM onemap.open311_media_put(reported, media_url);
    RETURN known;
END $$;
COMMENT ON FUNCTION onemap.open311_add(text, int, text, bytea, text, text) IS
    'Adds words to the journal of a report''s case (补充), once; of a merged one to the case that it follows; the addition''s id';

CREATE OR REPLACE FUNCTION onemap.open311_report(request jsonb, body bytea) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    sent jsonb := onemap.open311_form(body); sender int := onemap.open311_sender(sent);
    client text := onemap.open311_client(sent, 'attribute[fixmystreet_id]'); hash bytea := onemap.open311_hash(sent, client);
    number text; login text; s onemap.open311_service; asked jsonb; c onemap.case_record; another boolean := false;
BEGIN
    PERFORM onemap.open311_here(request || sent);
    SELECT * INTO s FROM onemap.open311_service x WHERE x.service_code = sent->>'service_code';
    IF NOT sent ? 'service_code' THEN
        PERFORM onemap.open311_refuse(400, 'service_code 缺失 / service_code was not given');
    ELSIF s.service_code IS NULL THEN
        PERFORM onemap.open311_refuse(404, 'service_code 不存在 / there is no such service_code');
    END IF;
    -- One after the other, so that what comes twice at once finds the first.
    PERFORM pg_advisory_xact_lock(hashtextextended(sender || ' ' || coalesce(client, encode(hash, 'hex')), 311));
    number := onemap.open311_before(sender, client, hash);
    IF number IS NULL THEN
        login := (SELECT t.name FROM onemap.token t WHERE t.id = sender);
        asked := onemap.open311_case(sent, s, login);
        c := onemap.case_new(asked, clock_timestamp());
        c := onemap.case_open(c, 'system', 'token:' || login, asked,
            asked - '{source,category,contact,reporter}'::text[] || jsonb_build_object('service_code', s.service_code));
        PERFORM onemap.case_contact_put(c.id, asked);
        INSERT INTO onemap.open311_request (case_id, service_code, token_id, client_id, content_hash)
        VALUES (c.id, s.service_code, sender, client, hash);
        PERFORM onemap.open311_media_put(c.id, sent->>'media_url');
        number := c.code;
    ELSE
        another := NOT EXISTS (SELECT FROM onemap.open311_request q JOIN onemap.case_record r ON r.id = q.case_id
            WHERE r.code = number AND q.content_hash = hash);
        IF another THEN
            PERFORM onemap.open311_add(number, sender, NULL, hash, onemap.open311_again(sent, s), sent->>'media_url');
        END IF;
    END IF;
    PERFORM onemap.identity_audit(jsonb_build_object('identity', jsonb_build_object('login', 'token:'
        || (SELECT t.name FROM onemap.token t WHERE t.id = sender))), 'open311_report', jsonb_build_object('case', number));
    RETURN jsonb_build_array(jsonb_build_object('service_request_id', number, 'service_notice', concat('已收到，编号 ' || number,
        CASE WHEN another THEN '；这个编号已上报过，与先前不同的内容已作为补充记入 / this number was reported before: what '
            'differs was added to it' END,
        CASE WHEN (SELECT m.refused FROM onemap.open311_media(sent->>'media_url') m)
            THEN '；图片地址不在允许范围内，未记录 / media_url is not of a permitted host and was not kept' END)));
END $$;
COMMENT ON FUNCTION onemap.open311_report(jsonb, bytea) IS
    'Opens a case of a form, as the source public, or answers the number that the same report has already';

CREATE OR REPLACE FUNCTION onemap.open311_remark_put(request jsonb, body bytea) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    sent jsonb := onemap.open311_form(body); sender int := onemap.open311_sender(sent);
    client text := onemap.open311_client(sent, 'update_id'); words text := onemap.open311_said(sent, 2000);
BEGIN
    PERFORM onemap.open311_here(request || sent);
    IF words IS NULL THEN
        PERFORM onemap.open311_refuse(400, 'description 缺失 / description was not given');
    END IF;
    RETURN jsonb_build_array(jsonb_build_object('service_request_id', sent->>'service_request_id', 'update_id',
        onemap.open311_add(sent->>'service_request_id', sender, client, onemap.open311_hash(sent, client), words,
            sent->>'media_url')::text));
END $$;
COMMENT ON FUNCTION onemap.open311_remark_put(jsonb, bytea) IS 'Adds what a citizen says to the report''s case, once';

-- ---- documents ----

CREATE OR REPLACE FUNCTION onemap.open311_discovery(request jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object('changeset', '2026-11-27T00:00:00+08:00', 'contact', onemap.setting('open311_contact'),
        'key_service',
        onemap.setting('open311_contact'), 'endpoints', jsonb_build_array(jsonb_build_object(
        'specification', 'http://wiki.open311.org/GeoReport_v2', 'url', (request->>'base') || '/open311/v2',
        'changeset', '2026-11-27T00:00:00+08:00', 'type', 'production',
        'formats', jsonb_build_array('text/xml', 'application/json'))))
$$;
COMMENT ON FUNCTION onemap.open311_discovery(jsonb) IS 'Service discovery: where what is spoken';

CREATE OR REPLACE FUNCTION onemap.open311_xml_of(e jsonb, kind text) RETURNS xml
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE kind
        WHEN 'error' THEN xmlelement(NAME error, xmlforest(e->>'code' AS code, e->>'description' AS description))
        WHEN 'service' THEN xmlelement(NAME service, xmlforest(e->>'service_code' AS service_code, e->>'service_name' AS
            service_name,
            e->>'description' AS description, e->>'metadata' AS metadata, e->>'type' AS type, e->>'keywords' AS keywords,
            e->>'group' AS "group"))
        WHEN 'attribute' THEN xmlelement(NAME attribute, xmlforest(e->>'variable' AS variable, e->>'code' AS code,
            e->>'datatype' AS datatype, e->>'required' AS required, e->>'datatype_description' AS datatype_description,
            e->>'order' AS "order", e->>'description' AS description, e->>'automated' AS automated), xmlelement(NAME values))
        WHEN 'request' THEN xmlelement(NAME request, xmlforest(e->>'service_request_id' AS service_request_id, e->>'token' AS
            token,
            e->>'status' AS status, e->>'status_notes' AS status_notes, e->>'service_name' AS service_name,
            e->>'service_code' AS service_code, e->>'agency_responsible' AS agency_responsible,
            e->>'service_notice' AS service_notice, e->>'requested_datetime' AS requested_datetime,
            e->>'updated_datetime' AS updated_datetime, e->>'expected_datetime' AS expected_datetime, e->>'lat' AS lat,
            e->>'long' AS long))
        WHEN 'request_update' THEN xmlelement(NAME request_update, xmlforest(e->>'update_id' AS update_id,
            e->>'service_request_id' AS service_request_id, e->>'status' AS status, e->>'updated_datetime' AS updated_datetime,
            e->>'description' AS description, e->>'media_url' AS media_url)) END
$$;
COMMENT ON FUNCTION onemap.open311_xml_of(jsonb, text) IS 'One entry of a document as the XML of the standard';

CREATE OR REPLACE FUNCTION onemap.open311_xml_list(entries jsonb, kind text) RETURNS xml
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT xmlagg(onemap.open311_xml_of(e.e, kind) ORDER BY e.n) FROM jsonb_array_elements(entries) WITH ORDINALITY AS e (e, n)
$$;
COMMENT ON FUNCTION onemap.open311_xml_list(jsonb, text) IS 'The entries of a document one after the other';

CREATE OR REPLACE FUNCTION onemap.open311_document(said jsonb, kind text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT E'<?xml version="1.0" encoding="utf-8"?>\n' || translate((CASE kind
        WHEN 'errors' THEN xmlelement(NAME errors, onemap.open311_xml_list(said, 'error'))
        WHEN 'services' THEN xmlelement(NAME services, onemap.open311_xml_list(said, 'service'))
        WHEN 'definition' THEN xmlelement(NAME service_definition, xmlelement(NAME service_code, said->>'service_code'),
            xmlelement(NAME attributes, onemap.open311_xml_list(said->'attributes', 'attribute')))
        WHEN 'updates' THEN xmlelement(NAME service_request_updates, onemap.open311_xml_list(said, 'request_update'))
        WHEN 'discovery' THEN xmlelement(NAME discovery, xmlforest(said->>'changeset' AS changeset, said->>'contact' AS contact,
            said->>'key_service' AS key_service), xmlelement(NAME endpoints, (SELECT xmlagg(xmlelement(NAME endpoint,
                xmlforest(e.e->>'specification' AS specification, e.e->>'url' AS url, e.e->>'changeset' AS changeset,
                    e.e->>'type' AS type), xmlelement(NAME formats, (SELECT xmlagg(xmlelement(NAME format, f.f))
                    FROM jsonb_array_elements_text(e.e->'formats') f (f))))) FROM jsonb_array_elements(said->'endpoints') e (e))))
        ELSE xmlelement(NAME service_requests, onemap.open311_xml_list(said, 'request')) END)::text, U&'\FFFE\FFFF', '')
$$;
COMMENT ON FUNCTION onemap.open311_document(jsonb, text) IS
    'A document as XML: errors, services, definition, requests, updates, discovery; without what XML cannot hold';

CREATE OR REPLACE FUNCTION onemap.open311_told(form text, said jsonb, kind text, status int DEFAULT 200)
RETURNS TABLE (body text, status int)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN form = 'xml' THEN onemap.open311_document(said, kind) ELSE said::text END, $4
$$;
COMMENT ON FUNCTION onemap.open311_told(text, jsonb, text, int) IS 'A document in the form xml or json, as a route answers it';

CREATE OR REPLACE FUNCTION onemap.open311_errors(state text, message text, status text) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF state !~ '^CH' THEN
        RAISE EXCEPTION '%', message USING ERRCODE = state; -- a fault, or the database's trouble: nothing of the sender's
    END IF;
    RETURN jsonb_build_array(jsonb_build_object('code', CASE WHEN state = 'CH077' THEN status ELSE '400' END,
        'description', CASE state WHEN 'CH077' THEN '' WHEN 'CH013' THEN '填写内容有误 / ' WHEN 'CH014' THEN '时间有误 / '
            WHEN 'CH011' THEN '该事项刚被他人修改，请重试 / ' ELSE '不能受理 / ' END || message));
END $$;
COMMENT ON FUNCTION onemap.open311_errors(text, text, text) IS 'A refusal in the form of the standard; what is no refusal goes on';

-- ---- routes ----

CREATE OR REPLACE FUNCTION onemap.open311_ask(resource text, form text, request jsonb) RETURNS TABLE (body text, status int)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE said jsonb; message text; detail text;
BEGIN
    said := CASE resource WHEN 'discovery' THEN onemap.open311_discovery(request) WHEN 'services' THEN
        onemap.open311_services(request)
        WHEN 'definition' THEN onemap.open311_definition(request) WHEN 'requests' THEN onemap.open311_requests(request)
        WHEN 'tokens' THEN onemap.open311_token(request) ELSE onemap.open311_updates(request) END;
    RETURN QUERY SELECT t.body, t.status FROM onemap.open311_told(form, said, resource) t;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
    said := onemap.open311_errors(SQLSTATE, message, detail);
    RETURN QUERY SELECT t.body, t.status FROM onemap.open311_told(form, said, 'errors', (said->0->>'code')::int) t;
END $$;
COMMENT ON FUNCTION onemap.open311_ask(text, text, jsonb) IS 'What is read, or why not, in the standard''s form';

CREATE OR REPLACE FUNCTION onemap.open311_send(resource text, form text, request jsonb, sent bytea)
RETURNS TABLE (body text, status int)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE said jsonb; message text; detail text;
BEGIN
    said := CASE resource WHEN 'requests' THEN onemap.open311_report(request, sent) ELSE onemap.open311_remark_put(request,
        sent) END;
    RETURN QUERY SELECT t.body, t.status FROM onemap.open311_told(form, said, resource) t;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
    said := onemap.open311_errors(SQLSTATE, message, detail);
    RETURN QUERY SELECT t.body, t.status FROM onemap.open311_told(form, said, 'errors', (said->0->>'code')::int) t;
END $$;
COMMENT ON FUNCTION onemap.open311_send(text, text, jsonb, bytea) IS
    'What comes of a form that was sent, or why nothing, in the standard''s form';

CREATE OR REPLACE FUNCTION onemap.http_open311_discovery_json(request jsonb) RETURNS TABLE (body text, status int)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM onemap.open311_ask('discovery', 'json', request)
$$;
COMMENT ON FUNCTION onemap.http_open311_discovery_json(jsonb) IS 'GET /open311/discovery.json';
CREATE OR REPLACE FUNCTION onemap.http_open311_discovery_xml(request jsonb) RETURNS TABLE (body text, status int)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM onemap.open311_ask('discovery', 'xml', request)
$$;
COMMENT ON FUNCTION onemap.http_open311_discovery_xml(jsonb) IS 'GET /open311/discovery.xml';
CREATE OR REPLACE FUNCTION onemap.http_open311_services_json(request jsonb) RETURNS TABLE (body text, status int)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM onemap.open311_ask('services', 'json', request)
$$;
COMMENT ON FUNCTION onemap.http_open311_services_json(jsonb) IS 'GET /open311/v2/services.json';
CREATE OR REPLACE FUNCTION onemap.http_open311_services_xml(request jsonb) RETURNS TABLE (body text, status int)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM onemap.open311_ask('services', 'xml', request)
$$;
COMMENT ON FUNCTION onemap.http_open311_services_xml(jsonb) IS 'GET /open311/v2/services.xml';
CREATE OR REPLACE FUNCTION onemap.http_open311_definition_json(request jsonb) RETURNS TABLE (body text, status int)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM onemap.open311_ask('definition', 'json', request)
$$;
COMMENT ON FUNCTION onemap.http_open311_definition_json(jsonb) IS 'GET /open311/v2/services/{code}.json';
CREATE OR REPLACE FUNCTION onemap.http_open311_definition_xml(request jsonb) RETURNS TABLE (body text, status int)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM onemap.open311_ask('definition', 'xml', request)
$$;
COMMENT ON FUNCTION onemap.http_open311_definition_xml(jsonb) IS 'GET /open311/v2/services/{code}.xml';
CREATE OR REPLACE FUNCTION onemap.http_open311_requests_json(request jsonb) RETURNS TABLE (body text, status int)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM onemap.open311_ask('requests', 'json', request)
$$;
COMMENT ON FUNCTION onemap.http_open311_requests_json(jsonb) IS 'GET /open311/v2/requests.json';
CREATE OR REPLACE FUNCTION onemap.http_open311_requests_xml(request jsonb) RETURNS TABLE (body text, status int)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM onemap.open311_ask('requests', 'xml', request)
$$;
COMMENT ON FUNCTION onemap.http_open311_requests_xml(jsonb) IS 'GET /open311/v2/requests.xml';
CREATE OR REPLACE FUNCTION onemap.http_open311_request_json(request jsonb) RETURNS TABLE (body text, status int)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM onemap.open311_ask('requests', 'json', request)
$$;
COMMENT ON FUNCTION onemap.http_open311_request_json(jsonb) IS 'GET /open311/v2/requests/{id}.json';
CREATE OR REPLACE FUNCTION onemap.http_open311_request_xml(request jsonb) RETURNS TABLE (body text, status int)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM onemap.open311_ask('requests', 'xml', request)
$$;
COMMENT ON FUNCTION onemap.http_open311_request_xml(jsonb) IS 'GET /open311/v2/requests/{id}.xml';
CREATE OR REPLACE FUNCTION onemap.http_open311_tokens_json(request jsonb) RETURNS TABLE (body text, status int)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM onemap.open311_ask('tokens', 'json', request)
$$;
COMMENT ON FUNCTION onemap.http_open311_tokens_json(jsonb) IS 'GET /open311/v2/tokens/{id}.json';
CREATE OR REPLACE FUNCTION onemap.http_open311_tokens_xml(request jsonb) RETURNS TABLE (body text, status int)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM onemap.open311_ask('tokens', 'xml', request)
$$;
COMMENT ON FUNCTION onemap.http_open311_tokens_xml(jsonb) IS 'GET /open311/v2/tokens/{id}.xml';
CREATE OR REPLACE FUNCTION onemap.http_open311_updates_json(request jsonb) RETURNS TABLE (body text, status int)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM onemap.open311_ask('updates', 'json', request)
$$;
COMMENT ON FUNCTION onemap.http_open311_updates_json(jsonb) IS 'GET /open311/v2/servicerequestupdates.json';
CREATE OR REPLACE FUNCTION onemap.http_open311_updates_xml(request jsonb) RETURNS TABLE (body text, status int)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM onemap.open311_ask('updates', 'xml', request)
$$;
COMMENT ON FUNCTION onemap.http_open311_updates_xml(jsonb) IS 'GET /open311/v2/servicerequestupdates.xml';
CREATE OR REPLACE FUNCTION onemap.http_open311_report_json(request jsonb, sent bytea) RETURNS TABLE (body text, status int)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM onemap.open311_send('requests', 'json', request, sent)
$$;
COMMENT ON FUNCTION onemap.http_open311_report_json(jsonb, bytea) IS 'POST /open311/v2/requests.json';
CREATE OR REPLACE FUNCTION onemap.http_open311_report_xml(request jsonb, sent bytea) RETURNS TABLE (body text, status int)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM onemap.open311_send('requests', 'xml', request, sent)
$$;
COMMENT ON FUNCTION onemap.http_open311_report_xml(jsonb, bytea) IS 'POST /open311/v2/requests.xml';
CREATE OR REPLACE FUNCTION onemap.http_open311_remark_json(request jsonb, sent bytea) RETURNS TABLE (body text, status int)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM onemap.open311_send('updates', 'json', request, sent)
$$;
COMMENT ON FUNCTION onemap.http_open311_remark_json(jsonb, bytea) IS 'POST /open311/v2/servicerequestupdates.json';
CREATE OR REPLACE FUNCTION onemap.http_open311_remark_xml(request jsonb, sent bytea) RETURNS TABLE (body text, status int)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM onemap.open311_send('updates', 'xml', request, sent)
$$;
COMMENT ON FUNCTION onemap.http_open311_remark_xml(jsonb, bytea) IS 'POST /open311/v2/servicerequestupdates.xml';
GRANT EXECUTE ON FUNCTION onemap.http_open311_discovery_json(jsonb), onemap.http_open311_discovery_xml(jsonb),
    onemap.http_open311_services_json(jsonb), onemap.http_open311_services_xml(jsonb),
    onemap.http_open311_definition_json(jsonb), onemap.http_open311_definition_xml(jsonb),
    onemap.http_open311_requests_json(jsonb), onemap.http_open311_requests_xml(jsonb), onemap.http_open311_request_json(jsonb),
    onemap.http_open311_request_xml(jsonb), onemap.http_open311_tokens_json(jsonb), onemap.http_open311_tokens_xml(jsonb),
    onemap.http_open311_updates_json(jsonb), onemap.http_open311_updates_xml(jsonb),
    onemap.http_open311_report_json(jsonb, bytea), onemap.http_open311_report_xml(jsonb, bytea),
    onemap.http_open311_remark_json(jsonb, bytea), onemap.http_open311_remark_xml(jsonb, bytea) TO cityhub_api;
