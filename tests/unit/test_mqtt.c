/* test_mqtt.c: one connection to the broker, over a library and a network that the test plays: dialling and coming
 * back, who may read and write when, what ends a connection, and how it is closed. */
#include "captured.h"
#include "fake_broker.h"

#include "hub/base/count.h"
#include "hub/link/mqtt.h"
#include "hub/link/mqtt_login.h"

#define TOPIC "cityhub/v1/dust/acme/telemetry"

struct connection {
    uv_loop_t loop;
    struct config config;
    struct mqtt *mqtt;
    struct mosquitto *client;
    int connected, lost, messages, subscribed, published;
    bool session_present;
    char why[200];
    bool no_reading, no_writing;
    int closed;
};

static void on_connected(void *user, bool session_present) {
    struct connection *connection = user;
    connection->connected++;
    connection->session_present = session_present;
}

static void on_lost(void *user, const char *why) {
    struct connection *connection = user;
    connection->lost++;
    snprintf(connection->why, sizeof connection->why, "%s", why);
}

static void on_message(void *user, const struct mosquitto_message *message, const mosquitto_property *properties) {
    struct connection *connection = user;
    (void)properties;
    assert_string_equal(message->topic, TOPIC);
    connection->messages++;
}

static void on_subscribed(void *user, int mid, int count, const int *reasons) {
    struct connection *connection = user;
    assert_true(mid > 0 && count == 1);
    assert_int_equal(reasons[0], 1);
    connection->subscribed++;
}

static void on_published(void *user, int mid, int reason) {
    struct connection *connection = user;
    assert_int_equal(reason, 0x10);
    connection->published = mid;
}

static bool may_read(void *user) {
    return !((const struct connection *)user)->no_reading;
}

static bool may_write(void *user) {
    return !((const struct connection *)user)->no_writing;
}

static void on_closed(void *user) {
    ((struct connection *)user)->closed++;
}

static struct mqtt *open_as(struct connection *connection, int64_t session_expiry_s) {
    const struct mqtt_settings settings = {.name = "hub-dust-1",
                                           .client_id = "hub-dust-1-secret",
                                           .session_expiry_s = session_expiry_s,
                                           .receive_maximum = 20000};
    const struct mqtt_handlers handlers = {.connected = on_connected,
                                           .lost = on_lost,
                                           .message = on_message,
                                           .subscribed = on_subscribed,
                                           .published = on_published,
                                           .may_read = may_read,
                                           .may_write = may_write,
                                           .user = connection};
    return mqtt_open(&connection->loop, &connection->config, &settings, &handlers);
}

static int begin(void **state) {
    struct connection *connection = calloc(1, sizeof *connection);
    assert_non_null(connection);
    fake_loop_begin(&connection->loop);
    assert_int_equal(config_load(&connection->config, "/dev/null", stderr), 0);
    connection->mqtt = open_as(connection, 3600);
    assert_non_null(connection->mqtt);
    connection->client = fake_client("hub-dust-1-secret");
    assert_non_null(connection->client);
    *state = connection;
    return 0;
}

static int end(void **state) {
    struct connection *connection = *state;
    if (connection->mqtt != NULL) {
        mqtt_close(connection->mqtt, false, on_closed, connection);
        if (fake_dialling()) {
            fake_dial(MOSQ_ERR_SUCCESS, NULL);
        }
        fake_loop_turn(&connection->loop);
        assert_int_equal(connection->closed, 1);
    }
    assert_int_equal(fake_client_count(), 0);
    fake_loop_end(&connection->loop);
    config_free(&connection->config);
    free(connection);
    return 0;
}

/* Dialled, CONNECT written, CONNACK read. */
static void greet(struct connection *connection) {
    fake_dial(MOSQ_ERR_SUCCESS, NULL);
    fake_loop_turn(&connection->loop);
    fake_broker_accept(connection->client, 0, true);
    fake_loop_turn(&connection->loop);
    assert_true(mqtt_connected(connection->mqtt));
}

