-- Settings of the server that do not fit the hub: told by name, with what to set.
BEGIN;
SELECT plan(9);
-- The tests' server runs without either.
SELECT is((SELECT array_agg(a.setting ORDER BY a.setting) FROM onemap.server_advice(1, 1, 1, 0) a), '{fsync,full_page_writes}', 'a small county fits the server of the tests, but for these');
CREATE FUNCTION pg_temp.server_advice(days bigint, readers bigint, connections bigint) RETURNS TABLE (setting text, advice text) LANGUAGE sql AS $$
    SELECT a.setting, a.advice FROM onemap.server_advice(days, readers, connections, 0) a WHERE a.setting NOT IN ('fsync', 'full_page_writes') $$;
SELECT is(onemap.server_locks_wanted(737, 4), 18425::bigint, 'five a day, for four readers and the sweeps');
SELECT is((SELECT array_agg(a.setting) FROM pg_temp.server_advice(36500, 4, 1) a), '{max_locks_per_transaction}', 'too many days');
SELECT matches((SELECT a.advice FROM pg_temp.server_advice(36500, 4, 1) a), 'it is \d+, which makes \d+ locks: reading 36500 days of data may need 912500, .* set it to '
    || ceil(912500.0 / (current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int)) || ' or more', 'says how many');
SELECT is_empty(format($$SELECT * FROM pg_temp.server_advice(%s, 0, 1)$$, current_setting('max_locks_per_transaction')::int
    * (current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int) / 5), 'exactly enough is enough');
SELECT is((SELECT array_agg(a.setting) FROM pg_temp.server_advice(1, 1, current_setting('max_connections')::int - 10) a), '{max_connections}', 'too many connections');
SELECT matches((SELECT a.advice FROM pg_temp.server_advice(1, 1, 1000) a), 'the hub holds 1000, .* set it to 1013 or more', 'says how many');
SELECT is((SELECT count(*) FROM onemap.server_advice(100000, 1000, 100000, 0) a WHERE a.advice_zh ~ '[一-龥]' AND a.advice !~ '[一-龥]'), 4::bigint, 'each in Chinese, too');
SELECT is((SELECT array_agg(onemap.server_small_pages(x.memory, 2172, x.pages, x.tries) ORDER BY x.n) FROM (VALUES (1, 4300, 0, true), (2, 4300, 2171, true), (3, 4300, 2172, true),
    (4, 4300, 3000, false), (5, 143, 0, true)) x (n, memory, pages, tries)), '{t,t,f,t,f}'::boolean[], 'large pages: none, too few, enough, not wanted; a small server needs none');
SELECT * FROM finish();
ROLLBACK;
