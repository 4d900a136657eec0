-- gas: default alarm rules, gas used, protection of pipes against corrosion. Run by `cityhub migrate` every time.
-- Standards are known by content; where no clause is given, the clause was not verified.

SELECT onemap.alarm_rule_default('gas', 'leak_first', '{"name_zh": "燃气泄漏一级报警", "metric": "leak_percent_lel", "above": 20,
    "clear": 15, "severity": "major", "category_code": "20403", "source": "CJJ/T 146-2011: alarm at no more than 20 %LEL",
    "source_zh": "CJJ/T 146-2011：报警设定值不高于 20 %LEL"}');
SELECT onemap.alarm_rule_default('gas', 'leak_second', '{"name_zh": "燃气泄漏二级报警", "metric": "leak_percent_lel", "above": 50,
    "clear": 40, "severity": "critical", "category_code": "20403",
    "source": "GB/T 50493-2019: second alarm of combustible gas at 50 %LEL or below",
    "source_zh": "GB/T 50493-2019：可燃气体二级报警不高于 50 %LEL"}');
-- Derived: judged by gas_leak_sweep.
SELECT onemap.alarm_rule_default('gas', 'leak_not_shut_off', '{"kind": "derived", "name_zh": "泄漏报警后切断阀未关闭",
    "metric": "leak_percent_lel", "device_kind": "leak_detector", "above": 20, "duration_s": 120, "severity": "critical",
    "category_code": "20403", "source": "assumed: the alarm of CJJ/T 146-2011 shuts the valve within two minutes",
    "source_zh": "假定：CJJ/T 146-2011 的报警在两分钟内关断阀门"}');
SELECT onemap.alarm_rule_default('gas', 'co_high', '{"name_zh": "一氧化碳浓度高", "metric": "co_mg_m3", "above": 58, "clear": 35,
    "duration_s": 300, "severity": "major", "source": "assumed: 50 ppm, as 58 mg/m3 at 20 °C",
    "source_zh": "假定：50 ppm，20 °C 时为 58 mg/m³"}');
SELECT onemap.alarm_rule_default('gas', 'pressure_high', '{"name_zh": "中压管网压力高", "metric": "pressure_kpa",
    "device_kind": "pipe_monitor", "above": 400, "clear": 380, "duration_s": 60, "severity": "critical",
    "source": "GB 50028-2006, table 6.1.6: medium pressure A up to 0.4 MPa; pipes of another class need their own limit",
    "source_zh": "GB 50028-2006 表 6.1.6：中压 A 不超过 0.4 MPa；其他压力级制的管道另设限值"}');
SELECT onemap.alarm_rule_default('gas', 'pressure_low', '{"name_zh": "中压管网压力低", "metric": "pressure_kpa",
    "device_kind": "pipe_monitor", "below": 100, "clear": 120, "duration_s": 300, "severity": "major", "source": "assumed"}');
SELECT onemap.alarm_rule_default('gas', 'inlet_pressure_low', '{"name_zh": "调压站进口压力低", "metric": "inlet_pressure_kpa",
    "device_kind": "regulator_station", "below": 100, "clear": 120, "duration_s": 300, "severity": "major", "source": "assumed"}');
SELECT onemap.alarm_rule_default('gas', 'outlet_pressure_high', '{"name_zh": "调压站出口压力高", "metric": "outlet_pressure_kpa",
    "device_kind": "regulator_station", "above": 3, "clear": 2.8, "duration_s": 60, "severity": "critical",
    "category_code": "10135",
    "source": "assumed: 1.5 times the 2 kPa at which burners for natural gas are rated (GB 50028-2006); regulators to medium '
        'pressure need their own limit",
    "source_zh": "假定：天然气燃具额定压力 2 kPa（GB 50028-2006）的 1.5 倍；出口为中压的调压器另设限值"}');
SELECT onemap.alarm_rule_default('gas', 'outlet_pressure_low', '{"name_zh": "调压站出口压力低", "metric": "outlet_pressure_kpa",
    "device_kind": "regulator_station", "below": 1.5, "clear": 1.7, "duration_s": 60, "severity": "major", "category_code": "10135",
    "source": "assumed: 0.75 times the 2 kPa at which burners for natural gas are rated (GB 50028-2006)",
    "source_zh": "假定：天然气燃具额定压力 2 kPa（GB 50028-2006）的 0.75 倍"}');
