-- Who people and programs are to the hub (身份): accounts with their posts and department, tokens of programs, open sessions. Of a
-- secret only a hash is kept, and no role but the owner reads one: functions ask for them (schema/rules/identity*.sql).

CREATE TABLE onemap.access_right (
    access_right text PRIMARY KEY,
    name_zh      text NOT NULL,
    position     smallint NOT NULL
);
COMMENT ON TABLE onemap.access_right IS
    'Rights (权限) that a route of the HTTP server may ask for; a route names one in its row (hub/http/routes.c)';

CREATE TABLE onemap.post (
    post       text PRIMARY KEY,
    name_zh    text NOT NULL,
    case_role  text REFERENCES onemap.case_role (role),
    everywhere boolean NOT NULL,
    position   smallint NOT NULL
);
COMMENT ON TABLE onemap.post IS
    'Posts (岗位) that people hold: those of the closed loop (case_role: acts there as this role), viewer and admin; everywhere: '
    'sees all departments'' rows, whatever department its holder is of';

CREATE TABLE onemap.post_right (
    post         text NOT NULL REFERENCES onemap.post (post) ON DELETE CASCADE,
    access_right text NOT NULL REFERENCES onemap.access_right (access_right) ON DELETE CASCADE,
    PRIMARY KEY (post, access_right)
);
COMMENT ON TABLE onemap.post_right IS 'Which rights a post has';

CREATE TABLE onemap.account (
    id                  int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    login               text NOT NULL UNIQUE CHECK (login ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
    name                text NOT NULL CHECK (name <> '' AND length(name) <= 100),
    department_id       int REFERENCES onemap.department (id),
    password_hash       text CHECK (password_hash ~ '^\$argon2id\$'),
    password_changed_at timestamptz,
    created_at          timestamptz NOT NULL DEFAULT pg_catalog.now(),
    last_login_at       timestamptz,
    revoked_at          timestamptz,
    CHECK (revoked_at IS NULL OR password_hash IS NULL)
);
COMMENT ON TABLE onemap.account IS
    'People who may log in (账号): personal data. password_hash: Argon2id, none of somebody who is revoked. Never deleted: '
    'journals '
    'name logins';

CREATE TABLE onemap.account_post (
    account_id int NOT NULL REFERENCES onemap.account (id),
    post       text NOT NULL REFERENCES onemap.post (post),
    PRIMARY KEY (account_id, post)
);
COMMENT ON TABLE onemap.account_post IS 'Which posts a person holds';

CREATE TABLE onemap.session (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hash         bytea NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
    account_id   int NOT NULL REFERENCES onemap.account (id),
    opened_at    timestamptz NOT NULL DEFAULT pg_catalog.now(),
    last_used_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    expires_at   timestamptz NOT NULL,
    address      inet
);
COMMENT ON TABLE onemap.session IS
    'Open sessions (会话): hash: SHA-256 of what the cookie holds, which is 256 random bits; expires_at: the end, however '
    'much it is used';
CREATE INDEX session_of_account ON onemap.session (account_id);

CREATE TABLE onemap.token (
    id            int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name          text NOT NULL UNIQUE CHECK (name ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
    hash          bytea UNIQUE CHECK (octet_length(hash) = 32),
    account_id    int REFERENCES onemap.account (id),
    department_id int REFERENCES onemap.department (id),
    created_at    timestamptz NOT NULL DEFAULT pg_catalog.now(),
    expires_at    timestamptz NOT NULL,
    last_used_at  timestamptz,
    last_address  inet,
    revoked_at    timestamptz,
    CHECK ((revoked_at IS NULL) = (hash IS NOT NULL)),
    CHECK (account_id IS NULL OR department_id IS NULL)
);
COMMENT ON TABLE onemap.token IS
    'Tokens (令牌) of programs: hash: SHA-256 of the token, which is 256 random bits; account_id: the person whose it is, '
    'beyond whose '
    'rights it never goes; department_id: sees that department''s rows alone';
CREATE INDEX token_of_account ON onemap.token (account_id) WHERE account_id IS NOT NULL;

CREATE TABLE onemap.token_right (
    token_id     int NOT NULL REFERENCES onemap.token (id),
    access_right text NOT NULL REFERENCES onemap.access_right (access_right),
    PRIMARY KEY (token_id, access_right)
);
COMMENT ON TABLE onemap.token_right IS 'Which rights a token has';

-- Words are everybody's; people, sessions and tokens nobody's.
GRANT SELECT ON onemap.access_right, onemap.post, onemap.post_right TO cityhub_hub, cityhub_api, cityhub_read;

-- The audit log names whom the HTTP server has let in, beside the database's login.
ALTER TABLE onemap.audit_log ADD COLUMN person text, ADD COLUMN address inet;
COMMENT ON COLUMN onemap.audit_log.person IS 'By HTTP: who it was, a login of onemap.account or "token:" and its name';
COMMENT ON COLUMN onemap.audit_log.address IS 'By HTTP: the client''s address';
