-- What can be true of a reading and of a place: codes that stand for "no value" (无值代码), and the county's extent. The hub keeps
-- both in memory, judges records by them as they come, and hears of changes.

CREATE OR REPLACE FUNCTION onemap.plausible_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_catalog.pg_notify('cityhub_rules', '');
    RETURN NULL;
END $$;
COMMENT ON FUNCTION onemap.plausible_notify() IS
    'Trigger: tells the running hub that codes, settings or grid cells changed (channel cityhub_rules)';
CREATE OR REPLACE TRIGGER no_value_code_notify AFTER INSERT OR UPDATE OR DELETE ON onemap.no_value_code
    FOR EACH STATEMENT EXECUTE FUNCTION onemap.plausible_notify();
CREATE OR REPLACE TRIGGER setting_notify AFTER INSERT OR UPDATE OR DELETE ON onemap.setting
    FOR EACH STATEMENT EXECUTE FUNCTION onemap.plausible_notify();
CREATE OR REPLACE TRIGGER grid_cell_notify AFTER INSERT OR UPDATE OR DELETE ON onemap.grid_cell
    FOR EACH STATEMENT EXECUTE FUNCTION onemap.plausible_notify();

-- ---- codes ----

-- What is shipped: nines with a sign, the ends of 16 and 32 bits, those divided by 10 and 100. 999 is not among them: a sensor
-- that is driven far beyond its range may well say 999, and that must raise its alarm.
INSERT INTO onemap.no_value_code (value, note)
SELECT v.value, v.note FROM (VALUES
    (-99, '负的 9'), (-99.9, '负的 9'), (-999, '负的 9'), (-999.9, '负的 9'), (-9999, '负的 9'), (-9999.9, '负的 9'),
    (-99999, '负的 9'),
    (9999, '9'), (9999.9, '9'), (99999, '9'), (99999.9, '9'), (999999, '9'), (9999999, '9'),
    (32767, '16 位有符号的最大值'), (-32768, '16 位有符号的最小值'), (65535, '16 位无符号的最大值'),
    (3276.7, '16 位，十分之一'), (-3276.8, '16 位，十分之一'), (6553.5, '16 位，十分之一'),
    (327.67, '16 位，百分之一'), (-327.68, '16 位，百分之一'), (655.35, '16 位，百分之一'),
    (2147483647, '32 位有符号的最大值'), (-2147483648, '32 位有符号的最小值'), (4294967295, '32 位无符号的最大值')
) AS v(value, note)
ON CONFLICT ON CONSTRAINT no_value_code_subsystem_vendor_metric_value_key DO UPDATE SET note = excluded.note
WHERE NOT no_value_code.edited AND no_value_code.note <> excluded.note;

CREATE OR REPLACE VIEW onemap.no_value_code_overview AS
    SELECT c.subsystem, c.vendor, m.ordinal, c.metric, c.value, c.in_range, c.enabled, c.edited, c.note,
           (c.metric IS NOT NULL)::int * 4 + (c.vendor IS NOT NULL)::int * 2 + (c.subsystem IS NOT NULL)::int AS speciality
    FROM onemap.no_value_code c LEFT JOIN onemap.metric m ON m.subsystem = c.subsystem AND m.key = c.metric;
GRANT SELECT ON onemap.no_value_code_overview TO cityhub_hub, cityhub_read;
COMMENT ON VIEW onemap.no_value_code_overview IS
    'The codes with the ordinal of their metric; of two that fit a reading the one of the greater speciality decides';

CREATE OR REPLACE FUNCTION onemap.no_value_set(value float8, settings jsonb DEFAULT '{}') RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known text[] := ARRAY['subsystem', 'vendor', 'metric', 'in_range', 'enabled', 'note'];
    stray text; bounds onemap.metric;
