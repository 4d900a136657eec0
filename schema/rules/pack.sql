-- Packing: a day's raw records become packed ones, some devices a step, column by column, and are compared bit by bit before they
-- take the place of the raw ones: in one transaction, so that every snapshot sees each record once. Between the steps of a day some
-- of its devices are packed and some are raw, which nobody who reads can tell. A step that fails has done nothing. Only its end
-- keeps others from writing records of that very day (pack_take()); what comes for it is in pack_late.sql.

-- ---- the form's other way ----

CREATE OR REPLACE FUNCTION onemap.series_put(kind "char", device int, day date, ordinal int, given bigint[],
    scale float8 DEFAULT NULL) RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    v bigint[] := given; n int := cardinality(given); unit int := 1; step bigint := 0::bigint; base bigint; lo bigint; hi bigint;
    sloped_lo bigint; sloped_hi bigint; present int; planes int; low "char"[]; mid "char"[]; high "char"[]; wide bigint[];
BEGIN
    IF ordinal = -9 AND NOT EXISTS (SELECT FROM unnest(v) x WHERE x % 1000 <> 0) THEN
        unit := 1000;
        v := ARRAY(SELECT x / 1000 FROM unnest(given) x);
    END IF;
    SELECT count(x)::int, min(x), max(x) INTO present, lo, hi FROM unnest(v) x;
    IF present = n AND n > 2 AND lo > -9e15 AND hi < 9e15 THEN
        step := (v[n] - v[1]) / (n - 1);
        IF step <> 0 THEN
            SELECT min(x.v - step * (x.i - 1)), max(x.v - step * (x.i - 1)) INTO sloped_lo, sloped_hi
            FROM unnest(v) WITH ORDINALITY x(v, i);
            IF sloped_hi - sloped_lo < (hi - lo) / 4 THEN
                lo := sloped_lo; hi := sloped_hi;
                v := ARRAY(SELECT x.v - step * (x.i - 1) FROM unnest(v) WITH ORDINALITY x(v, i));
            ELSE
                step := 0::bigint;
            END IF;
        END IF;
    END IF;
    planes := CASE WHEN present = 0 OR (present = n AND lo = hi) THEN 0 WHEN lo < -9e15 OR hi > 9e15 THEN 4
        WHEN hi - lo <= 254 THEN 1 WHEN hi - lo <= 65000 THEN 2 WHEN hi - lo <= 16600000 THEN 3 ELSE 4 END;
    base := CASE WHEN present = 0 THEN NULL WHEN planes = 4 AND (lo < -9e15 OR hi > 9e15) THEN 0
        ELSE lo + CASE planes WHEN 1 THEN 127 WHEN 2 THEN 32500 WHEN 3 THEN 8300000 ELSE 0 END END;
    -- Each byte from -128 on, the higher ones take up what the lower ones lack; the highest is never -128, which stands for NULL.
    CASE planes
    WHEN 1 THEN
        low := ARRAY(SELECT coalesce((x - base)::int, -128)::"char" FROM unnest(v) x);
    WHEN 2 THEN
        low := ARRAY(SELECT coalesce(((x - base + 128) & 255)::int - 128, 0)::"char" FROM unnest(v) x);
        mid := ARRAY(SELECT coalesce(((x - base + 128) >> 8)::int, -128)::"char" FROM unnest(v) x);
    WHEN 3 THEN
        low := ARRAY(SELECT coalesce(((x - base + 128) & 255)::int - 128, 0)::"char" FROM unnest(v) x);
        mid := ARRAY(SELECT coalesce(((((x - base + 128) >> 8) + 128) & 255)::int - 128, 0)::"char" FROM unnest(v) x);
        high := ARRAY(SELECT coalesce(((((x - base + 128) >> 8) + 128) >> 8)::int, -128)::"char" FROM unnest(v) x);
    WHEN 4 THEN
        wide := ARRAY(SELECT x - base FROM unnest(v) x);
    ELSE
        NULL;
    END CASE;
    INSERT INTO onemap.packed_series (device_id, kind, day, ordinal, planes, unit, present, scale, base, step, low, mid, high, wide)
    VALUES (device, kind, day, ordinal, planes, unit, present, scale, base, step, low, mid, high, wide);
    RETURN present;
