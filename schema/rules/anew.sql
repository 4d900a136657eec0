-- What is made anew whenever the rules are run, so that nothing stays of what a file no longer says: who may call which
-- function, and the list of sweeps. The files after this one say both again; nobody else sees the time between, as all of them
-- are one transaction.

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA onemap FROM PUBLIC, cityhub_hub, cityhub_api, cityhub_read;
DELETE FROM onemap.sweep;
