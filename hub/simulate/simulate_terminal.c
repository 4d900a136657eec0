/* simulate_terminal.c: see simulate_terminal.h. Must never block, and never count a frame as stored without the
 * gateway's word for it. */
#include "hub/simulate/simulate_terminal.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hub/base/error.h"
#include "hub/cli/command.h"
#include "hub/gateway/jt808_body.h"
#include "hub/gateway/jt808_build.h"
#include "hub/simulate/simulate_value.h"

enum { RETRY_MS = 3000, ANSWER_MS = 30000, STEP_MS = 1000 /* what a terminal's clock shows */, PORT_SIZE = 6 };

/* Which devices: the first ones of a kind. */
static const struct {
    const char *word, *subsystem, *kind;
    int count;
} speakers[TERMINAL_PROTOCOLS] = {
    [TERMINAL_HJ212] = {"hj212", "dust", "site_monitor", 6},
    [TERMINAL_JT808] = {"jt808", "construction_waste", "truck", 12},
};

/* ---- who they are ---- */

static bool speaks(const struct simulated_device *device, enum terminal_protocol protocol) {
    return device->number <= speakers[protocol].count &&
           strcmp(device->adapter->key, speakers[protocol].subsystem) == 0 &&
           strcmp(device->kind->key, speakers[protocol].kind) == 0;
}

static void name(enum terminal_protocol protocol, int number, char identity[static SIMULATE_IDENTITY_SIZE]) {
    if (protocol == TERMINAL_HJ212) {
        snprintf(identity, SIMULATE_IDENTITY_SIZE, "4102210000000000000SIM%02u", (unsigned)number % 100);
    } else {
        snprintf(identity, SIMULATE_IDENTITY_SIZE, "0141022000%02u", (unsigned)number % 100);
    }
}

void simulated_terminals_print(const struct fleet *fleet, const char *vendor) {
    printf("protocol,identity,subsystem,vendor,device\n");
    for (int i = 0; i < fleet->count; i++) {
        for (enum terminal_protocol protocol = 0; protocol < TERMINAL_PROTOCOLS; protocol++) {
            if (speaks(&fleet->devices[i], protocol)) {
                char identity[SIMULATE_IDENTITY_SIZE];
                name(protocol, fleet->devices[i].number, identity);
                printf("%s,%s,%s,%s,%s\n", speakers[protocol].word, identity, speakers[protocol].subsystem, vendor,
                       fleet->devices[i].code);
            }
        }
    }
}

static int resolve(const char *gateway, struct addrinfo **found) {
    char host[256];
    const char *colon = strrchr(gateway, ':');
    if (colon == NULL || colon == gateway || (size_t)(colon - gateway) >= sizeof host ||
        strlen(colon + 1) >= PORT_SIZE) {
        command_fail("%s is no HOST:PORT", gateway);
        return CH_EINVAL;
    }
    snprintf(host, sizeof host, "%.*s", (int)(colon - gateway), gateway);
    const struct addrinfo wanted = {.ai_socktype = SOCK_STREAM};
    int code = getaddrinfo(host, colon + 1, &wanted, found);
    if (code != 0) {
        command_fail("%s: %s", gateway, gai_strerror(code));
        return CH_EINVAL;
    }
    return 0;
}

int simulated_terminals_open(struct simulated_terminals *terminals, struct fleet *fleet,
                             const char *const gateways[TERMINAL_PROTOCOLS]) {
    terminals->all =
        calloc((size_t)speakers[TERMINAL_HJ212].count + (size_t)speakers[TERMINAL_JT808].count, sizeof *terminals->all);
    if (terminals->all == NULL) {
        return CH_EMEMORY;
    }
    for (enum terminal_protocol protocol = 0; protocol < TERMINAL_PROTOCOLS; protocol++) {
        if (gateways[protocol] != NULL && resolve(gateways[protocol], &terminals->gateways[protocol]) != 0) {
            return CH_EINVAL;
        }
        for (int i = 0; gateways[protocol] != NULL && i < fleet->count; i++) {
            if (speaks(&fleet->devices[i], protocol)) {
                struct simulated_terminal *one = &terminals->all[terminals->count++];
                *one = (struct simulated_terminal){.device = &fleet->devices[i], .protocol = protocol, .socket = -1};
                name(protocol, one->device->number, one->identity);
                one->device->by_gateway = true;
            }
        }
    }
    return 0;
}

