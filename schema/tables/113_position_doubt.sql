-- Places that their sender does not trust (no fix, a jump) are kept as those outside the county are.
COMMENT ON COLUMN onemap.track_point_raw.geom_outside IS
    'The place, if it is outside the county or its sender does not trust it (no fix, a jump): then geom is NULL, and no map, '
    'rule or route sees it';
