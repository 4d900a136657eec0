-- What people say to an alarm (报警备注): whoever acknowledges one, or looks into it, leaves words for the next shift.

CREATE TABLE onemap.alarm_comment (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alarm_id bigint NOT NULL REFERENCES onemap.alarm (id) ON DELETE CASCADE,
    said_at  timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    author   text NOT NULL CHECK (author <> ''),
    words    text NOT NULL CHECK (words <> '' AND length(words) <= 2000)
);
COMMENT ON TABLE onemap.alarm_comment IS 'Comments on alarms; author: a login of onemap.account, or "token:" and its name';
CREATE INDEX alarm_comment_of_alarm ON onemap.alarm_comment (alarm_id, id);
GRANT SELECT ON onemap.alarm_comment TO cityhub_hub, cityhub_read;
