-- What monitors of HJ 212 were asked for after a gap (补数), so that nothing is asked for without an end.

CREATE TABLE onemap.gateway_fetch (
    terminal_id int NOT NULL REFERENCES onemap.terminal (id),
    command     int NOT NULL,
    began_at    timestamptz NOT NULL,
    ended_at    timestamptz NOT NULL,
    asks        int NOT NULL DEFAULT 1,
    asked_at    timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (terminal_id, command, began_at)
);
COMMENT ON TABLE onemap.gateway_fetch IS
    'History that terminals were asked for (2051 minutes, 2061 hours, 2031 days), by where the gap began; asks: how often';
CREATE INDEX gateway_fetch_asked ON onemap.gateway_fetch (asked_at);
GRANT SELECT ON onemap.gateway_fetch TO cityhub_hub, cityhub_read;
