-- Sweeps: what the hub calls periodically to judge what single records cannot show, and what sweeps of several adapters share.
-- Each sweep registers itself in onemap.sweep, in the file that makes it.

CREATE OR REPLACE FUNCTION onemap.sweep_run() RETURNS text[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE s record; problems text[] := '{}'::text[];
BEGIN
    FOR s IN SELECT w.function_name FROM onemap.sweep w ORDER BY w.function_name LOOP
        BEGIN
            EXECUTE format('SELECT onemap.%I()', s.function_name);
        EXCEPTION WHEN OTHERS THEN
            problems := problems || format('%s: %s', s.function_name, SQLERRM);
        END;
    END LOOP;
    RETURN problems;
END $$;
COMMENT ON FUNCTION onemap.sweep_run() IS
    'Runs all sweeps; one that fails does not hold up the others; returns what failed and why';
GRANT EXECUTE ON FUNCTION onemap.sweep_run() TO cityhub_hub;

-- A limit that counts only while a state of the same device holds, e.g. flow while the valve is shut. For sweeps of adapters.
CREATE OR REPLACE FUNCTION onemap.alarm_sustained_judge(subsystem text, rule_key text, state_metric text, state float8)
RETURNS TABLE (device_id int, lowest float8, last_at timestamptz, holds boolean, judged boolean, beyond boolean)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT d.id, min(w.value), max(w.observed_at), bool_and(w.value > r.threshold AND w.state = $4),
           max(w.observed_at) - min(w.observed_at) >= make_interval(secs => 0.75 * r.duration_s), bool_or(w.beyond)
    FROM onemap.alarm_rule r
    JOIN onemap.metric m ON m.subsystem = r.subsystem AND m.key = r.metric
    JOIN onemap.device d ON d.subsystem = r.subsystem AND (r.device_kind IS NULL OR d.kind = r.device_kind)
        AND d.status <> 'retired'
    CROSS JOIN LATERAL (
        SELECT o.observed_at, o.readings[onemap.metric_ordinal($1, $3)] AS state,
               onemap.reading_judged(o.readings, o.quality, m, 'above') AS value,
               onemap.is_flagged(o.quality, m.ordinal) AS beyond
        FROM onemap.observation_of(d.id, now() - make_interval(secs => r.duration_s), now() + interval '1 microsecond') o
        WHERE o.observed_at > now() - make_interval(secs => r.duration_s)) w
    WHERE r.subsystem = $1 AND r.key = $2 AND r.enabled AND w.value IS NOT NULL AND w.state IS NOT NULL
        AND (w.value > r.threshold OR NOT w.beyond)
    GROUP BY d.id, r.id
$$;
COMMENT ON FUNCTION onemap.alarm_sustained_judge(text, text, text, float8) IS
    'Devices of the rule''s kind (of any, if it names none) with records in its duration up to now: holds = in all of them the '
    'metric was above the limit and the state was this one; judged = they span at least three quarters of the duration; beyond = '
    'a reading was above the instrument''s range. Readings below it, and those above it that say no more than the '
    'limit, say nothing';

CREATE OR REPLACE FUNCTION onemap.alarm_sustained(subsystem text, rule_key text, state_metric text, state float8) RETURNS int
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(sum(onemap.alarm_settle(j.device_id, rule_key, CASE WHEN j.holds THEN nullif(j.judged, false) ELSE false END,
        j.last_at, j.lowest, jsonb_build_object('beyond', j.beyond))), 0)::int
    FROM onemap.alarm_sustained_judge(subsystem, rule_key, state_metric, state) j
$$;
COMMENT ON FUNCTION onemap.alarm_sustained(text, text, text, float8) IS
    'Raises a derived rule''s alarm on devices for which alarm_sustained_judge() holds, clears it on the others; returns the '
    'devices found';

CREATE OR REPLACE FUNCTION onemap.sweep_claim(name text, step interval, lateness interval, reach interval,
    OUT from_at timestamptz, OUT to_at timestamptz)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    to_at := date_bin(step, now() - lateness, timestamptz '2000-01-01 00:00:00+00');
    SELECT greatest(m.judged_to, to_at - reach) INTO from_at FROM onemap.sweep_mark m WHERE m.name = $1 FOR UPDATE;
    from_at := coalesce(from_at, to_at - step);
    INSERT INTO onemap.sweep_mark AS m (name, judged_to) VALUES ($1, to_at)
    ON CONFLICT ON CONSTRAINT sweep_mark_pkey DO UPDATE SET judged_to = greatest(m.judged_to, excluded.judged_to);
END $$;
COMMENT ON FUNCTION onemap.sweep_claim(text, interval, interval, interval) IS
    'Takes the periods of length step that ended at least lateness ago and that this sweep has not judged yet, reaching back no '
    'further than reach: from from_at to before to_at (none if they are equal). Undone with the transaction if the sweep fails';
