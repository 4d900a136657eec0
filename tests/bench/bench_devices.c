/* bench_devices.c: devices at a gateway, for tests/bench/gateway: half speak HJ 212, half JT/T 808, each on a
 * connection of its own. bench_devices HJ212_PORT JT808_PORT COUNT EVERY_MS DEPTH SECONDS EVERY_MS > 0: each sends a
 * frame every so many ms, all of them evenly spread. EVERY_MS 0: each has DEPTH frames under way, and sends another as
 * soon as one is acknowledged. Prints "connected" when all are, and after SECONDS, and when what is under way is
 * acknowledged (for a minute at the most), one line of JSON: frames sent, acknowledged, seconds of sending,
 * acknowledged meanwhile, how long acknowledgements took, and how late it was itself at the most. Then it keeps its
 * connections until its standard input ends. Even numbers are HJ 212's: MN BENCH-00000 and so on; odd ones JT/T 808's:
 * 14100000001. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    DEPTH_MAX = 32,
    FRAME_MAX = 512,
    LEFT_MAX = 4096,
    EVENTS = 1000,
    DRAIN_S = 60,
    BEIJING_S = 8 * 3600,
    PAST_S = 12 * 3600, /* frames of those without a pace say one second after the other from so long ago */
    POSITION = 0x0200,
    GENERAL_ANSWER = 0x8001,
    DELIMITER = 0x7e,
    ESCAPE = 0x7d,
};

struct frame {
    uint64_t key; /* what its acknowledgement repeats: the digits of QN but for the milliseconds, or the serial */
    int64_t sent_ns;
};

struct device {
    int number, socket;
    time_t second; /* that its last frame says */
    uint16_t serial;
    int count;
    struct frame frames[DEPTH_MAX]; /* that wait */
    char left[LEFT_MAX];            /* what came and is no whole line or frame yet */
    size_t length;
};

