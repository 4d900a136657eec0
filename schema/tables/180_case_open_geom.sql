-- What is near a device's page or a place on the map: open cases are a small part of all.
CREATE INDEX case_record_open_geom ON onemap.case_record USING gist (geom) WHERE ended_at IS NULL;
