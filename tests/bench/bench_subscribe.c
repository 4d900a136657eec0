/* bench_subscribe.c: a subscriber that does nothing but acknowledge: the bare limit of a message path behind the same
 * broker. Prints "ready" when subscribed, and after COUNT messages the time (CLOCK_MONOTONIC, ns).
 *     bench_subscribe HOST PORT FILTER COUNT */
#include <mosquitto.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { LOOP_MS = 100 };

static long received;

static void on_connect(struct mosquitto *session, void *user, int code) {
    if (code == 0) {
        mosquitto_subscribe(session, NULL, user, 1);
    }
}

static void on_subscribe(struct mosquitto *session, void *user, int mid, int count, const int *granted) {
    (void)session;
    (void)user;
    (void)mid;
    (void)count;
    (void)granted;
    puts("ready");
    fflush(stdout);
}

static void on_message(struct mosquitto *session, void *user, const struct mosquitto_message *message) {
    (void)session;
    (void)user;
    (void)message;
    received++;
}

int main(int argc, char **argv) {
    if (argc != 5) {
        fprintf(stderr, "usage: bench_subscribe HOST PORT FILTER COUNT\n");
        return 2;
    }
    long wanted = atol(argv[4]);
    mosquitto_lib_init();
    struct mosquitto *session = mosquitto_new(NULL, true, argv[3]);
    mosquitto_int_option(session, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
    mosquitto_int_option(session, MOSQ_OPT_RECEIVE_MAXIMUM, 20000);
    mosquitto_connect_callback_set(session, on_connect);
    mosquitto_subscribe_callback_set(session, on_subscribe);
    mosquitto_message_callback_set(session, on_message);
    if (mosquitto_connect(session, argv[1], atoi(argv[2]), 60) != MOSQ_ERR_SUCCESS) {
        fprintf(stderr, "bench_subscribe: cannot connect\n");
        return 1;
    }
    while (received < wanted) {
        if (mosquitto_loop(session, LOOP_MS, 1) != MOSQ_ERR_SUCCESS) {
            fprintf(stderr, "bench_subscribe: the connection is lost\n");
            return 1;
        }
    }
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    printf("%lld\n", (long long)now.tv_sec * 1000000000 + now.tv_nsec);
    mosquitto_disconnect(session);
    mosquitto_destroy(session);
    mosquitto_lib_cleanup();
    return 0;
}
