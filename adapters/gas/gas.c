/* gas: 智慧燃气. Regulator stations, pipe network, valve wells, leak detectors, meters, cathodic protection, odorizers.
 * Ranges: combustible gas 0 to 100 %LEL and CO 0 to 1000 ppm, the usual catalytic and electrochemical sensors;
 * pressures to 4 MPa, the highest of town gas (GB 50028-2006, 6.1.6: 高压A); meters by usual flow computers with nine
 * digits; the rest assumed. */
#include "gas.pb-c.h"
#include "hub/adapter.h"

static const struct metric metrics[] = {
    {1, "pressure_kpa", "管道压力", "kPa", METRIC_GAUGE, -100, 4000, 0, 180, 320},
    {2, "inlet_pressure_kpa", "进口压力", "kPa", METRIC_GAUGE, -100, 4000, 0, 200, 340},
    {3, "outlet_pressure_kpa", "出口压力", "kPa", METRIC_GAUGE, -100, 4000, 0, 2.2, 2.8},
    {4, "filter_drop_kpa", "过滤器压差", "kPa", METRIC_GAUGE, 0, 500, 0, 2, 15},
    {5, "gas_temp_c", "燃气温度", "°C", METRIC_GAUGE, -40, 80, 0, 3, 26},
    {6, "flow_m3_h", "标况瞬时流量", "m3/h", METRIC_GAUGE, 0, 100000, 0, 20, 400},
    {7, "volume_total_m3", "标况累计用量", "m3", METRIC_COUNTER, 0, 1000000000, 1000000000, 20, 400},
    {8, "working_volume_total_m3", "工况累计用量", "m3", METRIC_COUNTER, 0, 1000000000, 1000000000, 6, 120},
    {9, "leak_percent_lel", "可燃气体浓度", "%LEL", METRIC_GAUGE, 0, 100, 0, 0, 3},
    {10, "co_mg_m3", "一氧化碳", "mg/m3", METRIC_GAUGE, 0, 1150, 0, 0, 6},
    {11, "valve_open", "阀门开启", "0/1", METRIC_STATE, 0, 1, 0, 1, 1},
    {12, "valve_opening_percent", "阀门开度", "%", METRIC_GAUGE, 0, 100, 0, 30, 80},
    {13, "odorant_mg_m3", "加臭剂浓度（四氢噻吩）", "mg/m3", METRIC_GAUGE, 0, 200, 0, 20, 30},
    {14, "odorant_tank_percent", "加臭剂储量", "%", METRIC_GAUGE, 0, 100, 0, 30, 95},
    {15, "cathodic_potential_mv", "阴极保护电位（CSE）", "mV", METRIC_GAUGE, -5000, 2000, 0, -1150, -900},
    {16, "protection_current_a", "阴极保护电流", "A", METRIC_GAUGE, 0, 100, 0, 0.5, 4},
    {17, "ac_voltage_v", "交流干扰电压", "V", METRIC_GAUGE, 0, 200, 0, 0, 2.5},
    {18, "water_level_m", "阀井水位", "m", METRIC_GAUGE, 0, 10, 0, 0, 0.2},
    {19, "cover_open", "井盖打开", "0/1", METRIC_STATE, 0, 1, 0, 0, 0},
    {20, "door_open", "箱（站）门打开", "0/1", METRIC_STATE, 0, 1, 0, 0, 0},
    {21, "battery_percent", "电池电量", "%", METRIC_GAUGE, 0, 100, 0, 40, 100},
    {22, "signal_dbm", "信号强度", "dBm", METRIC_GAUGE, -150, 0, 0, -105, -75},
    {23, "power_lost", "市电中断", "0/1", METRIC_STATE, 0, 1, 0, 0, 0},
    {24, "detector_fault", "探测器故障", "0/1", METRIC_STATE, 0, 1, 0, 0, 0},
    {25, "fault_text", "故障描述", "", METRIC_TEXT, 0, 0, 0, 0, 0},
};

static const struct device_kind kinds[] = {
    {"regulator_station", "调压站（箱）", false, 900, 30, 40,
     (const char *const[]){"inlet_pressure_kpa", "outlet_pressure_kpa", "filter_drop_kpa", "gas_temp_c", "flow_m3_h",
                           "volume_total_m3", "leak_percent_lel", "valve_opening_percent", "door_open", "power_lost",
                           "detector_fault", "fault_text", NULL}},
    {"pipe_monitor", "管网压力监测点", false, 7200, 60, 30,
     (const char *const[]){"pressure_kpa", "gas_temp_c", "battery_percent", "signal_dbm", "fault_text", NULL}},
    {"valve_well", "燃气阀井", false, 90000, 60, 50,
     (const char *const[]){"leak_percent_lel", "valve_open", "water_level_m", "cover_open", "battery_percent",
                           "signal_dbm", "detector_fault", "fault_text", NULL}},
    {"leak_detector", "用户燃气报警器", false, 90000, 60, 80,
     (const char *const[]){"leak_percent_lel", "co_mg_m3", "valve_open", "power_lost", "detector_fault", "fault_text",
                           NULL}},
    {"meter", "工商业流量计", false, 14400, 60, 40,
     (const char *const[]){"pressure_kpa", "gas_temp_c", "flow_m3_h", "volume_total_m3", "working_volume_total_m3",
                           "valve_open", "battery_percent", "signal_dbm", "fault_text", NULL}},
    {"cathodic_post", "阴极保护测试桩", false, 90000, 300, 20,
     (const char *const[]){"cathodic_potential_mv", "protection_current_a", "ac_voltage_v", "battery_percent",
                           "signal_dbm", "fault_text", NULL}},
    {"odorizer", "加臭装置", false, 3600, 60, 2,
     (const char *const[]){"odorant_mg_m3", "odorant_tank_percent", "flow_m3_h", "leak_percent_lel", "power_lost",
                           "fault_text", NULL}},
};

const struct adapter adapter_gas = {
    .key = "gas",
    .name_zh = "智慧燃气",
    .record = &cityhub__v1__gas_record__descriptor,
    .metrics = metrics,
    .metric_count = ADAPTER_COUNT_OF(metrics),
    .kinds = kinds,
    .kind_count = ADAPTER_COUNT_OF(kinds),
};
