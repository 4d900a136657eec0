/* elsewhere.c: records on the wrong topic, by their signs. Must never take a record from a device that is in the
 * inventory here and whose fields fit. Does no I/O. */
#include "hub/ingest/elsewhere.h"

#include <stdio.h>

#include "hub/base/text.h"

enum {
    TELLING_FIELDS = 4, /* of a record: so many do not look like another subsystem's by chance */
    NOWHERE = -1,
};

/* The vendor's right to another subsystem, or NULL. */
static const struct vendor *vendor_elsewhere(const struct elsewhere *here, const struct adapter *other) {
    const struct vendor *vendor = registry_vendor(here->registry, other->key, vendor_name(here->vendor));
    return vendor == NULL || vendor->revoked || other == here->adapter ? NULL : vendor;
}

/* The vendor's other subsystem in whose inventory the device is, and whose message has all fields of the record, in
 * their form and range: its place in adapters[], or NOWHERE. */
static int home_of_device(const struct elsewhere *here, const struct record *record) {
    for (size_t i = 0; i < adapter_count; i++) {
        const struct vendor *vendor = vendor_elsewhere(here, adapters[i]);
        const struct device *device =
            vendor == NULL ? NULL : vendor_device(vendor, record->device_code, record->device_code_length);
        if (device != NULL && device->kind >= 0 && decode_fits(here->decoder, adapters[i], record)) {
            return (int)i;
        }
    }
    return NOWHERE;
}

/* The other subsystem whose message has all fields of the record: its place, or NOWHERE. Of small records that means
 * little: for them only the vendor's own subsystems count. */
static int home_of_fields(const struct elsewhere *here, const struct record *record, unsigned fields) {
    for (size_t i = 0; i < adapter_count; i++) {
        if (adapters[i] != here->adapter && (fields >= TELLING_FIELDS || vendor_elsewhere(here, adapters[i]) != NULL) &&
            decode_fits(here->decoder, adapters[i], record)) {
            return (int)i;
        }
    }
    return NOWHERE;
}

/* Protobuf has no names: another's fields look like ours where number and type are the same. So the record's signs are
 * weighed with what is known of its device; a device that is in the inventory here is believed as long as most of its
 * fields fit. JSON has names: what it calls as we do is ours, unless another subsystem knows all of them. */
bool elsewhere_judge(const struct elsewhere *here, const struct record *record, const struct device *device,
                     char reason[static DECODE_REASON_MAX]) {
    if (record->declared || (record->misfits == 0 && device != NULL)) {
        return false;
    }
    char shown[DECODE_SHOWN_MAX];
    unsigned fits = (unsigned)(__builtin_popcountll(record->present & ~(record->quality & ~record->over_range)) +
                               __builtin_popcountll(record->text_present));
    int home = NOWHERE;
    if (!record->raw_is_json && record->misfits > fits) {
        snprintf(reason, DECODE_REASON_MAX,
                 "most fields of the record are not those of the topic's subsystem (%s); compare topic and .proto",
                 here->adapter->key);
    } else if (device == NULL && (home = home_of_device(here, record)) != NOWHERE) {
        snprintf(reason, DECODE_REASON_MAX,
                 "device_code: %s is in the inventory of %s, not of %s; send to its topic, or its inventory here first",
                 text_show(shown, record->device_code, record->device_code_length), adapters[home]->key,
                 here->adapter->key);
    } else if (record->misfits > 0 && (device == NULL || device->kind < 0) &&
               (home = home_of_fields(here, record, fits + record->misfits)) != NOWHERE) {
        snprintf(reason, DECODE_REASON_MAX,
                 "the fields are those of %s, not of %s; send to its topic, or the device's inventory here first",
                 adapters[home]->key, here->adapter->key);
    } else {
        return false;
    }
    return true;
}
