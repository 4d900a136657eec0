-- Inventory: what a message says of a device, and what the device is after it. Called below message_store() (document.sql), which
-- pins the search path for all of it; object.sql has the rest of its way.

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

CREATE OR REPLACE FUNCTION onemap.inventory_said(record jsonb, parent int) RETURNS onemap.device
LANGUAGE plpgsql STABLE AS $$
DECLARE said onemap.device;
BEGIN
    said.kind := record->>'kind';
    said.name_zh := record->>'name';
    said.component_code := record->>'component_code';
    said.status := CASE WHEN record->'retired' = 'null' THEN NULL -- it could not be read
        WHEN (record->>'retired')::boolean THEN 'retired' ELSE 'active' END;
    said.parent_id := CASE WHEN record ? 'parent_code' THEN parent END;
    said.geom := onemap.record_point(record);
    said.department_id := onemap.record_department(record);
    said.attributes := '{}';
    IF record ? 'attributes' THEN
        SELECT coalesce(jsonb_object_agg(a->>'key', a->>'value' ORDER BY a->>'value' NULLS FIRST), '{}') INTO said.attributes
        FROM jsonb_array_elements(record->'attributes') a WHERE a ? 'key';
    END IF;
    RETURN said;
END $$;
COMMENT ON FUNCTION onemap.inventory_said(jsonb, int) IS
    'What an inventory record says of its device, parent: id of the one it names as such; NULL = nothing';

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
    stored.status := coalesce(word.status, nullif(rest.status, 'pending'), 'active');
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

CREATE OR REPLACE FUNCTION onemap.inventory_after(stored onemap.device, message jsonb, record jsonb, parent int,
    since timestamptz) RETURNS onemap.device
LANGUAGE plpgsql STABLE AS $$
DECLARE
    said onemap.device := onemap.inventory_said(record, parent); wanted onemap.device;
    spot public.geometry := onemap.record_outside(record);
BEGIN
    IF stored.code IS NULL THEN
        said.id := stored.id;
        said.subsystem := message->>'subsystem';
        said.vendor := message->>'vendor';
        said.code := record->>'device_code';
        said.name_zh := coalesce(said.name_zh, '');
        said.status := coalesce(said.status, 'active');
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
COMMENT ON FUNCTION onemap.inventory_after(onemap.device, jsonb, jsonb, int, timestamptz) IS
    'The device after an inventory record, but for what its place makes of it (device_placed); stored: before it, all NULL but its '
    'id if there is none';

CREATE OR REPLACE FUNCTION onemap.inventory_told(stored onemap.device, wanted onemap.device) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN CASE WHEN stored.code IS NULL THEN 'accepted'
        ELSE onemap.outside_fate(onemap.inventory_fate(stored, wanted), stored.geom_outside, wanted.geom_outside) END;
END $$;
COMMENT ON FUNCTION onemap.inventory_told(onemap.device, onemap.device) IS
    'inventory_fate(), a place outside the county included; a device that was not there is accepted';

CREATE OR REPLACE FUNCTION onemap.object_after(stored onemap.device, message jsonb, member jsonb, since timestamptz,
    OUT wanted onemap.device, OUT flaws jsonb, OUT problem jsonb) LANGUAGE plpgsql STABLE AS $$
DECLARE record jsonb := member->'record';
BEGIN
    wanted := stored;
    IF member ? 'refusal' OR octet_length(record->>'device_code') NOT BETWEEN 1 AND 128 OR NOT record ? 'device_code' THEN
        problem := onemap.record_problem((member->>'index')::int, CASE WHEN member ? 'refusal' THEN 'CH002' ELSE '23514' END,
            member->>'refusal');
        RETURN;
    END IF;
    flaws := CASE WHEN record->>'parent_code' = record->>'device_code' THEN jsonb_build_array(jsonb_build_object(
            'field', 'parent_code', 'code', 'bad_value', 'reason', 'parent_code: no device is its own parent'))
        WHEN record ? 'parent_code' AND NOT member ? 'parent_id' THEN onemap.name_flaw(record, 'parent_code',
            'parent_code: there is no device %s of this vendor; send its inventory, then this one again') ELSE '[]' END
        || onemap.document_flaws('inventory', message->>'subsystem', message->>'vendor', record);
    record := onemap.record_without(record, flaws);
    wanted := onemap.inventory_after(stored, message, record, (member->>'parent_id')::int, since);
    IF stored.code IS NULL OR wanted.geom::text IS DISTINCT FROM stored.geom::text
            OR wanted.department_id IS NULL AND stored.department_id IS NOT NULL THEN
        wanted := onemap.device_placed(stored, wanted);
    END IF;
    IF since IS NOT NULL AND wanted IS DISTINCT FROM stored THEN
        wanted.updated_at := pg_catalog.now();
    END IF;
END $$;
COMMENT ON FUNCTION onemap.object_after(onemap.device, jsonb, jsonb, timestamptz) IS
    'A device after an inventory record; otherwise as that of a person or vehicle. member: made ready by inventory_ready()';

