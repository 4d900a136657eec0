-- Nobody makes what the owner's functions would find: objects in schema public are the database owner's. That is PostgreSQL's own
-- rule since 15; a database that came from an earlier one still lets everybody.
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
