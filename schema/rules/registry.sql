-- The registry: vendors and devices with their place on the map. Telemetry registers a device once it is seen; inventory says
-- the rest (document.sql). Vendors' logins and the commands on them are in vendor.sql.

CREATE OR REPLACE FUNCTION onemap.grid_cell_at(place public.geometry) RETURNS char(15)
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF place IS NULL THEN
        RETURN NULL;
    END IF;
    RETURN (SELECT g.code FROM onemap.grid_cell g WHERE public.ST_Covers(g.geom, place) ORDER BY g.code LIMIT 1);
END $$;
COMMENT ON FUNCTION onemap.grid_cell_at(public.geometry) IS
    'Code of the grid cell that covers a WGS 84 point, or NULL; on a shared border the lowest code';
GRANT EXECUTE ON FUNCTION onemap.grid_cell_at(public.geometry) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.device_placed(old onemap.device, device onemap.device) RETURNS onemap.device
LANGUAGE plpgsql STABLE AS $$
BEGIN
    -- As text: whoever writes the row may have a search_path in which geometry has no operators.
    IF old.subsystem IS NULL OR device.geom::text IS DISTINCT FROM old.geom::text THEN
        device.grid_cell := onemap.grid_cell_at(device.geom);
    END IF;
    -- The vendor's own department (a utility) stands before the territorial one; an inventory's word before both.
    IF device.department_id IS NULL THEN
        device.department_id := (SELECT v.department_id FROM onemap.vendor v
            WHERE v.subsystem = device.subsystem AND v.vendor = device.vendor);
        IF device.department_id IS NULL AND device.grid_cell IS NOT NULL THEN
            device.department_id := (SELECT g.department_id FROM onemap.grid_cell g WHERE g.code = device.grid_cell);
        END IF;
    END IF;
    RETURN device;
END $$;
COMMENT ON FUNCTION onemap.device_placed(onemap.device, onemap.device) IS
    'The device with what its place makes of it: grid cell from the place, department from inventory, vendor or grid cell, in this '
    'order; old: the row before, all NULL if it is new';

CREATE OR REPLACE FUNCTION onemap.device_place() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW := onemap.device_placed(OLD, NEW);
    IF TG_OP = 'UPDATE' THEN
        NEW.updated_at := pg_catalog.now();
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION onemap.device_place() IS
    'Trigger: device_placed(), and when it was so';
CREATE OR REPLACE TRIGGER device_place BEFORE INSERT OR UPDATE ON onemap.device
    FOR EACH ROW EXECUTE FUNCTION onemap.device_place();

-- Cells may come, or be redrawn, after the devices.
CREATE OR REPLACE FUNCTION onemap.grid_cell_devices() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE onemap.device d SET grid_cell = onemap.grid_cell_at(d.geom)
    WHERE (d.grid_cell = NEW.code OR public.ST_Covers(NEW.geom, d.geom))
        AND (d.department_id IS NULL OR d.grid_cell IS DISTINCT FROM onemap.grid_cell_at(d.geom));
    RETURN NULL;
END $$;
COMMENT ON FUNCTION onemap.grid_cell_devices() IS
    'Trigger: gives the devices in a new or redrawn cell their cell, and those without a department the cell''s';
CREATE OR REPLACE TRIGGER grid_cell_devices AFTER INSERT OR UPDATE OF geom, department_id ON onemap.grid_cell
    FOR EACH ROW EXECUTE FUNCTION onemap.grid_cell_devices();

-- The hub keeps devices, vendors and kinds in memory; any change made elsewhere is announced.
CREATE OR REPLACE FUNCTION onemap.registry_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_catalog.pg_notify('cityhub_registry', TG_TABLE_NAME);
    RETURN NULL;
END $$;
COMMENT ON FUNCTION onemap.registry_notify() IS
    'Trigger: tells the running hub that the registry changed (channel cityhub_registry)';
CREATE OR REPLACE TRIGGER device_notify AFTER INSERT OR UPDATE OR DELETE ON onemap.device
    FOR EACH STATEMENT EXECUTE FUNCTION onemap.registry_notify();
CREATE OR REPLACE TRIGGER vendor_notify AFTER INSERT OR UPDATE OR DELETE ON onemap.vendor
    FOR EACH STATEMENT EXECUTE FUNCTION onemap.registry_notify();

CREATE OR REPLACE FUNCTION onemap.vendor_company_keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO onemap.vendor_company (vendor, name_zh) VALUES (NEW.vendor, NEW.name_zh) ON CONFLICT (vendor) DO NOTHING;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION onemap.vendor_company_keep() IS
    'Trigger: who gets a first right becomes a vendor, by the name that comes with it';
CREATE OR REPLACE TRIGGER vendor_company BEFORE INSERT ON onemap.vendor
    FOR EACH ROW EXECUTE FUNCTION onemap.vendor_company_keep();

-- Not by the plan of a table that was small when it was made: each device is looked up by its key.
CREATE OR REPLACE FUNCTION onemap.device_register(rows jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
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
    'Registers devices first seen in telemetry as pending, under ids the hub drew from onemap.device_id; CH001 if a code already '
    'has another id';
GRANT EXECUTE ON FUNCTION onemap.device_register(jsonb) TO cityhub_hub;

CREATE OR REPLACE FUNCTION onemap.vendor_put(subsystem text, vendor text, settings jsonb) RETURNS void
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

CREATE OR REPLACE FUNCTION onemap.vendor_revoke(subsystem text, vendor text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE onemap.vendor v SET revoked_at = now() WHERE v.subsystem = $1 AND v.vendor = $2 AND v.revoked_at IS NULL;
    IF NOT FOUND THEN RETURN false; END IF;
    PERFORM onemap.audit('vendor_revoke', jsonb_build_object('subsystem', $1, 'vendor', $2));
    RETURN true;
END $$;
COMMENT ON FUNCTION onemap.vendor_revoke(text, text) IS
    'Ends a vendor''s right to push a subsystem; its data stays; false if it had none';
GRANT EXECUTE ON FUNCTION onemap.vendor_revoke(text, text) TO cityhub_hub, cityhub_api;
