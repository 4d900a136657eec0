-- Packing: a day's raw records become packed ones, column by column, and are compared bit by bit before they take the place of the
-- raw ones. Prepared beside them, a group of devices a step, while everybody reads and writes; then one transaction that shows the
-- packed rows and deletes the raw ones, so that every snapshot sees each record once. A crash leaves prepared rows that the next
-- step goes on with. What comes for a packed day goes through the slow path (settle.sql), which looks for its keys here first.

CREATE OR REPLACE FUNCTION onemap.packed_leaf(kind "char", day date) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE lower(kind::text) WHEN 'o' THEN 'observation_' ELSE 'track_point_' END || to_char(day, 'YYYYMMDD')
$$;
COMMENT ON FUNCTION onemap.packed_leaf("char", date) IS 'Name of the raw partition of a day: kind o = observations, t = places';

-- ---- what comes meanwhile, and later ----

CREATE OR REPLACE FUNCTION onemap.packed_arrival() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE letter "char" := left(TG_TABLE_NAME, 1)::"char"; at date := to_date(right(TG_TABLE_NAME, 8), 'YYYYMMDD');
    packed timestamptz;
BEGIN
    SELECT d.packed_at INTO packed FROM onemap.packed_day d WHERE d.kind = letter AND d.day = at;
    IF packed IS NULL THEN
        INSERT INTO onemap.packed_changed (kind, day, device_id) VALUES (letter, at, NEW.device_id);
    ELSIF TG_OP = 'INSERT' AND current_setting('onemap.settling', true) IS DISTINCT FROM 'on' THEN
        RAISE EXCEPTION 'the day % is packed: a record for it may be there already', at USING ERRCODE = 'unique_violation',
            HINT = 'Records of packed days come by the slow path (schema/rules/settle.sql).';
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION onemap.packed_arrival() IS
    'Trigger on a raw partition whose day is packed: a record that does not come by the slow path is refused as if its key were '
    'there; while the day is being packed its device is noted';

