/* registry.c: vendors and devices in memory. Does no I/O; must never free an entry that a batch may point to. */
#include "hub/know/registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/clock.h"
#include "hub/base/error.h"
#include "hub/base/hash.h"
#include "hub/base/log.h"

struct registry {
    struct vendor *vendors; /* by key */
};

enum { VENDOR_KEY_MAX = 128 };

static const int64_t CLOCKS_APART_US = 300000000; /* the database's clock may be ahead of the hub's by as much */

const char registry_vendors_sql[] =
    "SELECT v.subsystem, v.vendor, v.unknown_devices = 'quarantine', v.receipts = 'all', v.revoked_at IS NOT NULL"
    " FROM onemap.vendor v";

struct registry *registry_new(void) {
    return calloc(1, sizeof(struct registry));
}

void registry_free(struct registry *registry) {
    if (registry == NULL) {
        return;
    }
    struct vendor *vendor = registry->vendors;
    HASH_CLEAR(hh, registry->vendors); /* frees the table; the entries are still chained */
    while (vendor != NULL) {
        struct vendor *next_vendor = vendor->hh.next;
        table_free(&vendor->devices);
        arena_free(&vendor->arena);
        free(vendor);
        vendor = next_vendor;
    }
    free(registry);
}

const char *vendor_name(const struct vendor *vendor) {
    return vendor->key + strlen(vendor->adapter->key) + 1;
}

struct vendor *registry_vendor(const struct registry *registry, const char *subsystem, const char *vendor) {
    char key[VENDOR_KEY_MAX];
    int length = snprintf(key, sizeof key, "%s/%s", subsystem, vendor);
    struct vendor *found = NULL;
    if (length > 0 && (size_t)length < sizeof key) {
        HASH_FIND(hh, registry->vendors, key, (size_t)length, found);
    }
    return found;
}

struct code {
    const char *text;
    size_t length;
};

static bool has_code(const void *entry, const void *key) {
    const struct device *device = entry;
    const struct code *code = key;
    return device->code_length == code->length && memcmp(device->code, code->text, code->length) == 0;
}

struct device *vendor_device(const struct vendor *vendor, const char *code, size_t length) {
    struct code key = {.text = code, .length = length};
    return table_find(&vendor->devices, hash_bytes(HASH_FIRST, code, length), has_code, &key);
}

struct device *vendor_device_add(struct vendor *vendor, const char *code, size_t length) {
    struct device *device =
        length > UINT8_MAX ? NULL : arena_take(&vendor->arena, offsetof(struct device, code) + length + 1);
    if (device == NULL || table_add(&vendor->devices, hash_bytes(HASH_FIRST, code, length), device) != 0) {
        return NULL;
    }
    device->vendor = vendor;
    device->kind = -1;
    device->evaluated_ms = INT64_MIN;
    device->code_length = (uint8_t)length;
    memcpy(device->code, code, length);
    vendor->unknown_count++;
    return device;
}

size_t registry_device_count(const struct registry *registry) {
    size_t count = 0;
    for (const struct vendor *vendor = registry->vendors; vendor != NULL; vendor = vendor->hh.next) {
        count += vendor->devices.count;
    }
    return count;
}

size_t registry_vendor_count(const struct registry *registry) {
    size_t count = 0;
    for (const struct vendor *vendor = registry->vendors; vendor != NULL; vendor = vendor->hh.next) {
        count += !vendor->revoked;
    }
    return count;
}

/* Without a right, until a row gives it. */
static struct vendor *vendor_add(struct registry *registry, const struct adapter *adapter, const char *name) {
    size_t length = strlen(adapter->key) + 1 + strlen(name);
    struct vendor *vendor = calloc(1, sizeof *vendor + length + 1);
    if (vendor == NULL) {
        return NULL;
    }
    vendor->adapter = adapter;
    vendor->revoked = true;
    snprintf(vendor->key, length + 1, "%s/%s", adapter->key, name);
    HASH_ADD_KEYPTR(hh, registry->vendors, vendor->key, length, vendor);
    if (vendor->hh.tbl == NULL) {
        free(vendor);
        return NULL;
    }
    return vendor;
}

static bool is_true(const PGresult *rows, int row, int column) {
    return PQgetvalue(rows, row, column)[0] == 't';
}