BEGIN
    SELECT k INTO stray FROM jsonb_object_keys(settings) k WHERE k <> ALL (known) LIMIT 1;
    IF stray IS NOT NULL THEN
        RAISE EXCEPTION 'unknown setting "%" of a code', stray USING HINT = 'Known: ' || array_to_string(known, ', ');
    ELSIF value IS NULL OR value = 'NaN' OR abs(value) = 'Infinity' THEN
        RAISE EXCEPTION 'a code is a finite number';
    ELSIF settings ? 'metric' THEN
        SELECT * INTO bounds FROM onemap.metric m WHERE m.subsystem = settings->>'subsystem' AND m.key = settings->>'metric';
        IF NOT FOUND OR bounds.kind = 'text' THEN
            RAISE EXCEPTION 'there is no metric "%" with numbers in subsystem "%"', settings->>'metric', settings->>'subsystem';
        ELSIF value BETWEEN bounds.min_value AND bounds.max_value AND NOT coalesce((settings->>'in_range')::boolean, false)
            AND coalesce((settings->>'enabled')::boolean, true) THEN
            RAISE EXCEPTION '% is a possible reading of % (% to % %)', value, bounds.key, bounds.min_value, bounds.max_value,
                bounds.unit
                USING HINT = 'Give in_range: true if no real reading can be exactly this.';
        END IF;
    ELSIF (settings->>'in_range')::boolean THEN
        RAISE EXCEPTION 'in_range needs "subsystem" and "metric": within a range a code is one of a single metric';
    END IF;
    INSERT INTO onemap.no_value_code AS c (subsystem, vendor, metric, value, in_range, enabled, edited, note)
    VALUES (settings->>'subsystem', settings->>'vendor', settings->>'metric', $1, coalesce((settings->>'in_range')::boolean, false),
            coalesce((settings->>'enabled')::boolean, true), true, coalesce(settings->>'note', ''))
    ON CONFLICT ON CONSTRAINT no_value_code_subsystem_vendor_metric_value_key DO UPDATE SET
        in_range = CASE WHEN settings ? 'in_range' THEN excluded.in_range ELSE c.in_range END,
        enabled = CASE WHEN settings ? 'enabled' THEN excluded.enabled ELSE c.enabled END,
        note = CASE WHEN settings ? 'note' THEN excluded.note ELSE c.note END, edited = true;
    PERFORM onemap.audit('no_value_set', jsonb_build_object('value', $1, 'settings', settings));
END $$;
COMMENT ON FUNCTION onemap.no_value_set(float8, jsonb) IS
    'The county''s word on a number that stands for "no value" (无值代码): {subsystem, vendor, metric: where, none = everywhere; '
    'in_range: also within the metric''s range; enabled: false = it is a reading there; note}. Audited, in force at once';
GRANT EXECUTE ON FUNCTION onemap.no_value_set(float8, jsonb) TO cityhub_hub, cityhub_api;

-- ---- the county's extent ----

INSERT INTO onemap.setting (key, value, comment_zh) VALUES
    ('county_margin_km', '10', '县域外扩距离（千米）：由单元网格推算县域范围时用；place_extent_set() 修改')
ON CONFLICT (key) DO UPDATE SET comment_zh = excluded.comment_zh;

