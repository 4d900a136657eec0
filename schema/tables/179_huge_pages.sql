-- The server's advice asks how many large pages the machine has.
DROP FUNCTION IF EXISTS onemap.server_advice(bigint, bigint, bigint);