static void hang_up(struct simulated_terminal *one) {
    if (one->socket >= 0) {
        close(one->socket);
    }
    one->socket = -1;
    one->connected = false;
    one->used = 0;
    one->repeat_ms = 0; /* what is under way goes again with the next connection */
}

void simulated_terminals_close(struct simulated_terminals *terminals) {
    for (int i = 0; i < terminals->count; i++) {
        hang_up(&terminals->all[i]);
    }
    for (int protocol = 0; protocol < TERMINAL_PROTOCOLS; protocol++) {
        if (terminals->gateways[protocol] != NULL) {
            freeaddrinfo(terminals->gateways[protocol]);
        }
    }
    free(terminals->all);
    *terminals = (struct simulated_terminals){0};
}

/* ---- the connection ---- */

static void fail(struct simulated_terminals *terminals, struct simulated_terminal *one, const char *doing, int code) {
    snprintf(terminals->complaint, sizeof terminals->complaint, "terminal %s: %s: %s", one->identity, doing,
             strerror(code));
    hang_up(one);
}

static void send_bytes(struct simulated_terminals *terminals, struct simulated_terminal *one, const uint8_t *bytes,
                       size_t length) {
    /* A terminal has one frame under way: what the socket does not take at once is a connection that hangs. */
    ssize_t sent = send(one->socket, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent != (ssize_t)length) {
        fail(terminals, one, "cannot send", sent < 0 ? errno : EAGAIN);
    }
}

static void say_hello(struct simulated_terminals *terminals, struct simulated_terminal *one) {
    uint8_t bytes[SIMULATE_FRAME_MAX];
    if (one->protocol == TERMINAL_JT808) {
        size_t length = simulate_jt808_hello(one->identity, ++one->serial, bytes);
        send_bytes(terminals, one, bytes, length);
    }
}

static void finish_connecting(struct simulated_terminals *terminals, struct simulated_terminal *one) {
    struct pollfd ready = {.fd = one->socket, .events = POLLOUT};
    int problem = 0;
    socklen_t size = sizeof problem;
    if (poll(&ready, 1, 0) <= 0) {
        return; /* not yet; the system gives up in its own time */
    }
    getsockopt(one->socket, SOL_SOCKET, SO_ERROR, &problem, &size);
    if (problem != 0) {
        fail(terminals, one, "no connection", problem);
        return;
    }
    one->connected = true;
    say_hello(terminals, one);
}

