-- The hub serves requests as the API's role (SET ROLE), and does for them only what that role may. Its own sessions have none of
-- those rights: NOINHERIT. Roles are the cluster's, so another database may have done it already.
DO $$
BEGIN
    IF (SELECT r.rolinherit FROM pg_catalog.pg_roles r WHERE r.rolname = 'cityhub_hub') THEN
        ALTER ROLE cityhub_hub NOINHERIT;
    END IF;
    IF NOT pg_catalog.pg_has_role('cityhub_hub', 'cityhub_api', 'MEMBER') THEN
        GRANT cityhub_api TO cityhub_hub;
    END IF;
END $$;
