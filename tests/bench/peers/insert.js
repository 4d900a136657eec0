/* insert.js: what the peers in JavaScript share: the insert of a message's records, many rows in one statement. */
"use strict";

const COLUMNS = ["pm25_ug_m3", "pm10_ug_m3", "tsp_ug_m3", "noise_dba", "wind_speed_m_s", "wind_direction_deg", "air_temp_c",
    "humidity_percent"];
const STATEMENT = "INSERT INTO peer.observation (device_code, observed_at, readings)" +
    " SELECT c, to_timestamp(t / 1000.0), r::float8[] FROM unnest($1::text[], $2::bigint[], $3::text[]) u(c, t, r) ON CONFLICT DO NOTHING";

/** The statement for pg's query(): one row a record. */
function insertOf(records) {
    return {
        name: "insert",
        text: STATEMENT,
        values: [
            records.map((record) => record.device_code),
            records.map((record) => record.observed_at_ms),
            records.map((record) => "{" + COLUMNS.map((column) => record[column]).join(",") + "}"),
        ],
    };
}

module.exports = { insertOf };