static void connect_again(struct simulated_terminals *terminals, struct simulated_terminal *one, int64_t steady_ms) {
    const struct addrinfo *gateway = terminals->gateways[one->protocol];
    if (steady_ms < one->retry_ms) {
        return;
    }
    one->retry_ms = steady_ms + RETRY_MS;
    one->socket = socket(gateway->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (one->socket < 0) {
        fail(terminals, one, "no socket", errno);
    } else if (connect(one->socket, gateway->ai_addr, gateway->ai_addrlen) != 0 && errno != EINPROGRESS) {
        fail(terminals, one, "no connection", errno);
    }
}

/* ---- answers ---- */

static void settle(struct simulated_terminals *terminals, struct simulated_terminal *one, bool stored) {
    terminals->stored += stored ? 1 : 0;
    terminals->refused += stored ? 0 : 1;
    one->length = 0;
}

/* The bytes of one whole answer at the beginning of what has come; 0 = not whole yet. */
static size_t take_line(struct simulated_terminals *terminals, struct simulated_terminal *one) {
    char wanted[SIMULATE_QN_SIZE + 4];
    const uint8_t *end = memchr(one->input, '\n', one->used);
    if (end == NULL) {
        return 0;
    }
    size_t length = (size_t)(end - one->input) + 1;
    int size = snprintf(wanted, sizeof wanted, "QN=%s", one->qn);
    if (one->length > 0 && memmem(one->input, length, wanted, (size_t)size) != NULL) {
        settle(terminals, one, memmem(one->input, length, "CN=9014", 7) != NULL);
    }
    return length;
}

static size_t take_frame(struct simulated_terminals *terminals, struct simulated_terminal *one) {
    static struct jt808_frame frame; /* large; there is one thread */
    struct jt808_answer answer;
    struct reading_result result;
    enum reading reading = jt808_read(one->input, one->used, false, &result);
    if (reading == READING_MORE) {
        return 0;
    }
    if (reading == READING_FRAME) {
        jt808_parse(one->input, result.length, &frame);
        if (one->length > 0 && frame.standing != JT808_BAD && frame.id == JT808_GENERAL_ANSWER &&
            jt808_answer(&frame, &answer) == 0 && answer.id == JT808_POSITION && answer.serial == one->frame_serial) {
            settle(terminals, one, answer.result == JT808_DONE);
        }
    }
    return result.length;
}

static void receive(struct simulated_terminals *terminals, struct simulated_terminal *one) {
    ssize_t got = recv(one->socket, one->input + one->used, sizeof one->input - one->used, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got <= 0) {
        fail(terminals, one, "the connection is lost", got < 0 ? errno : ECONNRESET);
        return;
    }
    one->used += (size_t)got;
    size_t taken;
    do {
        taken = one->protocol == TERMINAL_HJ212 ? take_line(terminals, one) : take_frame(terminals, one);
        one->used -= taken;
        memmove(one->input, one->input + taken, one->used);
    } while (taken > 0 && one->used > 0);
    if (one->used == sizeof one->input) {
        fail(terminals, one, "the gateway's answer has no end", EMSGSIZE);
    }
}

/* ---- what they send ---- */

static void make_frame(struct simulated_terminal *one, const struct schedule *schedule, int64_t now_ms) {
    struct simulated_device *device = one->device;
    int64_t at_ms = now_ms / STEP_MS * STEP_MS;
    if (at_ms <= device->observed_ms) {
        return;
    }
    motion_advance(device, at_ms);
    device->observed_ms = at_ms;
    device->due_ms = at_ms + schedule_interval_ms(schedule, device);
    cJSON *record = simulate_record(device, COORDINATE_WGS84, at_ms);
    if (one->protocol == TERMINAL_HJ212) {
        simulate_qn(now_ms, one->qn);
        one->length = simulate_hj212(record, one->identity, one->qn, at_ms, one->frame);
    } else {
        one->frame_serial = ++one->serial;
        one->length = simulate_jt808(record, one->identity, one->frame_serial, at_ms, one->frame);
    }
    one->repeat_ms = 0;
    cJSON_Delete(record);
}

static void send_frame(struct simulated_terminals *terminals, struct simulated_terminal *one, bool again,
                       int64_t steady_ms) {
    terminals->repeated += again ? 1 : 0;
    terminals->sent += again ? 0 : 1;
    one->repeat_ms = steady_ms + ANSWER_MS;
    send_bytes(terminals, one, one->frame, one->length);
}

static void advance_one(struct simulated_terminals *terminals, struct simulated_terminal *one,
                        const struct schedule *schedule, bool more, int64_t now_ms, int64_t steady_ms) {
    if (one->socket < 0) {
        connect_again(terminals, one, steady_ms);
    }
    if (one->socket >= 0 && !one->connected) {
        finish_connecting(terminals, one);
    }
    if (one->connected) {
        receive(terminals, one);
    }
    if (!one->connected) {
        return;
    }
    if (one->length > 0 && steady_ms >= one->repeat_ms) {
        send_frame(terminals, one, true, steady_ms);
    } else if (one->length == 0 && more && one->device->due_ms <= now_ms) {
        make_frame(one, schedule, now_ms);
        if (one->length > 0) {
            send_frame(terminals, one, false, steady_ms);
        }
    }
}

void simulated_terminals_advance(struct simulated_terminals *terminals, const struct schedule *schedule, bool more,
                                 int64_t now_ms, int64_t steady_ms) {
    for (int i = 0; i < terminals->count; i++) {
        advance_one(terminals, &terminals->all[i], schedule, more, now_ms, steady_ms);
    }
}

int simulated_terminals_connected(const struct simulated_terminals *terminals) {
    int count = 0;
    for (int i = 0; i < terminals->count; i++) {
        count += terminals->all[i].connected ? 1 : 0;
    }
    return count;
}

int simulated_terminals_waiting(const struct simulated_terminals *terminals) {
    int count = 0;
    for (int i = 0; i < terminals->count; i++) {
        count += terminals->all[i].length > 0 ? 1 : 0;
    }
    return count;
}
