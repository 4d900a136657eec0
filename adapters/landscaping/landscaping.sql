-- landscaping: default alarm rules, need for irrigation, leaks. Run by `cityhub migrate` every time.

SELECT onemap.alarm_rule_default('landscaping', 'soil_dry', '{"name_zh": "土壤干旱", "metric": "soil_moisture_percent", "below": 12,
    "clear": 16, "duration_s": 3600, "severity": "minor", "category_code": "10405",
    "source": "assumed: near the wilting point of loam",
    "source_zh": "假定：接近壤土的凋萎含水率"}');
SELECT onemap.alarm_rule_default('landscaping', 'soil_wet', '{"name_zh": "土壤过湿", "metric": "soil_moisture_percent", "above": 45,
    "clear": 40, "duration_s": 21600, "severity": "info", "source": "assumed: saturation of loam",
    "source_zh": "假定：壤土饱和"}');
SELECT onemap.alarm_rule_default('landscaping', 'soil_saline', '{"name_zh": "土壤盐分偏高", "metric": "soil_conductivity_us_cm",
    "above": 4000, "clear": 3500, "duration_s": 86400, "severity": "info",
    "source": "assumed: 4 mS/cm, where soils begin to count as saline",
    "source_zh": "假定：4 mS/cm，自此算盐渍土"}');
SELECT onemap.alarm_rule_default('landscaping', 'frost', '{"name_zh": "低温冻害", "metric": "air_temp_c", "below": -10, "clear": -8,
    "duration_s": 3600, "severity": "info", "source": "assumed"}');
SELECT onemap.alarm_rule_default('landscaping', 'wind_strong', '{"name_zh": "大风（树木倒伏风险）", "metric": "wind_speed_m_s",
    "above": 17.2, "clear": 13.9, "duration_s": 60, "severity": "major", "source": "assumed: force 8, which begins at 17.2 m/s",
    "source_zh": "假定：八级风，自 17.2 m/s 起"}');
SELECT onemap.alarm_rule_default('landscaping', 'tree_tilted', '{"name_zh": "树木倾斜", "metric": "tree_tilt_deg", "above": 10,
    "clear": 8, "duration_s": 300, "severity": "major", "category_code": "10402", "source": "assumed"}');
SELECT onemap.alarm_rule_default('landscaping', 'pests', '{"name_zh": "虫口数偏高", "metric": "pests_caught", "above": 100,
    "clear": 60, "severity": "minor", "source": "assumed"}');
SELECT onemap.alarm_rule_default('landscaping', 'pipe_pressure_low', '{"name_zh": "灌溉管网压力低", "metric": "pipe_pressure_kpa",
    "below": 100, "clear": 130, "duration_s": 600, "severity": "minor", "source": "assumed"}');
SELECT onemap.alarm_rule_default('landscaping', 'battery_low', '{"name_zh": "电池电量低", "metric": "battery_percent", "below": 15,
    "clear": 25, "severity": "info", "source": "assumed"}');
-- Derived: judged by landscaping_leak_sweep.
SELECT onemap.alarm_rule_default('landscaping', 'irrigation_leak', '{"kind": "derived", "name_zh": "关阀仍有流量（漏水）",
    "metric": "irrigation_flow_m3_h", "device_kind": "irrigation_valve", "above": 0.2, "duration_s": 600, "severity": "minor",
    "category_code": "10409", "source": "assumed"}');

-- Soil water after FAO Irrigation and Drainage Paper 56, chapter 8: total available water TAW = 1000 (fc - wp) Zr in mm, readily
-- available RAW = p TAW, depletion Dr = 1000 (fc - moisture) Zr; water when Dr reaches RAW, as much as Dr.
CREATE OR REPLACE FUNCTION onemap.landscaping_water_need_mm(moisture_percent float8, field_capacity_percent float8,
    wilting_point_percent float8, root_depth_m float8, depletion_fraction float8) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN (field_capacity_percent - moisture_percent)
                     >= depletion_fraction * (field_capacity_percent - wilting_point_percent)
        THEN greatest(10 * (field_capacity_percent - moisture_percent) * root_depth_m, 0) ELSE 0 END
$$;
COMMENT ON FUNCTION onemap.landscaping_water_need_mm(float8, float8, float8, float8, float8) IS
    'Water in mm (litres per m2) that brings the root zone back to field capacity, 0 while the readily available water is not '
    'used up (FAO-56, chapter 8)';
GRANT EXECUTE ON FUNCTION onemap.landscaping_water_need_mm(float8, float8, float8, float8, float8) TO cityhub_hub, cityhub_api,
    cityhub_read;

CREATE OR REPLACE FUNCTION onemap.landscaping_attribute(attributes jsonb, key text, otherwise float8) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN attributes->>key ~ '^[0-9]{1,6}(\.[0-9]{1,6})?$' THEN (attributes->>key)::float8 ELSE otherwise END
$$;
COMMENT ON FUNCTION onemap.landscaping_attribute(jsonb, text, float8) IS 'A device attribute as a number, else the default';
GRANT EXECUTE ON FUNCTION onemap.landscaping_attribute(jsonb, text, float8) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE VIEW onemap.landscaping_irrigation_need AS
SELECT d.id AS device_id, d.code AS device_code, m.at AS observed_at, m.moisture AS soil_moisture_percent,
       onemap.landscaping_water_need_mm(m.moisture, onemap.landscaping_attribute(d.attributes, 'field_capacity_percent', 30),
           onemap.landscaping_attribute(d.attributes, 'wilting_point_percent', 14),
           onemap.landscaping_attribute(d.attributes, 'root_depth_m', 0.3),
           onemap.landscaping_attribute(d.attributes, 'depletion_fraction', 0.4)) AS need_mm
FROM onemap.device d
JOIN onemap.device_state s ON s.device_id = d.id AND s.online
CROSS JOIN LATERAL (SELECT s.readings[(SELECT onemap.metric_ordinal('landscaping', 'soil_moisture_percent'))] AS moisture,
                           s.reading_times[(SELECT onemap.metric_ordinal('landscaping', 'soil_moisture_percent'))] AS at) m
WHERE d.subsystem = 'landscaping' AND d.kind = 'soil_sensor' AND d.status <> 'retired' AND m.moisture BETWEEN 0 AND 100;
COMMENT ON VIEW onemap.landscaping_irrigation_need IS
    'Water that each soil sensor''s place needs now, in mm. The soil is described by inventory attributes field_capacity_percent '
    '(default 30), wilting_point_percent (14), root_depth_m (0.3), depletion_fraction (0.4): a loam under turf, assumed';
GRANT SELECT ON onemap.landscaping_irrigation_need TO cityhub_hub, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.landscaping_leak_sweep() RETURNS int
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT onemap.alarm_sustained('landscaping', 'irrigation_leak', 'valve_open', 0)
$$;
COMMENT ON FUNCTION onemap.landscaping_leak_sweep() IS
    'Raises irrigation_leak on valves that stayed shut through the rule''s duration while water flowed, clears it otherwise; '
    'returns the valves found';
INSERT INTO onemap.sweep (function_name, subsystem) VALUES ('landscaping_leak_sweep', 'landscaping') ON CONFLICT DO NOTHING;
