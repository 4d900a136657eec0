-- What is known of each device now: derived from observations, and right again after a crash, because batch_log says which
-- batches are still to be counted.

-- Picks per ordinal the reading with the later time; at equal times the newer message's. Its quality bit goes with it. What is
-- later than can be (latest) was written by a clock that was ahead: it gives way to whatever comes. Without a search_path of its
-- own, so that the planner takes it into the statement; a function's rows come in their order, and nothing here changes it.
CREATE OR REPLACE FUNCTION onemap.state_merge(old_readings float8[], old_times timestamptz[], old_quality bigint,
    new_readings float8[], new_times timestamptz[], new_quality bigint, latest timestamptz DEFAULT 'infinity')
RETURNS TABLE (readings float8[], reading_times timestamptz[], quality bigint) LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 1 AS $$
    SELECT coalesce(pg_catalog.array_agg(CASE WHEN n.newer THEN n.new_reading ELSE n.old_reading END), '{}'),
           coalesce(pg_catalog.array_agg(CASE WHEN n.newer THEN least(n.new_at, latest)
                                              WHEN n.old_at IS NOT NULL THEN least(n.old_at, latest) END), '{}'),
           nullif(pg_catalog.bit_or(CASE WHEN n.newer THEN new_quality ELSE old_quality END & (1::bigint << (n.i::int - 1))), 0)
    FROM (SELECT z.*, z.new_at IS NOT NULL AND (z.old_at IS NULL OR z.new_at >= z.old_at OR z.old_at > latest) AS newer
          FROM ROWS FROM (pg_catalog.unnest(old_readings), pg_catalog.unnest(old_times), pg_catalog.unnest(new_readings),
              pg_catalog.unnest(new_times)) WITH ORDINALITY AS z (old_reading, old_at, new_reading, new_at, i) OFFSET 0) n
$$;
COMMENT ON FUNCTION onemap.state_merge(float8[], timestamptz[], bigint, float8[], timestamptz[], bigint, timestamptz) IS
    'Element by element the reading with the later time, and the quality bit of the reading that is taken; a time after latest '
    'is none';

-- Without a search_path of its own for the same reason.
CREATE OR REPLACE FUNCTION onemap.later_of(old timestamptz, new timestamptz, latest timestamptz) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN old > latest THEN least(new, latest) ELSE greatest(old, least(new, latest)) END
$$;
COMMENT ON FUNCTION onemap.later_of(timestamptz, timestamptz, timestamptz) IS
    'The later of two times of which none is after latest: an old one that is was written by a clock that was ahead, and gives way';

CREATE OR REPLACE FUNCTION onemap.device_state_merge(batches uuid[] DEFAULT '{}', ahead interval DEFAULT NULL) RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE merged int; latest timestamptz := now() + coalesce(ahead, onemap.setting('max_ahead')::interval);
BEGIN
    INSERT INTO onemap.device_state AS d
        (device_id, observed_at, last_seen_at, readings, reading_times, quality, geom, geom_at)
    SELECT s.device_id, least(s.observed_at, latest), least(s.last_seen_at, now()), s.readings,
           CASE WHEN latest < ANY (s.reading_times)
               THEN ARRAY(SELECT CASE WHEN t IS NOT NULL THEN least(t, latest) END FROM unnest(s.reading_times) t)
               ELSE s.reading_times END,
           s.quality, s.geom, least(s.geom_at, CASE WHEN s.geom_at IS NOT NULL THEN latest END)
    FROM pg_temp.device_state_stage s
    ORDER BY s.device_id
    ON CONFLICT (device_id) DO UPDATE SET
        observed_at = onemap.later_of(d.observed_at, excluded.observed_at, latest),
        last_seen_at = onemap.later_of(d.last_seen_at, excluded.last_seen_at, now()),
        online = d.online OR excluded.last_seen_at > d.last_seen_at,
        changed_at = CASE WHEN d.online OR excluded.last_seen_at <= d.last_seen_at THEN d.changed_at ELSE now() END,
        (readings, reading_times, quality) = (SELECT m.readings, m.reading_times, m.quality FROM onemap.state_merge(
            d.readings, d.reading_times, d.quality, excluded.readings, excluded.reading_times, excluded.quality, latest) m),
        geom = CASE WHEN d.geom_at IS NULL OR d.geom_at > latest OR excluded.geom_at >= d.geom_at
            THEN coalesce(excluded.geom, d.geom) ELSE d.geom END,
        geom_at = CASE WHEN d.geom_at IS NULL OR d.geom_at > latest OR excluded.geom_at >= d.geom_at
            THEN coalesce(excluded.geom_at, CASE WHEN d.geom_at > latest THEN latest ELSE d.geom_at END) ELSE d.geom_at END;
    GET DIAGNOSTICS merged = ROW_COUNT;
    DELETE FROM onemap.batch_unstated u WHERE u.id = ANY (batches);
    TRUNCATE pg_temp.device_state_stage;
    RETURN merged;
END $$;
COMMENT ON FUNCTION onemap.device_state_merge(uuid[], interval) IS
    'Merges the session''s device_state_stage into device_state, which has all of these batches then; ahead: how far a record may '
    'be ahead of the clock, NULL: as far as any hub took one';
GRANT EXECUTE ON FUNCTION onemap.device_state_merge(uuid[], interval), onemap.later_of(timestamptz, timestamptz, timestamptz),
    onemap.state_merge(float8[], timestamptz[], bigint, float8[], timestamptz[], bigint, timestamptz) TO cityhub_hub;

CREATE OR REPLACE FUNCTION onemap.batch_logged() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO onemap.batch_unstated (id) VALUES (NEW.id);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION onemap.batch_logged() IS 'Trigger: device_state does not have a new batch yet';
CREATE OR REPLACE TRIGGER batch_logged AFTER INSERT ON onemap.batch_log
    FOR EACH ROW EXECUTE FUNCTION onemap.batch_logged();