END $$;
COMMENT ON FUNCTION onemap.series_put("char", int, date, int, bigint[], float8) IS
    'Packs a column of whole numbers; returns how many are not NULL';

CREATE OR REPLACE FUNCTION onemap.series_put(kind "char", device int, day date, ordinal int, given float8[]) RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE by_scale float8; whole bigint[]; fits boolean; present int := cardinality(array_remove(given, NULL));
BEGIN
    -- Decimals are whole numbers divided by a power of ten, if dividing gives every one of them back to the bit. A few tell which.
    FOREACH by_scale IN ARRAY '{1,10,100,1000,10000,100000,1000000,10000000}'::float8[] LOOP
        CONTINUE WHEN EXISTS (
            SELECT FROM unnest(given[1:20]) x
            WHERE CASE WHEN abs(x) < 9e14 / by_scale THEN round(x * by_scale) / by_scale <> x ELSE x IS NOT NULL END);
        SELECT array_agg(w.whole), bool_and(w.x IS NULL OR coalesce(w.whole / by_scale = w.x
                   AND (w.whole <> 0 OR float8send(w.x) = '\x0000000000000000'), false)) INTO whole, fits
        FROM (SELECT x, CASE WHEN abs(x) < 9e14 / by_scale THEN round(x * by_scale)::bigint END AS whole
              FROM unnest(given) x OFFSET 0) w;
        IF fits THEN
            RETURN onemap.series_put(kind, device, day, ordinal, whole, by_scale);
        END IF;
    END LOOP;
    INSERT INTO onemap.packed_series (device_id, kind, day, ordinal, planes, present, exact)
    VALUES (device, kind, day, ordinal, 5, present, given);
    RETURN present;
END $$;
COMMENT ON FUNCTION onemap.series_put("char", int, date, int, float8[]) IS
    'Packs a column of readings: as whole numbers if that gives every one back to the bit, else as they are';

-- ---- some devices of a day ----

CREATE OR REPLACE FUNCTION onemap.pack_mark(kind "char", day date, first_device int, last_device int, OUT records bigint,
    OUT width int, OUT places bigint, OUT writers bigint)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
BEGIN
    EXECUTE format('SELECT count(*), %s, sum(hashtid(o.ctid)), sum(o.xmin::text::bigint) FROM onemap.%I o
        WHERE o.device_id BETWEEN $1 AND $2',
        CASE kind WHEN 'o' THEN 'coalesce(max(cardinality(o.readings)), 0)' ELSE '0' END, onemap.packed_leaf(kind, day))
    INTO records, width, places, writers USING first_device, last_device;
END $$;
COMMENT ON FUNCTION onemap.pack_mark("char", date, int, int) IS
    'What tells whether raw records of these devices were added or changed between two looks; width: the longest readings';

CREATE OR REPLACE FUNCTION onemap.pack_devices(kind "char", day date, first_device int, last_device int, width int,
    OUT unlike int[])
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET work_mem = '64MB' SET jit = off AS $$
DECLARE
    midnight text := quote_literal(day::timestamp AT TIME ZONE 'UTC') || '::timestamptz'; columns text; puts text;
    moment text := 'array_agg(round(date_part(''epoch'', %s) * 1000000)::bigint)';
