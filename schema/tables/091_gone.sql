-- document_place() tells what became of the place, which this one did not.
DROP FUNCTION IF EXISTS onemap.document_outside(text, text, text, jsonb);
