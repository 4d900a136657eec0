-- Vendors as `cityhub vendor` adds, lists and revokes them, with their broker logins. The HTTP API may call the same.

CREATE OR REPLACE VIEW onemap.login_refused AS
    SELECT l.login, jsonb_build_object('count', l.refused, 'first_at', l.first_at, 'last_at', l.last_at, 'reason', l.reason,
        'reason_zh', CASE l.reason WHEN 'password' THEN '口令不对' ELSE '客户端标识不是这个登录名的' END,
        'address', l.address, 'client_id', l.client_id) AS told
    FROM onemap.login_refusal l;
COMMENT ON VIEW onemap.login_refused IS
    'Logins that the broker refused in the last 30 days ("": those of no vendor), as people are told: {count, first_at, last_at, '
    'reason, reason_zh, address, client_id}';
GRANT SELECT ON onemap.login_refused TO cityhub_hub, cityhub_read;

CREATE OR REPLACE VIEW onemap.vendor_overview AS
    SELECT v.subsystem, v.vendor, v.name_zh, v.unknown_devices, v.receipts, v.silent_after, p.code AS department,
           coalesce(d.devices, 0) AS devices, coalesce(d.online, 0) AS online, d.last_seen_at,
           c.vendor IS NOT NULL AS login, v.created_at, v.revoked_at, m.name_zh AS company,
           l.told AS refused
    FROM onemap.vendor v
    JOIN onemap.vendor_company m ON m.vendor = v.vendor
    LEFT JOIN onemap.department p ON p.id = v.department_id
    LEFT JOIN (SELECT x.subsystem, x.vendor, count(*) AS devices, count(*) FILTER (WHERE s.online) AS online,
                      max(s.last_seen_at) AS last_seen_at
               FROM onemap.device x LEFT JOIN onemap.device_state s ON s.device_id = x.id
               WHERE x.status <> 'retired' GROUP BY x.subsystem, x.vendor) d ON d.subsystem = v.subsystem AND d.vendor = v.vendor
    LEFT JOIN (SELECT k.vendor FROM onemap.vendor_credential k) c ON c.vendor = v.vendor
    LEFT JOIN onemap.login_refused l ON l.login = v.vendor;
COMMENT ON VIEW onemap.vendor_overview IS
    'Vendors with their policy, number of devices (and of those online), last record, whether they have a broker login, end of '
    'their right to push, the company behind it, and when the broker refused its login';
GRANT SELECT ON onemap.vendor_overview TO cityhub_hub, cityhub_read;

