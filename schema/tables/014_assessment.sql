-- The county's assessment: items and award kinds, entries, awards, publications and published totals.
-- supersedes: schema/114_assessment.sql dea9251ba6e4b27175a50792f6d64e8e7bbc95210a19d05cd729e0b4dd69220b
-- supersedes: schema/115_assessment_outcome.sql 498e7d7da0057e9be4e55480cd4d3184c792870d542527b1b11c2a28c564ba49
-- supersedes: schema/120_simulation.sql 71c6e4950bb0b2be6fd730f7333d6c9685255f18f091cd162550e8dbe8d638e5

CREATE TABLE onemap.assessment_item (
    item     text PRIMARY KEY CHECK (item ~ '^[a-z_]+$'),
    name_zh  text NOT NULL UNIQUE,
    part     text NOT NULL CHECK (part IN ('digital', 'campaign', 'office')),
    weight   numeric NOT NULL CHECK (weight > 0),
    lead_office text NOT NULL DEFAULT '',
    position int NOT NULL UNIQUE,
    clause   text NOT NULL
);
COMMENT ON TABLE onemap.assessment_item IS
    'What a month is made of (四): weight in percent, of the mean of all campaigns for each of them; lead_office: who alone may '
    'enter it, empty = whoever names itself';

CREATE TABLE onemap.assessment_award_kind (
    kind      text PRIMARY KEY CHECK (kind ~ '^[a-z_]+$'),
    name_zh   text NOT NULL UNIQUE,
    points    numeric NOT NULL CHECK (points <> 0),
    month_cap numeric CHECK (month_cap > 0),
    position  int NOT NULL UNIQUE,
    clause    text NOT NULL
);
COMMENT ON TABLE onemap.assessment_award_kind IS
    'Bonus items (五) and deductions (六): points each; month_cap: at most so many points a month';
GRANT SELECT ON onemap.assessment_item, onemap.assessment_award_kind TO cityhub_api;

CREATE TABLE onemap.assessment_entry (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    month      date NOT NULL CHECK (extract(day FROM month) = 1),
    item       text NOT NULL REFERENCES onemap.assessment_item (item) CHECK (item <> 'digital'),
    department text NOT NULL REFERENCES onemap.department (code),
    score      numeric CHECK (score BETWEEN 0 AND 100),
    office     text NOT NULL CHECK (office <> ''),
    author     text NOT NULL CHECK (author <> ''),
    evidence   text NOT NULL CHECK (evidence <> ''),
    entered_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    entered_by text NOT NULL DEFAULT session_user
);
COMMENT ON TABLE onemap.assessment_entry IS
    'Scores of the eight campaigns and four offices by their lead offices; score NULL: the item does not concern the department '
    '(不涉及); the last entry counts, none is ever changed, none is added after publication';
CREATE INDEX assessment_entry_last ON onemap.assessment_entry (month, department, item, id DESC);

CREATE TABLE onemap.assessment_award (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    month      date NOT NULL CHECK (extract(day FROM month) = 1),
    kind       text NOT NULL REFERENCES onemap.assessment_award_kind (kind),
    department text NOT NULL REFERENCES onemap.department (code),
    times      int NOT NULL CHECK (times BETWEEN 1 AND 1000),
    revokes    bigint UNIQUE REFERENCES onemap.assessment_award (id),
    office     text NOT NULL CHECK (office <> ''),
    author     text NOT NULL CHECK (author <> ''),
    evidence   text NOT NULL CHECK (evidence <> ''),
    entered_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    entered_by text NOT NULL DEFAULT session_user
);
COMMENT ON TABLE onemap.assessment_award IS
    'Bonuses and deductions entered; a row with revokes takes an earlier one back, evidence says why';
CREATE INDEX assessment_award_month ON onemap.assessment_award (month, department);

CREATE TABLE onemap.assessment_publication (
    month        date PRIMARY KEY REFERENCES onemap.score_month (month),
    content      jsonb NOT NULL,
    sha256       bytea NOT NULL,
    previous_sha256 bytea,
    author       text NOT NULL CHECK (author <> ''),
    published_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    published_by text NOT NULL DEFAULT session_user,
    CHECK (sha256 = pg_catalog.sha256(coalesce(previous_sha256, '\x') || pg_catalog.convert_to(content::text, 'UTF8')))
);
COMMENT ON TABLE onemap.assessment_publication IS
    'Published months: all figures as they were published; sha256 over the previous month''s sha256 and the content as text, so '
    'that a change shows in every later month';

CREATE TABLE onemap.assessment_result (
    month      date NOT NULL REFERENCES onemap.assessment_publication (month),
    department text NOT NULL,
    name_zh    text NOT NULL,
    total      numeric NOT NULL,
    grade      text NOT NULL,
    place      int NOT NULL CHECK (place > 0),
    place_from_last int NOT NULL CHECK (place_from_last > 0),
    PRIMARY KEY (month, department)
);
COMMENT ON TABLE onemap.assessment_result IS
    'The published totals, for what depends on earlier months: two in a row, three times in a year, the yearly mean';