CREATE OR REPLACE FUNCTION onemap.packed_watch(kind "char", day date) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE leaf text := onemap.packed_leaf(kind, day);
BEGIN
    IF EXISTS (SELECT FROM onemap.packed_day d WHERE d.kind = $1 AND d.day = $2)
        AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = to_regclass('onemap.' || leaf) AND t.tgname = 'packed_arrival')
    THEN
        EXECUTE format('CREATE TRIGGER packed_arrival BEFORE INSERT OR UPDATE ON onemap.%I FOR EACH ROW
            EXECUTE FUNCTION onemap.packed_arrival()', leaf);
    END IF;
END $$;
COMMENT ON FUNCTION onemap.packed_watch("char", date) IS
    'Puts packed_arrival on the raw partition if its day is packed or being packed';

CREATE OR REPLACE FUNCTION onemap.packed_hold(kind "char", days date[]) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE at date; leaf text;
BEGIN
    FOR at IN SELECT DISTINCT d FROM unnest(days) d ORDER BY d LOOP
        leaf := onemap.packed_leaf(kind, at);
        IF to_regclass('onemap.' || leaf) IS NULL THEN
            RAISE EXCEPTION 'there is no partition %', leaf USING ERRCODE = 'check_violation';
        END IF;
        EXECUTE format('LOCK TABLE onemap.%I IN ROW EXCLUSIVE MODE', leaf);
    END LOOP;
    RETURN EXISTS (SELECT FROM onemap.packed_day d WHERE d.kind = $1 AND d.day = ANY (days) AND d.packed_at IS NOT NULL);
END $$;
COMMENT ON FUNCTION onemap.packed_hold("char", date[]) IS
    'Until the transaction ends none of these days is packed or unpacked; true if one of them is packed. Fails with '
    'check_violation if one has no raw partition';
GRANT EXECUTE ON FUNCTION onemap.packed_hold("char", date[]) TO cityhub_hub;

CREATE OR REPLACE FUNCTION onemap.packed_newest() RETURNS date LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT (now() AT TIME ZONE 'UTC')::date - 2
$$;
COMMENT ON FUNCTION onemap.packed_newest() IS 'The last day that may be packed: those after it are written to all the time';
GRANT EXECUTE ON FUNCTION onemap.packed_newest() TO cityhub_hub;

-- ---- the form's other way ----

CREATE OR REPLACE FUNCTION onemap.series_put(kind "char", device int, day date, ordinal int, given bigint[],
    scale float8 DEFAULT NULL) RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
    v bigint[] := given; n int := cardinality(given); unit int := 1; step bigint := 0::bigint; base bigint; lo bigint; hi bigint;
    sloped_lo bigint; sloped_hi bigint; present int; planes int;
BEGIN
    IF ordinal = -9 AND NOT EXISTS (SELECT FROM unnest(v) x WHERE x % 1000 <> 0) THEN
        unit := 1000;
        v := ARRAY(SELECT x / 1000 FROM unnest(given) x);
    END IF;
    SELECT count(x)::int, min(x), max(x) INTO present, lo, hi FROM unnest(v) x;
    IF present = n AND n > 2 AND lo > -9e15 AND hi < 9e15 THEN
        step := (v[n] - v[1]) / (n - 1);
        SELECT min(x.v - step * (x.i - 1)), max(x.v - step * (x.i - 1)) INTO sloped_lo, sloped_hi
        FROM unnest(v) WITH ORDINALITY x(v, i);
        IF step <> 0 AND sloped_hi - sloped_lo < (hi - lo) / 4 THEN
            lo := sloped_lo; hi := sloped_hi;
        ELSE
            step := 0::bigint;
        END IF;
    END IF;
    planes := CASE WHEN present = 0 OR (present = n AND lo = hi) THEN 0 WHEN lo < -9e15 OR hi > 9e15 THEN 4
        WHEN hi - lo <= 254 THEN 1 WHEN hi - lo <= 65000 THEN 2 WHEN hi - lo <= 16600000 THEN 3 ELSE 4 END;
    base := CASE WHEN present = 0 THEN NULL WHEN planes = 4 AND (lo < -9e15 OR hi > 9e15) THEN 0
        ELSE lo + CASE planes WHEN 1 THEN 127 WHEN 2 THEN 32500 WHEN 3 THEN 8300000 ELSE 0 END END;
    IF planes IN (0, 4) THEN
        INSERT INTO onemap.packed_series (device_id, kind, day, ordinal, planes, unit, scale, base, step, wide)
        VALUES (device, kind, day, ordinal, planes, unit, scale, base, step, CASE WHEN planes = 4 THEN
            ARRAY(SELECT x.v - base - step * (x.i - 1) FROM unnest(v) WITH ORDINALITY x(v, i)) END);
        RETURN present;
    END IF;
    INSERT INTO onemap.packed_series (device_id, kind, day, ordinal, planes, unit, scale, base, step, low, mid, high)
    SELECT device, kind, day, ordinal, planes, unit, scale,
        base, step, array_agg(coalesce(l.low, CASE WHEN planes = 1 THEN -128 ELSE 0 END)::"char"),
        CASE WHEN planes > 1 THEN array_agg(coalesce(m.mid, CASE WHEN planes = 2 THEN -128 ELSE 0 END)::"char") END,
        CASE WHEN planes > 2 THEN array_agg(coalesce((m.rest - m.mid) / 256, -128)::int::"char") END
    FROM (SELECT x.v - base - step * (x.i - 1) AS d FROM unnest(v) WITH ORDINALITY x(v, i)) x
    CROSS JOIN LATERAL (SELECT (((x.d + 128) & 255) - 128)::int AS low) l
    CROSS JOIN LATERAL (SELECT (x.d - l.low) / 256 AS rest,
        CASE WHEN planes = 3 THEN ((((x.d - l.low) / 256 + 128) & 255) - 128)::int ELSE ((x.d - l.low) / 256)::int END AS mid) m;
    RETURN present;
END $$;
COMMENT ON FUNCTION onemap.series_put("char", int, date, int, bigint[], float8) IS
    'Packs a column of whole numbers; returns how many are not NULL';

CREATE OR REPLACE FUNCTION onemap.series_put(kind "char", device int, day date, ordinal int, given float8[]) RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE by_scale float8;
BEGIN
    -- Decimals are whole numbers divided by a power of ten, if dividing gives every one of them back to the bit.
    FOREACH by_scale IN ARRAY '{1,10,100,1000,10000,100000,1000000,10000000}'::float8[] LOOP
        IF NOT EXISTS (SELECT FROM unnest(given) x WHERE x IS NOT NULL AND NOT CASE WHEN abs(x) < 9e14 / by_scale
                THEN round(x * by_scale) / by_scale = x AND (x <> 0 OR float8send(x) = '\x0000000000000000') ELSE false END) THEN
            RETURN onemap.series_put(kind, device, day, ordinal, ARRAY(SELECT round(x * by_scale)::bigint FROM unnest(given) x),
                by_scale);
        END IF;
    END LOOP;
    INSERT INTO onemap.packed_series (device_id, kind, day, ordinal, planes, exact)
    VALUES (device, kind, day, ordinal, 5, given);
    RETURN cardinality(array_remove(given, NULL));
END $$;
COMMENT ON FUNCTION onemap.series_put("char", int, date, int, float8[]) IS
    'Packs a column of readings: as whole numbers if that gives every one back to the bit, else as they are';

-- ---- preparing ----

CREATE OR REPLACE FUNCTION onemap.pack_devices(kind "char", day date, first_device int, last_device int, OUT records bigint,
    OUT readings bigint, OUT unlike int[])
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET work_mem = '64MB' SET jit = off AS $$
DECLARE
    letter "char" := upper(kind::text)::"char"; sorted text; moment text := '(extract(epoch FROM %s) * 1000000)::bigint';
    midnight text := quote_literal(day::timestamp AT TIME ZONE 'UTC') || '::timestamptz';
BEGIN
    DELETE FROM onemap.packed_series s WHERE s.kind = letter AND s.day = $2 AND s.device_id BETWEEN first_device AND last_device;
    DELETE FROM onemap.packed_record r WHERE r.kind = letter AND r.day = $2 AND r.device_id BETWEEN first_device AND last_device;
    sorted := format('(SELECT * FROM onemap.%I WHERE device_id BETWEEN $3 AND $4 ORDER BY device_id, observed_at) o',
        onemap.packed_leaf(kind, day));
    EXECUTE format('INSERT INTO onemap.packed_record (device_id, kind, day, records, received_last, attributes)
        SELECT o.device_id, $1, $2, count(*), max(o.received_at), %s FROM %s GROUP BY o.device_id',
        CASE kind WHEN 'o' THEN 'CASE WHEN count(o.attributes) > 0 THEN array_agg(o.attributes) END' ELSE 'NULL' END, sorted)
    USING letter, day, first_device, last_device;
    EXECUTE format('SELECT sum(onemap.series_put($1, p.device_id, $2, -9, p.times)), sum(onemap.series_put($1, p.device_id, $2, -8,
        p.delays)) FROM (SELECT o.device_id, array_agg(%s) AS times, array_agg(%s) AS delays FROM %s GROUP BY o.device_id) p',
        format(moment, 'o.observed_at - ' || midnight), format(moment, 'o.received_at - o.observed_at'), sorted)
    USING letter, day, first_device, last_device INTO records;
    IF kind = 'o' THEN
        EXECUTE format('SELECT sum(onemap.series_put($1, p.device_id, $2, -6, p.lengths)),
            sum(CASE WHEN p.flagged THEN onemap.series_put($1, p.device_id, $2, -7, p.bits) END)
            FROM (SELECT o.device_id, array_agg(cardinality(o.readings)::bigint) AS lengths, array_agg(o.quality) AS bits,
                      count(o.quality) > 0 AS flagged FROM %s GROUP BY o.device_id) p', sorted)
        USING letter, day, first_device, last_device;
        EXECUTE format('SELECT sum(onemap.series_put($1, p.device_id, $2, p.ordinal, p.cells))
            FROM (SELECT o.device_id, g.ordinal, array_agg(o.readings[g.ordinal]) AS cells
                  FROM (SELECT o.*, max(cardinality(o.readings)) OVER (PARTITION BY o.device_id) AS width FROM %s) o
                  CROSS JOIN LATERAL generate_series(1, o.width) g(ordinal) GROUP BY o.device_id, g.ordinal) p', sorted)
        USING letter, day, first_device, last_device INTO readings;
    ELSE
        EXECUTE format('SELECT sum(onemap.series_put($1, p.device_id, $2, -5, p.lons)), sum(onemap.series_put($1, p.device_id, $2,
            -4, p.lats)), sum(onemap.series_put($1, p.device_id, $2, -3, p.outside))
            FROM (SELECT o.device_id, array_agg(public.ST_X(coalesce(o.geom, o.geom_outside))) AS lons,
                      array_agg(public.ST_Y(coalesce(o.geom, o.geom_outside))) AS lats,
                      array_agg((o.geom IS NULL)::int::bigint) AS outside FROM %s GROUP BY o.device_id) p', sorted)
        USING letter, day, first_device, last_device;
    END IF;
    unlike := onemap.pack_compare(kind, day, first_device, last_device);
    records := coalesce(records, 0); readings := coalesce(readings, 0);
END $$;
COMMENT ON FUNCTION onemap.pack_devices("char", date, int, int) IS
    'Prepares the packed rows of some devices of a raw day anew; returns records, readings, and devices whose records did not come '
    'out as they went in';

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
    USING upper(kind::text)::"char", day, first_device, last_device INTO unlike;
    RETURN coalesce(unlike, '{}');
END $$;
COMMENT ON FUNCTION onemap.pack_compare("char", date, int, int) IS
    'Devices whose prepared records are not, bit by bit, those of the raw day';

-- ---- a day, step by step ----

CREATE OR REPLACE FUNCTION onemap.pack_begin(kind "char", day date) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE leaf text := onemap.packed_leaf(kind, day);
BEGIN
    INSERT INTO onemap.packed_day (kind, day, raw_bytes)
    VALUES ($1, $2, pg_total_relation_size(format('onemap.%I', leaf)::regclass));
    PERFORM onemap.packed_watch(kind, day);
END $$;
COMMENT ON FUNCTION onemap.pack_begin("char", date) IS
    'From here on it is noted which devices get records of the day (waits for those who are writing any)';

CREATE OR REPLACE FUNCTION onemap.pack_prepare(d onemap.packed_day, rows_at_once int) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE last int; made record;
BEGIN
    EXECUTE format('SELECT device_id FROM onemap.%I WHERE device_id >= $1 ORDER BY device_id OFFSET $2 LIMIT 1',
        onemap.packed_leaf(d.kind, d.day)) USING d.next_device, rows_at_once INTO last;
    last := greatest(coalesce(last - 1, 2147483647), d.next_device);
    SELECT * INTO made FROM onemap.pack_devices(d.kind, d.day, d.next_device, last);
    UPDATE onemap.packed_day p SET next_device = CASE WHEN last < 2147483647 THEN last + 1 END,
        readings = p.readings + made.readings, kept_raw = p.kept_raw || made.unlike
    WHERE p.kind = d.kind AND p.day = d.day;
END $$;
COMMENT ON FUNCTION onemap.pack_prepare(onemap.packed_day, int) IS 'Prepares the next devices of a day, of about so many rows';

-- Under the lock nobody writes the day; readers go on. Deleted, not truncated: a snapshot of before sees the raw records still.
CREATE OR REPLACE FUNCTION onemap.pack_switch(d onemap.packed_day) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    leaf text := onemap.packed_leaf(d.kind, d.day); letter "char" := upper(d.kind::text)::"char"; again int[];
    kept int[] := '{}'::int[];
    device int; made record; prepared bigint; deleted bigint; size bigint;
BEGIN
    EXECUTE format('LOCK TABLE onemap.%I IN SHARE ROW EXCLUSIVE MODE', leaf);
    again := ARRAY(SELECT c.device_id FROM onemap.packed_changed c WHERE c.kind = d.kind AND c.day = d.day
                   UNION SELECT k FROM unnest(d.kept_raw) k ORDER BY 1);
    FOREACH device IN ARRAY again LOOP
        SELECT * INTO made FROM onemap.pack_devices(d.kind, d.day, device, device);
        kept := kept || made.unlike;
    END LOOP;
    DELETE FROM onemap.packed_series s WHERE s.kind = letter AND s.day = d.day AND s.device_id = ANY (kept);
    DELETE FROM onemap.packed_record r WHERE r.kind = letter AND r.day = d.day AND r.device_id = ANY (kept);
    SELECT coalesce(sum(r.records), 0) INTO prepared FROM onemap.packed_record r WHERE r.day = d.day AND r.kind = letter;
    EXECUTE format('DELETE FROM onemap.%I WHERE device_id <> ALL ($1)', leaf) USING kept;
    GET DIAGNOSTICS deleted = ROW_COUNT;
    IF deleted <> prepared THEN
        RAISE EXCEPTION '% has % records and % are packed', leaf, deleted, prepared;
    END IF;
    SELECT coalesce(sum(48 + pg_column_size(s.*)), 0) INTO size FROM onemap.packed_series s
    WHERE (s.device_id, s.kind, s.day) IN (SELECT r.device_id, r.kind, r.day FROM onemap.packed_record r
                                           WHERE r.day = d.day AND r.kind = letter);
    UPDATE onemap.packed_series s SET kind = d.kind FROM onemap.packed_record r
    WHERE r.day = d.day AND r.kind = letter AND s.device_id = r.device_id AND s.kind = letter AND s.day = d.day;
    UPDATE onemap.packed_record r SET kind = d.kind WHERE r.day = d.day AND r.kind = letter;
    DELETE FROM onemap.packed_changed c WHERE c.kind = d.kind AND c.day = d.day;
    UPDATE onemap.packed_day p SET packed_at = clock_timestamp(), records = prepared, kept_raw = kept, bytes = size
        + (SELECT coalesce(sum(48 + pg_column_size(r.*)), 0) FROM onemap.packed_record r WHERE r.day = d.day AND r.kind = d.kind)
    WHERE p.kind = d.kind AND p.day = d.day;
END $$;
COMMENT ON FUNCTION onemap.pack_switch(onemap.packed_day) IS
    'Takes in what came meanwhile, shows the packed rows of a prepared day and deletes the raw ones, all at once';

CREATE OR REPLACE FUNCTION onemap.unpack_device(kind "char", day date, device int) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET onemap.settling = 'on' AS $$
BEGIN
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
    DELETE FROM onemap.packed_series s WHERE s.device_id = device AND s.kind = $1 AND s.day = $2;
    DELETE FROM onemap.packed_record r WHERE r.device_id = device AND r.kind = $1 AND r.day = $2;
END $$;
COMMENT ON FUNCTION onemap.unpack_device("char", date, int) IS
    'Makes a device''s packed day raw again; the caller holds the partition';

CREATE OR REPLACE FUNCTION onemap.pack_again(d onemap.packed_day, devices int) RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE leaf text := onemap.packed_leaf(d.kind, d.day); letter "char" := upper(d.kind::text)::"char";
    device int; made record; n int := 0;
BEGIN
    EXECUTE format('LOCK TABLE onemap.%I IN SHARE ROW EXCLUSIVE MODE', leaf);
    FOR device IN EXECUTE format('SELECT DISTINCT device_id FROM onemap.%I WHERE device_id <> ALL ($1) ORDER BY 1 LIMIT $2', leaf)
        USING d.kept_raw, devices LOOP
        PERFORM onemap.unpack_device(d.kind, d.day, device);
        SELECT * INTO made FROM onemap.pack_devices(d.kind, d.day, device, device);
        IF made.unlike = '{}' THEN
            EXECUTE format('DELETE FROM onemap.%I WHERE device_id = $1', leaf) USING device;
            UPDATE onemap.packed_series s SET kind = d.kind WHERE s.device_id = device AND s.kind = letter AND s.day = d.day;
            UPDATE onemap.packed_record r SET kind = d.kind WHERE r.device_id = device AND r.kind = letter AND r.day = d.day;
        ELSE
            DELETE FROM onemap.packed_series s WHERE s.device_id = device AND s.kind = letter AND s.day = d.day;
            DELETE FROM onemap.packed_record r WHERE r.device_id = device AND r.kind = letter AND r.day = d.day;
            UPDATE onemap.packed_day p SET kept_raw = p.kept_raw || device WHERE p.kind = d.kind AND p.day = d.day;
        END IF;
        n := n + 1;
    END LOOP;
    RETURN n;
END $$;
COMMENT ON FUNCTION onemap.pack_again(onemap.packed_day, int) IS
    'Packs the days of devices anew that have raw records of a packed day, at most so many; returns how many';

-- Without pages there is nothing that an older snapshot could still see.
CREATE OR REPLACE FUNCTION onemap.pack_drop_empty() RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE leaf text; dropped int := 0;
BEGIN
    FOR leaf IN SELECT c.relname::text FROM onemap.packed_day d JOIN pg_class c ON c.relname = onemap.packed_leaf(d.kind, d.day)
                WHERE d.packed_at IS NOT NULL AND c.relnamespace = 'onemap'::regnamespace AND pg_relation_size(c.oid) = 0 LOOP
        EXECUTE format('LOCK TABLE onemap.%I IN ACCESS EXCLUSIVE MODE', leaf);
        IF pg_relation_size(to_regclass('onemap.' || leaf)) = 0 THEN
            EXECUTE format('DROP TABLE onemap.%I', leaf);
            dropped := dropped + 1;
        END IF;
    END LOOP;
    RETURN dropped;
END $$;
COMMENT ON FUNCTION onemap.pack_drop_empty() IS
    'Drops raw partitions of packed days that are empty and vacuumed; one is made again when a record comes; returns how many';

-- What is to be done next, for one day or for all that are older: one short transaction a call.
CREATE OR REPLACE FUNCTION onemap.pack_step(before date, chosen date DEFAULT NULL, rows_at_once int DEFAULT 100000) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE d onemap.packed_day; n int;
BEGIN
    IF chosen > onemap.packed_newest() THEN
        RAISE EXCEPTION '% is too young to be packed: up to % can be', chosen, onemap.packed_newest();
    ELSIF NOT pg_try_advisory_xact_lock(hashtext('onemap.pack')) THEN
        RETURN 'busy';
    END IF;
    SELECT * INTO d FROM onemap.packed_day p WHERE p.packed_at IS NULL AND (chosen IS NULL OR p.day = chosen)
    ORDER BY p.day, p.kind LIMIT 1;
    IF FOUND AND d.next_device IS NOT NULL THEN
        PERFORM onemap.pack_prepare(d, rows_at_once);
        RETURN 'prepared';
    ELSIF FOUND THEN
        PERFORM onemap.pack_switch(d);
        RETURN 'packed';
    END IF;
    SELECT r.kind, r.day INTO d.kind, d.day
    FROM (SELECT left(c.relname, 1)::"char" AS kind, to_date(right(c.relname, 8), 'YYYYMMDD') AS day
          FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
          WHERE i.inhparent IN ('onemap.observation_raw'::regclass, 'onemap.track_point_raw'::regclass)) r
    WHERE r.day < before AND r.day <= onemap.packed_newest() AND (chosen IS NULL OR r.day = chosen)
        AND NOT EXISTS (SELECT FROM onemap.packed_day p WHERE p.kind = r.kind AND p.day = r.day)
    ORDER BY r.day, r.kind LIMIT 1;
    IF FOUND THEN
        PERFORM onemap.pack_begin(d.kind, d.day);
        RETURN 'begun';
    END IF;
    FOR d IN SELECT p.* FROM onemap.packed_day p
             WHERE p.packed_at < clock_timestamp() - CASE WHEN chosen IS NULL THEN interval '1 hour'
                 ELSE '0' END AND p.day < before AND (chosen IS NULL OR p.day = chosen)
                 AND coalesce(pg_relation_size(to_regclass('onemap.' || onemap.packed_leaf(p.kind, p.day))), 0) > 0
             ORDER BY p.day, p.kind LOOP
        n := onemap.pack_again(d, 50);
        IF n > 0 THEN
            RETURN 'again';
        END IF;
    END LOOP;
    PERFORM onemap.pack_drop_empty();
    RETURN 'done';
END $$;
COMMENT ON FUNCTION onemap.pack_step(date, date, int) IS
    'One step of packing days before a day, or only one: begun, prepared, packed, again (late records) or done; busy = another '
    'packs';
GRANT EXECUTE ON FUNCTION onemap.pack_step(date, date, int) TO cityhub_hub;

CREATE OR REPLACE FUNCTION onemap.unpack_day(day date) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE r record; n bigint := 0::bigint; letter "char";
BEGIN
    IF NOT EXISTS (SELECT FROM onemap.packed_day d WHERE d.day = $1) THEN
        RAISE EXCEPTION 'the day % is not packed', day;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('onemap.pack'));
    PERFORM onemap.partition_ensure(day);
    FOREACH letter IN ARRAY '{o,t}'::"char"[] LOOP
        EXECUTE format('LOCK TABLE onemap.%I IN SHARE ROW EXCLUSIVE MODE', onemap.packed_leaf(letter, day));
        FOR r IN SELECT p.device_id, p.records FROM onemap.packed_record p WHERE p.day = $1 AND p.kind = letter LOOP
            PERFORM onemap.unpack_device(letter, day, r.device_id);
            n := n + r.records;
        END LOOP;
        EXECUTE format('DROP TRIGGER IF EXISTS packed_arrival ON onemap.%I', onemap.packed_leaf(letter, day));
    END LOOP;
    DELETE FROM onemap.packed_series s USING onemap.packed_record p
    WHERE p.day = $1 AND s.day = $1 AND s.device_id = p.device_id AND s.kind = p.kind;
    DELETE FROM onemap.packed_record p WHERE p.day = $1;
    DELETE FROM onemap.packed_changed c WHERE c.day = $1;
    DELETE FROM onemap.packed_day d WHERE d.day = $1;
    PERFORM onemap.audit('unpack_day', jsonb_build_object('day', day, 'records', n));
    RETURN n;