static struct device *devices;
static float *times_ms;
static size_t time_count, time_room;
static uint64_t sent, acknowledged;
static uint16_t crc_table[256];

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void die(const char *what) {
    fprintf(stderr, "bench_devices: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- frames ---- */

static void crc_begin(void) {
    for (unsigned i = 0; i < 256; i++) {
        unsigned value = i;
        for (int bit = 0; bit < 8; bit++) {
            value = (value & 1) != 0 ? value >> 1 ^ 0xA001 : value >> 1;
        }
        crc_table[i] = (uint16_t)value;
    }
}

/* HJ 212-2017, annex A. */
static unsigned crc(const char *text, size_t length) {
    unsigned value = 0xFFFF;
    for (size_t i = 0; i < length; i++) {
        value = crc_table[(value >> 8 ^ (unsigned char)text[i]) & 0xFF];
    }
    return value;
}

static void stamp_of(time_t second, char text[static 16]) {
    struct tm parts;
    time_t there = second + BEIJING_S;
    gmtime_r(&there, &parts);
    strftime(text, 16, "%Y%m%d%H%M%S", &parts);
}

static size_t hj212_frame(const struct device *device, char bytes[static FRAME_MAX], uint64_t *key) {
    char segment[FRAME_MAX], stamp[16];
    stamp_of(device->second, stamp);
    *key = strtoull(stamp, NULL, 10);
    int length = snprintf(
        segment, sizeof segment,
        "QN=%s000;ST=39;CN=2011;MN=BENCH-%05d;Flag=5;CP=&&DataTime=%s;a34004-Rtd=35.2,a34004-Flag=N;a34002-Rtd=71.4,"
        "a34002-Flag=N;a50001-Rtd=58.3,a50001-Flag=N;a01001-Rtd=18.4,a01001-Flag=N&&",
        stamp, device->number, stamp);
    return (size_t)snprintf(bytes, FRAME_MAX, "##%04d%s%04X\r\n", length, segment, crc(segment, (size_t)length));
}

static uint8_t *put_number(uint8_t *at, uint32_t value, int bytes) {
    for (int i = bytes - 1; i >= 0; i--) {
        *at++ = (uint8_t)(value >> 8 * i);
    }
    return at;
}

static uint8_t *put_digits(uint8_t *at, const char *digits) {
    for (; *digits != '\0'; digits += 2) {
        *at++ = (uint8_t)((digits[0] - '0') << 4 | (digits[1] - '0'));
    }
    return at;
}

/* Escaped, between delimiters, with its check byte. */
static size_t jt808_wrap(const uint8_t *content, size_t length, char *bytes) {
    uint8_t check = 0;
    char *at = bytes;
    *at++ = DELIMITER;
    for (size_t i = 0; i <= length; i++) {
        uint8_t byte = i < length ? content[i] : check;
        check ^= byte;
        *at++ = (char)(byte == DELIMITER ? ESCAPE : byte);
        if (byte == DELIMITER || byte == ESCAPE) {
            *at++ = byte == DELIMITER ? 2 : 1;
        }
    }
    *at++ = DELIMITER;
    return (size_t)(at - bytes);
}

static size_t jt808_frame(struct device *device, char bytes[static FRAME_MAX], uint64_t *key) {
    enum { BODY = 28, LATITUDE = 34550000, LONGITUDE = 114780000, ALTITUDE = 60, SPEED = 400, DIRECTION = 90 };
    uint8_t content[64], *at = content;
    char digits[32], stamp[16];
    stamp_of(device->second, stamp);
    snprintf(digits, sizeof digits, "014100%06d", device->number);
    *key = ++device->serial;
    at = put_number(at, POSITION, 2);
    at = put_number(at, BODY, 2);
    at = put_digits(at, digits);
    at = put_number(at, device->serial, 2);
    at = put_number(at, 0, 4); /* no alarm */
    at = put_number(at, 3, 4); /* ignition on, positioned */
    at = put_number(at, LATITUDE, 4);
    at = put_number(at, LONGITUDE, 4);
    at = put_number(at, ALTITUDE, 2);
    at = put_number(at, SPEED, 2);
    at = put_number(at, DIRECTION, 2);
    at = put_digits(at, stamp + 2);
    return jt808_wrap(content, (size_t)(at - content), bytes);
}

static void device_send(struct device *device, time_t second) {
    char bytes[FRAME_MAX];
    if (device->count < 0 || device->count >= DEPTH_MAX) {
        errno = ETIMEDOUT;
        die("frames are not acknowledged");
    }
    struct frame *frame = &device->frames[device->count++];
    device->second = second > device->second ? second : device->second + 1; /* another one each time */
    size_t length =
        device->number % 2 == 0 ? hj212_frame(device, bytes, &frame->key) : jt808_frame(device, bytes, &frame->key);
    frame->sent_ns = now_ns();
    sent++;
    if (write(device->socket, bytes, length) != (ssize_t)length) {
        die("the gateway does not take a frame");
    }
}

/* ---- acknowledgements ---- */

static void settle(struct device *device, uint64_t key) {
    for (int i = 0; i < device->count; i++) {
        if (device->frames[i].key == key) {
            if (time_count == time_room) {
                time_room = time_room == 0 ? 1 << 16 : time_room * 2;
                times_ms = realloc(times_ms, time_room * sizeof *times_ms);
            }
            times_ms[time_count++] = (float)((double)(now_ns() - device->frames[i].sent_ns) / 1e6);
            device->frames[i] = device->frames[--device->count];
            acknowledged++;
            return;
        }
    }
}

static size_t take_lines(struct device *device) {
    char *at = device->left, *end;
    while ((end = memchr(at, '\n', (size_t)(device->left + device->length - at))) != NULL) {
        *end = '\0';
        const char *name = strstr(at, "QN=");
        if (name != NULL && strstr(at, "CN=9014") != NULL) {
            char digits[15];
            snprintf(digits, sizeof digits, "%.14s", name + 3);
            settle(device, strtoull(digits, NULL, 10));
        }
        at = end + 1;
    }
    return (size_t)(at - device->left);
}

/* One frame without its delimiters: an answer with result 0 to a position? */
static void take_answer(struct device *device, const uint8_t *bytes, size_t length) {
    enum { HEADER = 12, LENGTH = HEADER + 5 + 1 };
    uint8_t plain[64];
    size_t count = 0;
    for (size_t i = 0; i < length && count < sizeof plain; i++) {
        bool escaped = bytes[i] == ESCAPE && i + 1 < length;
        plain[count++] = !escaped ? bytes[i] : bytes[i + 1] == 2 ? DELIMITER : ESCAPE;
        i += escaped;
    }
    if (count == LENGTH && (plain[0] << 8 | plain[1]) == GENERAL_ANSWER &&
        (plain[HEADER + 2] << 8 | plain[HEADER + 3]) == POSITION && plain[HEADER + 4] == 0) {
        settle(device, (uint64_t)(plain[HEADER] << 8 | plain[HEADER + 1]));
    }
}

static size_t take_frames(struct device *device) {
    const uint8_t *bytes = (const uint8_t *)device->left;
    size_t from = 0;
    for (size_t i = 1; i < device->length; i++) {
        if (bytes[i] == DELIMITER) {
            if (i > from + 1) {
                take_answer(device, bytes + from + 1, i - from - 1);
                from = i + 1;
                i++;
            } else {
                from = i;
            }
        }
    }
    return from < device->length ? from : device->length;
}

static void device_receive(struct device *device) {
    ssize_t count = read(device->socket, device->left + device->length, LEFT_MAX - device->length);
    if (count <= 0) {
        die("the gateway closed a connection");
    }
    device->length += (size_t)count;
    size_t done = device->number % 2 == 0 ? take_lines(device) : take_frames(device);
    device->length -= done;
    memmove(device->left, device->left + done, device->length);
}

/* ---- the run ---- */

static int device_connect(uint16_t port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int one = 1, number = socket(AF_INET, SOCK_STREAM, 0);
    if (number < 0 || connect(number, (struct sockaddr *)&address, sizeof address) != 0) {
        die("cannot connect");
    }
    setsockopt(number, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return number;
}

/* Takes what comes within so many ns; `depth` > 0: sends as much again. */
static void wait_for(int poll, int64_t ns, int depth) {
    static struct epoll_event events[EVENTS];
    struct timespec patience = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    int count = epoll_pwait2(poll, events, EVENTS, &patience, NULL);
    for (int i = 0; i < count; i++) {
        struct device *device = events[i].data.ptr;
        device_receive(device);
        while (device->count < depth) {
            device_send(device, 0);
        }
    }
}

/* Returns how late it was at the most, in ns. */
static int64_t run_paced(int poll, int count, int64_t every_ns, int64_t seconds) {
    int64_t late = 0, start = now_ns(), step = every_ns / count, total = seconds * 1000000000 / step;
    for (int64_t number = 0; number < total;) {
        int64_t due = start + number * step, now = now_ns();
        if (now < due) {
            wait_for(poll, due - now, 0);
            continue;
        }
        struct device *device = &devices[number++ % count];
        late = now - due > late ? now - due : late;
        device_send(device, time(NULL));
    }
    return late;
}

static void run_busy(int poll, int count, int depth, int64_t seconds) {
    int64_t end = now_ns() + seconds * 1000000000;
    for (int i = 0; i < count; i++) {
        devices[i].second = time(NULL) - PAST_S;
        while (devices[i].count < depth) {
            device_send(&devices[i], 0);
        }
    }
    for (int64_t now; (now = now_ns()) < end;) {
        wait_for(poll, end - now, depth);
    }
}

static int by_size(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static double share(double part) {
    size_t at = (size_t)((double)time_count * part);
    return time_count == 0 ? -1 : (double)times_ms[at < time_count ? at : time_count - 1];
}

int main(int argc, char **argv) {
    if (argc != 7) {
        fprintf(stderr, "usage: bench_devices HJ212_PORT JT808_PORT COUNT EVERY_MS DEPTH SECONDS\n");
        return 2;
    }
    int ports[] = {atoi(argv[1]), atoi(argv[2])}, count = atoi(argv[3]), depth = atoi(argv[5]);
    int64_t every_ms = atoll(argv[4]), seconds = atoll(argv[6]), late = 0;
    int poll = epoll_create1(0);
    crc_begin();
    devices = calloc((size_t)count, sizeof *devices);
    if (devices == NULL || depth < 1 || depth > DEPTH_MAX) {
        die("DEPTH is 1 to 32");
    }
    for (int i = 0; i < count; i++) {
        devices[i].number = i;
        devices[i].socket = device_connect((uint16_t)ports[i % 2]);
        epoll_ctl(poll, EPOLL_CTL_ADD, devices[i].socket,
                  &(struct epoll_event){.events = EPOLLIN, .data.ptr = &devices[i]});
    }
    printf("connected\n");
    fflush(stdout);
    int64_t start = now_ns();
    if (every_ms > 0) {
        late = run_paced(poll, count, every_ms * 1000000, seconds);
    } else {
        run_busy(poll, count, depth, seconds);
    }
    double took_s = (double)(now_ns() - start) / 1e9;
    uint64_t meanwhile = acknowledged;
    for (int64_t end = now_ns() + (int64_t)DRAIN_S * 1000000000; acknowledged < sent && now_ns() < end;) {
        wait_for(poll, 100000000, 0);
    }
    qsort(times_ms, time_count, sizeof *times_ms, by_size);
    printf(
        "{\"sent\": %llu, \"acknowledged\": %llu, \"seconds\": %.3f, \"meanwhile\": %llu, \"median_ms\": %.2f, \"p99_ms\": %.2f, "
        "\"longest_ms\": %.2f, \"late_ms\": %.2f}\n",
        (unsigned long long)sent, (unsigned long long)acknowledged, took_s, (unsigned long long)meanwhile, share(0.5),
        share(0.99), share(1), (double)late / 1e6);
    fflush(stdout);
    while (getchar() != EOF) {
    }
    return 0;
}
