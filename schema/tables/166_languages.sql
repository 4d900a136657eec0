-- What the hub says of itself is said in Chinese, too: why an alarm ended by rows that rules and adapters write, warnings by a
-- column of their functions. A refusal of a case, too, is answered in both.
CREATE TABLE onemap.alarm_end (
    reason text PRIMARY KEY,
    zh     text NOT NULL CHECK (zh <> '')
);
COMMENT ON TABLE onemap.alarm_end IS 'Words (终止原因): why an alarm can have ended, as alarm.close_reason says it, and in Chinese';
GRANT SELECT ON onemap.alarm_end TO cityhub_hub, cityhub_read;
DROP FUNCTION IF EXISTS onemap.server_advice(bigint, bigint, bigint), onemap.calendar_warning(), onemap.terminal_key_warning(),
    onemap.http_case_report(jsonb, jsonb), onemap.http_case_do(jsonb, jsonb);