int registry_take_vendors(struct registry *registry, const PGresult *rows) {
    /* First all that needs memory: half of an answer must not take anybody's right. */
    for (int row = 0; row < PQntuples(rows); row++) {
        const struct adapter *adapter = adapter_find(PQgetvalue(rows, row, 0));
        const char *name = PQgetvalue(rows, row, 1);
        if (adapter != NULL && registry_vendor(registry, adapter->key, name) == NULL &&
            vendor_add(registry, adapter, name) == NULL) {
            return CH_EMEMORY;
        }
    }
    for (struct vendor *vendor = registry->vendors; vendor != NULL; vendor = vendor->hh.next) {
        vendor->revoked = true;
    }
    for (int row = 0; row < PQntuples(rows); row++) {
        struct vendor *vendor = registry_vendor(registry, PQgetvalue(rows, row, 0), PQgetvalue(rows, row, 1));
        if (vendor == NULL) {
            continue; /* of a subsystem that this build does not have */
        }
        vendor->quarantine_unknown = is_true(rows, row, 2);
        vendor->receipts_all = is_true(rows, row, 3);
        vendor->revoked = is_true(rows, row, 4);
    }
    return 0;
}

/* All devices: with their states in one pass over both keys. What has changed: each device's state by itself, as a join
 * would read all states. */
void registry_devices_sql(char *sql, size_t size, int after_id, const char *changed_since) {
#define STATE_MS "(pg_catalog.date_part('epoch', s.observed_at) * 1000)::bigint"
    if (changed_since == NULL) {
        snprintf(sql, size,
                 "SELECT " REGISTRY_DEVICE_COLUMNS(
                     STATE_MS) " FROM onemap.device d LEFT JOIN onemap.device_state s"
                               " ON s.device_id = d.id AND s.device_id > %d WHERE d.id > %d ORDER BY d.id LIMIT %d",
                 after_id, after_id, REGISTRY_PAGE);
    } else {
        snprintf(
            sql, size,
            "SELECT " REGISTRY_DEVICE_COLUMNS(
                "(SELECT " STATE_MS
                " FROM onemap.device_state s WHERE s.device_id = d.id)") " FROM onemap.device d"
                                                                         " WHERE d.id > %d AND d.updated_at >= %s ORDER BY d.id LIMIT %d",
            after_id, changed_since, REGISTRY_PAGE);
    }
#undef STATE_MS
}

int vendor_take_device(struct vendor *vendor, const PGresult *rows, int row) {
    const char *code = PQgetvalue(rows, row, 3);
    size_t length = (size_t)PQgetlength(rows, row, 3);
    struct device *device = vendor_device(vendor, code, length);
    if (device == NULL) {
        device = vendor_device_add(vendor, code, length);
    }
    if (device == NULL) {
        return CH_EMEMORY;
    }
    device->id = atoi(PQgetvalue(rows, row, 0));
    device->registered = true;
    int64_t updated_us = strtoll(PQgetvalue(rows, row, 6), NULL, 10);
    /* What a clock that was ahead has written gives way to any other. */
    if (updated_us >= device->updated_us || device->updated_us > clock_now_us() + CLOCKS_APART_US) {
        vendor->unknown_count -= device->kind < 0;
        device->kind = (int8_t)adapter_kind(vendor->adapter, PQgetvalue(rows, row, 4));
        vendor->unknown_count += device->kind < 0;
        device->department = PQgetisnull(rows, row, 7) ? 0 : atoi(PQgetvalue(rows, row, 7));
        device->placed = !PQgetisnull(rows, row, 8);
        device->lon = device->placed ? strtod(PQgetvalue(rows, row, 8), NULL) : 0;
        device->lat = device->placed ? strtod(PQgetvalue(rows, row, 9), NULL) : 0;
        device->updated_us = updated_us;
    }
    if (!PQgetisnull(rows, row, 5) && device->evaluated_ms == INT64_MIN) {
        device->evaluated_ms = strtoll(PQgetvalue(rows, row, 5), NULL, 10);
    }
    return 0;
}

int registry_take_devices(struct registry *registry, const PGresult *rows, int *last_id) {
    for (int row = 0; row < PQntuples(rows); row++) {
        int id = atoi(PQgetvalue(rows, row, 0));
        *last_id = id > *last_id ? id : *last_id;
        struct vendor *vendor = registry_vendor(registry, PQgetvalue(rows, row, 1), PQgetvalue(rows, row, 2));
        if (vendor != NULL && vendor_take_device(vendor, rows, row) != 0) {
            return CH_EMEMORY;
        }
    }
    return 0;
}
