/* simulate_vendor.h: one simulated vendor's connection to the broker: MQTT 5, QoS 1, its receipts. Used from one
 * thread, without libmosquitto's own. */
#ifndef CITYHUB_SIMULATE_VENDOR_H
#define CITYHUB_SIMULATE_VENDOR_H

#include <cjson/cJSON.h>
#include <mosquitto.h>

#include "hub/base/config.h"
#include "hub/base/topic.h"
#include "hub/simulate/simulate_document.h"

enum { VENDOR_IN_FLIGHT_MAX = 40 /* messages without a PUBACK; then the vendor waits */ };

/* How to log in; the same for all vendors. */
struct vendor_login {
    const struct config *config; /* [mqtt] host, port, tls_ca_file, keepalive_s */
    const char *vendor;          /* second part of the topics, and the login */
    const char *password;        /* NULL = anonymous */
};

enum vendor_phase { PHASE_PARENTS, PHASE_INVENTORY, PHASE_STAFF, PHASE_LIVE };

struct simulated_vendor {
    const struct vendor_login *login;
    const struct adapter *adapter;
    enum coordinate_system system; /* in which it gives positions */
    bool json;                     /* it sends JSON, else protobuf */
    struct mosquitto *client;
    bool connected, subscribed;
    bool ever;           /* has been connected */
    bool denied;         /* the broker does not know the login, or lacks a right */
    char complaint[256]; /* what the broker said last, empty = nothing */
    int64_t retry_ms;
    int in_flight;
    long number; /* of the last message */
    /* what it has sent, and what its receipts say */
    long messages, records, receipts, accepted, duplicates, rejected;
    char problem[320]; /* of the last rejected record */
    /* what is next: simulate_schedule.c */
    enum vendor_phase phase;
    bool phase_sent;
    int waiting;     /* messages of this phase without a receipt */
    bool unanswered; /* it has waited for receipts in vain */
    int64_t phase_until_ms;
    int64_t telemetry_ms;
    int64_t staff_ms, work_ms, case_ms; /* when the next one goes */
    struct work_book book;
};

/* Makes the client; connecting is simulated_vendors_poll's. Returns 0, CH_EMEMORY or CH_EIO (told). */
int simulated_vendor_open(struct simulated_vendor *vendor, const struct vendor_login *login,
                          const struct adapter *adapter);
/* Says good-bye to the broker and frees the client. */
void simulated_vendor_close(struct simulated_vendor *vendor);

/* True if there is a connection and room for a message. */
bool simulated_vendor_ready(const struct simulated_vendor *vendor);

/* Sends an array of records as one message of `kind`; `descriptor` is that of a record. Frees `records`; nothing is
 * sent for an empty array. Returns 0, CH_EMEMORY, CH_EINVAL or CH_EBROKER. */
int simulated_vendor_send(struct simulated_vendor *vendor, enum topic_kind kind,
                          const ProtobufCMessageDescriptor *descriptor, cJSON *records);

/* Waits up to `timeout_ms` for what the broker says to any of them, handles it, and connects those that are not. */
void simulated_vendors_poll(struct simulated_vendor *vendors, int count, int timeout_ms, int64_t now_ms);

#endif
