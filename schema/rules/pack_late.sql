-- What comes for a packed day. Its raw partition is made again, a trigger there refuses COPY as if the keys were there, and the
-- slow path (settle.sql) looks for them here first: a record is raw or packed, never both, whatever comes at whatever moment.

CREATE OR REPLACE FUNCTION onemap.packed_leaf(kind "char", day date) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE kind WHEN 'o' THEN 'observation_' ELSE 'track_point_' END || to_char(day, 'YYYYMMDD')
$$;
COMMENT ON FUNCTION onemap.packed_leaf("char", date) IS 'Name of the raw partition of a day: kind o = observations, t = places';

CREATE OR REPLACE FUNCTION onemap.packed_arrival() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF current_setting('onemap.settling', true) IS DISTINCT FROM 'on' THEN
        RAISE EXCEPTION 'records of % are packed: this one may be there already', TG_TABLE_NAME USING ERRCODE = 'unique_violation',
            HINT = 'Records of packed days come by the slow path (schema/rules/settle.sql).';
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION onemap.packed_arrival() IS
    'Trigger on a raw partition whose day is packed, or being packed or unpacked: a record that does not come by the slow path is '
    'refused as if its key were there';

CREATE OR REPLACE FUNCTION onemap.packed_watch(kind "char", day date) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE leaf text := onemap.packed_leaf(kind, day);
BEGIN
    IF EXISTS (SELECT FROM onemap.packed_day d WHERE d.kind = $1 AND d.day = $2 AND d.state <> 'raw')
        AND NOT EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = to_regclass('onemap.' || leaf) AND t.tgname = 'packed_arrival')
    THEN
        EXECUTE format('CREATE TRIGGER packed_arrival BEFORE INSERT ON onemap.%I FOR EACH ROW
            EXECUTE FUNCTION onemap.packed_arrival()', leaf);
    END IF;
END $$;
COMMENT ON FUNCTION onemap.packed_watch("char", date) IS
    'Puts packed_arrival on the raw partition if any of its day may be packed';

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
    RETURN EXISTS (SELECT FROM onemap.packed_day d WHERE d.kind = $1 AND d.day = ANY (days) AND d.state <> 'raw');
END $$;
COMMENT ON FUNCTION onemap.packed_hold("char", date[]) IS
    'Until the transaction ends nothing of these days is packed or unpacked; true if any of it may be packed. Fails with '
    'check_violation if one has no raw partition';
GRANT EXECUTE ON FUNCTION onemap.packed_hold("char", date[]) TO cityhub_hub;

CREATE OR REPLACE FUNCTION onemap.packed_newest() RETURNS date LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT (now() AT TIME ZONE 'UTC')::date - 2
$$;
COMMENT ON FUNCTION onemap.packed_newest() IS 'The last day that may be packed: those after it are written to all the time';
GRANT EXECUTE ON FUNCTION onemap.packed_newest() TO cityhub_hub, cityhub_read;

-- Of many keys of a device's day what lies between them is unpacked in one go, of few each alone.
CREATE OR REPLACE FUNCTION onemap.packed_windows(kind "char", devices int[], times timestamptz[])
RETURNS TABLE (device_id int, entry onemap.packed_record, from_at timestamptz, to_at timestamptz)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH keys AS MATERIALIZED (
        SELECT DISTINCT k.device, k.at, (k.at AT TIME ZONE 'UTC')::date AS day FROM unnest(devices, times) k(device, at)),
    groups AS MATERIALIZED (
        SELECT k.device, k.day, count(*) AS n, min(k.at) AS lo, max(k.at) AS hi FROM keys k GROUP BY 1, 2),
    found AS MATERIALIZED (
        SELECT g.*, p.entry, (p.entry).records * extract(epoch FROM g.hi - g.lo) / 86400 <= g.n * 20 AS dense
        FROM groups g CROSS JOIN LATERAL (
            SELECT p::onemap.packed_record AS entry FROM onemap.packed_record p
            WHERE p.device_id = g.device AND p.kind = $1 AND p.day = g.day OFFSET 0) p)
    SELECT f.device, f.entry, f.lo, f.hi + interval '1 microsecond' FROM found f WHERE f.dense
    UNION ALL
    SELECT f.device, f.entry, k.at, k.at + interval '1 microsecond'
    FROM found f JOIN keys k ON k.device = f.device AND k.day = f.day WHERE NOT f.dense
$$;
COMMENT ON FUNCTION onemap.packed_windows("char", int[], timestamptz[]) IS
    'The packed days of keys, each with the times (from_at to before to_at) in which they lie; no row for a key whose day is raw';
GRANT EXECUTE ON FUNCTION onemap.packed_windows("char", int[], timestamptz[]) TO cityhub_hub;

CREATE OR REPLACE FUNCTION onemap.packed_lock(kind "char", devices int[], times timestamptz[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM FROM onemap.packed_record p WHERE p.kind = $1 AND (p.device_id, p.day) IN (
        SELECT k.device, (k.at AT TIME ZONE 'UTC')::date FROM unnest(devices, times) k(device, at))
    ORDER BY p.device_id, p.day FOR UPDATE;
END $$;
COMMENT ON FUNCTION onemap.packed_lock("char", int[], timestamptz[]) IS
    'Until the transaction ends nobody else lifts records of these keys'' packed days';
GRANT EXECUTE ON FUNCTION onemap.packed_lock("char", int[], timestamptz[]) TO cityhub_hub;

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
    SELECT array_agg(s.device_id ORDER BY s.row_no), array_agg(s.observed_at ORDER BY s.row_no) INTO devices, times
    FROM pg_temp.observation_stage s;
    WITH packed AS MATERIALIZED (
        SELECT w.device_id, u.* FROM onemap.packed_windows('o', devices, times) w
        CROSS JOIN LATERAL onemap.observation_unpack(w.entry, w.from_at, w.to_at) u),
    judged AS MATERIALIZED (
        SELECT s.row_no, s.device_id, s.observed_at, bool_and(
            CASE WHEN onemap.stage_since(s.received_at, stamp) < p.received_at
                 THEN onemap.observation_late_fate(p.readings, p.attributes, s.readings, s.attributes) = 'duplicate'
                 ELSE s.readings = p.readings AND s.quality IS NOT DISTINCT FROM p.quality
                         AND s.attributes IS NOT DISTINCT FROM p.attributes
                     OR onemap.observation_fate(p.readings, p.quality, p.attributes, s.readings, s.quality, s.attributes)
                        = 'duplicate' END)
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
    PERFORM onemap.packed_lock('o', devices, times);
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
    SELECT array_agg(s.device_id ORDER BY s.row_no), array_agg(s.observed_at ORDER BY s.row_no) INTO devices, times
    FROM pg_temp.track_point_stage s;
    WITH packed AS MATERIALIZED (
        SELECT w.device_id, u.* FROM onemap.packed_windows('t', devices, times) w
        CROSS JOIN LATERAL onemap.track_point_unpack(w.entry, w.from_at, w.to_at) u),
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
    PERFORM onemap.packed_lock('t', devices, times);
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
