/* registry.h: what the hub knows of vendors and devices, in memory: read from the database at start, kept up by
 * notifications (loader.c), grown by devices first seen in telemetry. Does no I/O. Entries are never freed before
 * registry_free: batches point to them. */
#ifndef CITYHUB_REGISTRY_H
#define CITYHUB_REGISTRY_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

/* An entry for which memory is out is not added, and its hh.tbl is NULL. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "hub/adapter.h"
#include "hub/base/arena.h"
#include "hub/base/table.h"

struct state_entry;

struct vendor {
    const struct adapter *adapter;
    struct table devices;    /* by code */
    struct arena arena;      /* what they lie in */
    bool quarantine_unknown; /* policy: records of unknown devices go to quarantine instead of registering the device */
    bool receipts_all;       /* a receipt for every message, not only for those with problems */
    bool revoked;
    int64_t days_on;      /* the UTC day of which it has ... */
    int64_t days_made;    /* ... brought in the first data of so many days long past */
    size_t unknown_count; /* of those, devices that no inventory has named: their kind is not known */
    UT_hash_handle hh;
    char key[]; /* "<subsystem>/<vendor>" */
};

/* A county has a hundred thousand: the order is such that nothing is lost between two. */
struct device {
    struct vendor *vendor;
    int64_t evaluated_ms;      /* observed_at of the newest record that rules have judged */
    int64_t updated_us;        /* updated_at of the row that was read last; 0 = none was */
    double lon, lat;           /* WGS 84, degrees; where placed */
    struct state_entry *state; /* what device_state does not have yet, NULL = nothing */
    int id;                    /* onemap.device.id; 0 = none drawn yet: the writer draws one */
    int department;            /* onemap.department.id; 0 = of none */
    uint32_t mark;             /* the writer's: already named in this statement */
    uint16_t conditions;       /* its alarm conditions that are not normal, or whose change is not committed */
    int8_t kind;               /* place in the adapter's kinds, -1 = not known (pending) */
    bool registered : 1;       /* known to be in the database */
    bool placed : 1;           /* the inventory says where it is */
    uint8_t code_length;
    char code[];
};

struct registry;
struct registry *registry_new(void); /* NULL = out of memory */
void registry_free(struct registry *registry);

const char *vendor_name(const struct vendor *vendor); /* without the subsystem */

/* NULL = the vendor may not push (unknown). */
struct vendor *registry_vendor(const struct registry *registry, const char *subsystem, const char *vendor);
/* NULL = unknown. */
struct device *vendor_device(const struct vendor *vendor, const char *code, size_t length);
/* A device first seen in telemetry: id 0, not registered. NULL = out of memory. */
struct device *vendor_device_add(struct vendor *vendor, const char *code, size_t length);

size_t registry_device_count(const struct registry *registry);
size_t registry_vendor_count(const struct registry *registry);

/* Takes in rows of registry_vendors_sql; a vendor that no row names any more is revoked. Returns 0, or CH_EMEMORY: then
 * all rights are as they were. */
extern const char registry_vendors_sql[];
int registry_take_vendors(struct registry *registry, const PGresult *rows);

/* One row of a device, in these columns (`d` is onemap.device; observed_at of its newest record in ms, NULL = none,
 * then updated_at in us, department and place): what is older than what is known of it changes nothing. Returns 0 or
 * CH_EMEMORY. */
#define REGISTRY_DEVICE_COLUMNS(observed_at_ms)                                                                        \
    "d.id, d.subsystem, d.vendor, d.code, d.kind, " observed_at_ms ","                                                 \
    " (pg_catalog.date_part('epoch', d.updated_at) * 1000000)::bigint,"                                                \
    " d.department_id, public.ST_X(d.geom), public.ST_Y(d.geom)"
int vendor_take_device(struct vendor *vendor, const PGresult *rows, int row);

/* Takes in rows of registry_devices_sql(...). Sets *last_id to the largest id seen. Returns 0, or CH_EMEMORY: then a
 * part of them was taken in. */
int registry_take_devices(struct registry *registry, const PGresult *rows, int *last_id);
/* One page of devices with an id above `after_id`, changed since `changed_since` (an expression of SQL; NULL = all),
 * into `sql`. */
void registry_devices_sql(char *sql, size_t size, int after_id, const char *changed_since);
enum { REGISTRY_PAGE = 5000 };

#endif
