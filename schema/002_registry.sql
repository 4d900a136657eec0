-- The registry: vendors, the catalogue of metrics and device kinds (written from the adapters' tables by
-- `cityhub migrate`), and the devices themselves with their place on the map.

CREATE TABLE onemap.vendor (
    subsystem       text NOT NULL REFERENCES onemap.subsystem (key),
    vendor          text NOT NULL CHECK (vendor ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    name_zh         text NOT NULL DEFAULT '',
    unknown_devices text NOT NULL DEFAULT 'register' CHECK (unknown_devices IN ('register', 'quarantine')),
    receipts        text NOT NULL DEFAULT 'all' CHECK (receipts IN ('all', 'problems')),
    silent_after    interval NOT NULL DEFAULT '10 minutes' CHECK (silent_after > '0'),
    department_id   int REFERENCES onemap.department (id),
    revoked_at      timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (subsystem, vendor)
);
COMMENT ON TABLE onemap.vendor IS
    'Who may push which subsystem. unknown_devices: what becomes of a record of a device that no inventory named; receipts: all messages or only those with problems';

CREATE TABLE onemap.vendor_credential (
    vendor        text PRIMARY KEY,
    password_hash text NOT NULL,
    changed_at    timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE onemap.vendor_credential IS 'Broker logins of vendors: mosquitto password hashes (PBKDF2-SHA512), never passwords';
REVOKE ALL ON onemap.vendor_credential FROM cityhub_read;

CREATE TABLE onemap.metric (
    subsystem text NOT NULL REFERENCES onemap.subsystem (key),
    ordinal   int NOT NULL CHECK (ordinal BETWEEN 1 AND 63),
    key       text NOT NULL CHECK (key ~ '^[a-z][a-z0-9_]*$'),
    name_zh   text NOT NULL,
    unit      text NOT NULL,
    kind      text NOT NULL CHECK (kind IN ('gauge', 'counter', 'state', 'text')),
    min_value float8,
    max_value float8,
    rollover  float8 CHECK (rollover > 0),
    PRIMARY KEY (subsystem, ordinal),
    UNIQUE (subsystem, key)
);
COMMENT ON TABLE onemap.metric IS
    'Catalogue of metrics: readings[ordinal] of an observation; outside [min_value, max_value] = quality flag, kept; rollover: the value at which a counter starts again';

CREATE TABLE onemap.device_kind (
    subsystem     text NOT NULL REFERENCES onemap.subsystem (key),
    key           text NOT NULL CHECK (key ~ '^[a-z][a-z0-9_]*$'),
    name_zh       text NOT NULL,
    mobile        boolean NOT NULL,
    offline_after interval NOT NULL CHECK (offline_after > '0'),
    PRIMARY KEY (subsystem, key)
);
COMMENT ON TABLE onemap.device_kind IS 'Kinds of device of a subsystem; mobile ones write track points; no record for offline_after = offline';

CREATE SEQUENCE onemap.device_id AS int CACHE 1;
CREATE TABLE onemap.device (
    id             int PRIMARY KEY DEFAULT nextval('onemap.device_id'),
    subsystem      text NOT NULL,
    vendor         text NOT NULL,
    code           text NOT NULL CHECK (octet_length(code) BETWEEN 1 AND 128),
    kind           text,
    name_zh        text NOT NULL DEFAULT '',
    component_code char(16) CHECK (component_code ~ '^[0-9]{16}$'),
    status         text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'active', 'retired')),
    parent_id      int,
    geom           public.geometry(Point, 4326),
    grid_cell      char(15) REFERENCES onemap.grid_cell (code),
    department_id  int REFERENCES onemap.department (id),
    attributes     jsonb NOT NULL DEFAULT '{}',
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now(),
    UNIQUE (subsystem, vendor, code),
    FOREIGN KEY (subsystem, vendor) REFERENCES onemap.vendor (subsystem, vendor),
    FOREIGN KEY (subsystem, kind) REFERENCES onemap.device_kind (subsystem, key)
);
ALTER SEQUENCE onemap.device_id OWNED BY onemap.device.id;
COMMENT ON TABLE onemap.device IS
    'Devices, vehicles and terminals of all subsystems. pending: seen in telemetry, no inventory yet; component_code: 16 digits after GB/T 30428.2 (6 county + 2 class + 2 subclass + 6 serial); parent_id: e.g. the cabinet of a lamp';
