/* bench_vendor.h: a vendor that sends telemetry as fast as its receipts come back, to measure what hub, broker and
 * database of this machine carry. It counts what the receipts say was stored, never what was sent. */
#ifndef CITYHUB_BENCH_VENDOR_H
#define CITYHUB_BENCH_VENDOR_H

#include "hub/adapter.h"
#include "hub/base/config.h"

enum { BENCH_DEVICES = 500 };

struct bench_load {
    int records;      /* in a message, 1 to BENCH_DEVICES */
    int window;       /* messages without a receipt at the most */
    int64_t start_ms; /* the first record's time; those of a device are a second apart */
    int64_t run_ms;   /* how long messages are sent; then their receipts are waited for */
};

struct bench_rate {
    int64_t records; /* stored, by the receipts */
    double seconds;  /* from the first message sent to the last receipt */
    int64_t last_ms; /* the newest record's time: another load begins behind it */
};

struct bench_vendor;

/* Connects as `name` with `password` (NULL = anonymous) and waits for its receipts' subscription. NULL after telling
 * why. */
struct bench_vendor *bench_vendor_open(const struct config *config, const struct adapter *adapter, const char *name,
                                       const char *password);
/* Gives its devices a place each, in a square around the point (degrees, WGS 84), `step` degrees from one to the next.
 * 0, or CH_E* after telling why. */
int bench_vendor_place(struct bench_vendor *vendor, double lon, double lat, double step);
/* 0, or CH_E* after telling why: the connection is lost, a record is refused, no receipt comes for 30 s. */
int bench_vendor_run(struct bench_vendor *vendor, const struct bench_load *load, struct bench_rate *rate);
void bench_vendor_close(struct bench_vendor *vendor);

#endif
