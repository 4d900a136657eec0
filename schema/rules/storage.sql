-- What stored days take on the disk, raw and packed, and packing by hand: what `cityhub storage` shows and does.

CREATE OR REPLACE FUNCTION onemap.storage_part(request jsonb)
RETURNS TABLE (kind "char", day date, state text, rows bigint, readings bigint, bytes bigint, raw_bytes bigint)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    -- A packed day's raw partition is empty, or about to be.
    SELECT coalesce(r.kind, p.kind), coalesce(r.day, p.day), coalesce(p.state, 'raw'),
           coalesce(p.records, 0) + CASE WHEN p.state = 'packed' THEN 0 ELSE coalesce(r.rows, 0) END,
           coalesce(p.readings, 0), coalesce(p.bytes, 0) + CASE WHEN p.state = 'packed' THEN 0 ELSE coalesce(r.bytes, 0) END,
           CASE WHEN p.state <> 'raw' THEN p.raw_bytes ELSE r.bytes END
    FROM (SELECT left(c.relname, 1)::"char" AS kind, onemap.partition_day(c.relname) AS day,
                 greatest(c.reltuples, 0)::bigint AS rows, pg_total_relation_size(c.oid) AS bytes
          FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
          WHERE i.inhparent IN ('onemap.observation_raw'::regclass, 'onemap.track_point_raw'::regclass)) r
    FULL JOIN onemap.packed_day p ON p.kind = r.kind AND p.day = r.day
    WHERE coalesce(r.day, p.day) >= coalesce((request->>'from')::date, '-infinity')
        AND coalesce(r.day, p.day) <= coalesce((request->>'to')::date, 'infinity')
$$;
COMMENT ON FUNCTION onemap.storage_part(jsonb) IS
    'Stored days, observations (o) and places (t) apart: {from, to}; rows of what is raw by statistics, readings of what is '
    'packed. What came late for a packed day counts when it is packed with it';

CREATE OR REPLACE FUNCTION onemap.storage_day(request jsonb)
RETURNS TABLE (day date, state text, records bigint, places bigint, readings bigint, bytes bigint, raw_bytes bigint)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    -- A day that is not wholly packed is counted by its hours.
    SELECT d.day, d.state, coalesce(h.records, d.records), d.places, coalesce(h.readings, d.readings), d.bytes, d.raw_bytes
    FROM (SELECT s.day, CASE WHEN min(s.state) = max(s.state) THEN min(s.state) ELSE 'partly packed' END AS state,
                 coalesce(sum(s.rows) FILTER (WHERE s.kind = 'o'), 0)::bigint AS records,
                 coalesce(sum(s.rows) FILTER (WHERE s.kind = 't'), 0)::bigint AS places,
                 sum(s.readings)::bigint AS readings, sum(s.bytes)::bigint AS bytes, sum(s.raw_bytes)::bigint AS raw_bytes
          FROM onemap.storage_part(request) s GROUP BY s.day) d
    LEFT JOIN LATERAL (
        SELECT sum(o.records)::bigint AS records, sum((SELECT sum(n) FROM unnest(o.counts) n))::bigint AS readings
        FROM onemap.observation_hourly o
        WHERE d.state <> 'packed' AND o.hour >= d.day::timestamp AT TIME ZONE 'UTC'
            AND o.hour < (d.day + 1)::timestamp AT TIME ZONE 'UTC') h ON true
$$;
COMMENT ON FUNCTION onemap.storage_day(jsonb) IS
    'Stored days (UTC): {from, to}; records, places and readings (raw days: those in their ranges), bytes with indexes, and what '
    'the day took before it was packed';