static bool dials(void *user) {
    (void)user;
    return fake_dialling();
}

/* Milliseconds until it dials again. */
static int64_t until_dial(struct connection *connection) {
    int64_t before = fake_loop_passed();
    assert_true(fake_loop_await(&connection->loop, 60000, dials, NULL));
    return fake_loop_passed() - before;
}

/* ---- setting up ---- */

static void test_settings(void **state) {
    struct connection *connection = *state;
    greet(connection);
    const struct fake_setup *setup = fake_setup(connection->client);
    assert_false(setup->clean_session);
    assert_true(setup->threaded); /* or the library acknowledges while it reads */
    assert_int_equal(setup->protocol, MQTT_PROTOCOL_V5);
    assert_int_equal(setup->receive_maximum, 20000);
    assert_int_equal(setup->no_delay, 1);
    assert_int_equal(setup->session_expiry_s, 3600);
    assert_int_equal(setup->keepalive, connection->config.mqtt_keepalive_s);
    assert_string_equal(setup->host, connection->config.mqtt_host);
    assert_int_equal(setup->port, connection->config.mqtt_port);
    assert_string_equal(setup->username, "");
    assert_int_equal(connection->connected, 1);
    assert_true(connection->session_present);
    assert_false(fake_logs(connection->client)); /* it would write a line for each packet */
}

static void close_now(struct connection *connection) {
    mqtt_close(connection->mqtt, false, NULL, NULL);
    connection->mqtt = NULL;
    if (fake_dialling()) {
        fake_dial(MOSQ_ERR_SUCCESS, NULL);
    }
    fake_loop_turn(&connection->loop);
}

static void set(char **text, const char *value) {
    free(*text);
    *text = strdup(value);
    assert_non_null(*text);
}

/* Without an expiry the session ends with the connection; a password comes from its file. */
static void test_password(void **state) {
    struct connection *connection = *state;
    char path[] = "/tmp/test_mqtt.XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, "s3cret\n", 7), 7);
    close(file);
    close_now(connection);
    set(&connection->config.mqtt_username, "hub");
    set(&connection->config.mqtt_password_file, path);
    set(&connection->config.mqtt_tls_ca_file, path);
    connection->mqtt = open_as(connection, 0);
    assert_non_null(connection->mqtt);
    connection->client = fake_client("hub-dust-1-secret");
    greet(connection);
    const struct fake_setup *setup = fake_setup(connection->client);
    assert_true(setup->clean_session);
    assert_int_equal(setup->session_expiry_s, 0);
    assert_string_equal(setup->username, "hub");
    assert_string_equal(setup->password, "s3cret");
    assert_string_equal(setup->ca_file, path);
    unlink(path);
}

/* What cannot be set up is said, and nothing is left behind. */
static void test_cannot_open(void **state) {
    struct connection *connection = *state;
    static struct captured captured;
    static const char *const events[] = {"event=out_of_memory", "event=secret", "event=broker_settings"};
    close_now(connection);
    for (size_t i = 0; i < COUNT_OF(events); i++) {
        captured_begin(&captured, stderr);
        fake_library_fail(FAKE_NEW, i == 0);
        set(&connection->config.mqtt_username, "hub");
        set(&connection->config.mqtt_password_file, i == 1 ? "/nonexistent" : "");
        set(&connection->config.mqtt_tls_ca_file, i == 2 ? "/nonexistent" : "");
        struct mqtt *mqtt = open_as(connection, 3600);
        const char *said = captured_end(&captured);
        assert_null(mqtt);
        captured_expect(said, events[i]);
        assert_int_equal(fake_client_count(), 0);
        assert_false(fake_dialling());
    }
}

/* ---- coming back ---- */

