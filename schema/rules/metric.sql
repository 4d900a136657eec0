-- The catalogue of metrics and device kinds, written from the adapters' tables of the build, and the named view of each
-- subsystem. An ordinal never changes its meaning.

CREATE OR REPLACE FUNCTION onemap.catalogue_drift(catalogue jsonb) RETURNS SETOF text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('%s: ordinal %s means %s in the database, %s in this build', m.subsystem, m.ordinal, m.key, c.key)
    FROM jsonb_to_recordset(catalogue->'metrics') AS c(subsystem text, ordinal int, key text, unit text, kind text)
    JOIN onemap.metric m ON m.subsystem = c.subsystem AND m.ordinal = c.ordinal
    WHERE (m.key, m.unit, m.kind) IS DISTINCT FROM (c.key, c.unit, c.kind)
    UNION ALL
    SELECT format('%s: metric %s (ordinal %s) is in the database and not in this build', m.subsystem, m.key, m.ordinal)
    FROM onemap.metric m
    WHERE NOT EXISTS (SELECT FROM jsonb_to_recordset(catalogue->'metrics') AS c(subsystem text, ordinal int)
                      WHERE c.subsystem = m.subsystem AND c.ordinal = m.ordinal)
$$;
COMMENT ON FUNCTION onemap.catalogue_drift(jsonb) IS
    'What a build''s catalogue {metrics: [{subsystem, ordinal, key, unit, kind}]} contradicts of the stored one; no rows = fits';
GRANT EXECUTE ON FUNCTION onemap.catalogue_drift(jsonb) TO cityhub_hub;

CREATE OR REPLACE FUNCTION onemap.catalogue_missing(catalogue jsonb) RETURNS SETOF text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('%s: metric %s (ordinal %s) is in this build and not in the database', c.subsystem, c.key, c.ordinal)
    FROM jsonb_to_recordset(catalogue->'metrics') AS c(subsystem text, ordinal int, key text)
    WHERE NOT EXISTS (SELECT FROM onemap.metric m WHERE m.subsystem = c.subsystem AND m.ordinal = c.ordinal)
    UNION ALL
    SELECT format('%s: device kind %s is in this build and not in the database', c.subsystem, c.key)
    FROM jsonb_to_recordset(catalogue->'kinds') AS c(subsystem text, key text)
    WHERE NOT EXISTS (SELECT FROM onemap.device_kind k WHERE k.subsystem = c.subsystem AND k.key = c.key)
$$;
COMMENT ON FUNCTION onemap.catalogue_missing(jsonb) IS
    'What a build brings that the database does not have yet (cityhub migrate adds it)';
GRANT EXECUTE ON FUNCTION onemap.catalogue_missing(jsonb) TO cityhub_hub;

