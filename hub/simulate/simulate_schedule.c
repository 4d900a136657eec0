/* simulate_schedule.c: the order of a vendor's messages. What refers to something is sent after the receipt for it: a
 * lamp after its cabinet, a work order after its people. Without a receipt it goes on after a while, so that the broker
 * can hold everything for a hub that is away. */
#include "hub/simulate/simulate_schedule.h"

#include <math.h>
#include <string.h>

#include "common.pb-c.h"
#include "hub/base/count.h"
#include "hub/base/error.h"
#include "hub/simulate/simulate_anomaly.h"
#include "hub/simulate/simulate_value.h"

enum {
    RECEIPT_WAIT_MS = 20000,   /* once; who has no answer then does not wait again */
    TELEMETRY_EVERY_MS = 1000, /* what has come due since goes as one batch */
    FIRST_RECORD_MS = 15000,   /* all devices have reported within so long, whatever their interval */
    BATCH_MAX = 500,
    INVENTORY_MAX = 200,
    BACKLOG_MS = 60000, /* what a device can remember while it has no connection */
    STAFF_EVERY_MS = 60000,
    WORK_EVERY_MS = 20000,
    CASE_EVERY_MS = 240000,
};

void schedule_vendor(struct simulated_vendor *vendor) {
    static const struct {
        const char *subsystem;
        enum coordinate_system system;
    } systems[] = {
        {"sanitation", COORDINATE_GCJ02}, {"construction_waste", COORDINATE_GCJ02}, {"enforcement", COORDINATE_BD09},
        {"heating", COORDINATE_CGCS2000}, {"landscaping", COORDINATE_BD09},
    };
    const char *key = vendor->adapter->key;
    for (size_t i = 0; i < COUNT_OF(systems); i++) {
        if (strcmp(systems[i].subsystem, key) == 0) {
            vendor->system = systems[i].system;
        }
    }
    vendor->json = strcmp(key, "dust") == 0 || strcmp(key, "landscaping") == 0;
}

double schedule_rate(const struct fleet *fleet) {
    double rate = 0;
    for (int i = 0; i < fleet->count; i++) {
        rate += 1.0 / fleet->devices[i].kind->interval_s;
    }
    return rate;
}

int64_t schedule_interval_ms(const struct schedule *schedule, const struct simulated_device *device) {
    double usual = 1000.0 * device->kind->interval_s / schedule->speed;
    double trouble = device->anomaly == NULL ? usual : fmin(usual, 1000.0 * ANOMALY_REPORT_S);
    return (int64_t)fmax(1, trouble);
}

void schedule_devices(struct schedule *schedule, int64_t now_ms) {
    for (int i = 0; i < schedule->fleet->count; i++) {
        struct simulated_device *device = &schedule->fleet->devices[i];
        double spread = fmin((double)schedule_interval_ms(schedule, device), FIRST_RECORD_MS);
        device->due_ms = now_ms + (int64_t)(spread * simulate_fixed(device->key + 8));
    }
}

static void add_record(struct schedule *schedule, struct simulated_vendor *vendor, struct simulated_device *device,
                       cJSON *records) {
    int64_t at_ms = device->due_ms > device->observed_ms ? device->due_ms : device->observed_ms + 1;
    motion_advance(device, at_ms);
    cJSON_AddItemToArray(records, simulate_record(device, vendor->system, at_ms));
    device->observed_ms = at_ms;
    device->due_ms = at_ms + schedule_interval_ms(schedule, device);
}

/* One batch of what is due. True if there is more. */
static bool send_telemetry(struct schedule *schedule, struct simulated_vendor *vendor, int64_t now_ms) {
    int first;
    int end;
    int count = 0;
    cJSON *records = cJSON_CreateArray();
    fleet_range(schedule->fleet, vendor->adapter, &first, &end);
    for (int i = first; i < end && count < BATCH_MAX; i++) {
        struct simulated_device *device = &schedule->fleet->devices[i];
        if (device->by_gateway) {
            continue;
        }
        if (device->due_ms < now_ms - BACKLOG_MS) {
            device->due_ms = now_ms;
        }
        while (device->due_ms <= now_ms && count < BATCH_MAX) {
            add_record(schedule, vendor, device, records);
            count++;
        }
    }
    return simulated_vendor_send(vendor, TOPIC_TELEMETRY, vendor->adapter->record, records) == 0 && count == BATCH_MAX;
}

static void take(cJSON *from, cJSON *into) {
    cJSON_AddItemToArray(into, cJSON_DetachItemFromArray(from, 0));
}

