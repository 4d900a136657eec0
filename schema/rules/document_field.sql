-- What costs a record of inventory, staff, work or case one field and no more: names that nobody knows, times the wrong way round,
-- places outside the county.

CREATE OR REPLACE FUNCTION onemap.time_flaw(record jsonb, early text, late text, known_early timestamptz, known_late timestamptz)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE
    began timestamptz := coalesce(onemap.record_time(record, early), known_early);
    ended timestamptz := coalesce(onemap.record_time(record, late), known_late);
    blamed text := CASE WHEN record ? late THEN late ELSE early END;
BEGIN
    IF ended < began AND record ? blamed THEN
        RETURN jsonb_build_array(jsonb_build_object('field', blamed, 'code', 'bad_value', 'reason', format(
            CASE blamed WHEN late THEN '%s: %s is before %s, %s (the county''s time)'
                        ELSE '%s: %s is after %s, %s (the county''s time)' END, blamed,
            to_char(onemap.local_time(CASE blamed WHEN late THEN ended ELSE began END), 'YYYY-MM-DD HH24:MI:SS.MS'),
            CASE blamed WHEN late THEN early ELSE late END,
            to_char(onemap.local_time(CASE blamed WHEN late THEN began ELSE ended END), 'YYYY-MM-DD HH24:MI:SS.MS'))));
    END IF;
    RETURN '[]'::jsonb;
END $$;
COMMENT ON FUNCTION onemap.time_flaw(jsonb, text, text, timestamptz, timestamptz) IS
    'A pair of times of a record that end before they begin, be the other one of the record or known before: the end, or, of a '
    'record without it, the beginning, as [{field, code, reason}]; [] if they do not';

CREATE OR REPLACE FUNCTION onemap.name_flaw(record jsonb, field text, reason text) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN jsonb_build_array(jsonb_build_object('field', field, 'code', 'unknown_reference',
        'reason', format(reason, record->>field)));
END $$;
COMMENT ON FUNCTION onemap.name_flaw(jsonb, text, text) IS 'A field that names what nobody knows, as [{field, code, reason}]';

