-- onemap.case_report(), by which a case begins: from people, and from subsystems' messages of kind case.

CREATE OR REPLACE FUNCTION onemap.case_place(c onemap.case_record, request jsonb) RETURNS onemap.case_record
LANGUAGE plpgsql STABLE AS $$
DECLARE d record; lon numeric := onemap.case_number(request, 'lon', -180, 180);
    lat numeric := onemap.case_number(request, 'lat', -90, 90);
BEGIN
    IF (lon IS NULL) <> (lat IS NULL) THEN
        RAISE EXCEPTION 'a place needs both "lon" and "lat"' USING ERRCODE = 'CH013', DETAIL = '位置须有 lon 和 lat';
    ELSIF onemap.place_flaw(lon::float8, lat::float8) IS NOT NULL THEN
        RAISE EXCEPTION 'the place is not possible: %', onemap.place_flaw(lon::float8, lat::float8) USING ERRCODE = 'CH013',
            DETAIL = format('位置 %s, %s 不在县域之内', lon, lat),
            HINT = 'WGS 84 degrees, lon before lat; a case outside the county is not the county''s.';
    ELSIF request->>'component_code' !~ '^[0-9]{16}$' THEN
        RAISE EXCEPTION 'field "component_code" must be 16 digits, not %', request->>'component_code'
            USING ERRCODE = 'CH013', DETAIL = format('部件编码 component_code 须为 16 位数字，现为 %s', request->>'component_code');
    ELSIF request ? 'device_code' AND NOT request ?& '{subsystem,vendor}' THEN
        RAISE EXCEPTION 'field "device_code" needs "subsystem" and "vendor"'
            USING ERRCODE = 'CH013', DETAIL = '写了设备编号 device_code，就要写明 subsystem 和 vendor';
    END IF;
    c.component_code := request->>'component_code';
    IF request ? 'device_code' THEN
        SELECT x.id, x.geom, x.grid_cell, x.component_code INTO d FROM onemap.device x
        WHERE x.subsystem = c.subsystem AND x.vendor = c.vendor AND x.code = request->>'device_code';
        IF NOT FOUND THEN
            RAISE EXCEPTION 'there is no device "%" of %/%', request->>'device_code', c.subsystem, c.vendor
                USING ERRCODE = 'CH013', DETAIL = format('没有设备 %s（%s/%s）', request->>'device_code', c.subsystem, c.vendor);
        END IF;
    ELSE
        SELECT x.id, x.geom, x.grid_cell, x.component_code INTO d FROM onemap.device x
        WHERE x.component_code = c.component_code ORDER BY x.id LIMIT 1;
        IF d.id IS NULL THEN -- one that no device reports for: where the survey has it
            SELECT NULL::int AS id, k.geom, k.grid_cell, k.component_code INTO d FROM onemap.component k
            WHERE k.component_code = c.component_code;
        END IF;
    END IF;
    c.device_id := d.id;
    c.component_code := coalesce(c.component_code, d.component_code);
    c.geom := coalesce(public.ST_SetSRID(public.ST_MakePoint(lon::float8, lat::float8), 4326), d.geom);
    c.grid_cell := onemap.case_text(request, 'grid_cell', 15);
    IF c.grid_cell IS NOT NULL AND NOT EXISTS (SELECT FROM onemap.grid_cell g WHERE g.code = c.grid_cell) THEN
        RAISE EXCEPTION 'there is no grid cell "%"', c.grid_cell
            USING ERRCODE = 'CH013', DETAIL = format('没有单元网格 %s', c.grid_cell);
    END IF;
    c.grid_cell := coalesce(c.grid_cell, CASE WHEN lon IS NOT NULL THEN onemap.grid_cell_at(c.geom) ELSE d.grid_cell END);
    c.street := left(c.grid_cell, 9);
    RETURN c;
END $$;
COMMENT ON FUNCTION onemap.case_place(onemap.case_record, jsonb) IS
    'Where a case is: its place (WGS 84) or that of its device or component, and the grid cell there unless the request names one';

-- request: of a report, or a subsystem's record.
CREATE OR REPLACE FUNCTION onemap.case_content_missing(request jsonb) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN CASE WHEN onemap.bare(concat(request->>'title', request->>'description', request->>'address', request->>'category',
            request->>'category_code', request->>'component_code', request->>'device_code', request->>'grid_cell',
            request->>'lon')) = '' AND coalesce(nullif(request->'attachments', '[]'), 'null') = 'null'
        THEN 'a case without any content: a title, description, category, device, place or attachment is needed' END;
