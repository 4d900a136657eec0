-- Records of staff and work are worked out all together and stored at once (schema/rules/staff_work.sql); none is tried any more.
DROP FUNCTION IF EXISTS onemap.staff_put(text, text, jsonb, timestamptz);
DROP FUNCTION IF EXISTS onemap.work_put(text, text, jsonb, timestamptz);
DROP FUNCTION IF EXISTS onemap.document_place(text, text, text, jsonb, text, boolean);
DROP FUNCTION IF EXISTS onemap.record_standard(text, text, jsonb);
DROP FUNCTION IF EXISTS onemap.record_merge(jsonb, jsonb);
DROP FUNCTION IF EXISTS onemap.record_merged_put(jsonb, jsonb, timestamptz);
DROP FUNCTION IF EXISTS onemap.members_try(jsonb, jsonb[], timestamptz, jsonb);
DROP FUNCTION IF EXISTS onemap.message_members(jsonb);
DROP FUNCTION IF EXISTS onemap.case_content_check(jsonb);
