-- A report's number of outside opens one case, also where it comes without a subsystem or vendor. A county that has let one in
-- twice keeps what it has; from then on none comes twice.
DO $$
DECLARE beyond bigint := (SELECT max(c.id) FROM onemap.case_record c WHERE EXISTS (
    SELECT FROM onemap.case_record o WHERE o.id < c.id AND o.external_code = c.external_code
        AND o.subsystem IS NOT DISTINCT FROM c.subsystem AND o.vendor IS NOT DISTINCT FROM c.vendor));
BEGIN
    DROP INDEX onemap.case_record_external;
    EXECUTE 'CREATE UNIQUE INDEX case_record_external ON onemap.case_record (external_code, subsystem, vendor) NULLS NOT DISTINCT '
        'WHERE external_code IS NOT NULL' || coalesce(' AND id > ' || beyond, '');
END $$;