-- A filter that names what there is not would find nothing, which reads as "all is well".
CREATE OR REPLACE FUNCTION onemap.vendor_known(request jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF request ? 'vendor' AND NOT EXISTS (SELECT FROM onemap.vendor v WHERE v.vendor = request->>'vendor') THEN
        RAISE EXCEPTION 'there is no vendor "%"', request->>'vendor' USING ERRCODE = 'CH013',
            HINT = '`cityhub vendor list` shows the vendors.';
    END IF;
END $$;
COMMENT ON FUNCTION onemap.vendor_known(jsonb) IS 'Refuses (CH013) a request that names a vendor that is not there';

CREATE OR REPLACE FUNCTION onemap.vendor_add(settings jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known text[] := ARRAY['subsystem', 'vendor', 'name_zh', 'unknown_devices', 'receipts', 'silent_after', 'department',
        'company', 'contact', 'password_hash'];
    stray text := onemap.unknown_keys(settings, known); the_subsystem text := settings->>'subsystem';
        the_vendor text := settings->>'vendor';
    hash text := settings->>'password_hash'; was_there boolean;
    other text := (SELECT min(v.vendor)
                   FROM (SELECT o.vendor FROM onemap.vendor o UNION ALL SELECT unnest('{hub,auto,gateway,device}'::text[])) v
                   WHERE (starts_with(v.vendor, the_vendor || '-') OR starts_with(the_vendor, v.vendor || '-'))
                     AND NOT EXISTS (SELECT FROM onemap.vendor k WHERE k.vendor = the_vendor));
BEGIN
    IF stray IS NOT NULL THEN
        RAISE EXCEPTION 'unknown setting "%" of a vendor', stray
            USING ERRCODE = 'CH013', HINT = 'Known: ' || array_to_string(known, ', ');
    ELSIF the_subsystem IS NULL OR NOT EXISTS (SELECT FROM onemap.subsystem s WHERE s.key = the_subsystem) THEN
        RAISE EXCEPTION '"%" is no subsystem', the_subsystem
            USING ERRCODE = 'CH013',
                HINT = (SELECT 'Subsystems: ' || string_agg(s.key, ', ' ORDER BY s.key) FROM onemap.subsystem s);
    ELSIF the_vendor IS NULL OR the_vendor !~ '^[a-z0-9][a-z0-9_-]{0,62}$'
        OR the_vendor IN ('hub', 'auto', 'gateway', 'device') THEN
        RAISE EXCEPTION '"%" cannot be the name of a vendor', the_vendor
            USING ERRCODE = 'CH013',
                HINT = 'It stands in topics and is the broker login: 1 to 63 of a-z, 0-9, _ and -, first a letter or digit; '
                '"hub" is the hub''s own, "gateway" its gateways'', "auto" the broker''s, "device" devices''.';
    ELSIF other IS NOT NULL THEN
        RAISE EXCEPTION '"%" cannot be the name of a vendor beside "%"', the_vendor, other
            USING ERRCODE = 'CH013',
                HINT = 'A vendor''s client ids at the broker begin with its name and a -: one of these two could end the '
                'other''s sessions.';
    ELSIF settings ? 'department'
            AND NOT EXISTS (SELECT FROM onemap.department p WHERE p.code = settings->>'department' AND p.active) THEN
        RAISE EXCEPTION '"%" is no department', settings->>'department'
            USING ERRCODE = 'CH013',
                HINT = (SELECT coalesce('Departments: ' || string_agg(p.code, ', ' ORDER BY p.code), 'There are none yet.')
                          FROM onemap.department p WHERE p.active);
    ELSIF settings->>'unknown_devices' NOT IN ('register', 'quarantine') THEN
        RAISE EXCEPTION 'unknown_devices must be register or quarantine, not "%"', settings->>'unknown_devices'
            USING ERRCODE = 'CH013';
    ELSIF settings->>'receipts' NOT IN ('all', 'problems') THEN
        RAISE EXCEPTION 'receipts must be all or problems, not "%"', settings->>'receipts' USING ERRCODE = 'CH013';
    ELSIF (settings->>'silent_after')::interval < '10 seconds' THEN
        RAISE EXCEPTION 'silent_after must be 10 seconds or more, not "%"', settings->>'silent_after' USING ERRCODE = 'CH013';
    ELSIF hash !~ '^(\$7\$[0-9]+\$[A-Za-z0-9+/]{16}\$[A-Za-z0-9+/]{86}==|[A-Za-z0-9+/]{48})$' THEN
        RAISE EXCEPTION 'the password hash has not the form of mosquitto''s PBKDF2-SHA512, nor of RabbitMQ''s salted SHA-256';
    END IF;
    was_there := EXISTS (SELECT FROM onemap.vendor v WHERE v.subsystem = the_subsystem AND v.vendor = the_vendor);
    PERFORM onemap.vendor_put(the_subsystem, the_vendor,
        settings - ARRAY['subsystem', 'vendor', 'company', 'contact', 'password_hash']);
    UPDATE onemap.vendor_company c SET name_zh = coalesce(settings->>'company', c.name_zh),
        contact = coalesce(settings->>'contact', c.contact)
    WHERE c.vendor = the_vendor AND settings ?| ARRAY['company', 'contact'];
    IF hash IS NOT NULL THEN
        INSERT INTO onemap.vendor_credential (vendor, password_hash) VALUES (the_vendor, hash)
        ON CONFLICT ON CONSTRAINT vendor_credential_pkey DO UPDATE SET password_hash = excluded.password_hash, changed_at = now();
        PERFORM onemap.audit('vendor_login', jsonb_build_object('vendor', the_vendor));
    END IF;
    RETURN jsonb_build_object('subsystem', the_subsystem, 'vendor', the_vendor, 'created', NOT was_there,
        'login', EXISTS (SELECT FROM onemap.vendor_credential c WHERE c.vendor = the_vendor));
END $$;
COMMENT ON FUNCTION onemap.vendor_add(jsonb) IS
    'Adds a vendor of a subsystem, or changes what the settings name: {subsystem, vendor, name_zh, unknown_devices, receipts, '
    'silent_after, department, company (its name), contact, password_hash}; returns {subsystem, vendor, created, login}';
GRANT EXECUTE ON FUNCTION onemap.vendor_add(jsonb) TO cityhub_hub, cityhub_api;

CREATE OR REPLACE FUNCTION onemap.vendor_end(subsystem text, vendor text) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE ended boolean;
BEGIN
    IF NOT EXISTS (SELECT FROM onemap.vendor v WHERE v.subsystem = $1 AND v.vendor = $2) THEN
        RAISE EXCEPTION 'subsystem "%" has no vendor "%"', $1, $2 USING HINT = '`cityhub vendor list` shows them.';
    END IF;
    ended := onemap.vendor_revoke($1, $2);
    -- A login that opens nothing any more is forgotten; whoever comes back gets a new password.
    IF NOT EXISTS (SELECT FROM onemap.vendor v WHERE v.vendor = $2 AND v.revoked_at IS NULL) THEN
        DELETE FROM onemap.vendor_credential c WHERE c.vendor = $2;
    END IF;
    RETURN jsonb_build_object('subsystem', $1, 'vendor', $2, 'revoked', ended,
        'login', EXISTS (SELECT FROM onemap.vendor_credential c WHERE c.vendor = $2));
END $$;
COMMENT ON FUNCTION onemap.vendor_end(text, text) IS
    'Ends a vendor''s right to push a subsystem, and with its last one its broker login; returns {subsystem, vendor, revoked: '
    'false if it was before, login}';
GRANT EXECUTE ON FUNCTION onemap.vendor_end(text, text) TO cityhub_hub, cityhub_api;

CREATE OR REPLACE FUNCTION onemap.vendor_logins() RETURNS TABLE (vendor text, password_hash text)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    -- One writer of the broker's password file at a time, whichever machine it is on.
    SELECT pg_advisory_xact_lock(hashtext('onemap.vendor_logins'));
    SELECT v.vendor, c.password_hash
    FROM (SELECT n.vendor, bool_or(n.revoked_at IS NULL) AS entitled FROM onemap.vendor n GROUP BY n.vendor) v
    LEFT JOIN onemap.vendor_credential c ON c.vendor = v.vendor AND v.entitled
    WHERE c.vendor IS NOT NULL OR NOT v.entitled
    ORDER BY v.vendor
$$;
COMMENT ON FUNCTION onemap.vendor_logins() IS
    'Broker logins as they shall be: a hash, or NULL for a vendor that may not log in any more; holds a lock until the end of '
    'the transaction, in which the caller writes the broker''s password file';
GRANT EXECUTE ON FUNCTION onemap.vendor_logins() TO cityhub_hub;

CREATE OR REPLACE FUNCTION onemap.vendor_contact_show(vendor text, actor text) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE result jsonb;
BEGIN
    SELECT jsonb_build_object('vendor', c.vendor, 'company', c.name_zh, 'contact', c.contact) INTO result
    FROM onemap.vendor_company c WHERE c.vendor = $1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no vendor "%"', $1 USING HINT = '`cityhub vendor list` shows them.';
    END IF;
    PERFORM onemap.audit('vendor_contact_show', jsonb_build_object('vendor', $1, 'actor', $2));
    RETURN result;
END $$;
COMMENT ON FUNCTION onemap.vendor_contact_show(text, text) IS
    'Whom to call at a vendor: {vendor, company, contact}; every look is noted in the audit log with its actor';
GRANT EXECUTE ON FUNCTION onemap.vendor_contact_show(text, text) TO cityhub_api;

-- ---- what people see and ask by commands, see command.sql ----

CREATE OR REPLACE FUNCTION onemap.vendor_list_table(request jsonb)
RETURNS TABLE (subsystem text, vendor text, name text, company text, unknown_devices text, receipts text, silent_after interval,
    department text, devices bigint, online bigint, last_seen text, login text, revoked text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT v.subsystem, v.vendor, v.name_zh, v.company, v.unknown_devices, v.receipts, v.silent_after, v.department, v.devices,
           v.online, onemap.county_time(v.last_seen_at, 'YYYY-MM-DD HH24:MI:SS'), CASE WHEN v.login THEN 'yes' ELSE 'no' END,
           onemap.county_time(v.revoked_at)
    FROM onemap.vendor_overview v
    WHERE NOT request ? 'subsystem' OR v.subsystem = request->>'subsystem' ORDER BY v.subsystem, v.vendor
$$;
COMMENT ON FUNCTION onemap.vendor_list_table(jsonb) IS 'Vendors for people: {subsystem}';

CREATE OR REPLACE FUNCTION onemap.vendor_list_json(request jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(to_jsonb(v) ORDER BY v.subsystem, v.vendor), '[]') FROM onemap.vendor_overview v
    WHERE NOT request ? 'subsystem' OR v.subsystem = request->>'subsystem'
$$;
COMMENT ON FUNCTION onemap.vendor_list_json(jsonb) IS 'Vendors as vendor_overview has them: {subsystem}';

CREATE OR REPLACE FUNCTION onemap.vendor_is_known(vendor text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM onemap.vendor v WHERE v.vendor = $1)
$$;
COMMENT ON FUNCTION onemap.vendor_is_known(text) IS 'Whether any subsystem has, or had, a vendor of this name';

CREATE OR REPLACE FUNCTION onemap.vendor_end(request jsonb) RETURNS jsonb
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT onemap.vendor_end(request->>'subsystem', request->>'vendor')
$$;
COMMENT ON FUNCTION onemap.vendor_end(jsonb) IS 'The same for a request: {subsystem, vendor}';