/* Sends in messages of bounded size and counts the receipts to wait for. */
static int send_awaited(struct simulated_vendor *vendor, enum topic_kind kind,
                        const ProtobufCMessageDescriptor *descriptor, cJSON *records) {
    int code = records == NULL ? CH_EMEMORY : 0;
    while (code == 0 && cJSON_GetArraySize(records) > 0) {
        cJSON *part = cJSON_CreateArray();
        for (int i = 0; i < INVENTORY_MAX && cJSON_GetArraySize(records) > 0; i++) {
            take(records, part);
        }
        vendor->waiting++;
        code = simulated_vendor_send(vendor, kind, descriptor, part);
    }
    cJSON_Delete(records);
    return code;
}

static void send_phase(struct schedule *schedule, struct simulated_vendor *vendor, int64_t now_ms) {
    struct document_source source = {schedule->fleet, vendor->adapter, vendor->system, &schedule->random, now_ms};
    const ProtobufCMessageDescriptor *inventory = &cityhub__v1__inventory_record__descriptor;
    switch (vendor->phase) {
    case PHASE_PARENTS:
        send_awaited(vendor, TOPIC_INVENTORY, inventory, simulate_inventory(&source, true));
        break;
    case PHASE_INVENTORY:
        send_awaited(vendor, TOPIC_INVENTORY, inventory, simulate_inventory(&source, false));
        break;
    case PHASE_STAFF:
        send_awaited(vendor, TOPIC_STAFF, &cityhub__v1__staff_record__descriptor, simulate_staff(&source));
        vendor->staff_ms = now_ms + STAFF_EVERY_MS;
        break;
    case PHASE_LIVE:
        break;
    }
    vendor->phase_until_ms = now_ms + RECEIPT_WAIT_MS;
    vendor->phase_sent = true;
}

static void send_documents(struct schedule *schedule, struct simulated_vendor *vendor, int64_t now_ms) {
    struct document_source source = {schedule->fleet, vendor->adapter, vendor->system, &schedule->random, now_ms};
    if (now_ms >= vendor->work_ms) {
        vendor->work_ms =
            now_ms + (int64_t)simulate_between(&schedule->random, 0.5 * WORK_EVERY_MS, 1.5 * WORK_EVERY_MS);
        simulated_vendor_send(vendor, TOPIC_WORK, &cityhub__v1__work_record__descriptor,
                              simulate_work(&source, &vendor->book));
    }
    if (vendor->case_ms == 0 || now_ms >= vendor->case_ms) {
        bool first = vendor->case_ms == 0; /* not all at once, and not at the very start */
        vendor->case_ms = now_ms + (int64_t)simulate_between(&schedule->random, (first ? 0.05 : 0.5) * CASE_EVERY_MS,
                                                             1.5 * CASE_EVERY_MS);
        if (!first) {
            simulated_vendor_send(vendor, TOPIC_CASE, &cityhub__v1__case_record__descriptor, simulate_case(&source));
        }
    }
    if (now_ms >= vendor->staff_ms) {
        vendor->staff_ms = now_ms + STAFF_EVERY_MS;
        simulated_vendor_send(vendor, TOPIC_STAFF, &cityhub__v1__staff_record__descriptor, simulate_staff(&source));
    }
}

/* True when all phases but the live one are over. */
static bool advance_phase(struct schedule *schedule, struct simulated_vendor *vendor, int64_t now_ms) {
    while (vendor->phase != PHASE_LIVE) {
        if (!vendor->phase_sent) {
            send_phase(schedule, vendor, now_ms);
        }
        if (vendor->waiting > 0 && !vendor->unanswered && now_ms < vendor->phase_until_ms) {
            return false;
        }
        vendor->unanswered = vendor->unanswered || vendor->waiting > 0;
        vendor->waiting = 0;
        vendor->phase_sent = false;
        vendor->phase = (enum vendor_phase)(vendor->phase + 1);
    }
    return true;
}

bool schedule_advance(struct schedule *schedule, struct simulated_vendor *vendor, int64_t now_ms) {
    if (!simulated_vendor_ready(vendor) || !advance_phase(schedule, vendor, now_ms)) {
        return false;
    }
    if (schedule->inventory_only) {
        return vendor->in_flight == 0;
    }
    send_documents(schedule, vendor, now_ms);
    if (now_ms < vendor->telemetry_ms) {
        return false;
    }
    vendor->telemetry_ms = now_ms + TELEMETRY_EVERY_MS;
    while (simulated_vendor_ready(vendor) && send_telemetry(schedule, vendor, now_ms)) {
        /* the rest of what is due */
    }
    return false;
}
