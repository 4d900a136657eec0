-- The synthetic county of `cityhub simulate --prepare`: what is stored so that the one map has ground under its devices.
-- Never in a county that has real grid cells: simulated ones are known by their name, which begins with 模拟.

CREATE FUNCTION onemap.simulation_box(box jsonb) RETURNS public.geometry
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT public.ST_Multi(public.ST_MakeEnvelope((box->>0)::float8, (box->>1)::float8, (box->>2)::float8, (box->>3)::float8, 4326))
$$;
COMMENT ON FUNCTION onemap.simulation_box(jsonb) IS 'A rectangle [west, south, east, north] in WGS 84 degrees as a MultiPolygon';

CREATE FUNCTION onemap.simulation_prepare(county jsonb) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    vendor record; cells int; zones int; vendors int := 0;
    code constant text := (SELECT g.code FROM onemap.grid_cell g WHERE g.name_zh NOT LIKE '模拟%' ORDER BY g.code LIMIT 1);
BEGIN
    IF code IS NOT NULL THEN
        RAISE EXCEPTION 'this county has real grid cells, for example %: nothing simulated is stored beside them', code
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Simulate on a database of its own; simulated cells have names that begin with 模拟.';
    END IF;
    INSERT INTO onemap.department (code, name_zh, kind)
    SELECT d.code, d.name_zh, 'street' FROM jsonb_to_recordset(county->'departments') AS d(code text, name_zh text)
    ON CONFLICT DO NOTHING;
    INSERT INTO onemap.grid_cell AS g (code, name_zh, department_id, geom)
    SELECT c.code, c.name_zh, d.id, onemap.simulation_box(c.box)
    FROM jsonb_to_recordset(county->'cells') AS c(code text, name_zh text, department text, box jsonb)
    JOIN onemap.department d ON d.name_zh = c.department
    ON CONFLICT ON CONSTRAINT grid_cell_pkey DO UPDATE
        SET name_zh = excluded.name_zh, department_id = excluded.department_id, geom = excluded.geom
        WHERE (g.name_zh, g.department_id, g.geom::text) IS DISTINCT FROM (excluded.name_zh, excluded.department_id, excluded.geom::text);
    INSERT INTO onemap.zone AS z (kind, code, name_zh, geom)
    SELECT n.kind, n.code, n.name_zh, onemap.simulation_box(n.box)
    FROM jsonb_to_recordset(county->'zones') AS n(kind text, code text, name_zh text, box jsonb)
    ON CONFLICT ON CONSTRAINT zone_kind_code_key DO UPDATE SET name_zh = excluded.name_zh, geom = excluded.geom
        WHERE (z.name_zh, z.geom::text) IS DISTINCT FROM (excluded.name_zh, excluded.geom::text);
    FOR vendor IN
        SELECT v.subsystem, v.vendor, v.name_zh
        FROM jsonb_to_recordset(county->'vendors') AS v(subsystem text, vendor text, name_zh text)
        WHERE NOT EXISTS (SELECT FROM onemap.vendor x
                          WHERE x.subsystem = v.subsystem AND x.vendor = v.vendor AND x.revoked_at IS NULL)
    LOOP
        PERFORM onemap.vendor_put(vendor.subsystem, vendor.vendor, jsonb_build_object('name_zh', vendor.name_zh));
        vendors := vendors + 1;
    END LOOP;
    SELECT count(*) INTO cells FROM onemap.grid_cell;
    SELECT count(*) INTO zones FROM onemap.zone;
    RETURN format('%s grid cells, %s zones, %s vendors of %s added', cells, zones, vendors, jsonb_array_length(county->'vendors'));
END $$;
COMMENT ON FUNCTION onemap.simulation_prepare(jsonb) IS
    'Sets up the synthetic county {departments: [{code, name_zh}], cells: [{code, name_zh, department: its name, box}], zones: [{kind, code, name_zh, box}], vendors: [{subsystem, vendor, name_zh}]}, box = [west, south, east, north]; what is there already stays; refused beside real grid cells';
GRANT EXECUTE ON FUNCTION onemap.simulation_prepare(jsonb) TO cityhub_hub;