CREATE OR REPLACE FUNCTION onemap.object_told(stored onemap.device, wanted onemap.device) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN onemap.inventory_told(stored, wanted);
END $$;
COMMENT ON FUNCTION onemap.object_told(onemap.device, onemap.device) IS 'The same of a device: inventory_told()';

-- A device's parent may be one that the message brings itself, before it. So each that will be new has its id beforehand; what its
-- record is refused for does not hang on what came before.
CREATE OR REPLACE FUNCTION onemap.inventory_ready(message jsonb, codes text[], INOUT members jsonb[], OUT devices onemap.device[])
LANGUAGE plpgsql AS $$
DECLARE first_good bigint[]; fresh onemap.device;
BEGIN
    members := ARRAY(SELECT CASE WHEN k.key IS NOT NULL AND NOT m.e->'record' ? 'component_code' THEN m.e ELSE m.e
            || jsonb_strip_nulls(jsonb_build_object('refusal',
                onemap.inventory_refusal(message->>'subsystem', m.e->'record'))) END
        FROM unnest(members) WITH ORDINALITY AS m(e, n)
        LEFT JOIN onemap.device_kind k ON k.subsystem = message->>'subsystem' AND k.key = m.e->'record'->>'kind' ORDER BY m.n);
    devices := ARRAY(SELECT s.device FROM unnest(codes) WITH ORDINALITY AS c(code, place)
        LEFT JOIN LATERAL (SELECT d AS device FROM onemap.device d
            WHERE d.subsystem = message->>'subsystem' AND d.vendor = message->>'vendor' AND d.code = c.code FOR UPDATE) s ON true
        ORDER BY c.place);
    first_good := ARRAY(SELECT g.n FROM unnest(codes) WITH ORDINALITY AS c(code, place)
        LEFT JOIN (SELECT m.e->'record'->>'device_code' AS code, min(m.n) AS n FROM unnest(members) WITH ORDINALITY AS m(e, n)
                   WHERE NOT m.e ? 'refusal' GROUP BY 1) g USING (code) ORDER BY c.place);
    FOR k IN 1 .. cardinality(codes) LOOP
        IF (devices[k]).id IS NULL AND first_good[k] IS NOT NULL THEN
            fresh.id := nextval('onemap.device_id')::int;
            devices[k] := fresh;
        END IF;
    END LOOP;
    IF EXISTS (SELECT FROM unnest(members) m WHERE m->'record' ? 'parent_code') THEN
        members := ARRAY(SELECT m.e || jsonb_strip_nulls(jsonb_build_object('parent_id', CASE
                WHEN (devices[c.place]).code IS NOT NULL OR first_good[c.place] < m.n THEN (devices[c.place]).id
                WHEN c.place IS NULL THEN (SELECT d.id FROM onemap.device d WHERE d.subsystem = message->>'subsystem'
                    AND d.vendor = message->>'vendor' AND d.code = m.e->'record'->>'parent_code') END))
            FROM unnest(members) WITH ORDINALITY AS m(e, n)
            LEFT JOIN unnest(codes) WITH ORDINALITY AS c(code, place) ON c.code = m.e->'record'->>'parent_code' ORDER BY m.n);
    END IF;
END $$;
COMMENT ON FUNCTION onemap.inventory_ready(jsonb, text[], jsonb[]) IS
    'The devices of these codes as they are stored, locked (of one that a record makes new its id alone, of others NULL), and the '
    'records with the reason for which they are refused (refusal) or the id of their parent (parent_id), if it is there by then';

CREATE OR REPLACE FUNCTION onemap.objects_write(kind text, objects onemap.device[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE made bigint;
BEGIN
    INSERT INTO onemap.device (id, subsystem, vendor, code, kind, name_zh, component_code, status, parent_id, geom, geom_outside,
        department_id, attributes)
    SELECT o.id, o.subsystem, o.vendor, o.code, o.kind, o.name_zh, o.component_code, o.status, o.parent_id, o.geom, o.geom_outside,
        o.department_id, o.attributes
    FROM unnest(objects) o WHERE o.created_at IS NULL ON CONFLICT ON CONSTRAINT device_subsystem_vendor_code_key DO NOTHING;
    GET DIAGNOSTICS made = ROW_COUNT;
    PERFORM onemap.objects_raced((SELECT count(*) FROM unnest(objects) o WHERE o.created_at IS NULL), made);
    UPDATE onemap.device d SET kind = o.kind, name_zh = o.name_zh, component_code = o.component_code, status = o.status,
        parent_id = o.parent_id, geom = o.geom, geom_outside = o.geom_outside, department_id = o.department_id,
        attributes = o.attributes
    FROM unnest(objects) o WHERE o.created_at IS NOT NULL AND d.id = o.id;
END $$;
COMMENT ON FUNCTION onemap.objects_write(text, onemap.device[]) IS 'Stores devices as they are';