BEGIN
    IF kind = 'o' THEN
        columns := 'CASE WHEN count(o.attributes) > 0 THEN array_agg(o.attributes) END AS attributes,
            array_agg(cardinality(o.readings)::bigint) AS lengths, array_agg(o.quality) AS bits, count(o.quality) > 0 AS flagged,
            max(cardinality(o.readings)) AS width'
            || (SELECT coalesce(string_agg(format(', array_agg(o.readings[%1$s]) AS c%1$s', n), ''), '')
                FROM generate_series(1, width) n);
        puts := 'onemap.series_put($1, a.device_id, $2, -6, a.lengths),
            CASE WHEN a.flagged THEN onemap.series_put($1, a.device_id, $2, -7, a.bits) END'
            || (SELECT coalesce(string_agg(format(', CASE WHEN a.width >= %1$s THEN onemap.series_put($1, a.device_id, $2, %1$s,
                a.c%1$s) END', n), ''), '') FROM generate_series(1, width) n);
    ELSE
        columns := 'NULL::jsonb[] AS attributes, array_agg(public.ST_X(coalesce(o.geom, o.geom_outside))) AS lons,
            array_agg(public.ST_Y(coalesce(o.geom, o.geom_outside))) AS lats, array_agg((o.geom IS NULL)::int::bigint) AS outside';
        puts := 'onemap.series_put($1, a.device_id, $2, -5, a.lons), onemap.series_put($1, a.device_id, $2, -4, a.lats),
            onemap.series_put($1, a.device_id, $2, -3, a.outside)';
    END IF;
    EXECUTE format('WITH a AS MATERIALIZED (
            SELECT o.device_id, count(*)::int AS records, max(o.received_at) AS received_last, %s AS times, %s AS delays, %s
            FROM (SELECT * FROM onemap.%I WHERE device_id BETWEEN $3 AND $4 ORDER BY device_id, observed_at) o
            GROUP BY o.device_id),
        put AS (
            INSERT INTO onemap.packed_record (device_id, kind, day, records, received_last, attributes)
            SELECT a.device_id, $1, $2, a.records, a.received_last, a.attributes FROM a)
        SELECT count(r) FROM (SELECT ARRAY[onemap.series_put($1, a.device_id, $2, -9, a.times),
            onemap.series_put($1, a.device_id, $2, -8, a.delays), %s] AS r FROM a) p',
        format(moment, 'o.observed_at - ' || midnight), format(moment, 'o.received_at - o.observed_at'), columns,
        onemap.packed_leaf(kind, day), puts)
    USING kind, day, first_device, last_device;
    unlike := onemap.pack_compare(kind, day, first_device, last_device);
    PERFORM onemap.packed_remove(kind, day, device) FROM unnest(unlike) device;
END $$;
COMMENT ON FUNCTION onemap.pack_devices("char", date, int, int, int) IS
    'Makes packed records of the raw ones of some devices of a day, which stay; returns the devices whose records did not come out '
    'as they went in: they have none';

CREATE OR REPLACE FUNCTION onemap.pack_compare(kind "char", day date, first_device int, last_device int) RETURNS int[]
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET work_mem = '64MB' SET enable_nestloop = on SET jit = off AS $$
DECLARE unlike int[]; columns text; unpack text := CASE kind WHEN 'o' THEN 'observation_unpack' ELSE 'track_point_unpack' END;
BEGIN
    columns := CASE kind WHEN 'o' THEN '%1$s.received_at, %1$s.readings, %1$s.quality, %1$s.attributes'
        ELSE '%1$s.received_at, %1$s.geom::bytea, %1$s.geom_outside::bytea' END;
    EXECUTE format('SELECT array_agg(DISTINCT coalesce(r.device_id, u.device_id))
        FROM (SELECT * FROM onemap.%I WHERE device_id BETWEEN $3 AND $4) r
        FULL JOIN (SELECT p.device_id, u.* FROM onemap.packed_record p
                   CROSS JOIN LATERAL onemap.%I(p, ''-infinity'', ''infinity'') u
                   WHERE p.day = $2 AND p.kind = $1 AND p.device_id BETWEEN $3 AND $4) u
            ON u.device_id = r.device_id AND u.observed_at = r.observed_at
        WHERE r.device_id IS NULL OR u.device_id IS NULL OR NOT ROW(%s)::record OPERATOR(pg_catalog.*=) ROW(%s)::record',
        onemap.packed_leaf(kind, day), unpack, format(columns, 'r'), format(columns, 'u'))
    USING kind, day, first_device, last_device INTO unlike;
    RETURN coalesce(unlike, '{}');
END $$;
COMMENT ON FUNCTION onemap.pack_compare("char", date, int, int) IS
    'Devices whose packed records are not, bit by bit, those that are raw';

CREATE OR REPLACE FUNCTION onemap.packed_remove(kind "char", day date, device int) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    DELETE FROM onemap.packed_series s WHERE s.device_id = $3 AND s.kind = $1 AND s.day = $2;
    DELETE FROM onemap.packed_record r WHERE r.device_id = $3 AND r.kind = $1 AND r.day = $2;
$$;
COMMENT ON FUNCTION onemap.packed_remove("char", date, int) IS 'Removes a device''s packed day';

CREATE OR REPLACE FUNCTION onemap.packed_size(kind "char", day date, first_device int, last_device int, OUT records bigint,
    OUT readings bigint, OUT bytes bigint)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    -- With what a row, its place in its page and its key take.
    SELECT coalesce(sum(p.records), 0), coalesce(sum(s.readings), 0), coalesce(sum(pg_column_size(p.*) + 60 + s.bytes), 0)
    FROM onemap.packed_record p CROSS JOIN LATERAL (
        SELECT sum(s.present) FILTER (WHERE s.ordinal > 0) AS readings, sum(pg_column_size(s.*) + 28) AS bytes
        FROM onemap.packed_series s WHERE s.device_id = p.device_id AND s.kind = p.kind AND s.day = p.day) s
    WHERE p.kind = $1 AND p.day = $2 AND p.device_id BETWEEN first_device AND last_device
$$;
COMMENT ON FUNCTION onemap.packed_size("char", date, int, int) IS 'What is packed of some devices of a day';

CREATE OR REPLACE FUNCTION onemap.unpack_device(kind "char", day date, device int) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE size record; before text := coalesce(current_setting('onemap.settling', true), '');
BEGIN
    PERFORM set_config('onemap.settling', 'on', true); -- a clause SET would be for superusers alone
    SELECT * INTO size FROM onemap.packed_size(kind, day, device, device);
    IF kind = 'o' THEN
        INSERT INTO onemap.observation_raw (device_id, observed_at, received_at, readings, quality, attributes)
        SELECT device, u.observed_at, u.received_at, u.readings, u.quality, u.attributes
        FROM onemap.packed_record p CROSS JOIN LATERAL onemap.observation_unpack(p, '-infinity', 'infinity') u
        WHERE p.device_id = device AND p.kind = $1 AND p.day = $2;
    ELSE
        INSERT INTO onemap.track_point_raw (device_id, observed_at, received_at, geom, geom_outside)
        SELECT device, u.observed_at, u.received_at, u.geom, u.geom_outside
        FROM onemap.packed_record p CROSS JOIN LATERAL onemap.track_point_unpack(p, '-infinity', 'infinity') u
        WHERE p.device_id = device AND p.kind = $1 AND p.day = $2;
    END IF;
    PERFORM onemap.packed_remove(kind, day, device);
    UPDATE onemap.packed_day d SET records = d.records - size.records, readings = d.readings - size.readings,
        bytes = d.bytes - size.bytes WHERE d.kind = $1 AND d.day = $2;
    PERFORM set_config('onemap.settling', before, true);
END $$;
COMMENT ON FUNCTION onemap.unpack_device("char", date, int) IS
    'Makes a device''s packed day raw again; the caller holds the partition';

-- Packed before the partition is held: under the lock there is only the look whether anything came meanwhile, and the end of the
-- raw records. They are deleted, not truncated: a snapshot of before sees them still.
CREATE OR REPLACE FUNCTION onemap.pack_take(kind "char", day date, first_device int, last_device int) RETURNS int[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    leaf text := onemap.packed_leaf(kind, day); hold text := format('LOCK TABLE onemap.%I IN SHARE ROW EXCLUSIVE MODE', leaf);
    mark record; device int; unlike int[]; size record; deleted bigint;
BEGIN
    FOR device IN SELECT p.device_id FROM onemap.packed_record p
                  WHERE p.kind = $1 AND p.day = $2 AND p.device_id BETWEEN first_device AND last_device LOOP
        EXECUTE hold;
        PERFORM onemap.unpack_device(kind, day, device);
    END LOOP;
    SELECT * INTO mark FROM onemap.pack_mark(kind, day, first_device, last_device);
    unlike := onemap.pack_devices(kind, day, first_device, last_device, mark.width);
    EXECUTE hold;
    IF mark IS DISTINCT FROM onemap.pack_mark(kind, day, first_device, last_device) THEN
        DELETE FROM onemap.packed_series s WHERE s.kind = $1 AND s.day = $2 AND s.device_id BETWEEN first_device AND last_device;
        DELETE FROM onemap.packed_record r WHERE r.kind = $1 AND r.day = $2 AND r.device_id BETWEEN first_device AND last_device;
        SELECT * INTO mark FROM onemap.pack_mark(kind, day, first_device, last_device);
        unlike := onemap.pack_devices(kind, day, first_device, last_device, mark.width);
    END IF;
    EXECUTE format('DELETE FROM onemap.%I WHERE device_id BETWEEN $1 AND $2 AND device_id <> ALL ($3)', leaf)
    USING first_device, last_device, unlike;
    GET DIAGNOSTICS deleted = ROW_COUNT;
    SELECT * INTO size FROM onemap.packed_size(kind, day, first_device, last_device);
    IF deleted <> size.records THEN
        RAISE EXCEPTION '% had % records of devices % to %, and % are packed', leaf, deleted, first_device, last_device,
            size.records;
    END IF;
    UPDATE onemap.packed_day d SET records = d.records + size.records, readings = d.readings + size.readings,
        bytes = d.bytes + size.bytes, kept_raw = d.kept_raw || unlike WHERE d.kind = $1 AND d.day = $2;
    RETURN unlike;
END $$;
COMMENT ON FUNCTION onemap.pack_take("char", date, int, int) IS
    'Packs what is raw of some devices of a day, with what is packed of them already; returns the devices that cannot be packed';

-- ---- a day, step by step ----

CREATE OR REPLACE FUNCTION onemap.pack_begin(kind "char", day date) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO onemap.packed_day (kind, day, raw_bytes)
    VALUES ($1, $2, coalesce(pg_total_relation_size(to_regclass('onemap.' || onemap.packed_leaf(kind, day))), 0))
    ON CONFLICT ON CONSTRAINT packed_day_pkey DO UPDATE SET state = 'packing', next_device = 0, kept_raw = '{}',
        raw_bytes = greatest(packed_day.raw_bytes, excluded.raw_bytes);
    PERFORM onemap.packed_watch(kind, day);
END $$;
COMMENT ON FUNCTION onemap.pack_begin("char", date) IS
    'From here on all records of the day come by the slow path (waits for those who are writing any)';

CREATE OR REPLACE FUNCTION onemap.pack_next(d onemap.packed_day, rows_at_once int) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE last int;
BEGIN
    EXECUTE format('SELECT device_id FROM onemap.%I WHERE device_id >= $1 ORDER BY device_id OFFSET $2 LIMIT 1',
        onemap.packed_leaf(d.kind, d.day)) USING d.next_device, rows_at_once INTO last;
    last := greatest(coalesce(last - 1, 2147483646), d.next_device);
    PERFORM onemap.pack_take(d.kind, d.day, d.next_device, last);
    UPDATE onemap.packed_day p SET next_device = last + 1 WHERE p.kind = d.kind AND p.day = d.day;
    IF last < 2147483646 THEN
        RETURN 'devices';
    END IF;
    UPDATE onemap.packed_day p SET state = 'packed', packed_at = clock_timestamp() WHERE p.kind = d.kind AND p.day = d.day;
    RETURN 'packed';
END $$;
COMMENT ON FUNCTION onemap.pack_next(onemap.packed_day, int) IS
    'Packs the next devices of a day, of about so many rows: devices, or packed if it was the last';

CREATE OR REPLACE FUNCTION onemap.pack_again(d onemap.packed_day) RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE device int; n int := 0;
BEGIN
    FOR device IN EXECUTE format('SELECT DISTINCT device_id FROM onemap.%I WHERE device_id <> ALL ($1) ORDER BY 1 LIMIT 5',
        onemap.packed_leaf(d.kind, d.day)) USING d.kept_raw LOOP
        PERFORM onemap.pack_take(d.kind, d.day, device, device);
        n := n + 1;
    END LOOP;
    RETURN n;
END $$;
COMMENT ON FUNCTION onemap.pack_again(onemap.packed_day) IS
    'Packs the days of some devices anew that have raw records of a packed day; returns how many';

-- Without pages there is nothing that an older snapshot could still see. All who read or write the table wait behind who waits for
-- this lock: so it does not wait.
CREATE OR REPLACE FUNCTION onemap.pack_drop_empty() RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '100ms' AS $$
DECLARE d record; leaf text;
BEGIN
    FOR d IN SELECT p.kind, p.day FROM onemap.packed_day p WHERE p.state = 'packed' ORDER BY p.day LOOP
        leaf := onemap.packed_leaf(d.kind, d.day);
        IF pg_relation_size(to_regclass('onemap.' || leaf)) = 0 THEN
            BEGIN
                EXECUTE format('LOCK TABLE ONLY onemap.%I IN ACCESS EXCLUSIVE MODE',
                    CASE d.kind WHEN 'o' THEN 'observation_raw' ELSE 'track_point_raw' END);
                EXECUTE format('LOCK TABLE onemap.%I IN ACCESS EXCLUSIVE MODE', leaf);
                IF pg_relation_size(to_regclass('onemap.' || leaf)) = 0 THEN
                    EXECUTE format('DROP TABLE onemap.%I', leaf);
                    RETURN 1;
                END IF;
            EXCEPTION WHEN lock_not_available THEN
                RETURN 0;
            END;
        END IF;
    END LOOP;
    RETURN 0;
END $$;
COMMENT ON FUNCTION onemap.pack_drop_empty() IS
    'Drops a raw partition of a packed day that is empty and vacuumed, if nobody is in the way; one is made again when a record '
    'comes; returns how many were dropped (0 or 1)';

CREATE OR REPLACE FUNCTION onemap.pack_due(before date, chosen date, OUT kind "char", OUT day date)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT r.kind, r.day
    FROM (SELECT left(c.relname, 1)::"char" AS kind, onemap.partition_day(c.relname) AS day
          FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
          WHERE i.inhparent IN ('onemap.observation_raw'::regclass, 'onemap.track_point_raw'::regclass)) r
    LEFT JOIN onemap.packed_day p ON p.kind = r.kind AND p.day = r.day
    WHERE r.day < before AND r.day <= onemap.packed_newest() AND (chosen IS NULL OR r.day = chosen)
        AND (p.day IS NULL OR chosen IS NOT NULL AND p.state IN ('raw', 'unpacking'))
    ORDER BY r.day, r.kind LIMIT 1
$$;
COMMENT ON FUNCTION onemap.pack_due(date, date) IS 'The next day to be begun with';

CREATE OR REPLACE FUNCTION onemap.pack_step(before date, chosen date DEFAULT NULL, rows_at_once int DEFAULT 20000) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
DECLARE d onemap.packed_day; kind "char"; day date;
BEGIN
    IF chosen > onemap.packed_newest() THEN
        RAISE EXCEPTION 'the day % is too young to be packed', chosen USING ERRCODE = 'CH013',
            HINT = format('Days up to %s can be: younger ones are written to all the time.', onemap.packed_newest());
    ELSIF NOT pg_try_advisory_xact_lock(hashtext('onemap.pack')) THEN
        RETURN 'busy';
    END IF;
    SELECT * INTO d FROM onemap.packed_day p WHERE p.state = 'packing' AND (chosen IS NULL OR p.day = chosen)
    ORDER BY p.day, p.kind LIMIT 1;
    IF FOUND THEN
        RETURN onemap.pack_next(d, rows_at_once);
    END IF;
    SELECT u.kind, u.day INTO kind, day FROM onemap.pack_due(before, chosen) u;
    IF day IS NOT NULL THEN
        PERFORM onemap.pack_begin(kind, day);
        RETURN 'begun';
    END IF;
    -- What came late waits an hour for more of its sort, unless somebody asks for the day.
    FOR d IN SELECT p.* FROM onemap.packed_day p
             WHERE p.state = 'packed' AND (p.day = chosen OR chosen IS NULL AND p.packed_at < clock_timestamp() - interval '1 hour')
                 AND pg_relation_size(to_regclass('onemap.' || onemap.packed_leaf(p.kind, p.day))) > 0
             ORDER BY p.day, p.kind LOOP
        IF onemap.pack_again(d) > 0 THEN
            RETURN 'again';
        END IF;
    END LOOP;
    RETURN CASE WHEN onemap.pack_drop_empty() > 0 THEN 'dropped' ELSE 'done' END;
EXCEPTION WHEN lock_not_available THEN
    RETURN 'busy';
END $$;
COMMENT ON FUNCTION onemap.pack_step(date, date, int) IS
    'One step of packing days before a day, or only one: begun, devices, packed, again (late records), dropped or done; busy = '
    'another packs, or writes for long';
GRANT EXECUTE ON FUNCTION onemap.pack_step(date, date, int) TO cityhub_hub;

CREATE OR REPLACE FUNCTION onemap.unpack_step(day date, records_at_once int DEFAULT 20000) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' AS $$
DECLARE d onemap.packed_day; device record; taken int := 0;
BEGIN
    IF NOT EXISTS (SELECT FROM onemap.packed_day p WHERE p.day = $1) THEN
        RAISE EXCEPTION 'the day % is not packed', day USING ERRCODE = 'CH013';
    ELSIF NOT pg_try_advisory_xact_lock(hashtext('onemap.pack')) THEN
        RETURN 'busy';
    END IF;
    UPDATE onemap.packed_day p SET state = 'unpacking' WHERE p.day = $1 AND p.state IN ('packing', 'packed');
    SELECT * INTO d FROM onemap.packed_day p WHERE p.day = $1 AND p.state = 'unpacking' ORDER BY p.kind LIMIT 1;
    IF NOT FOUND THEN
        RETURN 'done';
    END IF;
    PERFORM onemap.partition_ensure(day);
    EXECUTE format('LOCK TABLE onemap.%I IN SHARE ROW EXCLUSIVE MODE', onemap.packed_leaf(d.kind, day));
    FOR device IN SELECT p.device_id, p.records FROM onemap.packed_record p WHERE p.day = $1 AND p.kind = d.kind
                  ORDER BY p.device_id LOOP
        PERFORM onemap.unpack_device(d.kind, day, device.device_id);
        taken := taken + device.records;
        IF taken >= records_at_once THEN
            RETURN 'devices';
        END IF;
    END LOOP;
    EXECUTE format('DROP TRIGGER IF EXISTS packed_arrival ON onemap.%I', onemap.packed_leaf(d.kind, day));
    UPDATE onemap.packed_day p SET state = 'raw', packed_at = NULL, kept_raw = '{}', records = 0, readings = 0, bytes = 0
    WHERE p.day = $1 AND p.kind = d.kind;
    RETURN 'unpacked';
EXCEPTION WHEN lock_not_available THEN
    RETURN 'busy';
END $$;
COMMENT ON FUNCTION onemap.unpack_step(date, int) IS
    'One step of making a packed day raw again, some devices a step: devices, unpacked (observations or places), done; busy = '
    'another packs, or writes for long. It stays raw until it is packed by hand';
GRANT EXECUTE ON FUNCTION onemap.unpack_step(date, int) TO cityhub_hub;

CREATE OR REPLACE FUNCTION onemap.packed_forget(before date) RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE d record; n int := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('onemap.pack'));
    FOR d IN SELECT p.kind, p.day FROM onemap.packed_day p WHERE p.day < before ORDER BY p.day LOOP
        PERFORM onemap.packed_remove(d.kind, d.day, p.device_id) FROM onemap.packed_record p
        WHERE p.kind = d.kind AND p.day = d.day;
        DELETE FROM onemap.packed_day p WHERE p.kind = d.kind AND p.day = d.day;
        n := n + 1;
    END LOOP;
    RETURN n;
END $$;
COMMENT ON FUNCTION onemap.packed_forget(date) IS
    'Drops packed days that are past their retention; returns how many, observations and places apart';
