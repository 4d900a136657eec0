-- They are rows now, looked up together for a whole list.
DROP FUNCTION IF EXISTS onemap.http_case_csv_line(onemap.case_record, bigint, timestamptz);
DROP FUNCTION IF EXISTS onemap.http_case_entry(onemap.case_record, bigint, timestamptz);
DROP FUNCTION IF EXISTS onemap.case_summary(onemap.case_record, timestamptz);
