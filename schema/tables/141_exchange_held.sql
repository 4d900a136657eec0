-- What a platform above says it has, where it can be asked (对账).

CREATE TABLE onemap.exchange_held (
    target   text NOT NULL REFERENCES onemap.exchange_target (target),
    resource text NOT NULL,
    number   text NOT NULL,
    hash     text NOT NULL,
    times    int NOT NULL,
    asking   timestamptz NOT NULL,
    PRIMARY KEY (target, resource, number, asking)
);
COMMENT ON TABLE onemap.exchange_held IS
    'What a target said it has when it was asked last: numbers, the hash with each (empty: it says none), how often; asking: '
    'when that began';
GRANT SELECT ON onemap.exchange_held TO cityhub_hub, cityhub_read;

ALTER TABLE onemap.exchange_target ADD COLUMN asks boolean NOT NULL DEFAULT false,
    ADD COLUMN asked_at timestamptz, ADD COLUMN ask_next_at timestamptz NOT NULL DEFAULT '-infinity';
COMMENT ON COLUMN onemap.exchange_target.asks IS
    'Its file says how it can be asked what it has; asked_at: when the last such asking that came to its end began';
