/* bench_push.c: vendors that push to a gateway over HTTP, for tests/bench/gateway.
 *     bench_push PORT VENDORS CONNECTIONS RECORDS SECONDS
 * Vendors are called push-0 and so on, have the password of BENCH_PASSWORD, and each CONNECTIONS connections, which
 * stay open. Each connection pushes RECORDS records of dust as JSON, waits for the answer, which must be 200, and
 * pushes the next. Prints one line of JSON: pushes that were answered, records in them, seconds, how long answers took.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <sodium.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "hub/base/buffer.h"
#include "hub/base/topic.h"

enum { ANSWER_MAX = 16384, EVENTS = 64, DEVICES = 50, PAST_MS = 12 * 3600 * 1000, STEP_MS = 100, TIMES_MAX = 1 << 20 };

struct pusher {
    int number, socket;
    int64_t first_ms; /* of its next record */
    struct buffer request;
    size_t written, body_at; /* body_at: where the body begins */
    char answer[ANSWER_MAX];
    size_t length;
    int64_t sent_ns;
};

static float times_ms[TIMES_MAX];
static size_t answered;

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void die(const char *what, const char *more) {
    fprintf(stderr, "bench_push: %s: %s\n", what, more);
    exit(1);
}

/* The next one's request. All have one length, so that the head is as it was. */
static void prepare(struct pusher *pusher, int vendor, int records, const char *authorization) {
    struct buffer body = {0};
    for (int i = 0; i < records; i++) {
        buffer_format(
            &body,
            "%s{\"device_code\":\"push-%03d-%02d\",\"observed_at_ms\":%lld,\"pm25_ug_m3\":35.2,\"pm10_ug_m3\":71.4}",
            i == 0 ? "[" : ",", pusher->number, i % DEVICES, (long long)(pusher->first_ms + (int64_t)i * STEP_MS));
    }
    buffer_text(&body, "]");
    pusher->first_ms += (int64_t)records * STEP_MS;
    pusher->request.length = 0;
    buffer_format(
        &pusher->request,
        "POST /push/dust/push-%d/%s HTTP/1.1\r\nHost: gateway\r\nAuthorization: Basic %s\r\nContent-Type: application/json\r\n"
        "Content-Length: %zu\r\n\r\n",
        vendor, topic_words[TOPIC_TELEMETRY], authorization, body.length);
    buffer_bytes(&pusher->request, body.data, body.length);
    buffer_free(&body);
    if (pusher->request.failed) {
        die("no memory", "");
    }
    pusher->written = pusher->length = 0;
}

static void write_on(int poll, struct pusher *pusher) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = pusher};
    pusher->sent_ns = pusher->written == 0 ? now_ns() : pusher->sent_ns;
    ssize_t count = send(pusher->socket, pusher->request.data + pusher->written,
                         pusher->request.length - pusher->written, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count < 0 && errno != EAGAIN) {
        die("the gateway does not take a push", strerror(errno));
    }
    pusher->written += count > 0 ? (size_t)count : 0;
    event.events |= pusher->written < pusher->request.length ? EPOLLOUT : 0;
    epoll_ctl(poll, EPOLL_CTL_MOD, pusher->socket, &event);
}

/* Whether the answer is there. */
static int read_on(struct pusher *pusher) {
    ssize_t count = read(pusher->socket, pusher->answer + pusher->length, ANSWER_MAX - 1 - pusher->length);
    if (count <= 0) {
        die("the gateway closed a connection", "");
    }
    pusher->length += (size_t)count;
    pusher->answer[pusher->length] = '\0';
    const char *end = strstr(pusher->answer, "\r\n\r\n"), *length = strcasestr(pusher->answer, "\r\nContent-Length:");
    if (end == NULL || length == NULL ||
        pusher->length < (size_t)(end + 4 - pusher->answer) + strtoul(length + 17, NULL, 10)) {
        return 0;
    }
    if (strncmp(pusher->answer, "HTTP/1.1 200", 12) != 0) {
        die("not stored", pusher->answer);
    }
    if (answered < TIMES_MAX) {
        times_ms[answered] = (float)((double)(now_ns() - pusher->sent_ns) / 1e6);
    }
    answered++;
    return 1;
}

static int by_size(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void pusher_open(struct pusher *pusher, int poll, int number, uint16_t port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    *pusher = (struct pusher){.number = number, .socket = socket(AF_INET, SOCK_STREAM, 0)};
    pusher->first_ms = (int64_t)time(NULL) * 1000 - PAST_MS;
    if (connect(pusher->socket, (struct sockaddr *)&address, sizeof address) != 0) {
        die("cannot connect", strerror(errno));
    }
    epoll_ctl(poll, EPOLL_CTL_ADD, pusher->socket, &(struct epoll_event){.data.ptr = pusher});
}

int main(int argc, char **argv) {
    const char *password = getenv("BENCH_PASSWORD");
    if (argc != 6 || password == NULL) {
        fprintf(stderr, "usage: BENCH_PASSWORD=... bench_push PORT VENDORS CONNECTIONS RECORDS SECONDS\n");
        return 2;
    }
    int vendors = atoi(argv[2]), count = vendors * atoi(argv[3]), records = atoi(argv[4]), poll = epoll_create1(0),
        busy = count;
    struct pusher *pushers = calloc((size_t)count, sizeof *pushers);
    char(*logins)[256] = calloc((size_t)vendors, sizeof *logins);
    for (int i = 0; i < vendors; i++) {
        char login[128];
        int length = snprintf(login, sizeof login, "push-%d:%s", i, password);
        sodium_bin2base64(logins[i], sizeof logins[i], (const unsigned char *)login, (size_t)length,
                          sodium_base64_VARIANT_ORIGINAL);
    }
    int64_t start = now_ns(), end = start + atoll(argv[5]) * 1000000000;
    for (int i = 0; i < count; i++) {
        pusher_open(&pushers[i], poll, i, (uint16_t)atoi(argv[1]));
        prepare(&pushers[i], i % vendors, records, logins[i % vendors]);
        write_on(poll, &pushers[i]);
    }
    while (busy > 0) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(poll, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            struct pusher *pusher = events[i].data.ptr;
            if (pusher->written < pusher->request.length) {
                write_on(poll, pusher);
            } else if (read_on(pusher)) {
                if (now_ns() >= end) {
                    busy--;
                    epoll_ctl(poll, EPOLL_CTL_DEL, pusher->socket, NULL);
                } else {
                    prepare(pusher, pusher->number % vendors, records, logins[pusher->number % vendors]);
                    write_on(poll, pusher);
                }
            }
        }
    }
    double took_s = (double)(now_ns() - start) / 1e9;
    size_t known = answered < TIMES_MAX ? answered : TIMES_MAX;
    qsort(times_ms, known, sizeof *times_ms, by_size);
    printf("{\"pushes\": %zu, \"records\": %zu, \"seconds\": %.3f, \"median_ms\": %.2f, \"p99_ms\": %.2f}\n", answered,
           answered * (size_t)records, took_s, (double)times_ms[known / 2], (double)times_ms[known * 99 / 100]);
    return 0;
}