CREATE OR REPLACE FUNCTION onemap.catalogue_sync(catalogue jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE problem text; s record;
BEGIN
    SELECT string_agg(d, '; ') INTO problem FROM onemap.catalogue_drift(catalogue) d;
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION 'the catalogue of metrics does not fit: %', problem
            USING HINT = 'An ordinal keeps its meaning for ever: give new metrics new ordinals, keep old ones.';
    END IF;
    INSERT INTO onemap.metric (subsystem, ordinal, key, name_zh, unit, kind, min_value, max_value, rollover)
    SELECT c.subsystem, c.ordinal, c.key, c.name_zh, c.unit, c.kind, c.min_value, c.max_value, c.rollover
    FROM jsonb_to_recordset(catalogue->'metrics')
        AS c(subsystem text, ordinal int, key text, name_zh text, unit text, kind text,
             min_value float8, max_value float8, rollover float8)
    ON CONFLICT (subsystem, ordinal) DO UPDATE SET name_zh = excluded.name_zh, min_value = excluded.min_value,
        max_value = excluded.max_value, rollover = excluded.rollover;
    INSERT INTO onemap.device_kind (subsystem, key, name_zh, mobile, offline_after)
    SELECT c.subsystem, c.key, c.name_zh, c.mobile, make_interval(secs => c.offline_after_s)
    FROM jsonb_to_recordset(catalogue->'kinds')
        AS c(subsystem text, key text, name_zh text, mobile boolean, offline_after_s int)
    ON CONFLICT (subsystem, key) DO UPDATE SET name_zh = excluded.name_zh, mobile = excluded.mobile,
        offline_after = excluded.offline_after;
    FOR s IN SELECT DISTINCT m.subsystem FROM onemap.metric m LOOP
        PERFORM onemap.subsystem_view_create(s.subsystem);
    END LOOP;
END $$;
COMMENT ON FUNCTION onemap.catalogue_sync(jsonb) IS
    'Stores the build''s catalogue and makes the named view of each subsystem anew; refuses an ordinal that changed its meaning';

-- How derived values name a metric. No SET on these two, so that the planner can inline them.
CREATE OR REPLACE FUNCTION onemap.metric_ordinal(subsystem text, key text) RETURNS int LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT m.ordinal FROM onemap.metric m WHERE m.subsystem = $1 AND m.key = $2
$$;
COMMENT ON FUNCTION onemap.metric_ordinal(text, text) IS 'Place of a metric in readings, NULL if the catalogue does not have it';
GRANT EXECUTE ON FUNCTION onemap.metric_ordinal(text, text) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.reading_good(readings float8[], quality bigint, ordinal int) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN quality IS NULL OR quality & (1::bigint << (ordinal - 1)) = 0 THEN readings[ordinal] END
$$;
COMMENT ON FUNCTION onemap.reading_good(float8[], bigint, int) IS
    'The reading, NULL if there is none or it is outside its physical range or the instrument''s';
GRANT EXECUTE ON FUNCTION onemap.reading_good(float8[], bigint, int) TO cityhub_hub, cityhub_api, cityhub_read;

-- A reading beyond the instrument's range is the worst moment of what a rule is for, if it is beyond on the rule's side. One that
-- is out on the other side says nothing: it must neither open nor close an alarm. A flagged one that is not below the metric's
-- range is above it, or above the instrument's as its sender says. What such a reading says is the least that is true: it proves
-- that a limit is passed, and never that it is not.
CREATE OR REPLACE FUNCTION onemap.reading_judged(readings float8[], quality bigint, m onemap.metric, comparison text) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN quality IS NULL OR quality & (1::bigint << ((m).ordinal - 1)) = 0
                  OR comparison = 'above' AND readings[(m).ordinal] >= (m).min_value
                  OR comparison = 'below' AND readings[(m).ordinal] < (m).min_value THEN readings[(m).ordinal] END
$$;
COMMENT ON FUNCTION onemap.reading_judged(float8[], bigint, onemap.metric, text) IS
    'The reading as a rule with this comparison (above, below) judges it: also one out of range on the rule''s side; NULL if there '
    'is none or it is out of range on the other side';
GRANT EXECUTE ON FUNCTION onemap.reading_judged(float8[], bigint, onemap.metric, text) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.reading_bounded(readings float8[], quality bigint, m onemap.metric, comparison text)
RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT greatest(least(onemap.reading_judged(readings, quality, m, comparison), (m).max_value), (m).min_value)
    WHERE onemap.reading_judged(readings, quality, m, comparison) IS NOT NULL
$$;
COMMENT ON FUNCTION onemap.reading_bounded(float8[], bigint, onemap.metric, text) IS
    'reading_judged() with the range''s end for what is beyond it: for means, in which nobody knows by how much it was beyond';
GRANT EXECUTE ON FUNCTION onemap.reading_bounded(float8[], bigint, onemap.metric, text) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.is_flagged(quality bigint, ordinal int) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT coalesce(quality & (1::bigint << (ordinal - 1)) <> 0, false) $$;
COMMENT ON FUNCTION onemap.is_flagged(bigint, int) IS
    'Whether the reading at an ordinal is outside its physical range, or beyond the instrument''s upper limit as its sender says';
GRANT EXECUTE ON FUNCTION onemap.is_flagged(bigint, int) TO cityhub_hub, cityhub_api, cityhub_read;

-- Means of a rolled-up hour: of the good readings, or, for a rule, with those beyond its side of the range at the range's end, or
-- at the least that the instrument was at its own end with.
CREATE OR REPLACE FUNCTION onemap.hourly_judged(h onemap.observation_hourly, m onemap.metric, comparison text) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (coalesce((h).sums[(m).ordinal], 0) + f.beyond * f.least)
           / nullif(coalesce((h).counts[(m).ordinal], 0) + f.beyond, 0)
    FROM (SELECT coalesce(CASE comparison WHEN 'above' THEN (h).flagged_above[(m).ordinal]
                                          WHEN 'below' THEN (h).flagged_below[(m).ordinal] END, 0) AS beyond,
                 CASE comparison WHEN 'above' THEN coalesce((h).above_least[(m).ordinal], (m).max_value)
                                 ELSE (m).min_value END AS least) f
$$;
COMMENT ON FUNCTION onemap.hourly_judged(onemap.observation_hourly, onemap.metric, text) IS
    'Mean of an hour as a rule with this comparison judges it: readings beyond the range on the rule''s side count as the range''s '
    'end, all of them as the least that one beyond its instrument''s upper limit says, if there is one; NULL without any';
GRANT EXECUTE ON FUNCTION onemap.hourly_judged(onemap.observation_hourly, onemap.metric, text)
    TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.hourly_flagged(h onemap.observation_hourly, ordinal int) RETURNS int
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce((h).flagged_above[ordinal], 0) + coalesce((h).flagged_below[ordinal], 0)
$$;
COMMENT ON FUNCTION onemap.hourly_flagged(onemap.observation_hourly, int) IS
    'Readings of an hour that were out of range and are not in its mean';
GRANT EXECUTE ON FUNCTION onemap.hourly_flagged(onemap.observation_hourly, int) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.flagged_keys(subsystem text, quality bigint) RETURNS text[]
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT array_agg(m.key ORDER BY m.ordinal) FROM onemap.metric m
    WHERE m.subsystem = $1 AND quality & (1::bigint << (m.ordinal - 1)) <> 0
$$;
COMMENT ON FUNCTION onemap.flagged_keys(text, bigint) IS
    'Keys of the metrics whose readings are out of range (also of the instrument''s), NULL = none';
GRANT EXECUTE ON FUNCTION onemap.flagged_keys(text, bigint) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.subsystem_view_create(subsystem text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE columns text; rows text;
BEGIN
    SELECT string_agg(CASE WHEN m.kind = 'text' THEN format('o.attributes->>%L AS %I', m.key, m.key)
                           ELSE format('o.readings[%s] AS %I', m.ordinal, m.key) END, ', ' ORDER BY m.ordinal)
    INTO columns FROM onemap.metric m WHERE m.subsystem = $1;
    rows := format('SELECT d.code AS device_code, o.observed_at, d.vendor, d.kind AS device_kind, o.device_id, o.received_at,
        o.quality, CASE WHEN o.quality IS NOT NULL THEN onemap.flagged_keys(%L, o.quality) END AS flagged, %s
        FROM onemap.device d CROSS JOIN LATERAL onemap.observation_of(d.id, %%s, %%s) o
        WHERE d.subsystem = %L', $1, columns, $1);
    -- New metrics come after the columns that are there, which is what CREATE OR REPLACE VIEW asks for.
    EXECUTE format('CREATE OR REPLACE VIEW onemap.%I AS ', $1) || format(rows, quote_literal('-infinity'),
        quote_literal('infinity'));
    EXECUTE format('COMMENT ON VIEW onemap.%I IS %L', $1,
        (SELECT s.name_zh FROM onemap.subsystem s WHERE s.key = $1)
            || ': one named column per metric; flagged: the metrics whose readings are out of their range. Give a device; for a '
            || 'time use ' || $1 || '_between()');
    EXECUTE format('GRANT SELECT ON onemap.%I TO cityhub_read, cityhub_hub', $1);
    EXECUTE format('CREATE OR REPLACE FUNCTION onemap.%I(from_at timestamptz, to_at timestamptz) RETURNS SETOF onemap.%I
        LANGUAGE sql STABLE PARALLEL SAFE AS %L', $1 || '_between', $1, format(rows, 'from_at', 'to_at'));
    EXECUTE format('COMMENT ON FUNCTION onemap.%I(timestamptz, timestamptz) IS %L', $1 || '_between',
        'Rows of onemap.' || $1 || ' from from_at to before to_at; looks only into the days that the time touches');
    EXECUTE format('GRANT EXECUTE ON FUNCTION onemap.%I(timestamptz, timestamptz) TO cityhub_read, cityhub_hub',
        $1 || '_between');
END $$;
COMMENT ON FUNCTION onemap.subsystem_view_create(text) IS
    'Makes the view of a subsystem with a named column per metric, and the function that gives its rows of a time';
