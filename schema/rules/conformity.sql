-- Conformity of vendors (符合率): of what a vendor sent on a day of the county, the share in which there was nothing to mend.
-- Counted where it is stored: telemetry, and what is refused, by hub/store/conformity.c, documents by conformity_document().

-- What is found and counts for nothing: what a record says of itself, as the contract wants it to (hub/ingest/findings.c knows
-- these, too), and what the county's database could not do.
CREATE OR REPLACE FUNCTION onemap.conformity_excuse(code text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE code WHEN 'over_range' THEN 'said' WHEN 'place_doubtful' THEN 'said' WHEN 'empty_message' THEN 'nothing'
        WHEN 'refused_by_database' THEN 'database' END
$$;
COMMENT ON FUNCTION onemap.conformity_excuse(text) IS
    'Why a finding of this code does not count against its vendor: said (the record says so itself, as it should), nothing (the '
    'message has no record), database (the county''s could not do it); NULL: it counts';

-- No share is rounded up: 100 is all.
CREATE OR REPLACE FUNCTION onemap.conformity_rate(records numeric, refused numeric, unjudged numeric, flawed numeric)
RETURNS numeric LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT onemap.exchange_share((records - refused - flawed)::bigint, (records - unjudged)::bigint)
$$;
COMMENT ON FUNCTION onemap.conformity_rate(numeric, numeric, numeric, numeric) IS
    'The rate of conformity in percent: records that were stored with nothing to mend, of all but those that the database refused; '
    'NULL: there are none';

-- ---- counting ----

CREATE OR REPLACE FUNCTION onemap.conformity_examples(message jsonb, found jsonb[])
RETURNS TABLE (code text, field text, example jsonb) LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT x.code, x.field, jsonb_strip_nulls(jsonb_build_object('index', x.f->'index', 'kind', message->'kind',
        'message', message->'message', 'reason', x.f->'reason', 'received_at_ms', message->'received_at_ms',
        'device', coalesce(m.r->'work_code', m.r->'case_code', m.r->'code', m.r->'device_code'),
        'observed_at_ms', coalesce(m.r->'observed_at_ms', m.r->'occurred_at_ms', m.r->'began_at_ms')))
    FROM (SELECT DISTINCT ON (f->>'code', f->>'field') f->>'code' AS code, coalesce(f->>'field', '') AS field, f
          FROM unnest(found) WITH ORDINALITY u (f, n) ORDER BY f->>'code', f->>'field', n DESC) x
    LEFT JOIN (SELECT e->'index' AS index, e->'record' AS r FROM jsonb_array_elements(message->'records') e) m
        ON m.index = x.f->'index'
$$;
COMMENT ON FUNCTION onemap.conformity_examples(jsonb, jsonb[]) IS 'Of each kind of problem of a message the last that is listed';

CREATE OR REPLACE FUNCTION onemap.conformity_document(message jsonb, counts jsonb, flawed int, noted text[],
    listed jsonb[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    came timestamptz := onemap.record_time(message, 'received_at_ms'); more jsonb; c record;
BEGIN
    IF message ? 'first_received_ms' THEN
        INSERT INTO onemap.vendor_intake (received_at, subsystem, vendor, replayed)
        VALUES (came, message->>'subsystem', message->>'vendor', 1);
        RETURN;
    END IF;
    SELECT * INTO c FROM jsonb_to_record(counts) AS t (accepted int, duplicates int, merged int, revised int, rejected int);
    IF noted <> '{}' THEN
        SELECT jsonb_agg(jsonb_strip_nulls(jsonb_build_object('fate', k.fate, 'code', k.code, 'field', nullif(k.field, ''),
            'n', k.n, 'example', x.example)))
        INTO more
        FROM (SELECT split_part(t, '/', 1) AS fate, split_part(t, '/', 2) AS code, split_part(t, '/', 3) AS field, count(*) AS n
              FROM unnest(noted) t GROUP BY t) k
        LEFT JOIN onemap.conformity_examples(message, listed) x ON x.code = k.code AND x.field = k.field;
    END IF;
    INSERT INTO onemap.vendor_intake (received_at, subsystem, vendor, messages, records, duplicates, merged, revised, refused,
        unjudged, flawed, findings)
    VALUES (came, message->>'subsystem', message->>'vendor', 1, c.accepted + c.duplicates + c.merged + c.revised + c.rejected,
        c.duplicates, c.merged, c.revised, c.rejected, cardinality(array_positions(noted, 'refused/refused_by_database/')), flawed,
        nullif(coalesce(message->'findings', '[]') || coalesce(more, '[]'), '[]'));
END $$;
COMMENT ON FUNCTION onemap.conformity_document(jsonb, jsonb, int, text[], jsonb[]) IS
    'Adds a message of message_store() to what its vendor sent: counts: what became of its records; flawed: those stored with '
    'something to mend; noted: fate/code/field of each problem that was found while storing, of which a thousand are listed; '
    'message.findings: what was found before. A replayed message counts as that alone';

CREATE OR REPLACE FUNCTION onemap.conformity_add() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE added bigint;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended('onemap.conformity_add', 0)) THEN
        RETURN 0::bigint; -- another hub is at it
    END IF;
    WITH taken AS MATERIALIZED (
        DELETE FROM onemap.vendor_intake RETURNING *),
    of_day AS MATERIALIZED (
        SELECT onemap.local_time(t.received_at)::date AS day, t.* FROM taken t),
    days AS (
        INSERT INTO onemap.vendor_day AS d (day, subsystem, vendor, messages, replayed, records, duplicates, merged, revised,
            refused, unjudged, flawed, late, unlisted)
        SELECT o.day, o.subsystem, o.vendor, sum(o.messages), sum(o.replayed), sum(o.records), sum(o.duplicates), sum(o.merged),
            sum(o.revised), sum(o.refused), sum(o.unjudged), sum(o.flawed), sum(o.late), sum(o.unlisted)
        FROM of_day o GROUP BY o.day, o.subsystem, o.vendor
        ON CONFLICT (day, subsystem, vendor) DO UPDATE SET messages = d.messages + excluded.messages,
            replayed = d.replayed + excluded.replayed, records = d.records + excluded.records,
            duplicates = d.duplicates + excluded.duplicates, merged = d.merged + excluded.merged,
            revised = d.revised + excluded.revised,
            refused = d.refused + excluded.refused, unjudged = d.unjudged + excluded.unjudged, flawed = d.flawed + excluded.flawed,
            late = d.late + excluded.late, unlisted = d.unlisted + excluded.unlisted),
    findings AS (
        INSERT INTO onemap.vendor_day_finding AS d (day, subsystem, vendor, fate, code, field, findings, example)
        SELECT o.day, o.subsystem, o.vendor, f.fate, f.code, coalesce(f.field, ''), sum(f.n),
            (array_agg(f.example ORDER BY (f.example->>'received_at_ms')::bigint DESC) FILTER (WHERE f.example IS NOT NULL))[1]
        FROM of_day o, jsonb_to_recordset(o.findings) AS f (fate text, code text, field text, n bigint, example jsonb)
        GROUP BY o.day, o.subsystem, o.vendor, f.fate, f.code, coalesce(f.field, '')
        ON CONFLICT (day, subsystem, vendor, fate, code, field) DO UPDATE SET findings = d.findings + excluded.findings,
            example = coalesce(excluded.example, d.example))
    SELECT count(*) INTO added FROM taken;
    RETURN added;
END $$;
COMMENT ON FUNCTION onemap.conformity_add() IS
    'Adds what batches have left in vendor_intake to the days of their vendors; both or neither. Returns how many rows';
GRANT EXECUTE ON FUNCTION onemap.conformity_add() TO cityhub_hub;

CREATE OR REPLACE FUNCTION onemap.conformity_forget(quarantine_days int) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE today date := onemap.local_time(onemap.retention_now())::date;
BEGIN
    DELETE FROM onemap.vendor_day d WHERE d.day < today - 400;
    DELETE FROM onemap.vendor_day_finding d WHERE d.day < today - 400;
    UPDATE onemap.vendor_day_finding d SET example = NULL WHERE d.day < today - quarantine_days AND d.example IS NOT NULL;
END $$;
COMMENT ON FUNCTION onemap.conformity_forget(int) IS
    'Drops days older than 400, and examples as old as what quarantine does not have any more';

-- ---- reading: what is added up, and what is not yet ----

CREATE OR REPLACE VIEW onemap.vendor_conformity AS
    SELECT u.day, u.subsystem, u.vendor, sum(u.messages)::bigint AS messages, sum(u.replayed)::bigint AS replayed,
           sum(u.records)::bigint AS records, sum(u.records - u.refused)::bigint AS taken, sum(u.duplicates)::bigint AS duplicates,
           sum(u.merged)::bigint AS merged, sum(u.revised)::bigint AS revised, sum(u.refused)::bigint AS refused,
           sum(u.unjudged)::bigint AS unjudged, sum(u.flawed)::bigint AS flawed, sum(u.late)::bigint AS late,
           sum(u.unlisted)::bigint AS unlisted
    FROM (SELECT d.* FROM onemap.vendor_day d
          UNION ALL
          SELECT onemap.local_time(i.received_at)::date, i.subsystem, i.vendor, i.messages, i.replayed, i.records, i.duplicates,
              i.merged, i.revised, i.refused, i.unjudged, i.flawed, i.late, i.unlisted FROM onemap.vendor_intake i) u
    GROUP BY u.day, u.subsystem, u.vendor;
COMMENT ON VIEW onemap.vendor_conformity IS
    'What each vendor sent on each day of the county, up to now: as vendor_day has it; taken: stored, or there already';
GRANT SELECT ON onemap.vendor_conformity TO cityhub_hub, cityhub_read;

CREATE OR REPLACE VIEW onemap.vendor_finding AS
    SELECT u.day, u.subsystem, u.vendor, u.fate, u.code, u.field, sum(u.findings)::bigint AS findings,
           (array_agg(u.example ORDER BY (u.example->>'received_at_ms')::bigint DESC) FILTER (WHERE u.example IS NOT NULL))[1]
               AS example
    FROM (SELECT d.* FROM onemap.vendor_day_finding d
          UNION ALL
          SELECT onemap.local_time(i.received_at)::date, i.subsystem, i.vendor, f.fate, f.code, coalesce(f.field, ''), f.n,
              f.example
          FROM onemap.vendor_intake i,
              jsonb_to_recordset(i.findings) AS f (fate text, code text, field text, n bigint, example jsonb)) u
    GROUP BY u.day, u.subsystem, u.vendor, u.fate, u.code, u.field;
COMMENT ON VIEW onemap.vendor_finding IS
    'What was found in a vendor''s messages of a day, up to now: as vendor_day_finding has it';
GRANT SELECT ON onemap.vendor_finding TO cityhub_hub, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.conformity_days(request jsonb, back int, OUT from_day date, OUT to_day date)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    to_day := coalesce((request->>'to')::date, onemap.local_time(now())::date);
    from_day := coalesce((request->>'from')::date, to_day - back);
    IF from_day > to_day THEN
        RAISE EXCEPTION 'from % is after to %', from_day, to_day USING ERRCODE = 'CH013',
            DETAIL = format('开始 %s 晚于结束 %s', from_day, to_day),
            HINT = 'from 与 to 都是县里的日子，两天都算在内；from 不晚于 to。';
    END IF;
END $$;
COMMENT ON FUNCTION onemap.conformity_days(jsonb, int) IS
    'The days of a request {from, to}, both in it; left out: up to today, and from so many days before its end';

-- ---- what people see and ask by commands, see command.sql ----

CREATE OR REPLACE FUNCTION onemap.conformity_of(request jsonb) RETURNS TABLE (subsystem text, vendor text, messages bigint,
    replayed bigint, records bigint, taken bigint, duplicates bigint, merged bigint, revised bigint, refused bigint,
    unjudged bigint, flawed bigint, late bigint, unlisted bigint, rate numeric)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE d record;
BEGIN
    PERFORM onemap.vendor_known(request);
    SELECT * INTO d FROM onemap.conformity_days(request, 0);
    RETURN QUERY SELECT v.subsystem, v.vendor, s.messages, s.replayed, s.records, s.taken, s.duplicates, s.merged, s.revised,
            s.refused, s.unjudged, s.flawed, s.late, s.unlisted, onemap.conformity_rate(s.records, s.refused, s.unjudged, s.flawed)
        FROM onemap.vendor v LEFT JOIN (
            SELECT c.subsystem, c.vendor, sum(c.messages)::bigint AS messages, sum(c.replayed)::bigint AS replayed,
                sum(c.records)::bigint AS records, sum(c.taken)::bigint AS taken, sum(c.duplicates)::bigint AS duplicates,
                sum(c.merged)::bigint AS merged, sum(c.revised)::bigint AS revised, sum(c.refused)::bigint AS refused,
                sum(c.unjudged)::bigint AS unjudged, sum(c.flawed)::bigint AS flawed, sum(c.late)::bigint AS late,
                sum(c.unlisted)::bigint AS unlisted
            FROM onemap.vendor_conformity c WHERE c.day BETWEEN d.from_day AND d.to_day GROUP BY c.subsystem, c.vendor) s
            ON s.subsystem = v.subsystem AND s.vendor = v.vendor
        WHERE (NOT request ? 'subsystem' OR v.subsystem = request->>'subsystem')
            AND (NOT request ? 'vendor' OR v.vendor = request->>'vendor');
END $$;
COMMENT ON FUNCTION onemap.conformity_of(jsonb) IS
    'What each vendor sent in the days of a request, added up: {subsystem, vendor, from, to}, by default today; NULL: nothing';
GRANT EXECUTE ON FUNCTION onemap.conformity_of(jsonb) TO cityhub_hub, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.vendor_conformity_table(request jsonb) RETURNS TABLE (subsystem text, vendor text, rate numeric,
    messages bigint, records bigint, taken bigint, refused bigint, flawed bigint, duplicates bigint, merged bigint, revised bigint,
    late bigint, unlisted bigint, unjudged bigint, replayed bigint)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT c.subsystem, c.vendor, c.rate, c.messages, c.records, c.taken, c.refused, c.flawed, c.duplicates, c.merged, c.revised,
        c.late, c.unlisted, c.unjudged, c.replayed
    FROM onemap.conformity_of(request) c ORDER BY c.rate NULLS LAST, c.subsystem, c.vendor
$$;
COMMENT ON FUNCTION onemap.vendor_conformity_table(jsonb) IS
    'Conformity of vendors for people, the worst first: as conformity_of()';

CREATE OR REPLACE FUNCTION onemap.vendor_conformity_json(request jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(jsonb_agg(to_jsonb(c) ORDER BY c.rate NULLS LAST, c.subsystem, c.vendor), '[]')
    FROM onemap.conformity_of(request) c
$$;
COMMENT ON FUNCTION onemap.vendor_conformity_json(jsonb) IS 'The same as JSON';
