-- What the board of the reports' quality (数据质量) counts, and alarms of the hub itself, which are no subsystem's.

ALTER TABLE onemap.exchange_target ADD COLUMN required jsonb NOT NULL DEFAULT '{}';
COMMENT ON TABLE onemap.exchange_target IS
    'Platforms above (上级平台). since: what happened before is not sent; oldest_s: how long a record may wait; required: '
    '{resource: [columns that its template cannot do without]}; paused_until, failures, problem: the breaker (熔断): nothing is '
    'sent until then, after so many failures on end, the last of which was this';

ALTER TABLE onemap.exchange_record ADD COLUMN accepted_at timestamptz;
UPDATE onemap.exchange_record r SET accepted_at = r.answered_at WHERE r.state = 'accepted';
COMMENT ON COLUMN onemap.exchange_record.accepted_at IS 'When the target accepted it for the first time; a replay leaves it';

CREATE TABLE onemap.exchange_contact (
    target  text NOT NULL REFERENCES onemap.exchange_target (target),
    day     date NOT NULL,
    reached bigint NOT NULL DEFAULT 0,
    away    bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (target, day)
);
COMMENT ON TABLE onemap.exchange_contact IS
    'How many messages to a target were answered on a day of the county (reached), and how many it could not be reached with, '
    'or asked to be left alone (away)';
GRANT SELECT ON onemap.exchange_contact TO cityhub_hub, cityhub_read;

-- A rule of the hub itself ("hub") is about no subsystem. That others name one, alarm_rule_default() sees to.
ALTER TABLE onemap.alarm_rule DROP CONSTRAINT alarm_rule_subsystem_fkey;