/* 100 ms, then twice as long each time, at most 5 s; from the beginning again once a connection has held for 10 s. */
static void test_backoff(void **state) {
    struct connection *connection = *state;
    static const int64_t waits[] = {100, 200, 400, 800, 1600, 3200, 5000, 5000};
    for (size_t i = 0; i < COUNT_OF(waits); i++) {
        fake_dial(MOSQ_ERR_ERRNO, NULL);
        assert_int_equal(until_dial(connection), waits[i]);
    }
    assert_int_equal(connection->lost, 0); /* there was no connection to lose */
    greet(connection);
    fake_loop_pass(&connection->loop, 5000);
    fake_broker_close(connection->client);
    assert_int_equal(until_dial(connection), 5000); /* it held, but not long enough */
    assert_int_equal(connection->lost, 1);
    greet(connection);
    fake_loop_pass(&connection->loop, 12000);
    fake_broker_close(connection->client);
    assert_int_equal(until_dial(connection), 100);
    assert_int_equal(connection->lost, 2);
    assert_int_equal(connection->connected, 2);
}

/* The pool takes no work: the same as a dial that fails. */
static void test_no_thread(void **state) {
    struct connection *connection = *state;
    fake_dial(MOSQ_ERR_ERRNO, NULL);
    fake_pool_full(true);
    fake_loop_pass(&connection->loop, 1000);
    assert_false(fake_dialling());
    fake_pool_full(false);
    until_dial(connection);
    greet(connection);
}

/* Why TLS fails is what the library has logged, not its general word. */
static void test_reasons(void **state) {
    struct connection *connection = *state;
    static struct captured captured;
    captured_begin(&captured, stderr);
    fake_dial(MOSQ_ERR_TLS, "certificate verify failed");
    until_dial(connection);
    fake_dial(MOSQ_ERR_ERRNO, NULL);
    until_dial(connection);
    fake_dial(MOSQ_ERR_NOMEM, NULL);
    const char *said = captured_end(&captured);
    captured_expect(said, "reason=\"certificate verify failed\"");
    captured_expect(said, "reason=\"Connection refused\"");
    captured_expect(said, "reason=\"Out of memory.\"");
}

/* The broker refuses, or does not answer for 30 s. */
static void test_no_greeting(void **state) {
    struct connection *connection = *state;
    fake_dial(MOSQ_ERR_SUCCESS, NULL);
    fake_loop_turn(&connection->loop);
    fake_broker_accept(connection->client, MQTT_RC_NOT_AUTHORIZED, false);
    assert_int_equal(until_dial(connection), 100);
    assert_int_equal(connection->connected + connection->lost, 0);
    fake_dial(MOSQ_ERR_SUCCESS, NULL);
    fake_loop_pass(&connection->loop, 30000);
    assert_false(fake_dialling());
    assert_true(until_dial(connection) <= 2000);
    greet(connection);
    assert_int_equal(connection->lost, 0);
}

/* Each way in which a connection can break, and that it is told once. */
static void test_lost(void **state) {
    struct connection *connection = *state;
    const char *const reasons[] = {mosquitto_strerror(MOSQ_ERR_CONN_LOST), "made to be lost",
                                   mosquitto_strerror(MOSQ_ERR_PROTOCOL), mosquitto_strerror(MOSQ_ERR_NOMEM),
                                   mosquitto_strerror(MOSQ_ERR_CONN_LOST)};
    for (int i = 0; i < 5; i++) {
        greet(connection);
        int number = 0;
        switch (i) {
        case 0: /* the broker ends it */
            fake_broker_close(connection->client);
            break;
        case 1: /* whoever owns it gives it up, and once more */
            mqtt_lose(connection->mqtt, "made to be lost");
            mqtt_lose(connection->mqtt, "again");
            break;
        case 2: /* reading fails */
            fake_library_fail(FAKE_READ, MOSQ_ERR_PROTOCOL);
            number = fake_broker_send(connection->client, TOPIC, "x", 1, NULL);
            break;
        case 3: /* writing fails */
            fake_library_fail(FAKE_WRITE, MOSQ_ERR_NOMEM);
            number = fake_broker_send(connection->client, TOPIC, "x", 1, NULL);
            break;
        default: /* the keepalive was not answered */
            fake_library_fail(FAKE_MISC, MOSQ_ERR_CONN_LOST);
            fake_loop_pass(&connection->loop, 1000);
            break;
        }
        fake_loop_turn(&connection->loop);
        assert_false(mqtt_connected(connection->mqtt));
        assert_int_equal(connection->lost, i + 1);
        assert_string_equal(connection->why, reasons[i]);
        assert_false(number > 0 && fake_message_acknowledged(connection->client, number));
        until_dial(connection);
    }
}

