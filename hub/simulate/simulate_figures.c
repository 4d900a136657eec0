/* simulate_figures.c: see simulate_figures.h. All figures are made up, of what instruments of that sort usually show;
 * none is a limit. Must never be read by anything but the simulator. */
#include "hub/simulate/simulate_figures.h"

#include <string.h>

#include "hub/base/count.h"

static const struct figures_range sanitation_ranges[] = {
    {"speed_km_h", 0, 35},
    {"heading_deg", 0, 360},
    {"load_kg", 500, 8000},
    {"fuel_percent", 20, 95},
    {"mileage_km", 0, 8},
    {"engine_on", 1, 1},
    {"sweeping_on", 0, 1},
    {"compacting_on", 0, 1},
    {"spraying_on", 0, 1},
    {"water_tank_percent", 10, 95},
    {"fill_percent", 10, 85},
    {"bin_temp_c", 5, 38},
    {"bin_tilt_deg", 0, 5},
    {"fire_alarm", 0, 0},
    {"battery_percent", 40, 100},
    {"nh3_mg_m3", 0.02, 0.25},
    {"h2s_mg_m3", 0, 0.008},
    {"stalls_occupied", 0, 6},
    {"stalls_total", 8, 8},
    {"visitors_total", 0, 40},
    {"water_total_m3", 0, 0.6},
    {"toilet_temp_c", 8, 32},
    {"toilet_humidity_percent", 40, 85},
    {"gross_kg", 12000, 18000},
    {"tare_kg", 8000, 9500},
    {"net_kg", 3000, 8500},
    {"waste_kind", 0, 4},
    {0},
};

static const struct figures_devices sanitation_devices[] = {
    {"sweeper", 25},
    {"collection_truck", 30},
    {"water_truck", 10},
    {"bin", 120},
    {"public_toilet", 25},
    {"transfer_station", 4},
    {0},
};

static const struct figures_range streetlight_ranges[] = {
    {"lamp_on", 1, 1},
    {"ordered_on", 1, 1},
    {"dimming_percent", 50, 100},
    {"voltage_v", 212, 232},
    {"current_a", 0.3, 0.7},
    {"active_power_w", 60, 150},
    {"energy_kwh", 0.06, 0.15},
    {"power_factor", 0.9, 0.99},
    {"leakage_current_ma", 0, 8},
    {"burning_hours_h", 1, 1},
    {"pole_tilt_deg", 0, 1.5},
    {"lamp_temp_c", 15, 65},
    {"cabinet_door_open", 0, 0},
    {"contactor_closed", 1, 1},
    {"voltage_b_v", 212, 232},
    {"voltage_c_v", 212, 232},
    {"current_b_a", 0.3, 0.7},
    {"current_c_a", 0.3, 0.7},
    {"cabinet_temp_c", 10, 45},
    {"cabinet_flooded", 0, 0},
    {"illuminance_lx", 0, 20},
    {"fault_code", 0, 0},
    {0},
};

static const struct figures_devices streetlight_devices[] = {
    {"lamp", 400},
    {"cabinet", 20},
    {0},
};

static const struct figures_range dust_ranges[] = {
    {"pm25_ug_m3", 20, 90},
    {"pm10_ug_m3", 40, 180},
    {"tsp_ug_m3", 80, 320},
    {"noise_dba", 45, 68},
    {"wind_speed_m_s", 0.2, 6},
    {"wind_direction_deg", 0, 360},
    {"air_temp_c", 2, 33},
    {"humidity_percent", 30, 85},
    {"pressure_kpa", 99, 103},
    {"spraying_on", 0, 1},
    {0},
};

static const struct figures_devices dust_devices[] = {
    {"site_monitor", 120},
    {"road_monitor", 40},
    {0},
};

