-- The exchange upward notes the answers to many messages at once: how many, is an argument more. Its ledger has room on each
-- page for a record's next state, so that noting an attempt touches no index.
DROP FUNCTION IF EXISTS onemap.exchange_reached(text, text, float8);
ALTER TABLE onemap.exchange_record SET (fillfactor = 80);
