-- The county at any minute: what was so at a moment, as it was known then. Tables that are written over have their versions
-- beside them (schema/tables/121_past.sql, 150_past_work.sql, 152_past_names.sql), kept by triggers; records are known from
-- their receipt on. A function <table>_as_of(moment) has the rows of its table; moment NULL: as it stands, at no cost. Only
-- these triggers write the past.

-- ---- keeping ----

CREATE OR REPLACE FUNCTION onemap.past_columns(what text, alias text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(concat_ws('.', alias, quote_ident(a.attname)), ', ' ORDER BY a.attnum)
    FROM pg_attribute a WHERE a.attrelid = ('onemap.' || quote_ident(what))::regclass AND a.attnum > 0 AND NOT a.attisdropped
$$;
COMMENT ON FUNCTION onemap.past_columns(text, text) IS 'The columns of a table, each with the alias before it, in their order';

-- Of a table that says itself from when on a row is there (born), new rows need no note.
-- The key's columns: 'id', or with a comma between them.
CREATE OR REPLACE FUNCTION onemap.past_same(key text, one text, other text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(format('%2$s.%1$I = %3$s.%1$I', k.k, one, other), ' AND ' ORDER BY k.n)
    FROM unnest(string_to_array(key, ',')) WITH ORDINALITY k (k, n)
$$;
COMMENT ON FUNCTION onemap.past_same(text, text, text) IS 'The condition that two rows, by their aliases, have the same key';

CREATE OR REPLACE FUNCTION onemap.past_watch(what text, key text, born text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE event record;
BEGIN
    -- By the names of the columns, whatever their order. A function a table, so that its plan is made once: it runs with each
    -- message of staff. The time is the clock's: of two transactions the one that comes second has the later one.
    EXECUTE format('CREATE OR REPLACE FUNCTION onemap.%1$I() RETURNS trigger
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $f$
        BEGIN
            INSERT INTO onemap.%2$I (%3$s, until_at, there) SELECT %4$s, clock_timestamp(), TG_OP <> ''INSERT'' FROM changed c;
            RETURN NULL;
        END $f$', what || '_past_keep', what || '_past', onemap.past_columns(what, NULL), onemap.past_columns(what, 'c'));
    EXECUTE format('COMMENT ON FUNCTION onemap.%I() IS %L', what || '_past_keep',
        'Trigger: keeps rows as they were until now; of new ones, that there was none');
    FOR event IN SELECT * FROM (VALUES ('past_added', 'INSERT', 'NEW'), ('past_changed', 'UPDATE', 'OLD'),
            ('past_gone', 'DELETE', 'OLD')) AS e (name, happens, rows) WHERE born IS NULL OR e.happens <> 'INSERT' LOOP
        EXECUTE format('CREATE OR REPLACE TRIGGER %I AFTER %s ON onemap.%I REFERENCING %s TABLE AS changed FOR EACH STATEMENT '
            'EXECUTE FUNCTION onemap.%I()', event.name, event.happens, what, event.rows, what || '_past_keep');
    END LOOP;
    -- Without a search_path of its own, so that the planner takes it into the statement.
    EXECUTE format('CREATE OR REPLACE FUNCTION onemap.%1$I(moment timestamptz) RETURNS SETOF onemap.%2$I
        LANGUAGE sql STABLE AS $f$
            SELECT %3$s FROM onemap.%2$I t
            WHERE moment IS NULL OR (%6$s AND NOT EXISTS (
                SELECT FROM onemap.%5$I p WHERE %7$s AND p.until_at > moment))
            UNION ALL
            SELECT %4$s FROM onemap.%5$I p
            WHERE p.there AND p.until_at > moment AND %8$s AND NOT EXISTS (
                SELECT FROM onemap.%5$I e WHERE %9$s AND e.until_at > moment
                    AND (e.until_at, e.past_id) < (p.until_at, p.past_id))
        $f$', what || '_as_of', what, onemap.past_columns(what, 't'), onemap.past_columns(what, 'p'), what || '_past',
        coalesce('t.' || quote_ident(born) || ' <= moment', 'true'), onemap.past_same(key, 'p', 't'),
        coalesce('p.' || quote_ident(born) || ' <= moment', 'true'), onemap.past_same(key, 'e', 'p'));
    EXECUTE format('COMMENT ON FUNCTION onemap.%I(timestamptz) IS %L', what || '_as_of',
        format('Rows of onemap.%s as they were at a moment; NULL: as they are', what));
    EXECUTE format('GRANT EXECUTE ON FUNCTION onemap.%I(timestamptz) TO cityhub_read', what || '_as_of');
END $$;
COMMENT ON FUNCTION onemap.past_watch(text, text, text) IS
    'Keeps a table''s versions in <table>_past from here on, and makes <table>_as_of(moment); born: the column from which on a row '
    'is there, NULL: that is noted';

SELECT onemap.past_watch(x.what, x.key, x.born) FROM (VALUES ('device', 'id', 'created_at'), ('person', 'id', NULL),
    ('vehicle', 'id', NULL), ('case_record', 'id', NULL), ('alarm', 'id', 'recorded_at'), ('grid_cell', 'code', NULL),
    ('zone', 'id', NULL), ('work_order', 'id', NULL), ('work_standard', 'id', NULL), ('department', 'id', NULL),
    ('alarm_rule', 'id', NULL), ('vendor', 'subsystem,vendor', 'created_at')) AS x (what, key, born);

CREATE OR REPLACE FUNCTION onemap.presence_keep() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO onemap.presence_past (device_id, online, since_at, until_at)
    VALUES (OLD.device_id, OLD.online, OLD.changed_at, clock_timestamp());
    RETURN NULL;
END $$;
COMMENT ON FUNCTION onemap.presence_keep() IS 'Trigger: keeps how long a device was online, or was not';
CREATE OR REPLACE TRIGGER presence_keep AFTER UPDATE ON onemap.device_state FOR EACH ROW
    WHEN (OLD.online IS DISTINCT FROM NEW.online) EXECUTE FUNCTION onemap.presence_keep();

CREATE OR REPLACE FUNCTION onemap.heard_keep() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE onemap.heard_past h SET until_at = NEW.last_seen_at
    WHERE h.device_id = NEW.device_id AND h.until_at > NEW.last_seen_at - interval '1 minute'
        AND h.since_at = (SELECT max(x.since_at) FROM onemap.heard_past x WHERE x.device_id = NEW.device_id);
    IF NOT FOUND THEN
        INSERT INTO onemap.heard_past (device_id, since_at, until_at)
        VALUES (NEW.device_id, NEW.last_seen_at, NEW.last_seen_at) ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION onemap.heard_keep() IS 'Trigger: keeps when a device was heard of by what was not its newest record';
CREATE OR REPLACE TRIGGER heard_keep AFTER UPDATE ON onemap.device_state FOR EACH ROW
    WHEN (NEW.last_seen_at > OLD.last_seen_at AND NEW.observed_at <= OLD.observed_at) EXECUTE FUNCTION onemap.heard_keep();

CREATE OR REPLACE FUNCTION onemap.past_forget(before timestamptz) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE what text; gone int; total int := 0;
BEGIN
    FOREACH what IN ARRAY '{device,person,vehicle,case_record,alarm,grid_cell,zone,work_order,work_standard,department,
        alarm_rule,vendor,presence,heard}'::text[] LOOP
        EXECUTE format('DELETE FROM onemap.%I p WHERE p.until_at < $1', what || '_past') USING before;
        GET DIAGNOSTICS gone = ROW_COUNT;
        total := total + gone;
    END LOOP;
    INSERT INTO onemap.past_kept AS k (since_at) VALUES (before)
    ON CONFLICT (single) DO UPDATE SET since_at = greatest(k.since_at, excluded.since_at);
    RETURN total;
END $$;
COMMENT ON FUNCTION onemap.past_forget(timestamptz) IS
    'Forgets versions that were over before then, and that nothing can be asked for before it; returns how many';

-- ---- records ----

-- Clocks of devices run ahead: what had come was known, though its own time was not there yet.
CREATE OR REPLACE FUNCTION onemap.past_latest(moment timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT moment + onemap.setting('max_ahead')::interval $$;
COMMENT ON FUNCTION onemap.past_latest(timestamptz) IS
    'The latest time that a record can have which had come by a moment: by the largest [time] max_ahead_s of any hub so far';

CREATE OR REPLACE FUNCTION onemap.past_reach(ahead interval) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    UPDATE onemap.setting s SET value = $1::text WHERE s.key = 'max_ahead' AND s.value::interval < $1
$$;
COMMENT ON FUNCTION onemap.past_reach(interval) IS
    'Notes at a hub''s start how far records may be ahead of its clock from now on; what was noted before stays if it is more, for '
    'the records of then';
GRANT EXECUTE ON FUNCTION onemap.past_reach(interval) TO cityhub_hub;

-- By its time the newest record that had been received by then: of one that was revised later, what stood before.
CREATE OR REPLACE FUNCTION onemap.observation_last_at(device int, moment timestamptz, OUT observed_at timestamptz,
    OUT received_at timestamptz)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE later record; latest CONSTANT timestamptz := onemap.past_latest(moment);
BEGIN
    SELECT k.observed_at, k.received_at INTO observed_at, received_at FROM (
        (SELECT r.observed_at, r.received_at FROM onemap.observation_raw r
         WHERE r.device_id = device AND r.observed_at <= latest AND r.received_at <= moment ORDER BY r.observed_at DESC LIMIT 1)
        UNION ALL
        (SELECT v.observed_at, v.received_at FROM onemap.observation_revision v
         WHERE v.device_id = device AND v.observed_at <= latest AND v.received_at <= moment AND v.readings IS NOT NULL
         ORDER BY v.observed_at DESC, v.received_at DESC LIMIT 1)) k
    ORDER BY k.observed_at DESC, k.received_at DESC LIMIT 1;
    -- Packed days are older as a rule: only those that may have a later one are unpacked.
    SELECT u.observed_at, u.received_at INTO later
    FROM onemap.packed_record p CROSS JOIN LATERAL (
        SELECT x.observed_at, x.received_at FROM onemap.observation_unpack(p, '-infinity', latest + interval '1 microsecond') x
        WHERE x.received_at <= moment ORDER BY x.observed_at DESC LIMIT 1) u
    WHERE p.device_id = device AND p.kind = 'o' AND p.day <= (latest AT TIME ZONE 'UTC')::date
        AND (observation_last_at.observed_at IS NULL
            OR p.day >= (observation_last_at.observed_at AT TIME ZONE 'UTC')::date)
    ORDER BY p.day DESC LIMIT 1;
    IF later.observed_at > observed_at OR observed_at IS NULL
            OR later.observed_at = observed_at AND later.received_at > received_at THEN
        observed_at := later.observed_at;
        received_at := later.received_at;
    END IF;
END $$;
COMMENT ON FUNCTION onemap.observation_last_at(int, timestamptz) IS
    'Times of the last record of a device that was known at a moment; NULL: none';

CREATE OR REPLACE FUNCTION onemap.track_point_last_at(device int, moment timestamptz, OUT observed_at timestamptz,
    OUT received_at timestamptz, OUT geom public.geometry)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE later record; latest CONSTANT timestamptz := onemap.past_latest(moment);
BEGIN
    SELECT k.observed_at, k.received_at, k.geom INTO observed_at, received_at, geom FROM (
        (SELECT r.observed_at, r.received_at, r.geom FROM onemap.track_point_raw r
         WHERE r.device_id = device AND r.observed_at <= latest AND r.received_at <= moment AND r.geom IS NOT NULL
         ORDER BY r.observed_at DESC LIMIT 1)
        UNION ALL
        (SELECT v.observed_at, v.received_at, v.geom FROM onemap.observation_revision v
         WHERE v.device_id = device AND v.observed_at <= latest AND v.received_at <= moment AND v.geom IS NOT NULL
         ORDER BY v.observed_at DESC, v.received_at DESC LIMIT 1)) k
    ORDER BY k.observed_at DESC, k.received_at DESC LIMIT 1;
    SELECT u.observed_at, u.received_at, u.geom INTO later
    FROM onemap.packed_record p CROSS JOIN LATERAL (
        SELECT x.observed_at, x.received_at, x.geom
        FROM onemap.track_point_unpack(p, '-infinity', latest + interval '1 microsecond') x
        WHERE x.received_at <= moment AND x.geom IS NOT NULL ORDER BY x.observed_at DESC LIMIT 1) u
    WHERE p.device_id = device AND p.kind = 't' AND p.day <= (latest AT TIME ZONE 'UTC')::date
        AND (track_point_last_at.observed_at IS NULL
            OR p.day >= (track_point_last_at.observed_at AT TIME ZONE 'UTC')::date)
    ORDER BY p.day DESC LIMIT 1;
    IF later.observed_at > observed_at OR observed_at IS NULL
            OR later.observed_at = observed_at AND later.received_at > received_at THEN
        observed_at := later.observed_at;
        received_at := later.received_at;
        geom := later.geom;
    END IF;
END $$;
COMMENT ON FUNCTION onemap.track_point_last_at(int, timestamptz) IS
    'The last place of a device that was known at a moment, with its times; NULL: none';

-- Whose state has no place to this day has never told one: most devices stand.
CREATE OR REPLACE FUNCTION onemap.place_last_at(device int, moment timestamptz, OUT observed_at timestamptz,
    OUT received_at timestamptz, OUT geom public.geometry)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM onemap.device_state s WHERE s.device_id = device AND s.geom IS NULL) THEN
        SELECT t.observed_at, t.received_at, t.geom INTO observed_at, received_at, geom
        FROM onemap.track_point_last_at(device, moment) t;
    END IF;
END $$;
COMMENT ON FUNCTION onemap.place_last_at(int, timestamptz) IS 'track_point_last_at(), at no cost for what does not move';

CREATE OR REPLACE FUNCTION onemap.readings_as_of(device int, last timestamptz, moment timestamptz, OUT readings float8[],
    OUT reading_times timestamptz[], OUT quality bigint, OUT last_seen_at timestamptz)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH known AS (
        SELECT DISTINCT ON (k.observed_at) k.observed_at, k.received_at, k.readings, coalesce(k.quality, 0) AS quality
        FROM (SELECT o.observed_at, o.received_at, o.readings, o.quality
              FROM onemap.observation_of(device, last - interval '1 day', last + interval '1 microsecond') o
              UNION ALL
              SELECT v.observed_at, v.received_at, v.readings, v.quality FROM onemap.observation_revision v
              WHERE v.device_id = device AND v.observed_at BETWEEN last - interval '1 day' AND last AND v.readings IS NOT NULL) k
        WHERE k.received_at <= moment ORDER BY k.observed_at, k.received_at DESC),
    latest AS (
        SELECT DISTINCT ON (r.ordinal) r.ordinal, r.value, k.observed_at,
               k.quality & (1::bigint << (r.ordinal::int - 1)) AS flag
        FROM known k, unnest(k.readings) WITH ORDINALITY r(value, ordinal)
        WHERE r.value IS NOT NULL ORDER BY r.ordinal, k.observed_at DESC)
    SELECT coalesce(array_agg(l.value ORDER BY i.i), '{}'), coalesce(array_agg(l.observed_at ORDER BY i.i), '{}'),
        nullif(bit_or(l.flag), 0), (SELECT max(k.received_at) FROM known k)
    FROM generate_series(1, (SELECT max(m.ordinal) FROM latest m)) i LEFT JOIN latest l ON l.ordinal = i.i
$$;
COMMENT ON FUNCTION onemap.readings_as_of(int, timestamptz, timestamptz) IS
    'Last reading of each metric within the day up to a device''s last record, as known at a moment, with times and quality bits; '
    'last_seen_at: when a record of that day was received last';

CREATE OR REPLACE FUNCTION onemap.device_state_past(device int, moment timestamptz, with_readings boolean DEFAULT true)
RETURNS SETOF onemap.device_state
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE s onemap.device_state; o record; t record; since_at timestamptz; patience interval;
BEGIN
    SELECT * INTO o FROM onemap.observation_last_at(device, moment);
    SELECT * INTO t FROM onemap.place_last_at(device, moment);
    s.device_id := device;
    s.observed_at := greatest(o.observed_at, t.observed_at);
    IF s.observed_at IS NULL THEN
        RETURN;
    END IF;
    -- Also by what came days late: as far as it was kept, and of the time before if nothing has come since.
    s.last_seen_at := greatest(o.received_at, t.received_at,
        (SELECT least(h.until_at, moment) FROM onemap.heard_past h WHERE h.device_id = device AND h.since_at <= moment
         ORDER BY h.since_at DESC LIMIT 1),
        (SELECT d.last_seen_at FROM onemap.device_state d WHERE d.device_id = device AND d.last_seen_at <= moment));
    SELECT p.online, p.since_at INTO s.online, since_at FROM onemap.presence_past p
    WHERE p.device_id = device AND p.until_at > moment ORDER BY p.until_at, p.past_id LIMIT 1;
    IF NOT FOUND THEN
        SELECT d.online, d.changed_at INTO s.online, since_at FROM onemap.device_state d WHERE d.device_id = device;
    END IF;
    s.changed_at := since_at;
    -- From before that was kept: as the rule says.
    IF since_at IS NULL OR since_at > moment THEN
        SELECT k.offline_after INTO patience FROM onemap.device d
            JOIN onemap.device_kind k ON k.subsystem = d.subsystem AND k.key = d.kind WHERE d.id = device;
        s.changed_at := s.last_seen_at + coalesce(patience, '1 hour');
        s.online := s.changed_at > moment;
        IF s.online THEN
            s.changed_at := s.last_seen_at;
        END IF;
    END IF;
    IF with_readings THEN
        SELECT r.readings, r.reading_times, r.quality, greatest(s.last_seen_at, r.last_seen_at)
        INTO s.readings, s.reading_times, s.quality, s.last_seen_at FROM onemap.readings_as_of(device, o.observed_at, moment) r;
    END IF;
    s.geom := t.geom;
    s.geom_at := t.observed_at;
    RETURN NEXT s;
END $$;
COMMENT ON FUNCTION onemap.device_state_past(int, timestamptz, boolean) IS
    'What was known of a device at a moment, from its records; no row: nothing. last_seen_at: when one was received last, a late '
    'one, too';

CREATE OR REPLACE FUNCTION onemap.device_state_as_of(device int, moment timestamptz) RETURNS SETOF onemap.device_state
LANGUAGE sql STABLE AS $$
    SELECT s.* FROM onemap.device_state s WHERE s.device_id = device AND moment IS NULL
    UNION ALL
    SELECT p.* FROM onemap.device_state_past(device, moment) p WHERE moment IS NOT NULL
$$;
COMMENT ON FUNCTION onemap.device_state_as_of(int, timestamptz) IS
    'The row of onemap.device_state of a device as it was at a moment; NULL: as it is';
GRANT EXECUTE ON FUNCTION onemap.device_state_as_of(int, timestamptz), onemap.device_state_past(int, timestamptz, boolean),
    onemap.observation_last_at(int, timestamptz), onemap.track_point_last_at(int, timestamptz),
    onemap.place_last_at(int, timestamptz), onemap.past_latest(timestamptz),
    onemap.readings_as_of(int, timestamptz, timestamptz) TO cityhub_read;

CREATE OR REPLACE FUNCTION onemap.http_place_as_of(device int, moment timestamptz) RETURNS TABLE (geom public.geometry)
LANGUAGE sql STABLE AS $$
    SELECT s.geom FROM onemap.device_state s WHERE s.device_id = device AND moment IS NULL
    UNION ALL
    SELECT t.geom FROM onemap.place_last_at(device, moment) t WHERE moment IS NOT NULL
$$;
COMMENT ON FUNCTION onemap.http_place_as_of(int, timestamptz) IS
    'Where a device was last by its own word at a moment, NULL: now; NULL of what does not move';

CREATE OR REPLACE FUNCTION onemap.alarm_open_as_of(device int, moment timestamptz) RETURNS SETOF onemap.alarm
LANGUAGE sql STABLE AS $$ SELECT a.* FROM onemap.alarm_as_of(moment) a WHERE a.device_id = device AND a.closed_at IS NULL $$;
COMMENT ON FUNCTION onemap.alarm_open_as_of(int, timestamptz) IS
    'Alarms of a device that were open at a moment, as far as it was known; NULL: that are open';
GRANT EXECUTE ON FUNCTION onemap.alarm_open_as_of(int, timestamptz) TO cityhub_read;

-- ---- asking ----

CREATE OR REPLACE FUNCTION onemap.http_at(request jsonb) RETURNS timestamptz
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE moment timestamptz := onemap.http_time(request, 'at'); since timestamptz;
BEGIN
    IF moment IS NULL THEN
        RETURN NULL;
    ELSIF moment > clock_timestamp() THEN
        RAISE EXCEPTION 'at is in the future: %', request->>'at' USING ERRCODE = 'CH065',
            DETAIL = format('时刻 at 在将来：%s', request->>'at'), HINT = 'at 须为过去的时刻；现在是 '
            || to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') || '。';
    END IF;
    SELECT k.since_at INTO since FROM onemap.past_kept k;
    IF moment < since THEN
        RAISE EXCEPTION 'what was so at % is kept no longer', request->>'at' USING ERRCODE = 'CH065',
            DETAIL = format('时刻 %s 的情况已不再保留', request->>'at'),
            HINT = '可查询的最早时刻：' || to_char(since AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') || '。';
    END IF;
    RETURN moment;
END $$;
COMMENT ON FUNCTION onemap.http_at(jsonb) IS
    'The moment that a request asks for (at), NULL: now; CH065 if it is in the future, or longer ago than is kept';
