-- The fields of a request to onemap.case_report() and onemap.case_do(): each read and checked, and refused with the reason.
-- Nothing here reads or changes a case.

CREATE OR REPLACE FUNCTION onemap.case_fields_check(request jsonb, known text[], needed text[]) RETURNS void
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE f text;
BEGIN
    IF jsonb_typeof(request) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION 'a request is a JSON object' USING ERRCODE = 'CH013', DETAIL = '请求须为 JSON 对象';
    END IF;
    f := onemap.unknown_keys(request, known);
    IF f IS NOT NULL THEN
        RAISE EXCEPTION 'unknown field "%"', f
            USING ERRCODE = 'CH013', DETAIL = format('没有字段 %s', f),
            HINT = 'Known here: ' || array_to_string(known, ', ') || '.';
    END IF;
    f := onemap.missing_key(request, needed);
    IF f IS NOT NULL THEN
        RAISE EXCEPTION 'field "%" is missing', f USING ERRCODE = 'CH013', DETAIL = format('缺少字段 %s', f);
    END IF;
END $$;
COMMENT ON FUNCTION onemap.case_fields_check(jsonb, text[], text[]) IS
    'CH013 if the request has a field that is not known (known NULL: any is), or not all that are needed';

CREATE OR REPLACE FUNCTION onemap.case_text(request jsonb, field text, longest int) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE kind text := jsonb_typeof(request->field); result text := onemap.bare(request->>field);
BEGIN
    IF kind IN ('object', 'array', 'boolean') THEN
        RAISE EXCEPTION 'field "%" must be a text', field USING ERRCODE = 'CH013', DETAIL = format('字段 %s 须为文字', field);
    ELSIF length(result) > longest THEN
        RAISE EXCEPTION 'field "%" is longer than % characters', field, longest
            USING ERRCODE = 'CH013', DETAIL = format('字段 %s 超过 %s 个字符', field, longest);
    ELSIF result ~ '[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]' THEN
        RAISE EXCEPTION 'field "%" has a control character', field
            USING ERRCODE = 'CH013', DETAIL = format('字段 %s 含控制字符', field);
    END IF;
    RETURN nullif(result, '');
END $$;
COMMENT ON FUNCTION onemap.case_text(jsonb, text, int) IS
    'A text field without blanks at its ends, NULL if absent or empty; CH013 if it is no text, too long or has control characters';

CREATE OR REPLACE FUNCTION onemap.case_number(request jsonb, field text, lowest numeric, highest numeric) RETURNS numeric
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE result numeric := onemap.number_within(request->>field, 15, lowest, highest);
BEGIN
    IF result IS NULL AND request->>field IS NOT NULL THEN
        RAISE EXCEPTION 'field "%" must be a number from % to %, not %', field, lowest, highest, request->field
            USING ERRCODE = 'CH013', DETAIL = format('字段 %s 须为 %s 至 %s 的数，现为 %s', field, lowest, highest, request->field);
    END IF;
    RETURN result;
END $$;
COMMENT ON FUNCTION onemap.case_number(jsonb, text, numeric, numeric) IS
    'A number field within its range, NULL if absent; CH013 if it is none or out of range';

CREATE OR REPLACE FUNCTION onemap.case_whole(request jsonb, field text, lowest int, highest int) RETURNS int
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF request->>field ~ '\.' THEN
        RAISE EXCEPTION 'field "%" must be a whole number, not %', field, request->field
            USING ERRCODE = 'CH013', DETAIL = format('字段 %s 须为整数，现为 %s', field, request->field);
    END IF;
    RETURN onemap.case_number(request, field, lowest, highest)::int;
END $$;
COMMENT ON FUNCTION onemap.case_whole(jsonb, text, int, int) IS 'The same for whole numbers';