END $$;
COMMENT ON FUNCTION onemap.case_content_missing(jsonb) IS
    'What is said of a report that has nothing a case can be about, NULL of others';

CREATE OR REPLACE FUNCTION onemap.case_new(request jsonb, moment timestamptz) RETURNS onemap.case_record
LANGUAGE plpgsql STABLE AS $$
DECLARE c onemap.case_record; before text; missing text := onemap.case_content_missing(request);
BEGIN
    c.catalogue_version := onemap.case_catalogue_current();
    IF c.catalogue_version IS NULL THEN
        RAISE EXCEPTION 'there is no catalogue of categories yet'
            USING ERRCODE = 'CH015', DETAIL = '还没有导入案卷类别', HINT = '`cityhub catalogue import` brings one.';
    END IF;
    c.source := request->>'source';
    c.title := coalesce(onemap.case_text(request, 'title', 200), '');
    c.description := coalesce(onemap.case_text(request, 'description', 4000), '');
    c.address := coalesce(onemap.case_text(request, 'address', 300), '');
    c.subsystem := onemap.case_text(request, 'subsystem', 32);
    c.vendor := onemap.case_text(request, 'vendor', 63);
    c.external_code := onemap.case_text(request, 'external_code', 128);
    c.reported_at := moment;
    IF c.subsystem IS NOT NULL AND NOT EXISTS (SELECT FROM onemap.subsystem s WHERE s.key = c.subsystem) THEN
        RAISE EXCEPTION 'there is no subsystem "%"', c.subsystem
            USING ERRCODE = 'CH013', DETAIL = format('没有子系统 %s', c.subsystem);
    END IF;
    -- The index case_record_external has the same keys.
    SELECT r.code INTO before FROM onemap.case_record r
    WHERE r.external_code IS NOT NULL AND r.vendor IS NOT DISTINCT FROM c.vendor
        AND CASE WHEN r.vendor IS NULL THEN upper(normalize(r.external_code, NFKC)) ELSE r.external_code END
            = CASE WHEN c.vendor IS NULL THEN upper(normalize(c.external_code, NFKC)) ELSE c.external_code END
        AND (c.vendor IS NULL OR r.subsystem IS NULL OR coalesce(c.subsystem, r.subsystem) = r.subsystem) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION '% has reported "%" before: it is case %', coalesce(c.subsystem || '/' || c.vendor, c.subsystem, c.vendor,
            'somebody'), c.external_code, before
            USING ERRCODE = 'CH018', DETAIL = format('编号 %s 已经报过，就是案卷 %s', c.external_code, before);
    END IF;
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION '%', missing USING ERRCODE = 'CH013', DETAIL = '案卷没有任何内容：须有标题、描述、类别、设备、位置或附件';
    END IF;
    RETURN onemap.case_place(onemap.case_classify(c, request, false), request);
END $$;
COMMENT ON FUNCTION onemap.case_new(jsonb, timestamptz) IS 'A case from the fields of a report, not yet written';

CREATE OR REPLACE FUNCTION onemap.case_contact_put(case_id bigint, request jsonb) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE who text := onemap.case_text(request, 'reporter', 100);
BEGIN
    IF who IS NOT NULL OR request ? 'contact' THEN
        INSERT INTO onemap.case_contact (case_id, reporter, name, phone)
        VALUES ($1, coalesce(who, ''), coalesce(onemap.case_text(request->'contact', 'name', 100), ''),
            coalesce(onemap.case_text(request->'contact', 'phone', 40), ''));
    END IF;
END $$;
COMMENT ON FUNCTION onemap.case_contact_put(bigint, jsonb) IS
    'Keeps who reported a case and whom to call back, apart from the case and its journal';