CREATE OR REPLACE FUNCTION onemap.storage_list_json(request jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    -- What packing would save is what it has saved so far, on the whole; without a packed day nobody knows.
    WITH days AS MATERIALIZED (SELECT s.* FROM onemap.storage_day(request) s),
    ratio AS (SELECT sum(p.bytes) / nullif(sum(p.raw_bytes), 0) AS packed FROM onemap.packed_day p WHERE p.state = 'packed')
    SELECT jsonb_build_object(
        'days', coalesce(jsonb_agg(jsonb_build_object('day', d.day, 'state', d.state, 'records', d.records, 'places', d.places,
            'values', d.readings, 'bytes', d.bytes, 'bytes_a_value', round(d.bytes / nullif(d.readings, 0)::numeric, 2),
            'raw_bytes', d.raw_bytes, 'saved', CASE WHEN d.state = 'packed' THEN d.raw_bytes - d.bytes END,
            'would_save', CASE WHEN d.state = 'raw' AND d.day <= onemap.packed_newest()
                THEN round(d.bytes * (1 - (SELECT r.packed FROM ratio r))) END) ORDER BY d.day), '[]'),
        'records', coalesce(sum(d.records), 0), 'places', coalesce(sum(d.places), 0), 'values', coalesce(sum(d.readings), 0),
        'bytes', coalesce(sum(d.bytes), 0))
    FROM days d
$$;
COMMENT ON FUNCTION onemap.storage_list_json(jsonb) IS
    'storage_day() with what packing saved, or would save, and the sum: {from, to}';

CREATE OR REPLACE FUNCTION onemap.storage_list_table(request jsonb) RETURNS TABLE (day text, state text, records bigint,
    places bigint, "values" bigint, mib numeric, bytes_a_value numeric, saved_mib numeric, would_save_mib numeric)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT d.day, d.state, d.records, d.places, d."values", round(d.bytes / 1048576.0, 1), d.bytes_a_value,
           round(d.saved / 1048576.0, 1), round(d.would_save / 1048576.0, 1)
    FROM jsonb_to_recordset(onemap.storage_list_json(request)->'days') AS d (day text, state text, records bigint, places bigint,
        "values" bigint, bytes bigint, bytes_a_value numeric, saved bigint, would_save bigint) ORDER BY d.day
$$;
COMMENT ON FUNCTION onemap.storage_list_table(jsonb) IS 'storage_list_json() for people';

CREATE OR REPLACE FUNCTION onemap.storage_asked(request jsonb) RETURNS date
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (request->>'day')::date;
EXCEPTION WHEN data_exception THEN
    RAISE EXCEPTION '"%" is no day', request->>'day' USING ERRCODE = 'CH013';
END $$;
COMMENT ON FUNCTION onemap.storage_asked(jsonb) IS 'The day of a request: {day}';

CREATE OR REPLACE FUNCTION onemap.storage_told(day date, step text) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object('day', $1, 'step', $2, 'state', coalesce(min(d.state), 'not stored'),
        'records', coalesce(sum(d.records), 0), 'places', coalesce(sum(d.places), 0), 'values', coalesce(sum(d.readings), 0),
        'bytes', coalesce(sum(d.bytes), 0), 'raw_bytes', coalesce(sum(d.raw_bytes), 0))
    FROM onemap.storage_day(jsonb_build_object('from', $1, 'to', $1)) d WHERE $2 = 'done'
$$;
COMMENT ON FUNCTION onemap.storage_told(date, text) IS 'What a step is answered with; done: with what the day takes now';

CREATE OR REPLACE FUNCTION onemap.storage_pack(request jsonb) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE day date := onemap.storage_asked(request); step text := onemap.pack_step(day + 1, day);
BEGIN
    IF step = 'begun' THEN
        PERFORM onemap.audit('pack_day', jsonb_build_object('day', day));
    END IF;
    RETURN onemap.storage_told(day, step);
END $$;
COMMENT ON FUNCTION onemap.storage_pack(jsonb) IS
    'One step of packing a day by hand: {day}; answers {day, step, ...}, step as pack_step() tells it';

CREATE OR REPLACE FUNCTION onemap.storage_unpack(request jsonb) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE day date := onemap.storage_asked(request); step text := onemap.unpack_step(day);
BEGIN
    IF step = 'unpacked' THEN
        PERFORM onemap.audit('unpack_day', jsonb_build_object('day', day));
    END IF;
    RETURN onemap.storage_told(day, step);
END $$;
COMMENT ON FUNCTION onemap.storage_unpack(jsonb) IS
    'One step of making a packed day raw again: {day}; answers {day, step, ...}, step as unpack_step() tells it';

GRANT EXECUTE ON FUNCTION onemap.storage_part(jsonb), onemap.storage_day(jsonb), onemap.storage_list_json(jsonb),
    onemap.storage_list_table(jsonb) TO cityhub_hub, cityhub_read;
GRANT EXECUTE ON FUNCTION onemap.storage_asked(jsonb), onemap.storage_told(date, text), onemap.storage_pack(jsonb),
    onemap.storage_unpack(jsonb) TO cityhub_hub;
