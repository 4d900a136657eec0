-- Where the limits of shipped rules come from is said in Chinese, too, by rows that rules and adapters write, as step 166 has it
-- for why alarms end. What a county writes itself stays as it is.
CREATE TABLE onemap.alarm_source (
    source text PRIMARY KEY,
    zh     text NOT NULL CHECK (zh <> '')
);
COMMENT ON TABLE onemap.alarm_source IS
    'Words (依据): where limits of alarm rules come from, as alarm_rule.source says it, and in Chinese';
GRANT SELECT ON onemap.alarm_source TO cityhub_hub, cityhub_read;