CREATE OR REPLACE FUNCTION onemap.case_at(request jsonb, earliest timestamptz) RETURNS timestamptz
LANGUAGE plpgsql VOLATILE AS $$
DECLARE result timestamptz;
BEGIN
    IF NOT request ? 'at' THEN
        RETURN greatest(clock_timestamp(), earliest);
    ELSIF NOT onemap.has_role('cityhub_history') THEN
        RAISE EXCEPTION 'the login % may not give the time of an operation', session_user
            USING ERRCODE = 'CH019', DETAIL = '本账号不能指定办理时间',
            HINT = 'Leave out "at", or load history with a login that has the role cityhub_history.';
    END IF;
    BEGIN
        result := (request->>'at')::timestamptz;
    EXCEPTION WHEN data_exception THEN
        result := NULL;
    END;
    IF result IS NULL OR NOT isfinite(result) OR request->>'at' !~ '[0-9] *(Z|[+-][0-9]{2}(:?[0-9]{2})?)$' THEN
        RAISE EXCEPTION 'field "at" is no time with an offset: %', request->>'at'
            USING ERRCODE = 'CH014', DETAIL = '时间 at 须带时区', HINT = 'For example 2026-11-24T08:00:00+08:00.';
    ELSIF result > clock_timestamp() THEN
        RAISE EXCEPTION '% is in the future', result USING ERRCODE = 'CH014', DETAIL = format('时间 %s 晚于现在', result);
    ELSIF result < earliest THEN
        RAISE EXCEPTION '% is before the last event of the case, which was at %', result, earliest
            USING ERRCODE = 'CH014', DETAIL = format('时间 %s 早于案卷的上一步（%s）', result, earliest);
    END IF;
    RETURN result;
END $$;
COMMENT ON FUNCTION onemap.case_at(jsonb, timestamptz) IS
    'When the operation happened: now, or what a member of cityhub_history says; CH014 if that is no time, in the future or '
    'before the earliest, CH019 if the login may not say';

CREATE OR REPLACE FUNCTION onemap.case_attachments(request jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE list jsonb := request->'attachments'; a jsonb;
BEGIN
    IF list IS NULL OR list = 'null' THEN
        RETURN NULL;
    ELSIF jsonb_typeof(list) <> 'array' OR jsonb_array_length(list) NOT BETWEEN 1 AND 100 THEN
        RAISE EXCEPTION 'field "attachments" must be a list of 1 to 100 attachments'
            USING ERRCODE = 'CH013', DETAIL = '附件 attachments 须为 1 至 100 个的列表';
    END IF;
    FOR i IN 0 .. jsonb_array_length(list) - 1 LOOP
        a := list->i;
        PERFORM onemap.case_fields_check(a, '{uri,sha256,size_bytes,media_type}', '{uri,sha256,size_bytes,media_type}');
        IF length(a->>'uri') > 2000 OR a->>'uri' ~ '[[:cntrl:][:space:]]' OR a->>'sha256' !~ '^[0-9a-fA-F]{64}$'
            OR a->>'size_bytes' !~ '^[0-9]{1,15}$' OR a->>'media_type' !~ '^[a-z]+/[a-zA-Z0-9.+-]{1,100}$' THEN
            RAISE EXCEPTION 'an attachment is wrong: %', a USING ERRCODE = 'CH013', DETAIL = format('附件有误：%s', a),
                HINT = 'uri: at most 2000 characters without blanks; sha256: 64 hexadecimal digits; size_bytes: a whole number; '
                    'media_type: such as image/jpeg.';
        END IF;
    END LOOP;
    RETURN list;
END $$;
COMMENT ON FUNCTION onemap.case_attachments(jsonb) IS
    'The attachments of a request, each {uri, sha256, size_bytes, media_type}; NULL if there are none; CH013 if one is wrong';

CREATE OR REPLACE FUNCTION onemap.case_department(code text) RETURNS int
LANGUAGE plpgsql STABLE AS $$
DECLARE found_id int;
BEGIN
    SELECT d.id INTO found_id FROM onemap.department d WHERE d.code = $1 AND d.active;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the county has no active department "%"', code
            USING ERRCODE = 'CH016', DETAIL = format('县里没有在用的单位 %s', code),
            HINT = '`cityhub catalogue departments list` shows them.';
    END IF;
    RETURN found_id;
END $$;
COMMENT ON FUNCTION onemap.case_department(text) IS 'Id of an active department by its code; CH016 if there is none';
