-- Consumption from counters (roll-over, meter replacement), which several subsystems share. What belongs to one subsystem alone
-- lives in adapters/<subsystem>/<subsystem>.sql.

-- A meter that counts over its end falls by nearly its whole range; one that was replaced falls by any amount; a fault of
-- communication gives a reading too low (mostly 0) and then the old one again. No counter turns by more than a twentieth
-- of its range between two readings (assumed), which tells the first two apart.
CREATE OR REPLACE FUNCTION onemap.counter_steps(readings float8[], rollover float8) RETURNS TABLE (n int, step float8, event text)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    reading float8; base float8; turn float8 := rollover / 20;
    fallen_from float8; fallen_to float8;  -- of the last fall that was no roll-over
BEGIN
    n := 0;
    FOREACH reading IN ARRAY coalesce(readings, '{}') LOOP
        n := n + 1; step := 0; event := NULL;
        IF reading IS NULL THEN
            CONTINUE;
        ELSIF base IS NULL THEN
            NULL;
        ELSIF base < fallen_from AND reading >= fallen_from AND reading - base > (fallen_from - fallen_to) / 2 THEN
            step := reading - fallen_from; event := 'returned'; fallen_from := NULL;
        ELSIF reading - base >= rollover - turn THEN
            step := reading - base - rollover; event := 'turned_back';
        ELSIF reading >= base THEN
            step := reading - base;
        ELSIF rollover - base + reading <= turn THEN
            step := rollover - base + reading; event := 'rollover'; fallen_from := NULL;
        ELSE
            event := 'replaced'; fallen_to := reading;
            IF fallen_from IS NULL OR base >= fallen_from THEN
                fallen_from := base;
            END IF;
        END IF;
        base := reading;
        RETURN NEXT;
    END LOOP;
END $$;
COMMENT ON FUNCTION onemap.counter_steps(float8[], float8) IS
    'What each reading of a counter adds to consumption, in the order of time. A fall over the roll-over value (by at most a '
    'twentieth of it: assumed) goes on counting (rollover; turned_back if the next reading undoes it); any other fall is a new '
    'meter (replaced): nothing is added, counting goes on from its reading; a jump back to the old meter''s reading (returned) '
    'means that the readings between were false';
GRANT EXECUTE ON FUNCTION onemap.counter_steps(float8[], float8) TO cityhub_hub, cityhub_api, cityhub_read;

-- A rolled-up hour tells its counter's course by four readings: first, greatest, smallest, last; without a fall the middle
-- two are the last and the first. Hours that have no rollup (not yet), that a batch still has to be counted into, or of
-- which only a part is asked for are read record by record.
-- plpgsql keeps the plan, which over many partitions takes longer to make than to run; no plan reads whole partitions.
CREATE OR REPLACE FUNCTION onemap.counter_readings(device int, metric_ordinal int, from_at timestamptz, to_at timestamptz)
RETURNS TABLE (at timestamptz, seq int, reading float8)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog,
    pg_temp SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
BEGIN
    RETURN QUERY
    WITH hours AS MATERIALIZED (
        SELECT g.hour, greatest(g.hour, from_at) AS begins, least(g.hour + interval '1 hour', to_at) AS ends
        FROM generate_series(date_trunc('hour', from_at, 'UTC'), to_at, interval '1 hour') AS g(hour) WHERE g.hour < to_at),
    rolled AS MATERIALIZED (
        SELECT x.hour, h.firsts[metric_ordinal] AS a, h.maxima[metric_ordinal] AS b, h.minima[metric_ordinal] AS c,
               h.lasts[metric_ordinal] AS d
        FROM hours x JOIN onemap.observation_hourly h ON h.device_id = device AND h.hour = x.hour
        WHERE x.begins = x.hour AND x.ends = x.hour + interval '1 hour'
            AND NOT EXISTS (SELECT FROM onemap.batch_log b WHERE b.rolled_up_at IS NULL AND x.hour = ANY (b.hours))
            AND NOT EXISTS (SELECT FROM onemap.rollup_recompute c WHERE c.device_id = device AND c.hour = x.hour)),
    others AS MATERIALIZED (SELECT x.begins, x.ends FROM hours x WHERE NOT EXISTS (SELECT FROM rolled r WHERE r.hour = x.hour))
    SELECT r.hour, p.seq, p.reading
    FROM rolled r, LATERAL (VALUES (1, r.a), (2, CASE WHEN r.b > r.d OR r.c < r.a THEN r.b END),
                                   (3, CASE WHEN r.b > r.d OR r.c < r.a THEN r.c END), (4, r.d)) AS p(seq, reading)
    WHERE p.reading IS NOT NULL
    UNION ALL
    SELECT o.observed_at, 0, o.good
    FROM others x CROSS JOIN LATERAL (
        SELECT q.observed_at, onemap.reading_good(q.readings, q.quality, metric_ordinal) AS good
        FROM onemap.observation_of(device, x.begins, x.ends) q) o
    WHERE o.good IS NOT NULL;
END $$;
COMMENT ON FUNCTION onemap.counter_readings(int, int, timestamptz, timestamptz) IS
    'Good readings of one counter from from_at to before to_at, to be ordered by at, seq: of whole rolled-up hours those that '
    'tell its course, of others all';