END $$;
COMMENT ON FUNCTION onemap.unpack_day(date) IS 'Makes a packed day raw again, all at once; returns its records';
GRANT EXECUTE ON FUNCTION onemap.unpack_day(date) TO cityhub_hub;

CREATE OR REPLACE FUNCTION onemap.packed_forget(before date) RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE at date; n int := 0;
BEGIN
    FOR at IN SELECT DISTINCT d.day FROM onemap.packed_day d WHERE d.day < before ORDER BY d.day LOOP
        DELETE FROM onemap.packed_series s USING onemap.packed_record p
        WHERE p.day = at AND s.day = at AND s.device_id = p.device_id AND s.kind = p.kind;
        DELETE FROM onemap.packed_record p WHERE p.day = at;
        DELETE FROM onemap.packed_changed c WHERE c.day = at;
        DELETE FROM onemap.packed_day d WHERE d.day = at;
        n := n + 1;
    END LOOP;
    RETURN n;
END $$;
COMMENT ON FUNCTION onemap.packed_forget(date) IS 'Drops packed days that are past their retention; returns how many';

-- ---- the slow path's first look ----

-- Staged records whose keys are packed: if all of a key are duplicates that is their fate, else the packed record is lifted into
-- the raw table and everything goes on as if it had never been packed.
CREATE OR REPLACE FUNCTION onemap.observation_lift(stamp timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_nestloop = on AS $$
DECLARE us interval := interval '1 microsecond'; days date[]; devices int[]; times timestamptz[];
BEGIN
    days := ARRAY(SELECT DISTINCT (s.observed_at AT TIME ZONE 'UTC')::date FROM pg_temp.observation_stage s
                  WHERE s.observed_at < (onemap.packed_newest() + 1)::timestamp AT TIME ZONE 'UTC');
    IF days = '{}' OR NOT onemap.packed_hold('o', days) THEN
        RETURN;
    END IF;
    WITH keys AS MATERIALIZED (
        SELECT DISTINCT s.device_id, s.observed_at, (s.observed_at AT TIME ZONE 'UTC')::date AS day
        FROM pg_temp.observation_stage s),
    groups AS MATERIALIZED (
        SELECT k.device_id, k.day, count(*) AS n, min(k.observed_at) AS lo, max(k.observed_at) AS hi FROM keys k GROUP BY 1, 2),
    found AS MATERIALIZED (
        SELECT g.*, p.entry, (p.entry).records * extract(epoch FROM g.hi - g.lo) / 86400 <= g.n * 20 AS dense
        FROM groups g CROSS JOIN LATERAL (
            SELECT p::onemap.packed_record AS entry FROM onemap.packed_record p
            WHERE p.device_id = g.device_id AND p.kind = 'o' AND p.day = g.day OFFSET 0) p),
    packed AS MATERIALIZED (
        SELECT f.device_id, u.* FROM found f CROSS JOIN LATERAL onemap.observation_unpack(f.entry, f.lo, f.hi + us) u WHERE f.dense
        UNION ALL
        SELECT f.device_id, u.* FROM found f JOIN keys k ON k.device_id = f.device_id AND k.day = f.day
        CROSS JOIN LATERAL onemap.observation_unpack(f.entry, k.observed_at, k.observed_at + us) u WHERE NOT f.dense),
    judged AS MATERIALIZED (
        SELECT s.row_no, s.device_id, s.observed_at, bool_and(
            CASE WHEN onemap.stage_since(s.received_at, stamp) < p.received_at
                 THEN onemap.observation_late_fate(p.readings, p.attributes, s.readings, s.attributes) = 'duplicate'
                 ELSE s.readings = p.readings AND s.attributes IS NOT DISTINCT FROM p.attributes
                     OR onemap.observation_fate(p.readings, p.attributes, s.readings, s.attributes) = 'duplicate' END)
            OVER (PARTITION BY s.device_id, s.observed_at) AS same
        FROM pg_temp.observation_stage s JOIN packed p ON p.device_id = s.device_id AND p.observed_at = s.observed_at),
    told AS (
        UPDATE pg_temp.observation_stage s SET fate = 'duplicate' FROM judged j WHERE j.row_no = s.row_no AND j.same)
    SELECT array_agg(c.device_id), array_agg(c.observed_at) INTO devices, times
    FROM (SELECT DISTINCT j.device_id, j.observed_at FROM judged j WHERE NOT j.same ORDER BY 1, 2) c;
    -- It is inserted by who has looked here.
    PERFORM set_config('onemap.settling', 'on', true);
    IF devices IS NULL THEN
        RETURN;
    END IF;
    PERFORM FROM onemap.packed_record p WHERE p.kind = 'o' AND (p.device_id, p.day) IN (
        SELECT k.device, (k.at AT TIME ZONE 'UTC')::date FROM unnest(devices, times) k(device, at))
    ORDER BY p.device_id, p.day FOR UPDATE;
    -- A statement of its own: what another has lifted meanwhile is not lifted again.
    WITH moved AS MATERIALIZED (
        SELECT p.device_id, p.day, u.* FROM unnest(devices, times) k(device, at)
        JOIN onemap.packed_record p ON p.device_id = k.device AND p.kind = 'o' AND p.day = (k.at AT TIME ZONE 'UTC')::date
        CROSS JOIN LATERAL onemap.observation_unpack(p, k.at, k.at + us) u),
    raw AS (
        INSERT INTO onemap.observation_raw (device_id, observed_at, received_at, readings, quality, attributes)
        SELECT m.device_id, m.observed_at, m.received_at, m.readings, m.quality, m.attributes FROM moved m)
    UPDATE onemap.packed_record p SET lifted = coalesce(p.lifted, '{}') || m.numbers
    FROM (SELECT m.device_id, m.day, array_agg(m.no) AS numbers FROM moved m GROUP BY 1, 2) m
    WHERE p.device_id = m.device_id AND p.kind = 'o' AND p.day = m.day;
END $$;
COMMENT ON FUNCTION onemap.observation_lift(timestamptz) IS
    'Staged records whose keys are packed: duplicates are told so, of others the packed record is made raw again';

CREATE OR REPLACE FUNCTION onemap.track_point_lift(stamp timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_nestloop = on AS $$
DECLARE us interval := interval '1 microsecond'; days date[]; devices int[]; times timestamptz[];
BEGIN
    days := ARRAY(SELECT DISTINCT (s.observed_at AT TIME ZONE 'UTC')::date FROM pg_temp.track_point_stage s
                  WHERE s.observed_at < (onemap.packed_newest() + 1)::timestamp AT TIME ZONE 'UTC');
    IF days = '{}' OR NOT onemap.packed_hold('t', days) THEN
        RETURN;
    END IF;
    WITH keys AS MATERIALIZED (
        SELECT DISTINCT s.device_id, s.observed_at, (s.observed_at AT TIME ZONE 'UTC')::date AS day
        FROM pg_temp.track_point_stage s),
    groups AS MATERIALIZED (
        SELECT k.device_id, k.day, count(*) AS n, min(k.observed_at) AS lo, max(k.observed_at) AS hi FROM keys k GROUP BY 1, 2),
    found AS MATERIALIZED (
        SELECT g.*, p.entry, (p.entry).records * extract(epoch FROM g.hi - g.lo) / 86400 <= g.n * 20 AS dense
        FROM groups g CROSS JOIN LATERAL (
            SELECT p::onemap.packed_record AS entry FROM onemap.packed_record p
            WHERE p.device_id = g.device_id AND p.kind = 't' AND p.day = g.day OFFSET 0) p),
    packed AS MATERIALIZED (
        SELECT f.device_id, u.* FROM found f CROSS JOIN LATERAL onemap.track_point_unpack(f.entry, f.lo, f.hi + us) u WHERE f.dense
        UNION ALL
        SELECT f.device_id, u.* FROM found f JOIN keys k ON k.device_id = f.device_id AND k.day = f.day
        CROSS JOIN LATERAL onemap.track_point_unpack(f.entry, k.observed_at, k.observed_at + us) u WHERE NOT f.dense),
    judged AS MATERIALIZED (
        SELECT s.row_no, s.device_id, s.observed_at, bool_and(onemap.stage_since(s.received_at, stamp) < p.received_at
            OR (s.geom IS NULL) = (p.geom IS NULL) AND public.ST_OrderingEquals(coalesce(s.geom, s.geom_outside),
                coalesce(p.geom, p.geom_outside))) OVER (PARTITION BY s.device_id, s.observed_at) AS same
        FROM pg_temp.track_point_stage s JOIN packed p ON p.device_id = s.device_id AND p.observed_at = s.observed_at),
    told AS (
        UPDATE pg_temp.track_point_stage s SET fate = 'duplicate' FROM judged j WHERE j.row_no = s.row_no AND j.same)
    SELECT array_agg(c.device_id), array_agg(c.observed_at) INTO devices, times
    FROM (SELECT DISTINCT j.device_id, j.observed_at FROM judged j WHERE NOT j.same ORDER BY 1, 2) c;
    PERFORM set_config('onemap.settling', 'on', true);
    IF devices IS NULL THEN
        RETURN;
    END IF;
    PERFORM FROM onemap.packed_record p WHERE p.kind = 't' AND (p.device_id, p.day) IN (
        SELECT k.device, (k.at AT TIME ZONE 'UTC')::date FROM unnest(devices, times) k(device, at))
    ORDER BY p.device_id, p.day FOR UPDATE;
    WITH moved AS MATERIALIZED (
        SELECT p.device_id, p.day, u.* FROM unnest(devices, times) k(device, at)
        JOIN onemap.packed_record p ON p.device_id = k.device AND p.kind = 't' AND p.day = (k.at AT TIME ZONE 'UTC')::date
        CROSS JOIN LATERAL onemap.track_point_unpack(p, k.at, k.at + us) u),
    raw AS (
        INSERT INTO onemap.track_point_raw (device_id, observed_at, received_at, geom, geom_outside)
        SELECT m.device_id, m.observed_at, m.received_at, m.geom, m.geom_outside FROM moved m)
    UPDATE onemap.packed_record p SET lifted = coalesce(p.lifted, '{}') || m.numbers
    FROM (SELECT m.device_id, m.day, array_agg(m.no) AS numbers FROM moved m GROUP BY 1, 2) m
    WHERE p.device_id = m.device_id AND p.kind = 't' AND p.day = m.day;
END $$;
COMMENT ON FUNCTION onemap.track_point_lift(timestamptz) IS 'The same for staged places';
GRANT EXECUTE ON FUNCTION onemap.observation_lift(timestamptz), onemap.track_point_lift(timestamptz) TO cityhub_hub;