/* A broken connection shows even while nothing may be read. */
static void test_lost_while_not_reading(void **state) {
    struct connection *connection = *state;
    greet(connection);
    connection->no_reading = true;
    mqtt_wake(connection->mqtt);
    fake_broker_close(connection->client);
    fake_loop_turn(&connection->loop);
    assert_int_equal(connection->lost, 1);
    assert_string_equal(connection->why, "the broker ended the connection");
}

/* ---- reading and writing ---- */

/* While nothing may be written, nothing is: neither acknowledgements nor pings. */
static void test_may_write(void **state) {
    struct connection *connection = *state;
    greet(connection);
    connection->no_writing = true;
    int number = fake_broker_send(connection->client, TOPIC, "x", 1, NULL);
    int writes = fake_writes(connection->client), miscs = fake_miscs(connection->client);
    fake_loop_turn(&connection->loop);
    mqtt_wake(connection->mqtt);
    fake_loop_pass(&connection->loop, 120000);
    assert_int_equal(connection->messages, 1);
    assert_int_equal(fake_writes(connection->client), writes);
    assert_int_equal(fake_miscs(connection->client), miscs);
    assert_false(fake_message_acknowledged(connection->client, number));
    connection->no_writing = false;
    mqtt_wake(connection->mqtt);
    assert_true(fake_message_acknowledged(connection->client, number));
    fake_loop_pass(&connection->loop, 3000);
    assert_true(fake_miscs(connection->client) > miscs);
    assert_int_equal(fake_writes(connection->client), writes + 1); /* there was nothing more to write */
}

/* While nothing may be read, nothing is; the owner may say so after any message. */
static void test_may_read(void **state) {
    struct connection *connection = *state;
    greet(connection);
    connection->no_reading = true;
    mqtt_wake(connection->mqtt);
    for (int i = 0; i < 5; i++) {
        fake_broker_send(connection->client, TOPIC, "x", 1, NULL);
    }
    fake_loop_pass(&connection->loop, 60000);
    assert_int_equal(connection->messages, 0);
    connection->no_reading = false;
    mqtt_wake(connection->mqtt);
    fake_loop_turn(&connection->loop);
    assert_int_equal(connection->messages, 5);
}

/* At most 256 packets in one turn of the loop, so that others have theirs. */
static void test_turns(void **state) {
    struct connection *connection = *state;
    greet(connection);
    for (int i = 0; i < 600; i++) {
        fake_broker_send(connection->client, TOPIC, "x", 1, NULL);
    }
    static const int after[] = {256, 512, 600};
    for (size_t i = 0; i < COUNT_OF(after); i++) {
        uv_run(&connection->loop, UV_RUN_NOWAIT);
        assert_int_equal(connection->messages, after[i]);
    }
}

/* Nor many bytes, however few messages they are in. */
static void test_turns_by_bytes(void **state) {
    struct connection *connection = *state;
    static char large[50000];
    greet(connection);
    for (int i = 0; i < 10; i++) {
        fake_broker_send(connection->client, TOPIC, large, sizeof large, NULL);
    }
    static const int after[] = {3, 6, 9, 10};
    for (size_t i = 0; i < COUNT_OF(after); i++) {
        uv_run(&connection->loop, UV_RUN_NOWAIT);
        assert_int_equal(connection->messages, after[i]);
    }
}