CREATE INDEX device_updated ON onemap.device (updated_at);
CREATE INDEX device_geom ON onemap.device USING gist (geom);
CREATE INDEX device_grid_cell ON onemap.device (grid_cell);
CREATE INDEX device_parent ON onemap.device (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX device_component ON onemap.device (component_code) WHERE component_code IS NOT NULL;

CREATE FUNCTION onemap.grid_cell_at(place public.geometry) RETURNS char(15)
LANGUAGE sql STABLE AS $$
    SELECT g.code FROM onemap.grid_cell g WHERE public.ST_Covers(g.geom, place) ORDER BY g.code LIMIT 1
$$;
COMMENT ON FUNCTION onemap.grid_cell_at(public.geometry) IS
    'Code of the grid cell that covers a WGS 84 point, or NULL; on a shared border the lowest code';
GRANT EXECUTE ON FUNCTION onemap.grid_cell_at(public.geometry) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE FUNCTION onemap.device_place() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- As text: whoever writes the row may have a search_path in which geometry has no operators.
    IF TG_OP = 'INSERT' OR NEW.geom::text IS DISTINCT FROM OLD.geom::text THEN
        NEW.grid_cell := onemap.grid_cell_at(NEW.geom);
    END IF;
    -- The vendor's own department (a utility) stands before the territorial one; an inventory's word before both.
    IF NEW.department_id IS NULL THEN
        NEW.department_id := coalesce(
            (SELECT v.department_id FROM onemap.vendor v WHERE v.subsystem = NEW.subsystem AND v.vendor = NEW.vendor),
            (SELECT g.department_id FROM onemap.grid_cell g WHERE g.code = NEW.grid_cell));
    END IF;
    IF TG_OP = 'UPDATE' THEN
        NEW.updated_at := pg_catalog.now();
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION onemap.device_place() IS 'Trigger: grid cell from the place, department from inventory, vendor or grid cell, in this order';
CREATE TRIGGER device_place BEFORE INSERT OR UPDATE ON onemap.device
    FOR EACH ROW EXECUTE FUNCTION onemap.device_place();

-- Cells may come, or be redrawn, after the devices.
CREATE FUNCTION onemap.grid_cell_devices() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE onemap.device d SET grid_cell = onemap.grid_cell_at(d.geom)
    WHERE (d.grid_cell = NEW.code OR public.ST_Covers(NEW.geom, d.geom))
        AND (d.department_id IS NULL OR d.grid_cell IS DISTINCT FROM onemap.grid_cell_at(d.geom));
    RETURN NULL;
END $$;
COMMENT ON FUNCTION onemap.grid_cell_devices() IS
    'Trigger: gives the devices in a new or redrawn cell their cell, and those without a department the cell''s';
CREATE TRIGGER grid_cell_devices AFTER INSERT OR UPDATE OF geom, department_id ON onemap.grid_cell
    FOR EACH ROW EXECUTE FUNCTION onemap.grid_cell_devices();

-- The hub keeps devices, vendors and kinds in memory; any change made elsewhere is announced.
CREATE FUNCTION onemap.registry_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_catalog.pg_notify('cityhub_registry', TG_TABLE_NAME);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION onemap.registry_notify() IS 'Trigger: tells the running hub that the registry changed (channel cityhub_registry)';
CREATE TRIGGER device_notify AFTER INSERT OR UPDATE OR DELETE ON onemap.device
    FOR EACH STATEMENT EXECUTE FUNCTION onemap.registry_notify();
CREATE TRIGGER vendor_notify AFTER INSERT OR UPDATE OR DELETE ON onemap.vendor
    FOR EACH STATEMENT EXECUTE FUNCTION onemap.registry_notify();

CREATE FUNCTION onemap.device_register(rows jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE clash text;
BEGIN
    INSERT INTO onemap.device (id, subsystem, vendor, code, status)
    SELECT r.id, r.subsystem, r.vendor, r.code, 'pending'
    FROM jsonb_to_recordset(rows) AS r(id int, subsystem text, vendor text, code text)
    ORDER BY r.subsystem, r.vendor, r.code
    ON CONFLICT (subsystem, vendor, code) DO NOTHING;
    SELECT d.code INTO clash
    FROM jsonb_to_recordset(rows) AS r(id int, subsystem text, vendor text, code text)
    JOIN onemap.device d ON d.subsystem = r.subsystem AND d.vendor = r.vendor AND d.code = r.code
    WHERE d.id <> r.id LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'device % is already registered under another id', clash
            USING ERRCODE = 'CH001', HINT = 'The hub reloads its registry and takes the batch again.';
    END IF;
END $$;
COMMENT ON FUNCTION onemap.device_register(jsonb) IS
    'Registers devices first seen in telemetry as pending, under ids the hub drew from onemap.device_id; CH001 if a code already has another id';
GRANT EXECUTE ON FUNCTION onemap.device_register(jsonb) TO cityhub_hub;
GRANT USAGE, SELECT ON SEQUENCE onemap.device_id TO cityhub_hub;

CREATE FUNCTION onemap.vendor_put(subsystem text, vendor text, settings jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF settings->>'department' IS NOT NULL
            AND NOT EXISTS (SELECT FROM onemap.department d WHERE d.code = settings->>'department') THEN
        RAISE EXCEPTION '"%" is no department', settings->>'department';
    END IF;
    INSERT INTO onemap.vendor AS v (subsystem, vendor, name_zh, unknown_devices, receipts, silent_after, department_id)
    VALUES ($1, $2, coalesce(settings->>'name_zh', ''), coalesce(settings->>'unknown_devices', 'register'),
            coalesce(settings->>'receipts', 'all'), coalesce((settings->>'silent_after')::interval, '10 minutes'),
            (SELECT d.id FROM onemap.department d WHERE d.code = settings->>'department'))
    ON CONFLICT ON CONSTRAINT vendor_pkey DO UPDATE SET
        name_zh = coalesce(settings->>'name_zh', v.name_zh),
        unknown_devices = coalesce(settings->>'unknown_devices', v.unknown_devices),
        receipts = coalesce(settings->>'receipts', v.receipts),
        silent_after = coalesce((settings->>'silent_after')::interval, v.silent_after),
        department_id = coalesce(excluded.department_id, v.department_id),
        revoked_at = NULL;
    PERFORM onemap.audit('vendor_put', jsonb_build_object('subsystem', $1, 'vendor', $2, 'settings', settings));
END $$;
COMMENT ON FUNCTION onemap.vendor_put(text, text, jsonb) IS
    'Adds or changes a vendor of a subsystem; settings: name_zh, unknown_devices, receipts, silent_after, department (code)';
GRANT EXECUTE ON FUNCTION onemap.vendor_put(text, text, jsonb) TO cityhub_hub, cityhub_api;

CREATE FUNCTION onemap.vendor_revoke(subsystem text, vendor text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE onemap.vendor v SET revoked_at = now() WHERE v.subsystem = $1 AND v.vendor = $2 AND v.revoked_at IS NULL;
    IF NOT FOUND THEN RETURN false; END IF;
    PERFORM onemap.audit('vendor_revoke', jsonb_build_object('subsystem', $1, 'vendor', $2));
    RETURN true;
END $$;
COMMENT ON FUNCTION onemap.vendor_revoke(text, text) IS 'Ends a vendor''s right to push a subsystem; its data stays; false if it had none';
GRANT EXECUTE ON FUNCTION onemap.vendor_revoke(text, text) TO cityhub_hub, cityhub_api;

-- Catalogue sync: adapters' tables are the source, this is their record. An ordinal never changes its meaning.
CREATE FUNCTION onemap.catalogue_drift(catalogue jsonb) RETURNS SETOF text
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

CREATE FUNCTION onemap.catalogue_missing(catalogue jsonb) RETURNS SETOF text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('%s: metric %s (ordinal %s) is in this build and not in the database', c.subsystem, c.key, c.ordinal)
    FROM jsonb_to_recordset(catalogue->'metrics') AS c(subsystem text, ordinal int, key text)
    WHERE NOT EXISTS (SELECT FROM onemap.metric m WHERE m.subsystem = c.subsystem AND m.ordinal = c.ordinal)
    UNION ALL
    SELECT format('%s: device kind %s is in this build and not in the database', c.subsystem, c.key)
    FROM jsonb_to_recordset(catalogue->'kinds') AS c(subsystem text, key text)
    WHERE NOT EXISTS (SELECT FROM onemap.device_kind k WHERE k.subsystem = c.subsystem AND k.key = c.key)
$$;
COMMENT ON FUNCTION onemap.catalogue_missing(jsonb) IS 'What a build brings that the database does not have yet (cityhub migrate adds it)';
GRANT EXECUTE ON FUNCTION onemap.catalogue_missing(jsonb) TO cityhub_hub;

CREATE FUNCTION onemap.catalogue_sync(catalogue jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE problem text; s record;
BEGIN
    SELECT string_agg(d, '; ') INTO problem FROM onemap.catalogue_drift(catalogue) d;
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION 'the catalogue of metrics does not fit: %', problem
            USING HINT = 'An ordinal keeps its meaning for ever: give new metrics new ordinals, keep old ones.';
    END IF;
    INSERT INTO onemap.metric (subsystem, ordinal, key, name_zh, unit, kind, min_value, max_value, rollover)
    SELECT * FROM jsonb_to_recordset(catalogue->'metrics')
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
COMMENT ON FUNCTION onemap.catalogue_sync(jsonb) IS 'Stores the build''s catalogue and makes the named view of each subsystem anew; refuses an ordinal that changed its meaning';

-- How derived values name a metric. No SET on these two, so that the planner can inline them.
CREATE FUNCTION onemap.metric_ordinal(subsystem text, key text) RETURNS int LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT m.ordinal FROM onemap.metric m WHERE m.subsystem = $1 AND m.key = $2
$$;
COMMENT ON FUNCTION onemap.metric_ordinal(text, text) IS 'Place of a metric in readings, NULL if the catalogue does not have it';
GRANT EXECUTE ON FUNCTION onemap.metric_ordinal(text, text) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE FUNCTION onemap.reading_good(readings float8[], quality bigint, ordinal int) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN quality IS NULL OR quality & (1::bigint << (ordinal - 1)) = 0 THEN readings[ordinal] END
$$;
COMMENT ON FUNCTION onemap.reading_good(float8[], bigint, int) IS 'The reading, NULL if there is none or it is outside its physical range';
GRANT EXECUTE ON FUNCTION onemap.reading_good(float8[], bigint, int) TO cityhub_hub, cityhub_api, cityhub_read;
