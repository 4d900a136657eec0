-- What costs a record of inventory, staff, work or case one field and no more: names that nobody knows, times the wrong way round,
-- places outside the county.

CREATE OR REPLACE FUNCTION onemap.work_flaws(subsystem text, vendor text, record jsonb)
RETURNS TABLE (field text, code text, reason text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT b.field, 'bad_value', format(CASE b.field WHEN s.late THEN '%s: %s is before %s, %s (the county''s time)'
                                                     ELSE '%s: %s is after %s, %s (the county''s time)' END,
        b.field, to_char(onemap.local_time(CASE b.field WHEN s.late THEN t.late ELSE t.early END), 'YYYY-MM-DD HH24:MI:SS.MS'),
        CASE b.field WHEN s.late THEN s.early ELSE s.late END,
        to_char(onemap.local_time(CASE b.field WHEN s.late THEN t.early ELSE t.late END), 'YYYY-MM-DD HH24:MI:SS.MS'))
    FROM (SELECT) AS here
    LEFT JOIN onemap.work_order w ON w.subsystem = $1 AND w.vendor = $2 AND w.code = $3->>'work_code'
    CROSS JOIN LATERAL (VALUES ('planned_start_ms', 'planned_end_ms', w.planned_start, w.planned_end),
                               ('started_ms', 'finished_ms', w.started_at, w.finished_at)) s(early, late, known_early, known_late)
    CROSS JOIN LATERAL (SELECT coalesce(onemap.record_time($3, s.early), s.known_early) AS early,
                               coalesce(onemap.record_time($3, s.late), s.known_late) AS late) t
    CROSS JOIN LATERAL (SELECT CASE WHEN $3 ? s.late THEN s.late ELSE s.early END AS field) b
    WHERE t.late < t.early AND $3 ? b.field
$$;
COMMENT ON FUNCTION onemap.work_flaws(text, text, jsonb) IS
    'Times of a work record that end before they begin, be the other one of the record or known before: the end, or, of a record '
    'without it, the beginning';

-- What a record names and nobody knows is left out of it, where the rest is whole without. Of work orders only the department: an
-- order without its person, vehicle, device or standard would say that there was none, and its state comes once.
CREATE OR REPLACE FUNCTION onemap.document_flaws(kind text, subsystem text, vendor text, record jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT record ?| '{parent_code,department_code,device_code,category_code,planned_start_ms,planned_end_ms,started_ms,'
            'finished_ms}' OR kind = 'inventory' AND NOT record ?| '{parent_code,department_code}' THEN
        RETURN '[]'::jsonb; -- as most
    END IF;
    RETURN (SELECT coalesce(jsonb_agg(jsonb_build_object('field', f.field, 'code', 'unknown_reference',
                                                         'reason', format(f.reason, f.value))), '[]')
    FROM (VALUES
        ('{inventory}'::text[], 'parent_code', $4->>'parent_code',
            'parent_code: there is no device %s of this vendor; send its inventory, then this one again',
            NOT EXISTS (SELECT FROM onemap.device d WHERE d.subsystem = $2 AND d.vendor = $3 AND d.code = $4->>'parent_code')),
        ('{inventory,staff,work}', 'department_code', $4->>'department_code', 'department_code: the county has no department %s',
            NOT EXISTS (SELECT FROM onemap.department p WHERE p.code = $4->>'department_code')),
        ('{staff,case}', 'device_code', $4->>'device_code', 'device_code: there is no device %s of this vendor',
            NOT EXISTS (SELECT FROM onemap.device d WHERE d.subsystem = $2 AND d.vendor = $3 AND d.code = $4->>'device_code')),
        ('{case}', 'category_code', $4->>'category_code', 'category_code: the catalogue has no category %s',
            NOT EXISTS (SELECT FROM onemap.case_category k WHERE k.version = onemap.case_catalogue_current()
                        AND k.code = $4->>'category_code'))
    ) AS f(of_kinds, field, value, reason, unknown)
    WHERE $1 = ANY (f.of_kinds) AND f.value IS NOT NULL AND f.unknown)
    || (SELECT coalesce(jsonb_agg(to_jsonb(w)), '[]') FROM onemap.work_flaws($2, $3, $4) w WHERE $1 = 'work');
END $$;
COMMENT ON FUNCTION onemap.document_flaws(text, text, text, jsonb) IS
    'Fields of a record that are left out of it, as they name what nobody knows or contradict others: [{field, code, reason}]';

CREATE OR REPLACE FUNCTION onemap.document_outside(kind text, subsystem text, vendor text, record jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    spot public.geometry := CASE WHEN record ? 'outside_lon' THEN public.ST_SetSRID(public.ST_MakePoint(
        (record->>'outside_lon')::float8, (record->>'outside_lat')::float8), 4326) END;
BEGIN
    IF NOT record ?| '{lon,outside_lon}' THEN
        RETURN;
    END IF;
    CASE kind
        WHEN 'inventory' THEN
            UPDATE onemap.device d SET geom_outside = spot
            WHERE d.subsystem = $2 AND d.vendor = $3 AND d.code = record->>'device_code'
                AND d.geom_outside::text IS DISTINCT FROM spot::text;
        WHEN 'work' THEN
            UPDATE onemap.work_order w SET geom_outside = spot WHERE w.subsystem = $2 AND w.vendor = $3
                AND w.code = record->>'work_code' AND w.geom_outside::text IS DISTINCT FROM spot::text;
        WHEN 'staff' THEN
            IF record->>'kind' = 'VEHICLE' THEN
                UPDATE onemap.vehicle v SET geom_outside = spot
                WHERE v.subsystem = $2 AND v.vendor = $3 AND v.code = record->>'code'
                    AND v.geom_outside::text IS DISTINCT FROM spot::text;
            ELSE
                UPDATE onemap.person p SET geom_outside = spot WHERE p.subsystem = $2 AND p.vendor = $3 AND p.code = record->>'code'
                    AND p.geom_outside::text IS DISTINCT FROM spot::text;
            END IF;
        ELSE NULL;
    END CASE;
END $$;
COMMENT ON FUNCTION onemap.document_outside(text, text, text, jsonb) IS
    'Keeps the place of a stored record that is outside the county beside the one that was known; one in the county ends that';