/* Under TLS the library has more than the socket shows: what a turn leaves is read in the next, and what a lane did not
 * want when it wants again. */
static void test_turns_under_tls(void **state) {
    struct connection *connection = *state;
    greet(connection);
    fake_broker_encrypt(connection->client);
    for (int i = 0; i < 600; i++) {
        fake_broker_send(connection->client, TOPIC, "x", 1, NULL);
    }
    uv_run(&connection->loop, UV_RUN_NOWAIT);
    assert_int_equal(connection->messages, 256);
    connection->no_reading = true;
    mqtt_wake(connection->mqtt);
    uv_run(&connection->loop, UV_RUN_NOWAIT);
    assert_int_equal(connection->messages, 256);
    connection->no_reading = false;
    mqtt_wake(connection->mqtt);
    static const int after[] = {512, 600};
    for (size_t i = 0; i < COUNT_OF(after); i++) {
        uv_run(&connection->loop, UV_RUN_NOWAIT);
        assert_int_equal(connection->messages, after[i]);
    }
}

/* The socket takes a part: the rest is written when it takes more. */
static void test_full_socket(void **state) {
    struct connection *connection = *state;
    greet(connection);
    connection->no_writing = true;
    for (int i = 0; i < 10; i++) {
        fake_broker_send(connection->client, TOPIC, "x", 1, NULL);
    }
    fake_loop_turn(&connection->loop);
    fake_socket_room(3);
    connection->no_writing = false;
    mqtt_wake(connection->mqtt);
    assert_int_equal(fake_messages_acknowledged(connection->client), 3);
    connection->no_writing = true; /* something was read meanwhile */
    fake_loop_turn(&connection->loop);
    assert_int_equal(fake_messages_acknowledged(connection->client), 3);
    connection->no_writing = false;
    mqtt_wake(connection->mqtt);
    fake_loop_turn(&connection->loop);
    fake_socket_room(0);
    assert_int_equal(fake_messages_acknowledged(connection->client), 10);
}

/* What the broker had retained is acknowledged and not handed over: its time was when it was published. */
static void test_retained(void **state) {
    struct connection *connection = *state;
    greet(connection);
    int number = fake_broker_send_retained(connection->client, TOPIC, "old", 3);
    fake_broker_send(connection->client, TOPIC, "new", 3, NULL);
    fake_loop_turn(&connection->loop);
    assert_int_equal(connection->messages, 1);
    assert_true(fake_message_acknowledged(connection->client, number));
}

/* MQTT 3.1.1: no properties, another version, and its own words for a refusal. */
static void test_3_1_1(void **state) {
    struct connection *connection = *state;
    close_now(connection);
    set(&connection->config.mqtt_protocol, "3.1.1");
    connection->mqtt = open_as(connection, 3600);
    assert_non_null(connection->mqtt);
    connection->client = fake_client("hub-dust-1-secret");
    greet(connection);
    const struct fake_setup *setup = fake_setup(connection->client);
    assert_int_equal(setup->protocol, MQTT_PROTOCOL_V311);
    assert_int_equal(setup->session_expiry_s, 0);
    assert_int_equal(setup->send_maximum, 1000);
    assert_false(setup->clean_session);
    assert_string_equal(mqtt_refusal(&connection->config, 5), mosquitto_connack_string(5));
    set(&connection->config.mqtt_protocol, "5");
    assert_string_equal(mqtt_refusal(&connection->config, 135), mosquitto_reason_string(135));
}

