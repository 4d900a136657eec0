-- A number of outside is the same in wide letters (ＨＸ-9) and in small ones, and whether somebody has said its subsystem or not:
-- of reports without a vendor. A vendor's own codes are its own, letter by letter. A county that has let one in twice keeps what it
-- has; from then on none comes twice.
DO $$
DECLARE
    number text := 'CASE WHEN vendor IS NULL THEN upper(normalize(external_code, NFKC)) ELSE external_code END';
    beyond bigint;
BEGIN
    EXECUTE format('SELECT max(t.id) FROM (SELECT id, row_number() OVER (PARTITION BY %s, '
        'CASE WHEN vendor IS NOT NULL THEN subsystem END, vendor ORDER BY id) AS n '
        'FROM onemap.case_record WHERE external_code IS NOT NULL) t WHERE t.n > 1', number) INTO beyond;
    DROP INDEX onemap.case_record_external;
    EXECUTE format('CREATE UNIQUE INDEX case_record_external ON onemap.case_record ((%s), '
        '(CASE WHEN vendor IS NOT NULL THEN subsystem END), vendor) NULLS NOT DISTINCT '
        'WHERE external_code IS NOT NULL', number) || coalesce(' AND id > ' || beyond, '');
END $$;