SELECT onemap.alarm_rule_default('gas', 'filter_clogged', '{"name_zh": "过滤器压差高", "metric": "filter_drop_kpa", "above": 20,
    "clear": 15, "duration_s": 600, "severity": "minor", "source": "assumed"}');
SELECT onemap.alarm_rule_default('gas', 'odorant_low', '{"name_zh": "加臭剂浓度不足", "metric": "odorant_mg_m3",
    "device_kind": "odorizer", "below": 20, "clear": 20, "duration_s": 600, "severity": "major",
    "source": "CJJ/T 148-2010: about 20 mg/m3 of tetrahydrothiophene, so that a leak is smelt at 20 %LEL (GB 50028-2006, 3.2.3)",
    "source_zh": "CJJ/T 148-2010：四氢噻吩约 20 mg/m³，泄漏到 20 %LEL 时能闻到（GB 50028-2006 第 3.2.3 条）"}');
SELECT onemap.alarm_rule_default('gas', 'odorant_tank_low', '{"name_zh": "加臭剂储量不足", "metric": "odorant_tank_percent",
    "below": 15, "clear": 25, "severity": "minor", "source": "assumed"}');
SELECT onemap.alarm_rule_default('gas', 'cathodic_too_weak', '{"name_zh": "阴极保护不足", "metric": "cathodic_potential_mv",
    "above": -850, "clear": -870, "duration_s": 3600, "severity": "minor",
    "source": "GB/T 21448-2017: -850 mV (CSE) or more negative; polarised potential, here as measured (assumed)",
    "source_zh": "GB/T 21448-2017：-850 mV（CSE）或更负；标准指极化电位，这里用实测值（假定）"}');
SELECT onemap.alarm_rule_default('gas', 'cathodic_too_strong', '{"name_zh": "阴极保护过度", "metric": "cathodic_potential_mv",
    "below": -1200, "clear": -1170, "duration_s": 3600, "severity": "minor",
    "source": "GB/T 21448-2017: not more negative than -1200 mV (CSE); polarised potential, here as measured (assumed)",
    "source_zh": "GB/T 21448-2017：不比 -1200 mV（CSE）更负；标准指极化电位，这里用实测值（假定）"}');
SELECT onemap.alarm_rule_default('gas', 'ac_interference', '{"name_zh": "交流干扰电压高", "metric": "ac_voltage_v", "above": 4,
    "clear": 3.5, "duration_s": 3600, "severity": "minor", "source": "GB/T 50698-2011: up to 4 V no measures needed",
    "source_zh": "GB/T 50698-2011：4 V 以下可不采取措施"}');
SELECT onemap.alarm_rule_default('gas', 'well_flooded', '{"name_zh": "阀井积水", "metric": "water_level_m", "above": 0.5,
    "clear": 0.3, "duration_s": 600, "severity": "minor", "source": "assumed"}');
SELECT onemap.alarm_rule_default('gas', 'well_cover_open', '{"name_zh": "燃气阀井井盖打开", "metric": "cover_open", "equals": 1,
    "severity": "critical", "category_code": "10111", "source": "assumed"}');
SELECT onemap.alarm_rule_default('gas', 'station_door_open', '{"name_zh": "调压站（箱）门打开", "metric": "door_open", "equals": 1,
    "duration_s": 60, "severity": "major", "category_code": "10135", "source": "assumed"}');
-- Derived: judged by gas_valve_sweep.
SELECT onemap.alarm_rule_default('gas', 'flow_through_shut_valve', '{"kind": "derived", "name_zh": "关阀仍有流量",
    "metric": "flow_m3_h", "device_kind": "meter", "above": 0.5, "duration_s": 600, "severity": "major", "source": "assumed"}');
SELECT onemap.alarm_rule_default('gas', 'detector_fault', '{"name_zh": "探测器故障", "metric": "detector_fault", "equals": 1,
    "duration_s": 600, "severity": "minor", "source": "assumed"}');