-- Stages what the hour's records of these batches say. Literals beside the parameter, so that the planner sees how few rows they
-- are and takes the BRIN index on received_at.
CREATE OR REPLACE FUNCTION onemap.device_state_stage_hour(hour_start timestamptz, stamps timestamptz[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
DECLARE first_stamp timestamptz; last_stamp timestamptz;
BEGIN
    SELECT min(s), max(s) INTO first_stamp, last_stamp FROM unnest(stamps) s;
    EXECUTE format($q$
    WITH chosen AS MATERIALIZED (
        SELECT o.device_id, o.observed_at, o.received_at, o.readings, coalesce(o.quality, 0) AS quality
        FROM onemap.observation_received(%1$L, %2$L, %3$L, %4$L) o WHERE o.received_at = ANY ($1)),
    latest AS (
        SELECT DISTINCT ON (c.device_id, r.ordinal) c.device_id, r.ordinal, r.value, c.observed_at,
               c.quality & (1::bigint << (r.ordinal::int - 1)) AS flag
        FROM chosen c, unnest(c.readings) WITH ORDINALITY r(value, ordinal)
        ORDER BY c.device_id, r.ordinal, r.value IS NULL, c.observed_at DESC),
    arrays AS (
        SELECT l.device_id, array_agg(l.value ORDER BY l.ordinal) AS readings, bit_or(l.flag) AS quality,
               array_agg(CASE WHEN l.value IS NOT NULL THEN l.observed_at END ORDER BY l.ordinal) AS reading_times
        FROM latest l GROUP BY l.device_id)
    INSERT INTO pg_temp.device_state_stage AS s (device_id, observed_at, last_seen_at, readings, reading_times, quality)
    SELECT t.device_id, t.observed_at, t.last_seen_at, coalesce(a.readings, '{}'), coalesce(a.reading_times, '{}'),
           nullif(a.quality, 0)
    FROM (SELECT c.device_id, max(c.observed_at) AS observed_at, max(c.received_at) AS last_seen_at
          FROM chosen c GROUP BY c.device_id) t
    LEFT JOIN arrays a USING (device_id)
    ON CONFLICT (device_id) DO UPDATE SET
        observed_at = greatest(s.observed_at, excluded.observed_at),
        last_seen_at = greatest(s.last_seen_at, excluded.last_seen_at),
        (readings, reading_times, quality) = (SELECT m.readings, m.reading_times, m.quality FROM onemap.state_merge(
            s.readings, s.reading_times, s.quality, excluded.readings, excluded.reading_times, excluded.quality) m)
    $q$, hour_start, hour_start + interval '1 hour', first_stamp, last_stamp) USING stamps;
    -- Hours come in their order, so that the last one with a place wins.
    EXECUTE format($q$
    INSERT INTO pg_temp.device_state_stage AS s (device_id, observed_at, last_seen_at, readings, reading_times, geom, geom_at)
    SELECT DISTINCT ON (p.device_id) p.device_id, p.observed_at, max(p.received_at) OVER (PARTITION BY p.device_id),
           '{}'::float8[], '{}'::timestamptz[], p.geom, p.observed_at
    FROM onemap.track_point_received(%1$L, %2$L, %3$L, %4$L) p WHERE p.received_at = ANY ($1) AND p.geom IS NOT NULL
    ORDER BY p.device_id, p.observed_at DESC
    ON CONFLICT (device_id) DO UPDATE SET
        observed_at = greatest(s.observed_at, excluded.observed_at),
        last_seen_at = greatest(s.last_seen_at, excluded.last_seen_at),
        geom = excluded.geom, geom_at = excluded.geom_at
    $q$, hour_start, hour_start + interval '1 hour', first_stamp, last_stamp) USING stamps;
END $$;
COMMENT ON FUNCTION onemap.device_state_stage_hour(timestamptz, timestamptz[]) IS
    'Brings the records and places of one hour that came with the batches of these stamps into the session''s device_state_stage';
GRANT EXECUTE ON FUNCTION onemap.device_state_stage_hour(timestamptz, timestamptz[]) TO cityhub_hub;

CREATE OR REPLACE FUNCTION onemap.device_state_clock() RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    UPDATE onemap.device_state s SET last_seen_at = now() WHERE s.online AND s.last_seen_at > now()
$$;
COMMENT ON FUNCTION onemap.device_state_clock() IS
    'Nothing was seen in the future: what a clock that was ahead has written is put right, or the device would be missed as much '
    'later';

CREATE OR REPLACE FUNCTION onemap.device_state_catch_up() RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE hour_start timestamptz; ids uuid[]; stamps timestamptz[];
BEGIN
    PERFORM onemap.stage_create();
    PERFORM onemap.device_state_clock();
    TRUNCATE pg_temp.device_state_stage;
    SELECT array_agg(b.id), array_agg(b.received_at) INTO ids, stamps
    FROM onemap.batch_unstated u JOIN onemap.batch_log b ON b.id = u.id;
    FOR hour_start IN SELECT DISTINCT h FROM onemap.batch_log b, unnest(b.hours) h WHERE b.id = ANY (ids) ORDER BY h LOOP
        PERFORM onemap.device_state_stage_hour(hour_start, stamps);
    END LOOP;
    RETURN onemap.device_state_merge(coalesce(ids, '{}'));
END $$;
COMMENT ON FUNCTION onemap.device_state_catch_up() IS
    'At start: brings into device_state what the batches say that were committed and not stated yet';
GRANT EXECUTE ON FUNCTION onemap.device_state_catch_up(), onemap.device_state_clock() TO cityhub_hub;
