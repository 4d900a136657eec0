-- Series are made one by one: onemap.series_points.
DROP FUNCTION IF EXISTS onemap.series_readings(int, timestamptz, timestamptz);
DROP FUNCTION IF EXISTS onemap.series_buckets(int[], int[], timestamptz, timestamptz, text, int);
