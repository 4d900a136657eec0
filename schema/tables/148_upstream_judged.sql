-- What a platform above says it has is compared once, when it has said it (onemap.exchange_ask_end), not by a sweep every time.
DELETE FROM onemap.sweep WHERE function_name = 'exchange_different_sweep';
DROP FUNCTION IF EXISTS onemap.exchange_different_sweep();
