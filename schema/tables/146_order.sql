-- Orders of the hotlines 12345 and 12319 (热线工单): an order is not a case. It has its own number, states, clocks and
-- result, and stands
-- for none, one or several cases.

CREATE TABLE onemap.hotline_order (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    number          text NOT NULL UNIQUE,
    version         int NOT NULL DEFAULT 1,
    source          text NOT NULL CHECK (source ~ '^[a-z0-9][a-z0-9._-]{0,31}$'),
    external_number text NOT NULL CHECK (external_number <> '' AND length(external_number) <= 100),
    token_id        int REFERENCES onemap.token (id),
    title           text NOT NULL DEFAULT '',
    content         text NOT NULL CHECK (content <> ''),
    address         text NOT NULL DEFAULT '',
    geom            public.geometry(Point, 4326),
    urgent          boolean NOT NULL,
    state           text NOT NULL CHECK (state IN ('received', 'signed', 'returned', 'answered', 'visited')),
    result          smallint CHECK (result BETWEEN 0 AND 3),
    answer          text,
    satisfaction    text CHECK (satisfaction IN ('satisfied', 'basically_satisfied', 'dissatisfied')),
    received_at     timestamptz NOT NULL,
    sign_by         timestamptz NOT NULL,
    answer_by       timestamptz NOT NULL,
    signed_at       timestamptz,
    answered_at     timestamptz,
    visited_at      timestamptz,
    reminder_count  int NOT NULL DEFAULT 0,
    round           int NOT NULL DEFAULT 1,
    CHECK ((state IN ('answered', 'visited')) <= (result IS NOT NULL AND answer IS NOT NULL))
);
COMMENT ON TABLE onemap.hotline_order IS
    'Orders of the hotlines (热线工单); source, external_number: who sent it under which number, once; token_id: the program '
    'that sent it; '
    'result: 0 solved, 1 not, 2 partly, 3 not handled; sign_by, answer_by: its own clocks; round: how often it was sent (复派)';
-- The same number in wide letters (ＨＸ-9) or in small ones is the same.
CREATE UNIQUE INDEX hotline_order_external ON onemap.hotline_order (source, upper(normalize(external_number, NFKC)));
CREATE INDEX hotline_order_open ON onemap.hotline_order (answer_by) WHERE state IN ('received', 'signed');

CREATE TABLE onemap.hotline_order_contact (
    order_id bigint PRIMARY KEY REFERENCES onemap.hotline_order (id),
    name     text NOT NULL DEFAULT '',
    phone    text NOT NULL DEFAULT ''
);
COMMENT ON TABLE onemap.hotline_order_contact IS 'Who called (来电人): personal data, which goes to the contact of the '
    'order''s case and nowhere else';

CREATE TABLE onemap.hotline_order_case (
    order_id bigint NOT NULL REFERENCES onemap.hotline_order (id),
    case_id  bigint NOT NULL REFERENCES onemap.case_record (id),
    PRIMARY KEY (order_id, case_id)
);
COMMENT ON TABLE onemap.hotline_order_case IS 'The cases that an order stands for';
CREATE INDEX hotline_order_of_case ON onemap.hotline_order_case (case_id);

CREATE TABLE onemap.hotline_order_file (
    order_id bigint NOT NULL REFERENCES onemap.hotline_order (id),
    sha256   bytea NOT NULL REFERENCES onemap.attachment (sha256),
    PRIMARY KEY (order_id, sha256)
);
COMMENT ON TABLE onemap.hotline_order_file IS 'Photographs that go with an order''s answer, of those of its cases';

CREATE TABLE onemap.hotline_order_event (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id   bigint NOT NULL REFERENCES onemap.hotline_order (id),
    version    int NOT NULL,
    at         timestamptz NOT NULL,
    action     text NOT NULL,
    state      text NOT NULL,
    actor      text NOT NULL,
    reason     text,
    detail     jsonb NOT NULL DEFAULT '{}',
    UNIQUE (order_id, version)
);
COMMENT ON TABLE onemap.hotline_order_event IS
    'What was done to orders, only ever added to; ids are given one transaction after the other, so who has read up to one has '
    'missed none';

GRANT SELECT ON onemap.hotline_order, onemap.hotline_order_case, onemap.hotline_order_file, onemap.hotline_order_event
    TO cityhub_hub, cityhub_read;