-- Without cells and setting: the rectangle that all of China lies in.
CREATE OR REPLACE FUNCTION onemap.county_extent(OUT min_lon float8, OUT min_lat float8, OUT max_lon float8, OUT max_lat float8,
    OUT source text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    box float8[] := string_to_array(onemap.setting('county_extent'), ' ')::float8[];
    -- A degree of latitude has 111 km, one of longitude less by the cosine of the latitude.
    margin float8 := onemap.setting('county_margin_km')::float8 / 111;
BEGIN
    source := 'setting';
    IF box IS NULL THEN
        SELECT ARRAY[min(public.ST_XMin(c.geom)), min(public.ST_YMin(c.geom)), max(public.ST_XMax(c.geom)),
            max(public.ST_YMax(c.geom))] INTO box FROM onemap.grid_cell c;
        source := 'grid cells';
        IF box[1] IS NULL THEN
            box := '{73,3,136,54}';
            source := 'China';
        ELSE
            box := ARRAY[box[1] - margin / cos(radians(box[4])), box[2] - margin, box[3] + margin / cos(radians(box[4])),
                box[4] + margin];
        END IF;
    END IF;
    min_lon := box[1]; min_lat := box[2]; max_lon := box[3]; max_lat := box[4];
END $$;
COMMENT ON FUNCTION onemap.county_extent() IS
    'The rectangle (WGS 84 degrees) in which places are the county''s: the setting county_extent, else the grid cells'' with '
    'county_margin_km around it, else China''s; source: which of them';
GRANT EXECUTE ON FUNCTION onemap.county_extent() TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.place_extent_set(settings jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    box float8[]; margin float8 := (settings->>'margin_km')::float8;
    sides text[] := ARRAY['min_lon', 'min_lat', 'max_lon', 'max_lat'];
BEGIN
    IF settings - (sides || '{margin_km,from_grid_cells}'::text[]) <> '{}' THEN
        RAISE EXCEPTION 'an extent is min_lon, min_lat, max_lon, max_lat, or from_grid_cells, and margin_km: not %', settings;
    ELSIF settings ?| sides THEN
        box := ARRAY(SELECT (settings->>s.side)::float8 FROM unnest(sides) WITH ORDINALITY s(side, place) ORDER BY s.place);
        IF NOT settings ?& sides OR NOT (box[1] BETWEEN -180 AND 180 AND box[3] BETWEEN -180 AND 180 AND box[1] < box[3]
            AND box[2] BETWEEN -90 AND 90 AND box[4] BETWEEN -90 AND 90 AND box[2] < box[4]) THEN
            RAISE EXCEPTION 'an extent has min_lon below max_lon and min_lat below max_lat, in degrees: not %', settings;
        END IF;
        INSERT INTO onemap.setting AS s (key, value, comment_zh)
        VALUES ('county_extent', array_to_string(box, ' '), '县域范围：最小经度 最小纬度 最大经度 最大纬度（WGS 84，度）')
        ON CONFLICT (key) DO UPDATE SET value = excluded.value;
    ELSIF (settings->>'from_grid_cells')::boolean THEN
        DELETE FROM onemap.setting s WHERE s.key = 'county_extent';
    END IF;
    IF margin NOT BETWEEN 0 AND 500 THEN
        RAISE EXCEPTION 'margin_km is 0 to 500, not %', margin;
    ELSIF margin IS NOT NULL THEN
        UPDATE onemap.setting s SET value = margin::text WHERE s.key = 'county_margin_km';
    END IF;
    PERFORM onemap.audit('place_extent_set', settings);
    RETURN (SELECT to_jsonb(e) FROM onemap.county_extent() e);
END $$;
COMMENT ON FUNCTION onemap.place_extent_set(jsonb) IS
    'Sets where the county''s places are: {min_lon, min_lat, max_lon, max_lat} in WGS 84 degrees, or {from_grid_cells: true}; and '
    'margin_km around the cells. Audited, in force at once; answers the extent';
GRANT EXECUTE ON FUNCTION onemap.place_extent_set(jsonb) TO cityhub_hub, cityhub_api;

CREATE OR REPLACE FUNCTION onemap.place_flaw(lon float8, lat float8) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE e record; spot public.geometry := public.ST_SetSRID(public.ST_MakePoint(lon, lat), 4326);
BEGIN
    IF spot IS NULL OR EXISTS (SELECT FROM onemap.grid_cell c WHERE public.ST_Covers(c.geom, spot))
        AND onemap.setting('county_extent') IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT * INTO e FROM onemap.county_extent();
    IF lon BETWEEN e.min_lon AND e.max_lon AND lat BETWEEN e.min_lat AND e.max_lat THEN
        RETURN NULL;
    END IF;
    RETURN format('lon %s, lat %s is outside the county (lon %s to %s, lat %s to %s)%s', lon, lat, round(e.min_lon::numeric, 2),
        round(e.max_lon::numeric, 2), round(e.min_lat::numeric, 2), round(e.max_lat::numeric, 2),
        CASE WHEN lon = 0 OR lat = 0 THEN '; one of the two is 0'
             WHEN lat BETWEEN e.min_lon AND e.max_lon AND lon BETWEEN e.min_lat AND e.max_lat THEN '; are lon and lat exchanged?'
             WHEN abs(lon) BETWEEN e.min_lon AND e.max_lon AND abs(lat) BETWEEN e.min_lat AND e.max_lat
                 THEN '; is its sign wrong?' ELSE '' END);
END $$;
COMMENT ON FUNCTION onemap.place_flaw(float8, float8) IS
    'Why a place (WGS 84) is none of the county''s, NULL if it is; the hub says the same of places in messages';
