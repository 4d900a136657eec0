-- Who reported a case is personal data: the name leaves the case, which many may read, for case_contact, which nobody reads but
-- by onemap.case_contact_show(), where every look is noted.

ALTER TABLE onemap.case_contact ADD COLUMN reporter text NOT NULL DEFAULT '';
INSERT INTO onemap.case_contact (case_id, reporter)
SELECT c.id, c.reporter FROM onemap.case_record c WHERE c.reporter <> ''
ON CONFLICT (case_id) DO UPDATE SET reporter = excluded.reporter;
-- Emptied first: what is only dropped would stay in the rows on disk.
UPDATE onemap.case_record SET reporter = '' WHERE reporter <> '';
ALTER TABLE onemap.case_record DROP COLUMN reporter;
COMMENT ON TABLE onemap.case_contact IS
    'Who reported (reporter: as given with the report), and whom to call back: personal data, kept apart from the case; no role '
    'but the owner reads it';
