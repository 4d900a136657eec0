-- The synthetic county of `cityhub simulate`: what is stored so that the one map has ground under its devices, and a month of
-- cases. Not in a county's database: `cityhub migrate --simulation` brings it, in a schema of its own. Never beside real grid
-- cells: simulated ones are known by their name, which begins with 模拟.

CREATE SCHEMA IF NOT EXISTS simulation;
COMMENT ON SCHEMA simulation IS 'The synthetic county of `cityhub simulate`';
GRANT USAGE ON SCHEMA simulation TO cityhub_hub;

-- Who plays a month writes the past. A county that loads its real history makes this role itself (docs/deploy.md).
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'cityhub_history') THEN
        CREATE ROLE cityhub_history NOLOGIN;
        -- Here, because only who may make roles may comment on them.
        COMMENT ON ROLE cityhub_history IS 'May give the time of a case operation ("at"): loading history, simulation';
    END IF;
END $$;
GRANT USAGE ON SCHEMA onemap, simulation TO cityhub_history;
GRANT EXECUTE ON FUNCTION onemap.case_do(jsonb), onemap.case_report(jsonb) TO cityhub_history;

CREATE OR REPLACE FUNCTION simulation.box(box jsonb) RETURNS public.geometry
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT public.ST_Multi(public.ST_MakeEnvelope((box->>0)::float8, (box->>1)::float8, (box->>2)::float8, (box->>3)::float8, 4326))
$$;
COMMENT ON FUNCTION simulation.box(jsonb) IS 'A rectangle [west, south, east, north] in WGS 84 degrees as a MultiPolygon';

CREATE OR REPLACE FUNCTION simulation.check() RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE code constant text := (SELECT g.code::text FROM onemap.grid_cell g WHERE g.name_zh NOT LIKE '模拟%' ORDER BY g.code
    LIMIT 1);
BEGIN
    IF code IS NOT NULL THEN
        RAISE EXCEPTION 'this county has real grid cells, for example %: nothing simulated is stored beside them', code
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Simulate on a database of its own; simulated cells have names that begin with 模拟.';
    END IF;
END $$;
COMMENT ON FUNCTION simulation.check() IS 'Refuses (55000) in a county that has real grid cells';

CREATE OR REPLACE FUNCTION simulation.prepare(county jsonb) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    vendor record; cells int; zones int; vendors int := 0;
BEGIN
    PERFORM simulation.check();
    INSERT INTO onemap.department (code, name_zh, kind)
    SELECT d.code, d.name_zh, 'street' FROM jsonb_to_recordset(county->'departments') AS d(code text, name_zh text)
    ON CONFLICT DO NOTHING;
    INSERT INTO onemap.grid_cell AS g (code, name_zh, department_id, geom)
    SELECT c.code, c.name_zh, d.id, simulation.box(c.box)
    FROM jsonb_to_recordset(county->'cells') AS c(code text, name_zh text, department text, box jsonb)
    JOIN onemap.department d ON d.name_zh = c.department
    ON CONFLICT ON CONSTRAINT grid_cell_pkey DO UPDATE
        SET name_zh = excluded.name_zh, department_id = excluded.department_id, geom = excluded.geom
        WHERE (g.name_zh, g.department_id, g.geom::text)
            IS DISTINCT FROM (excluded.name_zh, excluded.department_id, excluded.geom::text);
    INSERT INTO onemap.zone AS z (kind, code, name_zh, geom)
    SELECT n.kind, n.code, n.name_zh, simulation.box(n.box)
    FROM jsonb_to_recordset(county->'zones') AS n(kind text, code text, name_zh text, box jsonb)
    ON CONFLICT ON CONSTRAINT zone_kind_code_key DO UPDATE SET name_zh = excluded.name_zh, geom = excluded.geom
        WHERE (z.name_zh, z.geom::text) IS DISTINCT FROM (excluded.name_zh, excluded.geom::text);
    FOR vendor IN
        SELECT v.subsystem, v.vendor, v.name_zh
        FROM jsonb_to_recordset(county->'vendors') AS v(subsystem text, vendor text, name_zh text)
        WHERE NOT EXISTS (SELECT FROM onemap.vendor x
                          WHERE x.subsystem = v.subsystem AND x.vendor = v.vendor AND x.revoked_at IS NULL)
    LOOP
        INSERT INTO onemap.vendor_company (vendor) VALUES (vendor.vendor) ON CONFLICT DO NOTHING; -- one login for all of them
        PERFORM onemap.vendor_put(vendor.subsystem, vendor.vendor, jsonb_build_object('name_zh', vendor.name_zh));
        vendors := vendors + 1;
    END LOOP;
    SELECT count(*)::int INTO cells FROM onemap.grid_cell;
    SELECT count(*)::int INTO zones FROM onemap.zone;
    RETURN format('%s grid cells, %s zones, %s vendors of %s added', cells, zones, vendors, jsonb_array_length(county->'vendors'));
END $$;
COMMENT ON FUNCTION simulation.prepare(jsonb) IS
    'Sets up the synthetic county {departments: [{code, name_zh}], cells: [{code, name_zh, department: its name, box}], zones: '
    '[{kind, code, name_zh, box}], vendors: [{subsystem, vendor, name_zh}]}, box = [west, south, east,
        north]; what is there already stays; refused beside real grid cells';
GRANT EXECUTE ON FUNCTION simulation.prepare(jsonb) TO cityhub_hub;