-- What a record names and nobody knows is left out of it, where the rest is whole without. Of work orders only the department: an
-- order without its person, vehicle, device or standard would say that there was none, and its state comes once.
CREATE OR REPLACE FUNCTION onemap.document_flaws(kind text, subsystem text, vendor text, record jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
DECLARE flaws jsonb := '[]'::jsonb; w record;
BEGIN
    IF kind = 'inventory' AND record->>'parent_code' IS NOT NULL AND NOT EXISTS (SELECT FROM onemap.device d
            WHERE d.subsystem = $2 AND d.vendor = $3 AND d.code = $4->>'parent_code') THEN
        flaws := flaws || onemap.name_flaw(record, 'parent_code',
            'parent_code: there is no device %s of this vendor; send its inventory, then this one again');
    END IF;
    IF kind IN ('inventory', 'staff', 'work') AND record->>'department_code' IS NOT NULL
            AND NOT EXISTS (SELECT FROM onemap.department p WHERE p.code = $4->>'department_code') THEN
        flaws := flaws || onemap.name_flaw(record, 'department_code', 'department_code: the county has no department %s');
    END IF;
    IF kind IN ('staff', 'case') AND record->>'device_code' IS NOT NULL AND NOT EXISTS (SELECT FROM onemap.device d
            WHERE d.subsystem = $2 AND d.vendor = $3 AND d.code = $4->>'device_code') THEN
        flaws := flaws || onemap.name_flaw(record, 'device_code', 'device_code: there is no device %s of this vendor');
    END IF;
    IF kind = 'case' AND record->>'category_code' IS NOT NULL AND NOT EXISTS (SELECT FROM onemap.case_category k
            WHERE k.version = onemap.case_catalogue_current() AND k.code = $4->>'category_code') THEN
        flaws := flaws || onemap.name_flaw(record, 'category_code', 'category_code: the catalogue has no category %s');
    END IF;
    IF kind = 'interval' THEN
        flaws := flaws || onemap.interval_flaws(subsystem, record);
    END IF;
    IF kind = 'work' AND record ?| '{planned_start_ms,planned_end_ms,started_ms,finished_ms}' THEN
        SELECT x.planned_start, x.planned_end, x.started_at, x.finished_at INTO w FROM onemap.work_order x
        WHERE x.subsystem = $2 AND x.vendor = $3 AND x.code = $4->>'work_code';
        flaws := flaws || onemap.time_flaw(record, 'planned_start_ms', 'planned_end_ms', w.planned_start, w.planned_end)
            || onemap.time_flaw(record, 'started_ms', 'finished_ms', w.started_at, w.finished_at);
    END IF;
    RETURN flaws;
END $$;
COMMENT ON FUNCTION onemap.document_flaws(text, text, text, jsonb) IS
    'Fields of a record that are left out of it, as they name what nobody knows or contradict others: [{field, code, reason}]';

-- A place outside the county is kept beside the one that was known; one in the county ends that. Of an older state it is left
-- aside, as all of that is.
CREATE OR REPLACE FUNCTION onemap.document_place(kind text, subsystem text, vendor text, record jsonb, fate text, late boolean)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    spot public.geometry := onemap.record_outside(record); old public.geometry; at timestamptz;
BEGIN
    IF NOT record ?| '{lon,outside_lon}' OR fate = 'duplicate' AND late THEN
        RETURN fate;
    ELSIF kind = 'work' THEN
        SELECT w.geom_outside, w.observed_at INTO old, at FROM onemap.work_order w
        WHERE w.subsystem = $2 AND w.vendor = $3 AND w.code = record->>'work_code';
    ELSIF record->>'kind' = 'VEHICLE' THEN
        SELECT v.geom_outside, v.observed_at INTO old, at FROM onemap.vehicle v
        WHERE v.subsystem = $2 AND v.vendor = $3 AND v.code = record->>'code';
    ELSE
        SELECT p.geom_outside, p.observed_at INTO old, at FROM onemap.person p
        WHERE p.subsystem = $2 AND p.vendor = $3 AND p.code = record->>'code';
    END IF;
    IF at <> onemap.record_time(record, 'observed_at_ms') OR old::text IS NOT DISTINCT FROM spot::text THEN
        RETURN fate;
    ELSIF kind = 'work' THEN
        UPDATE onemap.work_order w SET geom_outside = spot
        WHERE w.subsystem = $2 AND w.vendor = $3 AND w.code = record->>'work_code';
    ELSIF record->>'kind' = 'VEHICLE' THEN
        UPDATE onemap.vehicle v SET geom_outside = spot WHERE v.subsystem = $2 AND v.vendor = $3 AND v.code = record->>'code';
    ELSE
        UPDATE onemap.person p SET geom_outside = spot WHERE p.subsystem = $2 AND p.vendor = $3 AND p.code = record->>'code';
    END IF;
    RETURN onemap.outside_fate(fate, old, spot);
END $$;
COMMENT ON FUNCTION onemap.document_place(text, text, text, jsonb, text, boolean) IS
    'Keeps the place of a stored record of staff or work that is outside the county; the record''s fate with that. late: the '
    'record comes again from quarantine';

CREATE OR REPLACE FUNCTION onemap.outside_fate(fate text, old public.geometry, new public.geometry) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN fate <> 'duplicate' OR old::text IS NOT DISTINCT FROM new::text THEN fate WHEN old IS NULL THEN 'merged'
        ELSE 'revised' END
$$;
COMMENT ON FUNCTION onemap.outside_fate(text, public.geometry, public.geometry) IS
    'The fate of a record that was a duplicate but for its place outside the county: merged if there was none, revised if another';
