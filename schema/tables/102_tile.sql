-- What the map's tiles are made from: polygons in the tiles' own projection, and open alarms by id, page by page.

ALTER TABLE onemap.grid_cell ADD COLUMN geom_3857 public.geometry(MultiPolygon, 3857)
    GENERATED ALWAYS AS (public.ST_Transform(geom, 3857)) STORED;
ALTER TABLE onemap.zone ADD COLUMN geom_3857 public.geometry(MultiPolygon, 3857)
    GENERATED ALWAYS AS (public.ST_Transform(geom, 3857)) STORED;
COMMENT ON COLUMN onemap.grid_cell.geom_3857 IS 'geom in Web Mercator (EPSG:3857), for vector tiles';
COMMENT ON COLUMN onemap.zone.geom_3857 IS 'geom in Web Mercator (EPSG:3857), for vector tiles';
CREATE INDEX grid_cell_geom_3857 ON onemap.grid_cell USING gist (geom_3857);
CREATE INDEX zone_geom_3857 ON onemap.zone USING gist (geom_3857);
CREATE INDEX alarm_open_id ON onemap.alarm (id) WHERE closed_at IS NULL;