SELECT onemap.alarm_rule_default('gas', 'power_lost', '{"name_zh": "市电中断", "metric": "power_lost", "equals": 1,
    "duration_s": 300, "severity": "minor", "source": "assumed"}');
SELECT onemap.alarm_rule_default('gas', 'battery_low', '{"name_zh": "电池电量低", "metric": "battery_percent", "below": 15,
    "clear": 25, "severity": "info", "source": "assumed"}');

CREATE OR REPLACE FUNCTION onemap.gas_leak_sweep() RETURNS int
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT onemap.alarm_sustained('gas', 'leak_not_shut_off', 'valve_open', 1)
$$;
COMMENT ON FUNCTION onemap.gas_leak_sweep() IS
    'Raises leak_not_shut_off on detectors that found gas through the rule''s duration while their valve stayed open, clears it '
    'otherwise; returns the detectors found';
INSERT INTO onemap.sweep (function_name, subsystem) VALUES ('gas_leak_sweep', 'gas') ON CONFLICT DO NOTHING;

CREATE OR REPLACE FUNCTION onemap.gas_valve_sweep() RETURNS int
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    SELECT onemap.alarm_sustained('gas', 'flow_through_shut_valve', 'valve_open', 0)
$$;
COMMENT ON FUNCTION onemap.gas_valve_sweep() IS
    'Raises flow_through_shut_valve on meters with flow through the rule''s duration while their valve was shut, clears it '
    'otherwise; returns the meters found';
INSERT INTO onemap.sweep (function_name, subsystem) VALUES ('gas_valve_sweep', 'gas') ON CONFLICT DO NOTHING;

CREATE OR REPLACE FUNCTION onemap.gas_consumption(day date)
RETURNS TABLE (device_id int, device_kind text, volume_m3 float8, rollovers int, replacements int)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT c.device_id, d.kind, c.consumption, c.rollovers, c.replacements
    FROM onemap.counter_daily('gas', 'volume_total_m3', day) c JOIN onemap.device d ON d.id = c.device_id
$$;
COMMENT ON FUNCTION onemap.gas_consumption(date) IS
    'Gas of a local day in m3 at standard conditions per meter and regulator station, by their counters (counter_daily)';
GRANT EXECUTE ON FUNCTION onemap.gas_consumption(date) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.gas_cathodic_daily(day date)
RETURNS TABLE (device_id int, readings int, mean_mv float8, protected_percent float8, flagged int)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT d.id, count(g.potential)::int, avg(g.potential),
           100.0 * count(*) FILTER (WHERE g.potential BETWEEN strong.threshold AND weak.threshold) / nullif(count(g.potential), 0),
           count(*) FILTER (WHERE g.flagged)::int
    FROM onemap.device d
    JOIN onemap.alarm_rule weak ON weak.subsystem = 'gas' AND weak.key = 'cathodic_too_weak'
    JOIN onemap.alarm_rule strong ON strong.subsystem = 'gas' AND strong.key = 'cathodic_too_strong'
    CROSS JOIN LATERAL onemap.observation_of(d.id, onemap.local_midnight(day), onemap.local_midnight(day + 1)) o
    CROSS JOIN (SELECT onemap.metric_ordinal('gas', 'cathodic_potential_mv') AS ordinal) p
    CROSS JOIN LATERAL (SELECT onemap.reading_good(o.readings, o.quality, p.ordinal) AS potential,
                               onemap.is_flagged(o.quality, p.ordinal) AS flagged) g
    WHERE d.subsystem = 'gas' AND d.kind = 'cathodic_post' AND d.status <> 'retired' AND (g.potential IS NOT NULL OR g.flagged)
    GROUP BY d.id
$$;
COMMENT ON FUNCTION onemap.gas_cathodic_daily(date) IS
    'Protection against corrosion on a local day per test post: readings, their mean, and the percentage within the limits of '
    'the two cathodic rules, both ends included (保护率); flagged: readings out of range, which are in none of these';
GRANT EXECUTE ON FUNCTION onemap.gas_cathodic_daily(date) TO cityhub_hub, cityhub_api, cityhub_read;
