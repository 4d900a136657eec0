-- What gateways and the hub say to each other beside reports (terminal.sql): letters, each answered once it is committed.

CREATE OR REPLACE FUNCTION onemap.gateway_letter(instance text, letter jsonb) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE kept boolean := false; tell jsonb := '[]'::jsonb;
BEGIN
    IF instance ~ '^[A-Za-z0-9_.-]{1,40}$' AND jsonb_typeof(letter->'media') = 'object' THEN
        kept := onemap.gateway_media_put(instance, letter->'media');
    ELSIF jsonb_typeof(letter->'history') = 'array' THEN
        tell := onemap.gateway_history(letter->'history');
        kept := true;
    ELSIF jsonb_typeof(letter->'take') = 'array' THEN
        tell := onemap.gateway_command_take(instance, letter->'take');
        kept := true;
    ELSIF jsonb_typeof(letter->'settled') = 'array' THEN
        kept := onemap.gateway_command_settle(instance, letter->'settled');
    ELSIF jsonb_typeof(letter->'key') = 'object' THEN
        kept := onemap.gateway_key(instance, letter->'key');
    END IF;
    RETURN jsonb_build_object('letters', jsonb_build_array(jsonb_build_object('letter', letter->'letter', 'kept', kept)),
        'tell', tell)::text;
END $$;
COMMENT ON FUNCTION onemap.gateway_letter(text, jsonb) IS
    'Takes a gateway''s letter {letter: name, and one of media: see gateway_media_put; history: see gateway_history; take, '
    'settled: see gateway_command_take, gateway_command_settle; key: see gateway_key} and answers '
    '{letters: [{letter, kept}], tell: what the gateway says to its terminals}';
GRANT EXECUTE ON FUNCTION onemap.gateway_letter(text, jsonb) TO cityhub_hub;
