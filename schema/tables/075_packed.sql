-- Old days are packed: a row a device, day and column of numbers instead of a row a record. The names observation and track_point
-- are views of both from here on (schema/rules/observation.sql); what is stored record by record is in the two tables ..._raw.

ALTER TABLE onemap.observation RENAME TO observation_raw;
ALTER TABLE onemap.track_point RENAME TO track_point_raw;
COMMENT ON TABLE onemap.observation_raw IS
    'Records of days that are not packed yet, and what came for packed ones since: readings[metric.ordinal]; quality: bit '
    '(ordinal - 1) set = outside the physical range, NULL = all inside; attributes: text fields. Read onemap.observation instead';
COMMENT ON TABLE onemap.track_point_raw IS
    'Places of moving things (vehicles, people), WGS 84, of days that are not packed yet, and what came since. Read '
    'onemap.track_point instead';

-- The subsystems' views are made anew on the view.
DO $$
DECLARE key text;
BEGIN
    FOR key IN SELECT s.key FROM onemap.subsystem s LOOP
        EXECUTE format('DROP VIEW IF EXISTS onemap.%I', key);
    END LOOP;
END $$;

CREATE TABLE onemap.packed_day (
    kind        "char" NOT NULL CHECK (kind IN ('o', 't')),
    day         date NOT NULL,
    state       text NOT NULL DEFAULT 'packing' CHECK (state IN ('packing', 'packed', 'unpacking', 'raw')),
    begun_at    timestamptz NOT NULL DEFAULT now(),
    packed_at   timestamptz,
    next_device int NOT NULL DEFAULT 0,
    records     bigint NOT NULL DEFAULT 0,
    readings    bigint NOT NULL DEFAULT 0,
    raw_bytes   bigint NOT NULL DEFAULT 0,
    bytes       bigint NOT NULL DEFAULT 0,
    kept_raw    int[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (kind, day)
);
COMMENT ON TABLE onemap.packed_day IS
    'Days (UTC) that are packed. kind: o = observations, t = places; state: packing = devices below next_device are; raw = was '
    'unpacked by hand, and stays so until it is packed by hand; records, readings, bytes: what is packed; raw_bytes: what the day '
    'took before (bytes with indexes); kept_raw: devices whose records did not come out of it as they went in, and stay raw';

CREATE TABLE onemap.packed_record (
    device_id     int NOT NULL,
    kind          "char" NOT NULL CHECK (kind IN ('o', 't')),
    day           date NOT NULL,
    records       int NOT NULL CHECK (records > 0),
    received_last timestamptz NOT NULL,
    lifted        int[],
    attributes    jsonb[],
    PRIMARY KEY (device_id, kind, day)
) WITH (toast_tuple_target = 128);
COMMENT ON TABLE onemap.packed_record IS
    'A packed day of a device: how many records, numbered from 1 in the order of their times. kind: o = observations, t = '
    'places; lifted: numbers of records that stand in the raw table again, as they were changed';
CREATE INDEX packed_record_day ON onemap.packed_record (day, kind);

CREATE TABLE onemap.packed_series (
    device_id int NOT NULL,
    kind      "char" NOT NULL,
    day       date NOT NULL,
    ordinal   smallint NOT NULL,
    planes    smallint NOT NULL CHECK (planes BETWEEN 0 AND 5),
    unit      int NOT NULL DEFAULT 1,
    present   int NOT NULL,
    scale     float8,
    base      bigint,
    step      bigint NOT NULL DEFAULT 0,
    low       "char"[],
    mid       "char"[],
    high      "char"[],
    wide      bigint[],
    exact     float8[],
    PRIMARY KEY (device_id, kind, day, ordinal)
) WITH (toast_tuple_target = 128);
COMMENT ON TABLE onemap.packed_series IS
    'One column of a packed_record: number n is unit * (base + step * (n - 1) + d) with d = low[n] + 256 * mid[n] + 65536 * '
    'high[n] (planes 0 to 3: so many of them; -128 in the last = NULL) or wide[n] (planes 4), divided by scale if there is one; '
    'exact[n] with planes 5. base NULL: all are NULL; present: how many are not. ordinal: of a metric, or below 0, see '
    'onemap.packed_ordinals()';
-- In the row as long as it fits a page: no second look-up for a column of a day.
ALTER TABLE onemap.packed_series ALTER COLUMN low SET STORAGE MAIN, ALTER COLUMN mid SET STORAGE MAIN,
    ALTER COLUMN high SET STORAGE MAIN, ALTER COLUMN wide SET STORAGE MAIN, ALTER COLUMN exact SET STORAGE MAIN;
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_settings s WHERE s.name = 'default_toast_compression' AND 'lz4' = ANY (s.enumvals)) THEN
        ALTER TABLE onemap.packed_series ALTER COLUMN low SET COMPRESSION lz4, ALTER COLUMN mid SET COMPRESSION lz4,
            ALTER COLUMN high SET COMPRESSION lz4, ALTER COLUMN wide SET COMPRESSION lz4, ALTER COLUMN exact SET COMPRESSION lz4;
    END IF;
END $$;

-- Arrays of short numbers: compressed they take about half.
ALTER TABLE onemap.observation_hourly SET (toast_tuple_target = 128);

GRANT SELECT ON onemap.packed_day, onemap.packed_record, onemap.packed_series TO cityhub_hub, cityhub_read;
-- A packed record that is corrected is lifted into the raw table.
GRANT UPDATE (lifted) ON onemap.packed_record TO cityhub_hub;
