/* simulate_terminal.h: devices of the synthetic county that speak to a gateway instead of the broker: monitors of dust
 * by HJ 212, waste trucks by JT/T 808, each on a TCP connection of its own. As real ones do, a terminal keeps a frame
 * until it is acknowledged, and sends it again when no answer comes or the connection was lost. */
#ifndef CITYHUB_SIMULATE_TERMINAL_H
#define CITYHUB_SIMULATE_TERMINAL_H

#include <netdb.h>
#include <stdbool.h>
#include <stdint.h>

#include "hub/simulate/simulate_frame.h"
#include "hub/simulate/simulate_schedule.h"

enum terminal_protocol { TERMINAL_HJ212, TERMINAL_JT808, TERMINAL_PROTOCOLS };

struct simulated_terminal {
    struct simulated_device *device;
    enum terminal_protocol protocol;
    char identity[SIMULATE_IDENTITY_SIZE];
    int socket; /* -1 = none */
    bool connected;
    int64_t retry_ms;
    uint16_t serial; /* of its last frame by JT/T 808 */
    /* the frame under way */
    uint8_t frame[SIMULATE_FRAME_MAX];
    size_t length; /* 0 = none */
    char qn[SIMULATE_QN_SIZE];
    uint16_t frame_serial;
    int64_t repeat_ms;
    uint8_t input[SIMULATE_FRAME_MAX];
    size_t used;
};

struct simulated_terminals {
    struct simulated_terminal *all;
    int count;
    struct addrinfo *gateways[TERMINAL_PROTOCOLS]; /* NULL = none speaks this */
    char complaint[160];                           /* what went wrong last, empty = nothing */
    long sent, repeated, stored, refused;          /* frames with data */
};

/* Prints the terminals as `cityhub terminal import` reads them. */
void simulated_terminals_print(const struct fleet *fleet, const char *vendor);

/* Takes the devices of each protocol whose gateway (HOST:PORT, NULL = none) is given out of the broker's hands.
 * Returns 0, CH_EMEMORY, or CH_EINVAL (told): an address is none. */
int simulated_terminals_open(struct simulated_terminals *terminals, struct fleet *fleet,
                             const char *const gateways[TERMINAL_PROTOCOLS]);
void simulated_terminals_close(struct simulated_terminals *terminals);

/* Connects, sends what is due and takes answers; never waits. Without `more` nothing new is begun. Times in
 * milliseconds: UTC, and of the steady clock. */
void simulated_terminals_advance(struct simulated_terminals *terminals, const struct schedule *schedule, bool more,
                                 int64_t now_ms, int64_t steady_ms);

int simulated_terminals_connected(const struct simulated_terminals *terminals);
/* Frames that wait for their answer. */
int simulated_terminals_waiting(const struct simulated_terminals *terminals);

#endif
