/* config.h: the daemon's configuration: one INI file, read into one struct by a typed table of ranges and defaults. */
#ifndef CITYHUB_CONFIG_H
#define CITYHUB_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct config {
    char *path; /* where it was read from; NULL = built-in defaults only */
    /* [hub] */
    char *hub_instance;
    char *hub_data_dir;
    char *hub_log_level;
    /* [database] */
    char *database_conninfo;
    char *database_migrate_conninfo;
    int64_t database_writers;
    int64_t database_connect_timeout_s;
    int64_t database_statement_timeout_s;
    /* [mqtt] */
    char *mqtt_host;
    int64_t mqtt_port;
    char *mqtt_protocol;
    char *mqtt_username;
    char *mqtt_password_file;
    char *mqtt_tls_ca_file;
    int64_t mqtt_keepalive_s;
    int64_t mqtt_session_expiry_s;
    int64_t mqtt_receive_maximum;
    char *mqtt_vendor_password_file;
    char *mqtt_vendor_acl_file;
    char *mqtt_vendor_definitions_file;
    char *mqtt_device_token_file;
    char *mqtt_vendor_reload_command;
    /* [lane] */
    int64_t lane_batch_records;
    int64_t lane_batch_age_ms;
    int64_t lane_max_payload_bytes;
    int64_t lane_unknown_devices;
    int64_t lane_new_days;
    char *lane_counts; /* "dust=3 gas=2": lanes of subsystems that need more than one */
    /* [time] */
    int64_t time_max_ahead_s;
    /* [retention] */
    int64_t retention_observation_days;
    int64_t retention_partitions_ahead_days;
    int64_t retention_pack_after_days;
    int64_t retention_quarantine_days;
    int64_t retention_outbox_days;
    /* [quarantine] */
    int64_t quarantine_daily_mib;
    /* [http] */
    char *http_listen;
    int64_t http_port;
    int64_t http_connections;
    int64_t http_address_connections;
    int64_t http_streams;
    int64_t http_stream_mb_s;
    int64_t http_timeout_s;
    int64_t http_deadline_s;
    int64_t http_stall_s;
    int64_t http_queries;
    int64_t http_address_queries;
    int64_t http_queue;
    char *http_page;
    char *http_origins;
    char *http_proxies;
    char *http_cors;
    char *http_attachments;
    int64_t http_attachment_mib;
    int64_t http_attachment_sweep_s;
    char *http_basemaps;
    char *http_basemap_cache;
    int64_t http_basemap_cache_mib;
    int64_t http_basemap_cache_days;
    /* [gateway] */
    char *gateway_listen;
    int64_t gateway_hj212_port;
    int64_t gateway_jt808_port;
    int64_t gateway_connections;
    int64_t gateway_address_connections;
    int64_t gateway_first_frame_s;
    int64_t gateway_history_s;
    int64_t gateway_idle_s;
    int64_t gateway_receipt_s;
    char *gateway_unknown;
    char *gateway_foreign_topics;
    char *gateway_state_dir;
    /* [jobs] */
    int64_t jobs_device_state_s;
    int64_t jobs_rollup_s;
    int64_t jobs_offline_s;
};

/* Reads `path` (NULL: $CITYHUB_CONFIG, else /etc/cityhub/cityhub.ini if it is there, else defaults) into `config`.
 * Every problem (unknown key, wrong type, out of range) is written to `errors`, one a line with file and line number.
 * Returns 0, or CH_EINVAL / CH_EIO / CH_EMEMORY. Release with config_free in either case. */
int config_load(struct config *config, const char *path, FILE *errors);
void config_free(struct config *config);

/* Prints the effective values as an INI file, with each key's meaning, unit, range and default as comments. */
void config_print(const struct config *config, FILE *out);

/* Connections to the database that a hub of this configuration holds. */
int config_connections(const struct config *config);
/* Live streams that may be open at a time: [http] streams, and not more than three quarters of its connections. */
int64_t config_streams(const struct config *config);
/* Number of lanes for a subsystem: from lane_counts, else 1. */
int config_lanes(const struct config *config, const char *subsystem);

/* The file's first line without its line end, or NULL (with a log line) if it cannot be read. Caller frees. */
char *config_secret(const char *path);

#endif
