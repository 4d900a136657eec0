-- Who last imported which file on the page is asked for by subject; the audit log is long.
CREATE INDEX audit_log_import_idx ON onemap.audit_log ((detail->>'subject'), id) WHERE action = 'import';