CREATE OR REPLACE FUNCTION onemap.case_report(request jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    c onemap.case_record; attachments jsonb;
    known text[] := '{source,role,actor,title,description,reporter,address,category,condition,lon,lat,grid_cell,'
        'component_code,subsystem,vendor,device_code,external_code,contact,attachments,reason,at}'::text[];
BEGIN
    PERFORM onemap.case_fields_check(request, known, '{source,role,actor}');
    IF NOT EXISTS (SELECT FROM onemap.case_source s WHERE s.source = request->>'source') THEN
        RAISE EXCEPTION 'there is no source "%"', request->>'source' USING ERRCODE = 'CH013',
            DETAIL = format('没有来源 %s', request->>'source'),
            HINT = (SELECT 'Sources: ' || string_agg(s.source, ', ' ORDER BY s.source) || '.' FROM onemap.case_source s);
    ELSIF NOT EXISTS (SELECT FROM onemap.case_report_right t WHERE t.source = request->>'source' AND t.role = request->>'role') THEN
        RAISE EXCEPTION '% does not report cases of source %', onemap.with_article(request->>'role'), request->>'source'
            USING ERRCODE = 'CH010', DETAIL = format('%s不能上报来源为%s的案卷',
                (SELECT r.name_zh FROM onemap.case_role r WHERE r.role = request->>'role'),
                (SELECT s.name_zh FROM onemap.case_source s WHERE s.source = request->>'source')),
            HINT = (SELECT 'It is for ' || coalesce(string_agg(t.role, ', ' ORDER BY t.role), 'nobody') || '.'
                    FROM onemap.case_report_right t WHERE t.source = request->>'source');
    ELSIF request->>'source' = 'alarm' AND NOT request ?& '{device_code,category}' THEN
        RAISE EXCEPTION 'a case of source alarm needs "device_code" and "category"'
            USING ERRCODE = 'CH013', DETAIL = '来源为报警的案卷须有 device_code 和 category';
    END IF;
    IF request ? 'contact' THEN
        PERFORM onemap.case_fields_check(request->'contact', '{name,phone}', '{}');
    END IF;
    PERFORM onemap.case_role_check(request->>'role', NULL, c);
    attachments := onemap.case_attachments(request);
    c := onemap.case_new(request, onemap.case_at(request, '-infinity'));
    -- Who reported stays out of the journal, which nobody can ever correct.
    c := onemap.case_open(c, request->>'role', coalesce(onemap.case_text(request, 'actor', 100), ''), request,
        request - '{source,role,actor,category,condition,grid_cell,reason,at,contact,reporter}'::text[]
        || CASE WHEN attachments IS NULL THEN '{}' ELSE jsonb_build_object('attachments', attachments) END);
    PERFORM onemap.case_contact_put(c.id, request);
    RETURN onemap.case_answer(c, NULL);
EXCEPTION WHEN unique_violation THEN
    RAISE EXCEPTION 'there is an open case of this alarm or report already'
        USING ERRCODE = 'CH018', DETAIL = '这个报警或上报已有未办结的案卷';
END $$;
COMMENT ON FUNCTION onemap.case_report(jsonb) IS
    'Opens a case: {source, role, actor, title, description, reporter, address, category, condition, lon, lat (WGS 84), '
    'grid_cell, component_code, subsystem, vendor, device_code, external_code, contact: {name, phone}, attachments, at}; answers '
    'as case_do()';
GRANT EXECUTE ON FUNCTION onemap.case_report(jsonb) TO cityhub_api, cityhub_hub;

CREATE OR REPLACE FUNCTION onemap.case_report_from_subsystem(subsystem text, vendor text, record jsonb) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE request jsonb; answer jsonb;
BEGIN
    IF record ? 'category_code' AND NOT EXISTS (SELECT FROM onemap.case_category k
            WHERE k.version = onemap.case_catalogue_current() AND k.code = record->>'category_code') THEN
        RAISE EXCEPTION 'category_code: the catalogue has no category %', record->>'category_code' USING ERRCODE = 'CH002';
    END IF;
    PERFORM onemap.record_device(subsystem, vendor, record, 'device_code');
    request := jsonb_strip_nulls(jsonb_build_object('source', 'subsystem', 'role', 'system', 'actor', vendor,
        'subsystem', subsystem, 'vendor', vendor, 'external_code', record->>'case_code', 'category', record->>'category_code',
        'title', left(record->>'title', 200), 'description', left(nullif(concat_ws(E'\n',
            CASE WHEN length(record->>'title') > 200 THEN record->>'title' END, record->>'description'), ''), 4000), 'device_code',
            record->>'device_code', 'lon', record->'lon', 'lat', record->'lat', 'attachments', nullif(record->'attachments', '[]'),
        'reason',
            concat_ws('，', '发生于 ' || to_char(onemap.local_time(onemap.record_time(record, 'occurred_at_ms')),
                'YYYY-MM-DD HH24:MI:SS'), '级别：' || onemap.severity_zh(record->>'severity'))));
    answer := onemap.case_report(request);
    RETURN answer->>'case';
END $$;
COMMENT ON FUNCTION onemap.case_report_from_subsystem(text, text, jsonb) IS
    'Opens a case from a decoded CaseRecord of a subsystem (proto/common.proto); its own time and severity become the reason, a '
    'title too long for one begins the description; '
    'CH002 for an unknown device or category';
