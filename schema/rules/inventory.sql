-- Inventory: what a message says of a device, and what the device is after it. Called below message_store() (document.sql), which
-- pins the search path for all of it. A record stored by itself goes by the same functions as one that is worked out with others
-- of its device.

CREATE OR REPLACE FUNCTION onemap.inventory_refusal(subsystem text, record jsonb) RETURNS text
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN CASE WHEN NOT EXISTS (SELECT FROM onemap.device_kind k WHERE k.subsystem = $1 AND k.key = $2->>'kind') THEN
            format('kind: %s has no device kind %s; it has %s', subsystem, coalesce(record->>'kind', '<NULL>'),
                (SELECT string_agg(k.key, ', ' ORDER BY k.key) FROM onemap.device_kind k WHERE k.subsystem = $1))
        WHEN record->>'component_code' !~ '^[0-9]{16}$' THEN
            format('component_code: must be 16 digits (GB/T 30428.2), not %s', record->>'component_code') END;
END $$;
COMMENT ON FUNCTION onemap.inventory_refusal(text, jsonb) IS
    'Why an inventory record is refused whatever else it says: no kind of the subsystem, no component code; NULL of others';

CREATE OR REPLACE FUNCTION onemap.inventory_said(subsystem text, vendor text, record jsonb) RETURNS onemap.device
LANGUAGE plpgsql STABLE AS $$
DECLARE said onemap.device;
BEGIN
    said.kind := record->>'kind';
    said.name_zh := record->>'name';
    said.component_code := record->>'component_code';
    said.status := CASE WHEN (record->>'retired')::boolean THEN 'retired' ELSE 'active' END;
    said.parent_id := onemap.record_device(subsystem, vendor, record, 'parent_code');
    said.geom := onemap.record_point(record);
    said.department_id := onemap.record_department(record);
    said.attributes := '{}';
    IF record ? 'attributes' THEN
        SELECT coalesce(jsonb_object_agg(a->>'key', a->>'value'), '{}') INTO said.attributes
        FROM jsonb_array_elements(record->'attributes') a WHERE a ? 'key';
    END IF;
    RETURN said;
END $$;
COMMENT ON FUNCTION onemap.inventory_said(text, text, jsonb) IS 'What an inventory record says of its device; NULL = nothing';

CREATE OR REPLACE FUNCTION onemap.inventory_wanted(stored onemap.device, said onemap.device, late boolean) RETURNS onemap.device
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    -- The one of the two whose word stands, and the one that fills what it leaves open.
    word onemap.device := CASE WHEN late THEN stored ELSE said END;
    rest onemap.device := CASE WHEN late THEN said ELSE stored END;
BEGIN
    stored.department_id := coalesce(word.department_id, CASE WHEN NOT late AND said.geom::text <> stored.geom::text
        THEN NULL ELSE rest.department_id END);
    stored.kind := coalesce(word.kind, rest.kind);
    stored.name_zh := coalesce(nullif(word.name_zh, ''), rest.name_zh, '');
    stored.component_code := coalesce(word.component_code, rest.component_code);
    stored.status := word.status;
    stored.parent_id := coalesce(word.parent_id, rest.parent_id);
    stored.geom := coalesce(word.geom, rest.geom);
    stored.attributes := rest.attributes || word.attributes;
    RETURN stored;
END $$;
COMMENT ON FUNCTION onemap.inventory_wanted(onemap.device, onemap.device, boolean) IS
    'A device after what an inventory says of it; late: what it says is older than what is stored, and fills what is missing there';

CREATE OR REPLACE FUNCTION onemap.inventory_fate(stored onemap.device, wanted onemap.device) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN CASE
        WHEN (stored.kind, stored.name_zh, stored.component_code, stored.status, stored.parent_id, stored.department_id,
              stored.attributes, stored.geom::text) IS NOT DISTINCT FROM
             (wanted.kind, wanted.name_zh, wanted.component_code, wanted.status, wanted.parent_id, wanted.department_id,
              wanted.attributes, wanted.geom::text) THEN 'duplicate'
        WHEN stored.kind IS NULL THEN 'accepted'
        WHEN stored.kind <> wanted.kind OR stored.status <> wanted.status OR stored.parent_id <> wanted.parent_id
            OR nullif(stored.name_zh, '') <> wanted.name_zh OR stored.component_code <> wanted.component_code
            OR stored.department_id <> wanted.department_id OR stored.geom::text <> wanted.geom::text
            OR NOT wanted.attributes @> stored.attributes THEN 'revised'
        ELSE 'merged' END;