static const struct figures_range municipal_ranges[] = {
    {"cover_open", 0, 0},
    {"cover_tilt_deg", 0, 3},
    {"water_level_m", 0.1, 0.9},
    {"ch4_percent_lel", 0, 3},
    {"h2s_mg_m3", 0, 3},
    {"co_mg_m3", 0, 6},
    {"o2_percent", 20.2, 20.9},
    {"battery_percent", 40, 100},
    {"signal_dbm", -105, -75},
    {"ponding_depth_cm", 0, 3},
    {"rain_mm_h", 0, 2},
    {"pump_running", 0, 1},
    {"pumps_running", 0, 3},
    {"pump_flow_m3_h", 0, 1800},
    {"sump_level_m", 0.8, 2.6},
    {"outlet_level_m", 0.5, 2},
    {"discharge_total_m3", 0, 1200},
    {"energy_kwh", 0, 90},
    {"pump_current_a", 0, 160},
    {"pump_fault", 0, 0},
    {"power_lost", 0, 0},
    {"strain_microstrain", -60, 90},
    {"displacement_mm", 0, 8},
    {"vibration_m_s2", 0.01, 0.25},
    {"bearing_tilt_deg", 0, 0.1},
    {"crack_width_mm", 0, 0.12},
    {"structure_temp_c", 2, 40},
    {"vehicle_load_t", 1.5, 30},
    {0},
};

static const struct figures_devices municipal_devices[] = {
    {"manhole", 150}, {"ponding_sensor", 30}, {"pump_station", 12}, {"bridge", 8}, {0},
};

static const struct figures_range landscaping_ranges[] = {
    {"soil_moisture_percent", 16, 32},
    {"soil_temp_c", 6, 26},
    {"soil_conductivity_us_cm", 200, 900},
    {"soil_ph", 7, 8.3},
    {"air_temp_c", 2, 33},
    {"humidity_percent", 30, 85},
    {"illuminance_lx", 0, 60000},
    {"rain_mm", 0, 0.2},
    {"rain_total_mm", 0, 0.4},
    {"wind_speed_m_s", 0.2, 6},
    {"wind_direction_deg", 0, 360},
    {"pressure_kpa", 99, 103},
    {"valve_open", 0, 1},
    {"irrigation_flow_m3_h", 0, 12},
    {"water_total_m3", 0, 6},
    {"pipe_pressure_kpa", 180, 350},
    {"tree_tilt_deg", 0, 2},
    {"pests_caught", 0, 12},
    {"battery_percent", 40, 100},
    {0},
};

static const struct figures_devices landscaping_devices[] = {
    {"soil_sensor", 80}, {"weather_station", 6}, {"irrigation_valve", 40}, {"tree_sensor", 25}, {"pest_trap", 5}, {0},
};

static const struct figures_range construction_waste_ranges[] = {
    {"speed_km_h", 0, 50},
    {"heading_deg", 0, 360},
    {"load_kg", 0, 17000},
    {"load_percent", 0, 98},
    {"cover_closed", 1, 1},
    {"bed_lifted", 0, 0},
    {"mileage_km", 0, 25},
    {"engine_on", 1, 1},
    {"fuel_percent", 20, 95},
    {"passage", 0, 1},
    {"washed", 1, 1},
    {"passage_loaded", 0, 1},
    {"passage_covered", 1, 1},
    {"wash_seconds", 60, 240},
    {"yard_volume_m3", 180000, 220000},
    {"yard_free_m3", 80000, 120000},
    {"received_total_m3", 20, 90},
    {"received_total_t", 35, 160},
    {"trucks_inside", 0, 8},
    {0},
};

static const struct figures_devices construction_waste_devices[] = {
    {"truck", 60},
    {"site_gate", 25},
    {"disposal_yard", 5},
    {0},
};

static const struct figures_range gas_ranges[] = {
    {"pressure_kpa", 180, 320},
    {"inlet_pressure_kpa", 200, 340},
    {"outlet_pressure_kpa", 2.2, 2.8},
    {"filter_drop_kpa", 2, 15},
    {"gas_temp_c", 3, 26},
    {"flow_m3_h", 20, 400},
    {"volume_total_m3", 20, 400},
    {"working_volume_total_m3", 6, 120},
    {"leak_percent_lel", 0, 3},
    {"co_mg_m3", 0, 6},
    {"valve_open", 1, 1},
    {"valve_opening_percent", 30, 80},
    {"odorant_mg_m3", 20, 30},
    {"odorant_tank_percent", 30, 95},
    {"cathodic_potential_mv", -1150, -900},
    {"protection_current_a", 0.5, 4},
    {"ac_voltage_v", 0, 2.5},
    {"water_level_m", 0, 0.2},
    {"cover_open", 0, 0},
    {"door_open", 0, 0},
    {"battery_percent", 40, 100},
    {"signal_dbm", -105, -75},
    {"power_lost", 0, 0},
    {"detector_fault", 0, 0},
    {0},
};

