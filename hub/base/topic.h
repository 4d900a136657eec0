/* topic.h: the words of the topics: cityhub/v1/<subsystem>/<vendor>/<kind>. All that is spelled of them in C is here
 * and in topic.c; who says a topic or a kind asks here. Knows neither subsystems nor vendors. */
#ifndef CITYHUB_TOPIC_H
#define CITYHUB_TOPIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOPIC_PREFIX "cityhub/v1/"

/* A topic as a format of printf: subsystem, vendor, word of the kind. "+" for a level makes it a subscription's filter.
 */
#define TOPIC_FORMAT TOPIC_PREFIX "%s/%s/%s"

/* The MQTT 5 user property by which a replay says when the message came first: ms since 1970 (UTC). */
#define TOPIC_FIRST_RECEIVED "cityhub-received-ms"

/* What the hub and its gateways tell each other, as formats of printf with the gateway's instance: which terminals
 * there are, down; figures and unknown terminals, up. `gateway` is no subsystem, so no vendor has a right to it. */
#define TOPIC_GATEWAY_TERMINALS TOPIC_PREFIX "gateway/%s/terminals"
#define TOPIC_GATEWAY_REPORT TOPIC_PREFIX "gateway/%s/report"

/* Who was refused at the broker, as mosquitto's plugin tells the hub. `broker` is no subsystem either. */
#define TOPIC_BROKER_REFUSED TOPIC_PREFIX "broker/refused"

/* What a device said that logged in at the broker by its token, as mosquitto's plugin passes it on to gateways: of one,
 * a format of printf with the length of its identity and the identity; of all. `device` is no subsystem either. */
#define TOPIC_DEVICE TOPIC_PREFIX "device/%.*s/telemetry"
#define TOPIC_DEVICES TOPIC_PREFIX "device/+/telemetry"

/* Kinds of message, in the order of the guides: those that vendors send, then what they get back. */
enum topic_kind {
    TOPIC_TELEMETRY,               /* records of devices */
    TOPIC_INVENTORY,               /* devices and their places */
    TOPIC_STAFF,                   /* people and vehicles on duty */
    TOPIC_WORK,                    /* work orders */
    TOPIC_CASE,                    /* problems that a subsystem reports */
    TOPIC_INTERVAL,                /* what devices say of an interval: means and the like */
    TOPIC_RECEIPT,                 /* what became of a message */
    TOPIC_NONE,                    /* no kind at all */
    TOPIC_KINDS_IN = TOPIC_RECEIPT /* how many kinds vendors send */
};

/* The last level of the topic, index = enum topic_kind. */
extern const char *const topic_words[TOPIC_NONE];

/* The kinds that vendors send, as a sentence names them. */
#define TOPIC_WORDS_IN "telemetry, inventory, staff, work, case or interval"

/* The kind of that word, TOPIC_NONE if it is none. */
enum topic_kind topic_kind(const char *word);

/* One level of a topic, within its text: not terminated, maybe empty. */
struct topic_level {
    const char *text;
    size_t length;
};

struct topic {
    struct topic_level subsystem, vendor, kind;
};

/* Takes a topic apart. False if it has another prefix or another number of levels; what they say is not judged. */
bool topic_split(const char *text, struct topic *topic);

/* MQTT 3.1.1 has no properties: there a replay writes the time behind the vendor, whose level every subscription of the
 * hub leaves open: cityhub/v1/<subsystem>/<vendor>@<ms>/<kind>. Gives a text to be freed; NULL = out of memory. */
char *topic_put_first_received(const char *text, const char *received_ms);

/* Takes it out again, and returns the ms; 0 and the text as it is if there is no such thing. */
int64_t topic_cut_first_received(char *text);

#endif
