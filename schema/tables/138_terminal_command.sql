-- What terminals are told (终端指令): texts, questions, settings that people send down by the gateways.

CREATE TABLE onemap.terminal_command (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    terminal_id int NOT NULL REFERENCES onemap.terminal (id),
    kind        text NOT NULL CHECK (kind ~ '^[a-z_]{2,32}$'),
    detail      jsonb NOT NULL CHECK (pg_catalog.jsonb_typeof(detail) = 'object'),
    asked_by    text NOT NULL,
    asked_at    timestamptz NOT NULL DEFAULT pg_catalog.now(),
    expires_at  timestamptz NOT NULL,
    state       text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'acknowledged', 'failed')),
    takes       int NOT NULL DEFAULT 0 CHECK (takes >= 0),
    gateway     text,
    sent_at     timestamptz,
    answered_at timestamptz,
    answer      jsonb NOT NULL DEFAULT '{}' CHECK (pg_catalog.jsonb_typeof(answer) = 'object'),
    CHECK ((state = 'waiting') = (gateway IS NULL) AND (gateway IS NULL) = (sent_at IS NULL))
);
COMMENT ON TABLE onemap.terminal_command IS
    'Commands to terminals (终端指令). state: waiting; sent: a gateway that holds the terminal''s connection has it, once; '
    'acknowledged, failed: the terminal''s answer. takes: how often a gateway took it, as one that could not send it gives it back';
CREATE INDEX terminal_command_of ON onemap.terminal_command (terminal_id, id);
CREATE INDEX terminal_command_waiting ON onemap.terminal_command (expires_at) WHERE state = 'waiting';
CREATE INDEX terminal_command_asked ON onemap.terminal_command (asked_at);
