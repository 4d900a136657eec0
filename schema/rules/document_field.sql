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

CREATE OR REPLACE FUNCTION onemap.time_flaws(record jsonb, early text, late text, known_early timestamptz, known_late timestamptz)
RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
DECLARE flaws jsonb := onemap.time_flaw(record, early, late, known_early, known_late);
BEGIN
    RETURN CASE WHEN flaws = '[]' THEN flaws ELSE flaws
        || onemap.time_flaw(onemap.record_without(record, flaws), early, late, known_early, known_late) END;
END $$;
COMMENT ON FUNCTION onemap.time_flaws(jsonb, text, text, timestamptz, timestamptz) IS
    'time_flaw(), and that of what is left without the field it blames: the other one may contradict what was known before';

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
DECLARE flaws jsonb := '[]'::jsonb;
BEGIN
    -- What is looked up is asked for on its own: a condition with a query in it is a query, whatever stands before it.
    IF kind IN ('inventory', 'staff', 'work') AND record->>'department_code' IS NOT NULL THEN
        IF NOT EXISTS (SELECT FROM onemap.department p WHERE p.code = record->>'department_code') THEN
            flaws := flaws || onemap.name_flaw(record, 'department_code', 'department_code: the county has no department %s');
        END IF;
    END IF;
    IF kind IN ('staff', 'case') AND record->>'device_code' IS NOT NULL THEN
        IF NOT EXISTS (SELECT FROM onemap.device d
                WHERE d.subsystem = $2 AND d.vendor = $3 AND d.code = record->>'device_code') THEN
            flaws := flaws || onemap.name_flaw(record, 'device_code', 'device_code: there is no device %s of this vendor');
        END IF;
    END IF;
    IF kind = 'case' AND record->>'category_code' IS NOT NULL THEN
        IF NOT EXISTS (SELECT FROM onemap.case_category k
                WHERE k.version = onemap.case_catalogue_current() AND k.code = record->>'category_code') THEN
            flaws := flaws || onemap.name_flaw(record, 'category_code', 'category_code: the catalogue has no category %s');
        END IF;
    END IF;
    RETURN flaws;
END $$;
COMMENT ON FUNCTION onemap.document_flaws(text, text, text, jsonb) IS
    'Fields of a record that are left out of it, as they name what nobody knows or contradict others: [{field, code, reason}]';

CREATE OR REPLACE FUNCTION onemap.outside_fate(fate text, old public.geometry, new public.geometry) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN fate <> 'duplicate' OR old::text IS NOT DISTINCT FROM new::text THEN fate WHEN old IS NULL THEN 'merged'
        ELSE 'revised' END
$$;
COMMENT ON FUNCTION onemap.outside_fate(text, public.geometry, public.geometry) IS
    'The fate of a record that was a duplicate but for its place outside the county: merged if there was none, revised if another';
