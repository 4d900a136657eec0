-- Scores: formulas, entered points, results of closed months, and later corrections.
-- supersedes: schema/111_score.sql 023621602a095fab569180960161b7cd57a3ad2e7a682bd87f18afb538e538ce
-- supersedes: schema/112_score_month.sql b695d66691c1268d25e6d3ad4e419c5b2ca9f8bc75495506d5d67b1cf54aafce
-- supersedes: schema/113_score_formulas.sql 5c9edd0b2777cfc2343f2b879a22d41dfb13c51d8c36f5026682e66b7468047a

CREATE TABLE onemap.score_formula (
    version    int PRIMARY KEY CHECK (version > 0),
    key        text NOT NULL CHECK (key ~ '^[a-z][a-z0-9_]{0,31}$'),
    document   jsonb NOT NULL,
    sha256     bytea NOT NULL,
    from_month date NOT NULL CHECK (extract(day FROM from_month) = 1),
    example    boolean NOT NULL DEFAULT false,
    author     text NOT NULL CHECK (author <> ''),
    put_at     timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    put_by     text NOT NULL DEFAULT session_user
);
COMMENT ON TABLE onemap.score_formula IS
    'Versions of formulas, never changed: the highest version that is no example with from_month at or before a month is in '
    'force for it; examples are computed on request alone';

CREATE TABLE onemap.score_input (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    month      date NOT NULL CHECK (extract(day FROM month) = 1),
    department text NOT NULL,
    item       text NOT NULL CHECK (item ~ '^[a-z][a-z0-9_]{0,31}$'),
    points     numeric NOT NULL,
    author     text NOT NULL CHECK (author <> ''),
    evidence   text NOT NULL CHECK (evidence <> ''),
    entered_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    entered_by text NOT NULL DEFAULT session_user
);
COMMENT ON TABLE onemap.score_input IS
    'Points that people give for items of kind "input"; the last entry counts, none is ever changed';
CREATE INDEX score_input_last ON onemap.score_input (month, department, item, id DESC);

CREATE TABLE onemap.score_result (
    month      date NOT NULL REFERENCES onemap.score_month (month),
    department text NOT NULL,
    formula_version int NOT NULL REFERENCES onemap.score_formula (version),
    score      numeric,
    content    jsonb NOT NULL,
    PRIMARY KEY (month, department)
);
COMMENT ON TABLE onemap.score_result IS 'Scores of closed months as they were when the month was closed; never changed';

CREATE TABLE onemap.score_adjustment (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    month         date NOT NULL REFERENCES onemap.score_month (month),
    counted_month date NOT NULL CHECK (extract(day FROM counted_month) = 1 AND counted_month > month),
    department    text NOT NULL,
    points        numeric NOT NULL CHECK (points <> 0 AND abs(points) <= 100),
    case_code     text,
    reason        text NOT NULL CHECK (reason <> ''),
    author        text NOT NULL CHECK (author <> ''),
    made_at       timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    made_by       text NOT NULL DEFAULT session_user
);
COMMENT ON TABLE onemap.score_adjustment IS
    'Later corrections of closed months: the month corrected keeps its figures, the points count in counted_month as a line of '
    'their own';
CREATE INDEX score_adjustment_counted ON onemap.score_adjustment (counted_month, department);
