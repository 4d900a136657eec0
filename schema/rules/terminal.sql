-- Terminals (终端) as `cityhub terminal` keeps them, and what gateways and the hub tell each other of them over the broker.

CREATE OR REPLACE FUNCTION onemap.terminal_identity(protocol text, identity text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    -- A phone has 12 or 20 digits on the line, and people write it without the zeros in front.
    SELECT CASE WHEN $1 = 'jt808' THEN coalesce(nullif(ltrim(btrim($2), '0'), ''), '0') ELSE btrim($2) END
$$;
COMMENT ON FUNCTION onemap.terminal_identity(text, text) IS 'An identity in the form that terminals are found by';

-- Changes one after another: the latest change is the list's version, and a gateway that has it has all before it.
CREATE OR REPLACE FUNCTION onemap.terminal_lock() RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT pg_advisory_xact_lock(hashtext('onemap.terminal'))
$$;
COMMENT ON FUNCTION onemap.terminal_lock() IS 'Holds up other changes of terminals until the end of the transaction';

CREATE OR REPLACE FUNCTION onemap.terminal_problem(request jsonb) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE
        WHEN coalesce(r.protocol, '') NOT IN ('hj212', 'jt808', 'json')
            THEN format('protocol must be hj212, jt808 or json, not "%s"', r.protocol)
        WHEN r.protocol = 'json' AND r.identity LIKE '%.%'
            THEN format('identity "%s" of a json source must have no dot: one parts it from the secret', r.identity)
        WHEN r.protocol = 'json' AND r.secret_hash IS NULL AND NOT EXISTS (SELECT FROM onemap.terminal t
                WHERE t.protocol = 'json' AND t.identity = btrim(r.identity) AND t.secret_hash IS NOT NULL)
            THEN format('a json source such as "%s" must have a secret: nothing else says who sends', r.identity)
        WHEN onemap.terminal_identity(r.protocol, r.identity) !~ '^[A-Za-z0-9_.-]{1,64}$' OR r.identity IS NULL
            THEN format('identity "%s" must have 1 to 64 of A-Z, a-z, 0-9, _, . and -', r.identity)
        WHEN r.protocol = 'jt808' AND onemap.terminal_identity(r.protocol, r.identity) !~ '^[0-9A-Fa-f]{1,20}$'
            THEN format('identity "%s" is on no line of JT/T 808: a phone has up to 20 digits', r.identity)
        WHEN NOT EXISTS (SELECT FROM onemap.vendor v
                         WHERE v.subsystem = r.subsystem AND v.vendor = r.vendor AND v.revoked_at IS NULL)
            THEN format('subsystem "%s" has no vendor "%s" that may push it', r.subsystem, r.vendor)
        WHEN octet_length(r.device) > 128 THEN 'device has more than 128 bytes'
        WHEN r.dialect !~ '^[a-z0-9_-]{0,40}$' THEN format('dialect "%s" must have up to 40 of a-z, 0-9, _ and -', r.dialect)
        WHEN r.crc NOT IN ('', 'standard', 'modbus', 'modbus-swapped', 'off')
            THEN format('crc must be standard, modbus, modbus-swapped or off, not "%s"', r.crc)
        WHEN r.offset_minutes !~ '^(|-?[0-9]{1,3})$' OR nullif(r.offset_minutes, '')::int NOT BETWEEN -720 AND 840
            THEN format('offset_minutes must be from -720 to 840, not "%s"', r.offset_minutes)
        WHEN r.sm4_key <> '' AND r.protocol <> 'hj212' THEN 'only a terminal of hj212 has an SM4 key'
        WHEN r.sm4_key !~ '^(|[0-9a-fA-F]{32})$' THEN 'the SM4 key must have 16 bytes'
        END
    FROM jsonb_to_record(request) AS r (protocol text, identity text, subsystem text, vendor text, device text, dialect text,
        crc text, offset_minutes text, secret_hash text, sm4_key text)
$$;
COMMENT ON FUNCTION onemap.terminal_problem(jsonb) IS 'What is wrong with a terminal''s settings, in words; NULL = nothing';

CREATE OR REPLACE FUNCTION onemap.terminal_put(request jsonb) RETURNS text
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    DELETE FROM onemap.terminal_pending p WHERE p.protocol = request->>'protocol'
        AND p.identity = onemap.terminal_identity(request->>'protocol', request->>'identity');
    INSERT INTO onemap.terminal AS t (protocol, identity, subsystem, vendor, device_code, dialect, crc, offset_minutes, secret_hash,
        sm4_key, sm4_key_at)
    SELECT r.protocol, i.identity, r.subsystem, r.vendor, coalesce(nullif(r.device, ''), i.identity), coalesce(r.dialect, ''),
           coalesce(nullif(r.crc, ''), 'standard'), coalesce(nullif(r.offset_minutes, '')::int, 480),
           decode(r.secret_hash, 'hex'), decode(nullif(r.sm4_key, ''), 'hex'),
           CASE WHEN r.sm4_key <> '' THEN now() END
    FROM jsonb_to_record(request) AS r (protocol text, identity text, subsystem text, vendor text, device text, dialect text,
        crc text, offset_minutes text, secret_hash text, sm4_key text),
        onemap.terminal_identity(r.protocol, r.identity) AS i (identity)
    ON CONFLICT ON CONSTRAINT terminal_identity DO UPDATE SET subsystem = excluded.subsystem, vendor = excluded.vendor,
        device_code = CASE WHEN request->>'device' <> '' THEN excluded.device_code ELSE t.device_code END,
        dialect = CASE WHEN request ? 'dialect' THEN excluded.dialect ELSE t.dialect END,
        crc = CASE WHEN request->>'crc' <> '' THEN excluded.crc ELSE t.crc END,
        offset_minutes = CASE WHEN request->>'offset_minutes' <> '' THEN excluded.offset_minutes ELSE t.offset_minutes END,
        secret_hash = coalesce(excluded.secret_hash, t.secret_hash), sm4_key = coalesce(excluded.sm4_key, t.sm4_key),
        sm4_key_at = CASE WHEN excluded.sm4_key IS DISTINCT FROM t.sm4_key AND excluded.sm4_key IS NOT NULL THEN now()
            ELSE t.sm4_key_at END,
        sm4_next = CASE WHEN excluded.sm4_key IS NULL OR excluded.sm4_key = t.sm4_key THEN t.sm4_next END,
        sm4_next_at = CASE WHEN excluded.sm4_key IS NULL OR excluded.sm4_key = t.sm4_key THEN t.sm4_next_at END,
        revoked_at = NULL, changed_at = clock_timestamp()
    RETURNING CASE WHEN t.xmax = 0 THEN 'added' ELSE 'changed' END
$$;
COMMENT ON FUNCTION onemap.terminal_put(jsonb) IS
    'Adds a terminal, or changes what the request names: "added" or "changed". The caller has asked terminal_problem and holds '
    'terminal_lock';

-- Counted by the lengths, not by making the list: whoever adds thousands one by one waits for each.
CREATE OR REPLACE FUNCTION onemap.terminal_room() RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE most CONSTANT bigint := bigint '8000000'; names CONSTANT int := 210; bytes bigint := (
    SELECT sum(names + octet_length(t.identity) + octet_length(t.device_code) + octet_length(t.vendor) + octet_length(t.dialect)
        + CASE WHEN t.sm4_key IS NULL THEN 0 ELSE 150 END)
    FROM onemap.terminal t WHERE t.revoked_at IS NULL OR t.protocol = 'json');
BEGIN
    IF bytes > most THEN
        RAISE EXCEPTION 'the list of terminals has about % bytes, and % is the most that a broker passes to gateways', bytes, most
            USING ERRCODE = 'CH013', HINT = 'Revoke terminals that are no more; shorter device codes make room, too.';
    END IF;
END $$;
COMMENT ON FUNCTION onemap.terminal_room() IS
    'Refuses (CH013) a list of terminals that is larger than a message may be (max_packet_size, deploy/mosquitto.conf): no gateway '
    'would learn of any change any more';

CREATE OR REPLACE FUNCTION onemap.terminal_add(request jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE problem text := onemap.terminal_problem(request); outcome text;
    name text := onemap.terminal_identity(request->>'protocol', request->>'identity');
BEGIN
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION '%', problem USING ERRCODE = 'CH013';
    ELSIF (request->>'adopt')::boolean AND NOT EXISTS (SELECT FROM onemap.terminal_pending p
            WHERE p.protocol = request->>'protocol' AND p.identity = name AND p.reason = 'not_listed') THEN
        RAISE EXCEPTION 'no unknown terminal "%" has called by %', name, request->>'protocol'
            USING ERRCODE = 'CH013', HINT = '`cityhub terminal list --pending` shows those that did.';
    END IF;
    PERFORM onemap.terminal_lock();
    outcome := onemap.terminal_put(request);
    PERFORM onemap.terminal_room();
    PERFORM onemap.audit('terminal_' || outcome, request - '{secret_hash,sm4_key}'::text[]);
    RETURN (SELECT jsonb_build_object('outcome', outcome, 'protocol', t.protocol, 'identity', t.identity, 'subsystem', t.subsystem,
                'vendor', t.vendor, 'device', t.device_code, 'secret', t.secret_hash IS NOT NULL)
            FROM onemap.terminal t WHERE t.protocol = request->>'protocol' AND t.identity = name);
END $$;
COMMENT ON FUNCTION onemap.terminal_add(jsonb) IS
    'Adds a terminal or changes what the request names: {protocol, identity, subsystem, vendor, device, dialect, crc, '
    'offset_minutes, secret_hash and sm4_key (hexadecimal), adopt: it must have called}; returns {outcome, protocol, identity, '
    'subsystem, vendor, device, secret}';
GRANT EXECUTE ON FUNCTION onemap.terminal_add(jsonb) TO cityhub_hub;

CREATE OR REPLACE FUNCTION onemap.terminal_check(rows jsonb) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object('problems', coalesce(jsonb_agg(jsonb_build_object('line', p.line, 'problem', p.problem)
                                                   ORDER BY p.line), '[]'))
    FROM (SELECT (r.value->>'line')::int AS line, onemap.terminal_problem(r.value) AS problem
          FROM jsonb_array_elements(rows) r
          UNION ALL
          SELECT max((r.value->>'line')::int), format('%s %s is there %s times', r.value->>'protocol', i.identity, count(*))
          FROM jsonb_array_elements(rows) r, onemap.terminal_identity(r.value->>'protocol', r.value->>'identity') i (identity)
          GROUP BY r.value->>'protocol', i.identity HAVING count(*) > 1
          UNION ALL
          SELECT 1, 'the file has no terminals' WHERE jsonb_array_length(rows) = 0) p
    WHERE p.problem IS NOT NULL
$$;
COMMENT ON FUNCTION onemap.terminal_check(jsonb) IS
    'What is wrong with rows of terminals, each as terminal_add takes it, with its line: {problems: [{line, problem}]}';
GRANT EXECUTE ON FUNCTION onemap.terminal_check(jsonb) TO cityhub_hub;

CREATE OR REPLACE FUNCTION onemap.terminal_import(rows jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE answer jsonb := onemap.terminal_check(rows); added bigint; changed bigint;
BEGIN
    IF answer->'problems' <> '[]' THEN
        RETURN answer;
    END IF;
    PERFORM onemap.terminal_lock();
    SELECT count(*) FILTER (WHERE o.outcome = 'added'), count(*) FILTER (WHERE o.outcome = 'changed') INTO added, changed
    FROM jsonb_array_elements(rows) r CROSS JOIN LATERAL onemap.terminal_put(r.value) o (outcome);
    PERFORM onemap.terminal_room();
    PERFORM onemap.audit('terminal_import', jsonb_build_object('added', added, 'changed', changed));
    RETURN jsonb_build_object('added', added, 'changed', changed);
END $$;
COMMENT ON FUNCTION onemap.terminal_import(jsonb) IS
    'Adds or changes all terminals of the rows, or none: {added, changed}, or {problems} as terminal_check';
GRANT EXECUTE ON FUNCTION onemap.terminal_import(jsonb) TO cityhub_hub;

CREATE OR REPLACE FUNCTION onemap.terminal_revoke(request jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE name text := onemap.terminal_identity(request->>'protocol', request->>'identity'); ended boolean;
BEGIN
    PERFORM onemap.terminal_lock();
    UPDATE onemap.terminal t SET revoked_at = now(), secret_hash = NULL, sm4_key = NULL, sm4_key_at = NULL, sm4_next = NULL,
        sm4_next_at = NULL, changed_at = clock_timestamp()
    WHERE t.protocol = request->>'protocol' AND t.identity = name AND t.revoked_at IS NULL;
    ended := FOUND;
    IF NOT ended AND NOT EXISTS (SELECT FROM onemap.terminal t WHERE t.protocol = request->>'protocol' AND t.identity = name) THEN
        RAISE EXCEPTION 'there is no terminal "%" of %', name, request->>'protocol'
            USING ERRCODE = 'CH013', HINT = '`cityhub terminal list` shows them.';
    END IF;
    PERFORM onemap.audit('terminal_revoked', request);
    RETURN jsonb_build_object('identity', name, 'revoked', ended);
END $$;
COMMENT ON FUNCTION onemap.terminal_revoke(jsonb) IS
    'Ends a terminal''s right to speak: {protocol, identity}; returns {identity, revoked: false if it was before}';
GRANT EXECUTE ON FUNCTION onemap.terminal_revoke(jsonb) TO cityhub_hub;

CREATE OR REPLACE FUNCTION onemap.terminal_tokens() RETURNS TABLE (identity text, hash text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT t.identity, encode(t.secret_hash, 'hex')
    FROM onemap.terminal t JOIN onemap.vendor v USING (subsystem, vendor)
    WHERE t.protocol = 'json' AND t.revoked_at IS NULL AND t.secret_hash IS NOT NULL AND v.revoked_at IS NULL
    ORDER BY t.identity
$$;
COMMENT ON FUNCTION onemap.terminal_tokens() IS
    'Whom the broker lets in by a token, identity.secret, as user name: of each SHA-256 of json:identity:secret';
GRANT EXECUTE ON FUNCTION onemap.terminal_tokens() TO cityhub_hub;

-- ---- gateways ----

CREATE OR REPLACE FUNCTION onemap.terminal_refusals() RETURNS TABLE (reason text, name_zh text, advice_zh text, advice text)
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    VALUES ('not_listed', '不在名单里', '看准是谁的设备，用 cityhub terminal adopt 收下，设备不用重连；不是县里的不用管。',
            'Find out whose it is and take it in by `cityhub terminal adopt`: it need not call again. Strangers may stay out.'),
        ('wrong_secret', '口令不对', '改设备上的口令（PW、鉴权码），或用 cityhub terminal add --secret-file 重新登记。',
            'Set its secret (PW, authentication code) right in the device, or anew by `cityhub terminal add --secret-file`.'),
        ('not_logged_in', '没有鉴权', '登记了口令的终端须先鉴权（0102）；让安装人员在终端上打开鉴权。',
            'A terminal that has a secret logs in (0102) before it reports: whoever installs it turns that on.'),
        ('wrong_check_value', '校验不对',
            '设备的 CRC 不是国标的：用 cityhub terminal add --crc modbus（或 modbus-swapped、off）登记。',
            'Its CRC is not the standard''s: enter it by `cityhub terminal add --crc modbus` (or modbus-swapped, off).')
$$;
COMMENT ON FUNCTION onemap.terminal_refusals() IS 'Why a gateway takes nothing of a terminal, and what to do';
GRANT EXECUTE ON FUNCTION onemap.terminal_refusals() TO cityhub_hub, cityhub_read;

-- All times count, not the latest one: a change may be committed after a later one, or have been made by a clock that was ahead.
CREATE OR REPLACE FUNCTION onemap.terminal_version() RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT count(*) || '-' || coalesce(sum((extract(epoch FROM t.changed_at) * 1000000)::bigint), 0) FROM onemap.terminal t
$$;
COMMENT ON FUNCTION onemap.terminal_version() IS 'Version of the list of terminals: another one after each change';

CREATE OR REPLACE FUNCTION onemap.gateway_report(instance text, report jsonb) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE version text := onemap.terminal_version(); offers jsonb;
BEGIN
    IF instance !~ '^[A-Za-z0-9_.-]{1,40}$' THEN
        RETURN NULL;
    END IF;
    INSERT INTO onemap.gateway AS g (instance, seen_at, version, unknown, figures)
    VALUES ($1, now(), left(coalesce(report->>'version', ''), 64), left(coalesce(report->>'unknown', ''), 16),
            coalesce(report->'figures', '{}'))
    ON CONFLICT ON CONSTRAINT gateway_pkey DO UPDATE
    SET seen_at = excluded.seen_at, version = excluded.version, unknown = excluded.unknown, figures = excluded.figures;
    -- Whoever knocks cannot fill the table: those that were heard longest ago go.
    IF report->'pending' <> '[]' THEN
        INSERT INTO onemap.terminal_pending AS p (protocol, identity, reason, gateway, address, first_at, last_at, frames, samples)
        SELECT r.protocol, r.identity, w.reason, $1, left(coalesce(r.address, ''), 64), to_timestamp(r.first_ms / 1000.0),
               to_timestamp(r.last_ms / 1000.0), r.frames, coalesce(r.samples, '[]')
        FROM jsonb_to_recordset(report->'pending') AS r (protocol text, identity text, reason text, address text, first_ms bigint,
            last_ms bigint, frames bigint, samples jsonb)
        JOIN onemap.terminal_refusals() w ON w.reason = coalesce(r.reason, 'not_listed')
        WHERE (r.protocol IN ('hj212', 'jt808') OR w.reason <> 'not_listed') AND octet_length(r.identity) BETWEEN 1 AND 64
          AND r.first_ms > 0 AND r.last_ms > 0 AND (w.reason <> 'not_listed') = EXISTS (SELECT FROM onemap.terminal t
                          WHERE t.protocol = r.protocol AND t.identity = r.identity AND t.revoked_at IS NULL)
        ON CONFLICT ON CONSTRAINT terminal_pending_pkey DO UPDATE
        SET reason = excluded.reason, gateway = excluded.gateway, address = excluded.address, last_at = excluded.last_at,
            frames = greatest(p.frames, excluded.frames);
        DELETE FROM onemap.terminal_pending p
        WHERE (p.protocol, p.identity) IN (SELECT o.protocol, o.identity FROM onemap.terminal_pending o
                                           ORDER BY o.last_at DESC, o.protocol, o.identity OFFSET 2000);
    END IF;
    IF version = report->>'version' THEN
        offers := onemap.gateway_command_offers();
        RETURN CASE WHEN offers <> '[]' THEN jsonb_build_object('letters', '[]'::jsonb, 'tell', offers)::text END;
    END IF;
    -- What a device that logs in at the broker said before its right ended is its own: gateways know whose.
    RETURN (SELECT jsonb_build_object('version', version,
                'terminals', coalesce(jsonb_agg(l.entry ORDER BY l.id) FILTER (WHERE NOT l.ended), '[]'),
                'ended', coalesce(jsonb_agg(l.entry ORDER BY l.id) FILTER (WHERE l.ended), '[]'))::text
            FROM (SELECT t.id, t.revoked_at IS NOT NULL AS ended, jsonb_strip_nulls(jsonb_build_object(
                      'protocol', t.protocol, 'identity', t.identity, 'subsystem', t.subsystem, 'vendor', t.vendor,
                      'device', t.device_code, 'dialect', nullif(t.dialect, ''), 'crc', nullif(t.crc, 'standard'),
                      'offset_minutes', nullif(t.offset_minutes, 480), 'secret', encode(t.secret_hash, 'hex'),
                      'sm4_key', encode(t.sm4_key, 'hex'), 'sm4_next', encode(t.sm4_next, 'hex'),
                      'sm4_next_ms', onemap.http_ms(t.sm4_next_at))) AS entry
                  FROM onemap.terminal t WHERE t.revoked_at IS NULL OR t.protocol = 'json') l);
END $$;
COMMENT ON FUNCTION onemap.gateway_report(text, jsonb) IS
    'Takes a gateway''s report {version, unknown, figures, pending: [{protocol, identity, reason, address, first_ms, last_ms, '
    'frames, samples}]} and answers with the list of terminals, {version, terminals, ended: of protocol json those revoked}, or if '
    'it has that with the commands that wait, {letters: [], tell: see gateway_command_offers}, or NULL';
GRANT EXECUTE ON FUNCTION onemap.gateway_report(text, jsonb) TO cityhub_hub;

-- ---- what people see by commands, see command.sql ----

CREATE OR REPLACE FUNCTION onemap.terminal_list_table(request jsonb) RETURNS TABLE (protocol text, identity text, subsystem text,
    vendor text, device text, dialect text, crc text, "offset" int, secret text, last_seen text, revoked text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT onemap.vendor_known(request);
    SELECT t.protocol, t.identity, t.subsystem, t.vendor, t.device_code, nullif(t.dialect, ''), t.crc, t.offset_minutes,
           CASE WHEN t.secret_hash IS NULL THEN 'no' ELSE 'yes' END || CASE WHEN t.sm4_key IS NULL THEN '' ELSE ', SM4 since '
               || onemap.county_time(t.sm4_key_at, 'YYYY-MM-DD') END
               || CASE WHEN t.sm4_next IS NULL THEN '' ELSE ', next given' END,
           onemap.county_time(s.last_seen_at, 'YYYY-MM-DD HH24:MI:SS'), onemap.county_time(t.revoked_at)
    FROM onemap.terminal t
    LEFT JOIN onemap.device d ON d.subsystem = t.subsystem AND d.vendor = t.vendor AND d.code = t.device_code
    LEFT JOIN onemap.device_state s ON s.device_id = d.id
    WHERE (NOT request ? 'subsystem' OR t.subsystem = request->>'subsystem')
      AND (NOT request ? 'vendor' OR t.vendor = request->>'vendor')
      AND (NOT request ? 'protocol' OR t.protocol = request->>'protocol')
    ORDER BY t.protocol, t.identity
$$;
COMMENT ON FUNCTION onemap.terminal_list_table(jsonb) IS 'Terminals for people: {protocol, subsystem, vendor}';

CREATE OR REPLACE FUNCTION onemap.terminal_list_json(request jsonb) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY t.protocol, t.identity), '[]') FROM onemap.terminal_list_table(request) t
$$;
COMMENT ON FUNCTION onemap.terminal_list_json(jsonb) IS 'The same as JSON';

CREATE OR REPLACE FUNCTION onemap.terminal_pending_table(request jsonb) RETURNS TABLE (protocol text, identity text, reason text,
    gateway text, address text, first_seen text, last_seen text, frames bigint, first_frame text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT p.protocol, p.identity, p.reason, p.gateway, p.address, onemap.county_time(p.first_at, 'YYYY-MM-DD HH24:MI:SS'),
           onemap.county_time(p.last_at, 'YYYY-MM-DD HH24:MI:SS'), p.frames,
           CASE WHEN p.protocol = 'hj212' THEN left(encode(decode(p.samples->>0, 'hex'), 'escape'), 100)
                ELSE left(p.samples->>0, 100) END
    FROM onemap.terminal_pending p
    WHERE NOT request ? 'protocol' OR p.protocol = request->>'protocol' ORDER BY p.last_at DESC, p.protocol, p.identity
$$;
COMMENT ON FUNCTION onemap.terminal_pending_table(jsonb) IS 'Terminals that called and were refused, for people: {protocol}';

CREATE OR REPLACE FUNCTION onemap.terminal_pending_json(request jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(to_jsonb(p) ORDER BY p.last_at DESC), '[]') FROM onemap.terminal_pending p
    WHERE NOT request ? 'protocol' OR p.protocol = request->>'protocol'
$$;
COMMENT ON FUNCTION onemap.terminal_pending_json(jsonb) IS 'The same as JSON, with all sample frames in hexadecimal';

CREATE OR REPLACE FUNCTION onemap.gateway_list_table(request jsonb) RETURNS TABLE (gateway text, last_report text, list text,
    unknown text, connections bigint, stored bigint, unsure bigint, broken bigint, pushes bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT g.instance, onemap.county_time(g.seen_at, 'YYYY-MM-DD HH24:MI:SS'),
           CASE WHEN g.version = onemap.terminal_version() THEN 'current' ELSE 'old' END, g.unknown, coalesce(p.connections, 0),
           coalesce(p.stored, 0), coalesce(p.unsure, 0), coalesce(p.broken, 0),
           coalesce((g.figures->'pushes'->>'stored')::bigint, 0)
    FROM onemap.gateway g
    LEFT JOIN LATERAL (SELECT sum((x.value->>'connections')::bigint)::bigint AS connections,
                              sum((x.value->>'stored')::bigint)::bigint AS stored,
                              sum((x.value->>'unsure')::bigint)::bigint AS unsure,
                              sum((x.value->>'broken')::bigint)::bigint AS broken
                       FROM jsonb_each(g.figures->'protocols') x) p ON true
    ORDER BY g.instance
$$;
COMMENT ON FUNCTION onemap.gateway_list_table(jsonb) IS 'Gateways by their last report, for people';

CREATE OR REPLACE FUNCTION onemap.gateway_list_json(request jsonb) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(to_jsonb(g) || jsonb_build_object('current', g.version = onemap.terminal_version())
                              ORDER BY g.instance), '[]') FROM onemap.gateway g
$$;
COMMENT ON FUNCTION onemap.gateway_list_json(jsonb) IS 'Gateways by their last report, whole';
GRANT EXECUTE ON FUNCTION onemap.terminal_list_table(jsonb), onemap.terminal_list_json(jsonb), onemap.terminal_pending_table(jsonb),
    onemap.terminal_pending_json(jsonb), onemap.gateway_list_table(jsonb), onemap.gateway_list_json(jsonb)
    TO cityhub_hub, cityhub_read;
