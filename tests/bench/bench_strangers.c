/* bench_strangers.c: strangers on a gateway's ports, for tests/bench/gateway.
 *     bench_strangers HJ212_PORT JT808_PORT COUNT
 * COUNT connections, every second one to each port. A third sends garbage, of which some looks like the beginning of a
 * frame; a third are a Modbus master's questions, a third a crawler's. Each says something once a second, garbage of 4
 * KiB, all evenly spread, and begins anew when it is closed. Prints "connected", and goes on until its standard input
 * ends. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { GARBAGE = 4096, EVERY_NS = 1000000000, KINDS = 3 };

struct stranger {
    uint16_t port;
    int socket, kind;
};

static void open_one(struct stranger *stranger) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(stranger->port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    stranger->socket = socket(AF_INET, SOCK_STREAM, 0);
    if (stranger->socket < 0 || connect(stranger->socket, (struct sockaddr *)&address, sizeof address) != 0) {
        perror("bench_strangers: cannot connect");
        exit(1);
    }
    fcntl(stranger->socket, F_SETFL, O_NONBLOCK);
}

/* Random bytes, with beginnings of frames between them. */
static size_t garbage(char *bytes) {
    static const char *const beginnings[] = {"##0100QN=", "~\x02\x01", "##9999", "&&"};
    for (size_t i = 0; i < GARBAGE; i++) {
        bytes[i] = (char)rand();
    }
    for (size_t i = 0; i + 16 < GARBAGE; i += 256) {
        const char *text = beginnings[rand() % 4];
        memcpy(bytes + i, text, strlen(text));
    }
    return GARBAGE;
}

static void speak(struct stranger *stranger) {
    static const char modbus[] = {0, 1, 0, 0, 0, 6, 1, 3, 0, 0, 0, 10};
    static const char crawler[] =
        "GET /robots.txt HTTP/1.1\r\nHost: gateway\r\nUser-Agent: crawler\r\nAccept: */*\r\n\r\n";
    char bytes[GARBAGE], answer[256];
    size_t length = 0;
    if (stranger->kind == 0) {
        length = garbage(bytes);
    } else if (stranger->kind == 1) {
        length = sizeof modbus;
        memcpy(bytes, modbus, length);
    } else {
        length = sizeof crawler - 1;
        memcpy(bytes, crawler, length);
    }
    ssize_t came = recv(stranger->socket, answer, sizeof answer, MSG_DONTWAIT);
    if (came == 0 || (came < 0 && send(stranger->socket, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)) {
        close(stranger->socket);
        open_one(stranger);
    }
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: bench_strangers HJ212_PORT JT808_PORT COUNT\n");
        return 2;
    }
    size_t count = (size_t)atoi(argv[3]);
    struct stranger *strangers = calloc(count, sizeof *strangers);
    for (size_t i = 0; i < count; i++) {
        strangers[i].port = (uint16_t)atoi(argv[1 + i % 2]);
        strangers[i].kind = (int)(i / 2 % KINDS);
        open_one(&strangers[i]);
    }
    printf("connected\n");
    fflush(stdout);
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    const struct timespec step = {.tv_nsec = EVERY_NS / (long)count};
    for (size_t i = 0; poll(&input, 1, 0) == 0; i++) {
        speak(&strangers[i % count]);
        nanosleep(&step, NULL);
    }
    return 0;
}