/* The owner subscribes and publishes; the broker's answers come to it. */
static void test_answers(void **state) {
    struct connection *connection = *state;
    int mid;
    char filter[] = "cityhub/v1/dust/+/work", *filters[] = {filter};
    greet(connection);
    assert_int_equal(mosquitto_subscribe_multiple(mqtt_session(connection->mqtt), &mid, 1, filters, 1, 0, NULL), 0);
    mqtt_wake(connection->mqtt);
    assert_string_equal(fake_subscribed(connection->client), filter);
    fake_broker_subscribe(connection->client, 1);
    assert_int_equal(mosquitto_publish_v5(mqtt_session(connection->mqtt), &mid, "t", 1, "x", 1, false, NULL), 0);
    mqtt_wake(connection->mqtt);
    fake_broker_acknowledge(connection->client, mid, 0x10);
    fake_loop_turn(&connection->loop);
    assert_int_equal(connection->subscribed, 1);
    assert_int_equal(connection->published, mid);
}

/* What was read and not acknowledged comes again on the next connection, and its acknowledgement with it. */
static void test_again(void **state) {
    struct connection *connection = *state;
    greet(connection);
    connection->no_writing = true;
    int number = fake_broker_send(connection->client, TOPIC, "x", 1, NULL);
    fake_loop_turn(&connection->loop);
    mqtt_lose(connection->mqtt, "made to be lost");
    connection->no_writing = false;
    mqtt_wake(connection->mqtt); /* there is no connection: nothing is written */
    assert_false(fake_message_acknowledged(connection->client, number));
    until_dial(connection);
    greet(connection);
    fake_loop_turn(&connection->loop);
    assert_int_equal(connection->messages, 2);
    assert_true(fake_message_acknowledged(connection->client, number));
}

/* ---- closing ---- */

/* While the pool dials, its memory stays; no handler is called any more. */
static void test_close_while_dialling(void **state) {
    struct connection *connection = *state;
    mqtt_close(connection->mqtt, false, on_closed, connection);
    connection->mqtt = NULL;
    fake_loop_turn(&connection->loop);
    assert_int_equal(connection->closed, 0);
    fake_dial(MOSQ_ERR_SUCCESS, NULL);
    fake_loop_turn(&connection->loop);
    assert_int_equal(connection->closed, 1);
    assert_int_equal(connection->connected, 0);
}

/* Closed with what may be written: acknowledgements first, then DISCONNECT, which ends the session or leaves it. What
 * may not be written is not, not even DISCONNECT. */
static void test_close(void **state) {
    struct connection *connection = *state;
    static const struct { bool end_session, no_writing; } cases[] = {{false, false}, {true, false}, {true, true}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        if (connection->mqtt == NULL) {
            connection->mqtt = open_as(connection, 3600);
            connection->client = fake_client("hub-dust-1-secret");
        }
        greet(connection);
        connection->no_writing = true;
        int number = fake_broker_send(connection->client, TOPIC, "x", 1, NULL);
        fake_loop_turn(&connection->loop);
        connection->no_writing = cases[i].no_writing;
        int64_t expiry_s;
        mqtt_close(connection->mqtt, cases[i].end_session, NULL, NULL);
        connection->mqtt = NULL;
        assert_int_equal(fake_disconnected(connection->client, &expiry_s), !cases[i].no_writing);
        assert_int_equal(fake_message_acknowledged(connection->client, number), !cases[i].no_writing);
        if (!cases[i].no_writing) {
            assert_int_equal(expiry_s, cases[i].end_session ? 0 : -1);
        }
        fake_loop_turn(&connection->loop);
        assert_int_equal(fake_client_count(), 0);
        connection->no_writing = false;
    }
    assert_int_equal(connection->lost, 0);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(test_settings),
        TEST(test_password),
        TEST(test_cannot_open),
        TEST(test_backoff),
        TEST(test_no_thread),
        TEST(test_reasons),
        TEST(test_no_greeting),
        TEST(test_lost),
        TEST(test_lost_while_not_reading),
        TEST(test_may_write),
        TEST(test_may_read),
        TEST(test_turns),
        TEST(test_turns_by_bytes),
        TEST(test_turns_under_tls),
        TEST(test_full_socket),
        TEST(test_retained),
        TEST(test_3_1_1),
        TEST(test_answers),
        TEST(test_again),
        TEST(test_close_while_dialling),
        TEST(test_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
