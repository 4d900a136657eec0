-- The readings of a device's page are made at once for all of its metrics, as JSON (schema/rules/http_device.sql).
DROP FUNCTION IF EXISTS onemap.http_metric(onemap.metric, text);
DROP FUNCTION IF EXISTS onemap.http_device_readings(onemap.device, onemap.device_state);
