-- Records of inventories, staff and work are worked out together and stored at once (schema/rules/object.sql); none is tried any
-- more.
DROP FUNCTION IF EXISTS onemap.staff_put(text, text, jsonb, timestamptz);
DROP FUNCTION IF EXISTS onemap.work_put(text, text, jsonb, timestamptz);
DROP FUNCTION IF EXISTS onemap.inventory_put(text, text, jsonb, timestamptz);
DROP FUNCTION IF EXISTS onemap.inventory_write(onemap.device, onemap.device);
DROP FUNCTION IF EXISTS onemap.inventory_stored(text, text, text);
DROP FUNCTION IF EXISTS onemap.inventory_said(text, text, jsonb);
DROP FUNCTION IF EXISTS onemap.inventory_after(onemap.device, text, text, jsonb, timestamptz);
DROP FUNCTION IF EXISTS onemap.document_place(text, text, text, jsonb, text, boolean);
DROP FUNCTION IF EXISTS onemap.record_standard(text, text, jsonb);
DROP FUNCTION IF EXISTS onemap.record_merge(jsonb, jsonb);
DROP FUNCTION IF EXISTS onemap.record_merged_put(jsonb, jsonb, timestamptz);
DROP FUNCTION IF EXISTS onemap.members_try(jsonb, jsonb[], timestamptz, jsonb);
DROP FUNCTION IF EXISTS onemap.members_work_out(jsonb, jsonb[], timestamptz);
DROP FUNCTION IF EXISTS onemap.message_members(jsonb);
DROP FUNCTION IF EXISTS onemap.row_fate(jsonb, jsonb);
DROP FUNCTION IF EXISTS onemap.case_content_check(jsonb);

-- Versions are kept by the statement that ends them, not row by row.
DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY '{device,person,vehicle,case_record,alarm,grid_cell,zone}'::text[] LOOP
        EXECUTE pg_catalog.format('DROP TRIGGER IF EXISTS past_kept ON onemap.%I', t);
    END LOOP;
END $$;
