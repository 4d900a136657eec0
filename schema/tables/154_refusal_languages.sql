-- What an administrator is refused is answered in both languages, as other refusals are: a column more.
DROP FUNCTION IF EXISTS onemap.http_account_do(jsonb, jsonb, text), onemap.http_user_add(jsonb, jsonb),
    onemap.http_user_role(jsonb, jsonb), onemap.http_user_password(jsonb, jsonb), onemap.http_user_revoke(jsonb),
    onemap.http_token_add(jsonb, jsonb), onemap.http_token_revoke(jsonb), onemap.http_alarm_rule_set(jsonb, jsonb),
    onemap.http_import_call(jsonb, jsonb, boolean), onemap.http_import_do(jsonb, jsonb, boolean),
    onemap.http_import_check(jsonb, jsonb), onemap.http_import(jsonb, jsonb), onemap.http_quarantine_replay(jsonb);