static const struct figures_devices gas_devices[] = {
    {"regulator_station", 40},
    {"pipe_monitor", 30},
    {"valve_well", 50},
    {"leak_detector", 80},
    {"meter", 40},
    {"cathodic_post", 20},
    {"odorizer", 2},
    {0},
};

static const struct figures_range heating_ranges[] = {
    {"supply_temp_c", 42, 55},
    {"return_temp_c", 33, 41},
    {"supply_pressure_kpa", 420, 520},
    {"return_pressure_kpa", 280, 360},
    {"flow_m3_h", 80, 220},
    {"heat_power_kw", 900, 2600},
    {"heat_total_gj", 3, 9},
    {"water_total_m3", 80, 220},
    {"primary_supply_temp_c", 85, 105},
    {"primary_return_temp_c", 42, 55},
    {"primary_supply_pressure_kpa", 700, 950},
    {"primary_return_pressure_kpa", 350, 500},
    {"primary_flow_m3_h", 18, 50},
    {"valve_opening_percent", 30, 80},
    {"pump_running", 1, 1},
    {"pump_frequency_hz", 36, 46},
    {"pump_current_a", 15, 60},
    {"pump_fault", 0, 0},
    {"makeup_flow_m3_h", 0, 0.4},
    {"makeup_total_m3", 0, 0.4},
    {"makeup_tank_level_m", 1, 1.8},
    {"energy_kwh", 5, 25},
    {"outdoor_temp_c", -6, 8},
    {"indoor_temp_c", 18.5, 23},
    {"indoor_humidity_percent", 25, 55},
    {"flooded", 0, 0},
    {"power_lost", 0, 0},
    {"battery_percent", 40, 100},
    {0},
};

static const struct figures_devices heating_devices[] = {
    {"heat_source", 2},      {"substation", 30},  {"building_entrance", 60},
    {"household_meter", 30}, {"room_sensor", 80}, {0},
};

static const struct figures_range water_ranges[] = {
    {"pressure_kpa", 240, 380},
    {"inlet_pressure_kpa", 180, 280},
    {"flow_m3_h", 5, 80},
    {"volume_total_m3", 5, 80},
    {"reverse_total_m3", 0, 0},
    {"turbidity_ntu", 0.1, 0.5},
    {"residual_chlorine_mg_l", 0.35, 0.7},
    {"ph", 7.2, 8.1},
    {"conductivity_us_cm", 350, 800},
    {"water_temp_c", 8, 22},
    {"cod_mn_mg_l", 0.6, 1.8},
    {"ammonia_mg_l", 0.02, 0.2},
    {"tank_level_m", 1.6, 3.4},
    {"pump_running", 1, 1},
    {"pumps_running", 1, 3},
    {"pump_frequency_hz", 32, 46},
    {"pump_current_a", 10, 60},
    {"pump_fault", 0, 0},
    {"energy_kwh", 3, 40},
    {"door_open", 0, 0},
    {"flooded", 0, 0},
    {"power_lost", 0, 0},
    {"leak_noise_db", 5, 25},
    {"leak_frequency_hz", 80, 900},
    {"leak_suspected", 0, 0},
    {"hydrant_open", 0, 0},
    {"hydrant_tilt_deg", 0, 2},
    {"battery_percent", 40, 100},
    {"signal_dbm", -105, -75},
    {0},
};

static const struct figures_devices water_devices[] = {
    {"waterworks", 2},     {"pump_station", 20},   {"pressure_point", 40},
    {"quality_point", 12}, {"district_meter", 16}, {"customer_meter", 60},
    {"leak_logger", 40},   {"hydrant", 20},        {0},
};