-- ---- a month of cases ----
CREATE OR REPLACE FUNCTION simulation.facts(month date) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object('month', to_char(month, 'YYYY-MM'),
        'from_ms', (extract(epoch FROM onemap.local_midnight(month)) * 1000)::bigint,
        'to_ms', (extract(epoch FROM onemap.score_month_end(month)) * 1000)::bigint,
        'now_ms', (extract(epoch FROM clock_timestamp()) * 1000)::bigint,
        'offset_ms', (extract(epoch FROM month::timestamp - (onemap.local_midnight(month) AT TIME ZONE 'UTC')) * 1000)::bigint,
        'working_days', (SELECT coalesce(jsonb_agg(extract(day FROM d.day)::int ORDER BY d.day), '[]') FROM onemap.calendar_day d
            WHERE d.working AND d.day >= month AND d.day < month + interval '1 month'),
        'final_states', (SELECT jsonb_agg(s.state ORDER BY s.position) FROM onemap.case_state s WHERE s.final),
        'departments', (SELECT coalesce(jsonb_agg(jsonb_build_object('code', d.code, 'name', d.name_zh, 'kind', d.kind)
            ORDER BY d.code COLLATE "C"), '[]')
            FROM onemap.department d WHERE d.active),
        'conditions', (SELECT coalesce(jsonb_agg(jsonb_build_object('category', k.code, 'name', k.name_zh, 'number', n.number,
                'text', n.condition_zh, 'unit', n.limit_unit, 'responsible', n.responsible) ORDER BY k.code COLLATE "C", n.number),
                    '[]')
            FROM onemap.case_category k JOIN onemap.case_condition n ON n.version = k.version AND n.category_code = k.code
            WHERE k.version = onemap.case_catalogue_current()),
        'cells',
            (SELECT coalesce(jsonb_agg(jsonb_build_object('code', g.code, 'department', d.code, 'lon',
                round(public.ST_X(p.c)::numeric, 6), 'lat', round(public.ST_Y(p.c)::numeric, 6)) ORDER BY g.code COLLATE "C"), '[]')
            FROM onemap.grid_cell g JOIN onemap.department d ON d.id = g.department_id,
                LATERAL (SELECT public.ST_Centroid(g.geom) AS c) p),
        'alarms', (SELECT coalesce(jsonb_agg(to_jsonb(a) - 'n' ORDER BY a.category COLLATE "C", a.subsystem, a.n), '[]') FROM (
            SELECT DISTINCT ON (d.id) d.subsystem, d.vendor, d.code AS device, r.category_code AS category, r.name_zh AS title,
                row_number() OVER (PARTITION BY r.id ORDER BY d.code COLLATE "C") AS n
            FROM onemap.alarm_rule r JOIN onemap.device d ON d.subsystem = r.subsystem AND d.kind = coalesce(r.device_kind, d.kind)
            JOIN onemap.case_category k ON k.version = onemap.case_catalogue_current() AND k.code = r.category_code
            WHERE NOT EXISTS (SELECT FROM onemap.case_record c WHERE c.device_id = d.id AND c.ended_at IS NULL)
            ORDER BY d.id, r.id) a WHERE a.n <= 6),
        'items', (SELECT jsonb_agg(jsonb_build_object('item', i.item, 'name', i.name_zh, 'part', i.part, 'office', i.lead_office)
            ORDER BY i.position)
            FROM onemap.assessment_item i WHERE i.part <> 'digital'))
$$;
COMMENT ON FUNCTION simulation.facts(date) IS
    'What a simulated month is made of: its limits in milliseconds since 1970, final states, departments, catalogue, '
    'grid cells, devices that may raise alarms, items of the assessment';

CREATE OR REPLACE FUNCTION simulation.month(request jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wanted date; last_full constant date := (onemap.score_month_of(clock_timestamp()) - interval '1 month')::date; facts jsonb;
BEGIN
    wanted := CASE WHEN request ? 'month' THEN onemap.score_month_parse(request->>'month') ELSE last_full END;
    PERFORM simulation.check();
    IF NOT EXISTS (SELECT FROM onemap.grid_cell) OR onemap.case_catalogue_current() IS NULL THEN
        RAISE EXCEPTION 'there is no synthetic county to play in' USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'First `cityhub catalogue departments import`, `cityhub catalogue import` and `cityhub simulate --prepare`.';
    ELSIF NOT pg_has_role(session_user, 'cityhub_history', 'MEMBER') THEN
        RAISE EXCEPTION 'the login % may not write the past', session_user USING ERRCODE = 'CH019',
            HINT = format('GRANT cityhub_history TO %I; lets it.', session_user);
    ELSIF wanted > last_full THEN
        RAISE EXCEPTION 'month % has not ended', to_char(wanted, 'YYYY-MM') USING ERRCODE = 'CH031';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('simulation.month'));
    PERFORM onemap.score_month_open(wanted);
    IF EXISTS (SELECT FROM onemap.audit_log a WHERE a.action = 'simulate_cases'
        AND a.detail->>'month' = to_char(wanted, 'YYYY-MM')) THEN
        RAISE EXCEPTION 'month % has been played already', to_char(wanted, 'YYYY-MM') USING ERRCODE = 'CH018';
    END IF;
    facts := simulation.facts(wanted);
    PERFORM onemap.audit('simulate_cases', request - 'month' || jsonb_build_object('month', facts->'month', 'simulated', true));
    RETURN facts;
END $$;
COMMENT ON FUNCTION simulation.month(jsonb) IS
    'Begins a simulated month of cases: {month (the last full one), seed, count}; answers simulation.facts() and notes it '
    'in the audit log; once a month; refused beside real grid cells, for a month that is closed or has not ended, to logins '
    'without the role cityhub_history';
GRANT EXECUTE ON FUNCTION simulation.month(jsonb) TO cityhub_hub, cityhub_history;
