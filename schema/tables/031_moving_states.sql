-- Only what moves has a place in its state. Every merge writes a new version of a state, and each version of what is in an index
-- is paid for there: what stands is left out of it.
DROP INDEX onemap.device_state_geom;
CREATE INDEX device_state_geom ON onemap.device_state USING gist (geom) WHERE geom IS NOT NULL;
