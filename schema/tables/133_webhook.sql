-- Webhooks (推送): addresses to which events of subscriptions are sent.

CREATE TABLE onemap.webhook (
    subscription_id int PRIMARY KEY REFERENCES onemap.subscription (id),
    url             text NOT NULL CHECK (length(url) <= 500),
    sign            text NOT NULL CHECK (sign IN ('hmac-sha256', 'hmac-sm3')),
    secret          text NOT NULL CHECK (length(secret) = 64),
    resumed_at      timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    disabled_at     timestamptz,
    problem         text NOT NULL DEFAULT ''
);
COMMENT ON TABLE onemap.webhook IS
    'Where events of a subscription are sent: sign, secret: the key by which each message is signed, told once when it was made; '
    'disabled_at, problem: nothing is sent, as it had failed for too long since resumed_at';
GRANT SELECT (subscription_id, url, sign, resumed_at, disabled_at, problem) ON onemap.webhook TO cityhub_hub, cityhub_read;