END $$;
COMMENT ON FUNCTION onemap.inventory_fate(onemap.device, onemap.device) IS
    'What an inventory record was for its device: accepted (its first one), duplicate, merged (new fields alone), revised';

CREATE OR REPLACE FUNCTION onemap.inventory_after(stored onemap.device, subsystem text, vendor text, record jsonb,
    since timestamptz) RETURNS onemap.device
LANGUAGE plpgsql STABLE AS $$
DECLARE
    said onemap.device := onemap.inventory_said(subsystem, vendor, record); wanted onemap.device;
    spot public.geometry := onemap.record_outside(record);
BEGIN
    IF stored.id IS NULL THEN
        said.subsystem := subsystem;
        said.vendor := vendor;
        said.code := record->>'device_code';
        said.name_zh := coalesce(said.name_zh, '');
        said.geom_outside := spot;
        RETURN said;
    END IF;
    -- A pending one has no inventory yet that could be newer.
    wanted := onemap.inventory_wanted(stored, said, coalesce(stored.kind IS NOT NULL AND since < stored.updated_at, false));
    -- A place outside the county is kept beside the one that was known; one in the county ends that.
    IF record ?| '{lon,outside_lon}' AND (since IS NULL OR onemap.inventory_fate(stored, wanted) <> 'duplicate') THEN
        wanted.geom_outside := spot;
    END IF;
    RETURN wanted;
END $$;
COMMENT ON FUNCTION onemap.inventory_after(onemap.device, text, text, jsonb, timestamptz) IS
    'The device after an inventory record, but for what its place makes of it (device_placed); stored: before it, without an id if '
    'there is none';

CREATE OR REPLACE FUNCTION onemap.inventory_told(stored onemap.device, wanted onemap.device) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN CASE WHEN stored.code IS NULL THEN 'accepted'
        ELSE onemap.outside_fate(onemap.inventory_fate(stored, wanted), stored.geom_outside, wanted.geom_outside) END;
END $$;
COMMENT ON FUNCTION onemap.inventory_told(onemap.device, onemap.device) IS
    'inventory_fate(), a place outside the county included; a device that was not there is accepted';

CREATE OR REPLACE FUNCTION onemap.inventory_stored(subsystem text, vendor text, code text) RETURNS onemap.device
LANGUAGE plpgsql AS $$
DECLARE stored onemap.device;
BEGIN
    SELECT * INTO stored FROM onemap.device d WHERE d.subsystem = $1 AND d.vendor = $2 AND d.code = $3 FOR UPDATE;
    RETURN stored;
END $$;
COMMENT ON FUNCTION onemap.inventory_stored(text, text, text) IS 'The device as it is stored, locked; all NULL if there is none';

CREATE OR REPLACE FUNCTION onemap.inventory_write(stored onemap.device, wanted onemap.device) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF stored.id IS NULL THEN
        INSERT INTO onemap.device (subsystem, vendor, code, kind, name_zh, component_code, status, parent_id, geom, geom_outside,
            department_id, attributes)
        VALUES (wanted.subsystem, wanted.vendor, wanted.code, wanted.kind, wanted.name_zh, wanted.component_code, wanted.status,
            wanted.parent_id, wanted.geom, wanted.geom_outside, wanted.department_id, wanted.attributes);
    ELSIF onemap.inventory_told(stored, wanted) <> 'duplicate' THEN
        UPDATE onemap.device d SET kind = wanted.kind, name_zh = wanted.name_zh, component_code = wanted.component_code,
            status = wanted.status, parent_id = wanted.parent_id, geom = wanted.geom, geom_outside = wanted.geom_outside,
            department_id = wanted.department_id, attributes = wanted.attributes
        WHERE d.id = stored.id;
    END IF;
END $$;
COMMENT ON FUNCTION onemap.inventory_write(onemap.device, onemap.device) IS
    'Stores a device as inventories want it: a new one, or what changed of a known one';

CREATE OR REPLACE FUNCTION onemap.inventory_put(subsystem text, vendor text, record jsonb, since timestamptz DEFAULT NULL)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    stored onemap.device := onemap.inventory_stored(subsystem, vendor, record->>'device_code');
    wanted onemap.device := onemap.inventory_after(stored, subsystem, vendor, record, since);
BEGIN
    PERFORM onemap.inventory_write(stored, wanted);
    RETURN onemap.inventory_told(stored, wanted);
END $$;
COMMENT ON FUNCTION onemap.inventory_put(text, text, jsonb, timestamptz) IS
    'Stores one inventory record: a new device, or what changed of a known one; makes a pending one active';
