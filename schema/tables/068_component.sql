-- The county's survey of components (部件普查): where each stands and whose it is, whether or not a vendor's device reports for it.

CREATE TABLE onemap.component (
    component_code char(16) PRIMARY KEY CHECK (component_code ~ '^[0-9]{16}$'),
    name_zh        text NOT NULL DEFAULT '',
    department_id  int REFERENCES onemap.department (id),
    geom           public.geometry(Point, 4326) NOT NULL,
    grid_cell      char(15) REFERENCES onemap.grid_cell (code)
);
COMMENT ON TABLE onemap.component IS
    'Components (部件) after GB/T 30428.2 from the county''s survey: place, grid cell and owner (权属单位); a device of the same '
    'code stands before it';
CREATE INDEX component_geom ON onemap.component USING gist (geom);
CREATE INDEX component_grid_cell ON onemap.component (grid_cell);
GRANT SELECT ON onemap.component TO cityhub_hub, cityhub_read;