GRANT EXECUTE ON FUNCTION onemap.counter_readings(int, int, timestamptz, timestamptz) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.counter_reading_before(device int, metric_ordinal int, at timestamptz) RETURNS float8
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE known float8; known_to timestamptz; newer float8;
BEGIN
    SELECT h.lasts[metric_ordinal], h.hour + interval '1 hour' INTO known, known_to FROM onemap.observation_hourly h
    WHERE h.device_id = device AND h.hour <= at - interval '1 hour' AND h.lasts[metric_ordinal] IS NOT NULL
    ORDER BY h.hour DESC LIMIT 1;
    IF known_to = at THEN
        RETURN known;
    END IF;
    SELECT onemap.reading_good(o.readings, o.quality, metric_ordinal) INTO newer
    FROM onemap.observation_of(device, greatest(known_to, at - interval '40 days'), at) o
    WHERE onemap.reading_good(o.readings, o.quality, metric_ordinal) IS NOT NULL
    ORDER BY o.observed_at DESC LIMIT 1;
    RETURN coalesce(newer, known);
END $$;
COMMENT ON FUNCTION onemap.counter_reading_before(int, int, timestamptz) IS
    'Last good reading of a counter before a moment: of the rolled-up hours, or of a record after them and at most 40 days old; '
    'NULL = there was none';
GRANT EXECUTE ON FUNCTION onemap.counter_reading_before(int, int, timestamptz) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.counter_consumption(device int, metric_ordinal int, from_at timestamptz, to_at timestamptz,
    OUT consumption float8, OUT readings int, OUT first_reading float8, OUT last_reading float8,
    OUT rollovers int, OUT replacements int)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
    -- The day before is run through too, so that a fault that began in it is known for what it is.
    WITH course AS MATERIALIZED (
        SELECT array_agg(c.at ORDER BY c.at, c.seq) AS times, array_agg(c.reading ORDER BY c.at, c.seq) AS readings
        FROM (SELECT '-infinity'::timestamptz AS at, 0 AS seq,
                     onemap.counter_reading_before(device, metric_ordinal, from_at - interval '1 day') AS reading
              UNION ALL
              SELECT r.at, r.seq, r.reading
              FROM onemap.counter_readings(device, metric_ordinal, from_at - interval '1 day', from_at) r
              UNION ALL
              SELECT r.at, r.seq, r.reading FROM onemap.counter_readings(device, metric_ordinal, from_at, to_at) r) c
        WHERE c.reading IS NOT NULL),
    steps AS (
        SELECT s.n, s.step, s.event, c.readings[s.n] AS reading
        FROM course c, LATERAL onemap.counter_steps(c.readings, (
            SELECT m.rollover FROM onemap.metric m JOIN onemap.device d ON d.subsystem = m.subsystem
            WHERE d.id = device AND m.ordinal = metric_ordinal)) s
        WHERE c.times[s.n] >= from_at)
    SELECT sum(s.step), count(*)::int, (array_agg(s.reading ORDER BY s.n))[1], (array_agg(s.reading ORDER BY s.n DESC))[1],
           (count(*) FILTER (WHERE s.event = 'rollover') - count(*) FILTER (WHERE s.event = 'turned_back'))::int,
           greatest(count(*) FILTER (WHERE s.event = 'replaced') - count(*) FILTER (WHERE s.event = 'returned'), 0)::int
    FROM steps s
$$;
COMMENT ON FUNCTION onemap.counter_consumption(int, int, timestamptz, timestamptz) IS
    'Consumption by a device''s counter from from_at to before to_at: what its readings in that time add (counter_steps), the '
    'first one against the last before it, so that successive periods add up; NULL without a reading in it. readings: looked at';
GRANT EXECUTE ON FUNCTION onemap.counter_consumption(int, int, timestamptz, timestamptz) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.counter_consumption(device int, metric_key text, from_at timestamptz,
    to_at timestamptz) RETURNS float8
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT c.consumption
    FROM onemap.device d JOIN onemap.metric m ON m.subsystem = d.subsystem AND m.key = metric_key AND m.kind = 'counter',
         LATERAL onemap.counter_consumption(d.id, m.ordinal, from_at, to_at) c
    WHERE d.id = device
$$;
COMMENT ON FUNCTION onemap.counter_consumption(int, text, timestamptz, timestamptz) IS
    'counter_consumption() by the key of the metric; NULL if the device''s subsystem has no such counter';
GRANT EXECUTE ON FUNCTION onemap.counter_consumption(int, text, timestamptz, timestamptz) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.counter_daily(subsystem text, metric_key text, day date)
RETURNS TABLE (device_id int, consumption float8, readings int, first_reading float8, last_reading float8, rollovers int,
    replacements int)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT d.id, c.consumption, c.readings, c.first_reading, c.last_reading, c.rollovers, c.replacements
    FROM onemap.metric m
    JOIN onemap.device d ON d.subsystem = m.subsystem
    JOIN onemap.device_state s ON s.device_id = d.id AND s.readings[m.ordinal] IS NOT NULL
    CROSS JOIN LATERAL onemap.counter_consumption(d.id, m.ordinal, onemap.local_midnight(day), onemap.local_midnight(day + 1)) c
    WHERE m.subsystem = $1 AND m.key = $2 AND m.kind = 'counter' AND c.readings > 0
$$;
COMMENT ON FUNCTION onemap.counter_daily(text, text, date) IS
    'Consumption of a local day by one counter (gas, water, heat, energy, mileage ...) of each device of a subsystem that has '
    'read it';
GRANT EXECUTE ON FUNCTION onemap.counter_daily(text, text, date) TO cityhub_hub, cityhub_api, cityhub_read;