static const struct figures_range incineration_ranges[] = {
    {"line_state", 0, 0},
    {"monitor_state", 0, 0},
    {"furnace_temp_upper_c", 880, 960},
    {"furnace_temp_middle_c", 920, 1020},
    {"furnace_temp_lower_c", 950, 1080},
    {"pm_mg_m3", 1, 8},
    {"nox_mg_m3", 90, 190},
    {"so2_mg_m3", 5, 45},
    {"hcl_mg_m3", 4, 30},
    {"co_mg_m3", 3, 30},
    {"o2_percent", 7, 10.5},
    {"nh3_mg_m3", 0.5, 6},
    {"hf_mg_m3", 0, 0.6},
    {"co2_percent", 9, 12},
    {"flue_gas_flow_m3_h", 75000, 98000},
    {"flue_gas_temp_c", 125, 155},
    {"flue_gas_humidity_percent", 14, 22},
    {"flue_gas_pressure_kpa", -0.4, -0.05},
    {"furnace_pressure_pa", -80, -20},
    {"bag_filter_drop_kpa", 0.9, 1.6},
    {"steam_flow_t_h", 38, 48},
    {"steam_temp_c", 393, 402},
    {"steam_pressure_kpa", 3850, 4050},
    {"waste_burned_total_t", 15, 19},
    {"activated_carbon_kg_h", 8, 12},
    {"activated_carbon_total_kg", 8, 12},
    {"lime_kg_h", 120, 220},
    {"ammonia_water_l_h", 40, 110},
    {"power_output_kw", 10500, 14500},
    {"energy_generated_kwh", 10500, 14500},
    {"energy_exported_kwh", 8800, 12300},
    {"energy_own_use_kwh", 1500, 2300},
    {"waste_in_total_t", 10, 80},
    {"net_t", 4, 16},
    {"bunker_level_m", 6, 12},
    {0},
};

static const struct figures_devices incineration_devices[] = {
    {"furnace_line", 4},
    {"generator", 2},
    {"weighbridge", 2},
    {0},
};

static const struct figures_range enforcement_ranges[] = {
    {"on_duty", 1, 1},       {"recording_on", 0, 1},        {"streaming_on", 0, 1},
    {"sos", 0, 0},           {"battery_percent", 35, 100},  {"storage_free_percent", 25, 90},
    {"checks_total", 1, 4},  {"warnings_total", 0, 2},      {"orders_total", 0, 1},
    {"tickets_total", 0, 1}, {"seizures_total", 0, 0},      {"speed_km_h", 0, 40},
    {"heading_deg", 0, 360}, {"mileage_km", 5, 25},         {"engine_on", 1, 1},
    {"altitude_m", 60, 110}, {"camera_online", 1, 1},       {"camera_blocked", 0, 0},
    {"events_total", 0, 6},  {"disk_free_percent", 20, 60}, {0},
};

static const struct figures_devices enforcement_devices[] = {
    {"officer_terminal", 60}, {"vehicle", 12}, {"drone", 2}, {"camera", 30}, {0},
};

static const struct figures tables[] = {
    {"sanitation", sanitation_ranges, sanitation_devices},
    {"streetlight", streetlight_ranges, streetlight_devices},
    {"dust", dust_ranges, dust_devices},
    {"municipal", municipal_ranges, municipal_devices},
    {"landscaping", landscaping_ranges, landscaping_devices},
    {"construction_waste", construction_waste_ranges, construction_waste_devices},
    {"gas", gas_ranges, gas_devices},
    {"heating", heating_ranges, heating_devices},
    {"water", water_ranges, water_devices},
    {"incineration", incineration_ranges, incineration_devices},
    {"enforcement", enforcement_ranges, enforcement_devices},
};

const struct figures *figures_of(const char *subsystem) {
    for (size_t i = 0; i < COUNT_OF(tables); i++) {
        if (strcmp(tables[i].subsystem, subsystem) == 0) {
            return &tables[i];
        }
    }
    return NULL;
}

static struct figures_range plain_range(const struct metric *metric) {
    double span = metric->max - metric->min;
    switch (metric->kind) {
    case METRIC_GAUGE:
        return (struct figures_range){metric->key, metric->min + 0.4 * span, metric->min + 0.6 * span};
    case METRIC_COUNTER:
        return (struct figures_range){metric->key, 0, metric->max / 1e6};
    case METRIC_STATE:
    case METRIC_TEXT:
        break;
    }
    return (struct figures_range){metric->key, metric->min, metric->min};
}

struct figures_range figures_range(const struct figures *figures, const struct metric *metric) {
    const struct figures_range *range = figures == NULL ? NULL : figures->ranges;
    for (; range != NULL && range->metric != NULL; range++) {
        if (strcmp(range->metric, metric->key) == 0) {
            return *range;
        }
    }
    return plain_range(metric);
}

int figures_devices(const struct figures *figures, const struct device_kind *kind) {
    const struct figures_devices *devices = figures == NULL ? NULL : figures->devices;
    for (; devices != NULL && devices->kind != NULL; devices++) {
        if (strcmp(devices->kind, kind->key) == 0) {
            return devices->count;
        }
    }
    return FIGURES_DEVICES_PLAIN;
}
