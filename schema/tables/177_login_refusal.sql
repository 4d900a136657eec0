-- Who was refused at the broker: a vendor with a wrong password was in the broker's log alone.
CREATE TABLE onemap.login_refusal (
    login     text PRIMARY KEY,
    reason    text NOT NULL CHECK (reason IN ('password', 'client_id')),
    refused   bigint NOT NULL CHECK (refused > 0),
    first_at  timestamptz NOT NULL,
    last_at   timestamptz NOT NULL,
    address   text NOT NULL,
    client_id text NOT NULL
);
COMMENT ON TABLE onemap.login_refusal IS
    'Logins that the broker refused, as its plugin tells: how often since first_at, and the last time why, where from and as which '
    'client; login: a vendor, or "" for all that are none''s, whose names are not kept';
GRANT SELECT ON onemap.login_refusal TO cityhub_hub, cityhub_read;
