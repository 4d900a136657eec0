-- The county's extent is asked for every place of a message: its cells' outermost sides are found by index.
CREATE INDEX grid_cell_west ON onemap.grid_cell (public.ST_XMin(geom));
CREATE INDEX grid_cell_south ON onemap.grid_cell (public.ST_YMin(geom));
CREATE INDEX grid_cell_east ON onemap.grid_cell (public.ST_XMax(geom));
CREATE INDEX grid_cell_north ON onemap.grid_cell (public.ST_YMax(geom));
-- Records of documents are tried some dozen at a time, and times that contradict each other are found by time_flaw().
DROP FUNCTION IF EXISTS onemap.record_try(jsonb, jsonb, jsonb, timestamptz);
DROP FUNCTION IF EXISTS onemap.inventory_try(text, text, jsonb, jsonb, timestamptz);
DROP FUNCTION IF EXISTS onemap.message_records(jsonb);
DROP FUNCTION IF EXISTS onemap.work_flaws(text, text, jsonb);
DROP FUNCTION IF EXISTS onemap.record_merge(jsonb, jsonb);
