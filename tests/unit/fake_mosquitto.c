/* fake_mosquitto.c: libmosquitto's client without a network, for tests. fake_broker.c is its other end. */
#include "fake_mosquitto_internal.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

struct mosquitto *fake_clients;
static int failures[FAKE_FUNCTIONS];
static int socket_room;
void (*fake_watcher)(void *user, const char *topic, const void *payload, size_t length);
void *fake_watcher_user;

static int failure(enum fake_function function) {
    int code = failures[function];
    failures[function] = 0;
    return code;
}

/* ---- queues ---- */

struct packet *fake_queue_add(struct queue *queue, enum packet_type type, int mid) {
    assert_true(queue->past < FAKE_PACKETS_MAX);
    struct packet *packet = &queue->packets[queue->past++];
    *packet = (struct packet){.type = type, .mid = mid};
    return packet;
}

static void queue_clear(struct queue *queue) {
    queue->first = queue->past = 0;
}

static void sockets_close(struct mosquitto *client) {
    if (client->socket >= 0) {
        close(client->socket);
    }
    if (client->broker_socket >= 0) {
        close(client->broker_socket);
    }
    client->socket = client->broker_socket = -1;
    client->accepted = client->connect_written = false;
}

/* ---- the library: clients ---- */

struct mosquitto *mosquitto_new(const char *id, bool clean_session, void *user) {
    struct mosquitto *client = failure(FAKE_NEW) != 0 ? NULL : calloc(1, sizeof *client);
    if (client == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    snprintf(client->id, sizeof client->id, "%s", id == NULL ? "" : id);
    client->user = user;
    client->setup.clean_session = clean_session;
    client->socket = client->broker_socket = -1;
    fake_at_work++;
    client->in.packets = calloc(FAKE_PACKETS_MAX, sizeof *client->in.packets);
    client->out.packets = calloc(FAKE_PACKETS_MAX, sizeof *client->out.packets);
    client->published = calloc(FAKE_PACKETS_MAX, sizeof *client->published);
    fake_at_work--;
    client->next = fake_clients;
    fake_clients = client;
    return client;
}

void mosquitto_destroy(struct mosquitto *client) {
    if (client == NULL) {
        return;
    }
    struct mosquitto **place = &fake_clients;
    while (*place != client) {
        place = &(*place)->next;
    }
    *place = client->next;
    sockets_close(client);
    for (int i = 0; i < client->message_count; i++) {
        free(client->messages[i].topic);
        free(client->messages[i].payload);
        free(client->messages[i].name);
    }
    free(client->in.packets);
    free(client->out.packets);
    free(client->published);
    free(client);
}

int mosquitto_threaded_set(struct mosquitto *client, bool threaded) {
    client->setup.threaded = threaded;
    return MOSQ_ERR_SUCCESS;
}

int mosquitto_int_option(struct mosquitto *client, enum mosq_opt_t option, int value) {
    int *const place = option == MOSQ_OPT_PROTOCOL_VERSION  ? &client->setup.protocol
                       : option == MOSQ_OPT_RECEIVE_MAXIMUM ? &client->setup.receive_maximum
                       : option == MOSQ_OPT_SEND_MAXIMUM    ? &client->setup.send_maximum
                                                            : &client->setup.no_delay;
    *place = value;
    return MOSQ_ERR_SUCCESS;
}

int mosquitto_username_pw_set(struct mosquitto *client, const char *username, const char *password) {
    snprintf(client->setup.username, sizeof client->setup.username, "%s", username);
    snprintf(client->setup.password, sizeof client->setup.password, "%s", password == NULL ? "" : password);
    return MOSQ_ERR_SUCCESS;
}

int mosquitto_tls_set(struct mosquitto *client, const char *ca_file, const char *ca_path, const char *certificate,
                      const char *key, int (*password)(char *, int, int, void *)) {
    (void)ca_path, (void)certificate, (void)key, (void)password;
    snprintf(client->setup.ca_file, sizeof client->setup.ca_file, "%s", ca_file);
    return access(ca_file, R_OK) == 0 ? MOSQ_ERR_SUCCESS : MOSQ_ERR_INVAL;
}

void mosquitto_connect_v5_callback_set(struct mosquitto *client, void (*callback)(struct mosquitto *, void *, int, int,
                                                                                  const mosquitto_property *)) {
    client->on_connect = callback;
}

void mosquitto_message_v5_callback_set(struct mosquitto *client,
                                       void (*callback)(struct mosquitto *, void *, const struct mosquitto_message *,
                                                        const mosquitto_property *)) {
    client->on_message = callback;
}

void mosquitto_subscribe_v5_callback_set(struct mosquitto *client,
                                         void (*callback)(struct mosquitto *, void *, int, int, const int *,
                                                          const mosquitto_property *)) {
    client->on_subscribe = callback;
}

void mosquitto_publish_v5_callback_set(struct mosquitto *client, void (*callback)(struct mosquitto *, void *, int, int,
                                                                                  const mosquitto_property *)) {
    client->on_publish = callback;
}

void mosquitto_log_callback_set(struct mosquitto *client,
                                void (*callback)(struct mosquitto *, void *, int, const char *)) {
    client->on_log = callback;
}

/* ---- the library: connecting, in the pool ---- */

enum { WORK_MAX = 64 };
static struct {
    uv_work_t *work;
    uv_work_cb run;
    uv_after_work_cb done;
} waiting[WORK_MAX];
static int waiting_count;
static bool pool_full;
static int dial_code;
static const char *dial_detail;

int uv_queue_work(uv_loop_t *loop, uv_work_t *work, uv_work_cb run, uv_after_work_cb done) {
    (void)loop;
    if (pool_full) {
        return UV_ENOMEM;
    }
    assert_true(waiting_count < WORK_MAX);
    waiting[waiting_count].work = work;
    waiting[waiting_count].run = run;
    waiting[waiting_count++].done = done;
    return 0;
}

void fake_pool_full(bool full) {
    pool_full = full;
}

bool fake_dialling(void) {
    return waiting_count > 0;
}

void fake_dial(int code, const char *detail) {
    int count = waiting_count;
    assert_true(count > 0);
    dial_code = code;
    dial_detail = detail;
    for (int i = 0; i < count; i++) {
        uv_work_t *work = waiting[i].work;
        uv_after_work_cb done = waiting[i].done;
        waiting[i].run(work);
        done(work, 0);
    }
    memmove(waiting, waiting + count, (size_t)(waiting_count - count) * sizeof waiting[0]);
    waiting_count -= count;
}

/* A new connection: what was queued on the old one is forgotten, and unacknowledged messages wait again. */
int mosquitto_connect_bind_v5(struct mosquitto *client, const char *host, int port, int keepalive, const char *bind,
                              const mosquitto_property *properties) {
    int sockets[2];
    uint32_t expiry_s = 0;
    (void)bind;
    snprintf(client->setup.host, sizeof client->setup.host, "%s", host);
    client->setup.port = port;
    client->setup.keepalive = keepalive;
    mosquitto_property_read_int32(properties, MQTT_PROP_SESSION_EXPIRY_INTERVAL, &expiry_s, false);
    client->setup.session_expiry_s = expiry_s;
    sockets_close(client);
    queue_clear(&client->in);
    queue_clear(&client->out);
    client->published_count = client->served = 0;
    client->subscribe_mid = 0;
    if (dial_code == MOSQ_ERR_TLS && client->on_log != NULL) {
        client->on_log(client, client->user, MOSQ_LOG_ERR, dial_detail);
        client->on_log(client, client->user, MOSQ_LOG_DEBUG, "not this");
    }
    if (dial_code != MOSQ_ERR_SUCCESS) {
        errno = ECONNREFUSED;
        return dial_code;
    }
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sockets), 0);
    client->socket = sockets[0];
    client->broker_socket = sockets[1];
    for (int i = 0; i < client->message_count; i++) {
        if (client->messages[i].state != MESSAGE_ACKNOWLEDGED) {
            client->messages[i].state = MESSAGE_WAITS;
        }
    }
    fake_queue_add(&client->out, PACKET_CONNECT, 0);
    return MOSQ_ERR_SUCCESS;
}

int mosquitto_socket(struct mosquitto *client) {
    return client->socket;
}

/* ---- the library: reading and writing ---- */

static void take_message(struct mosquitto *client, int number) {
    struct message *message = &client->messages[number];
    mosquitto_property *properties = NULL;
    fake_at_work++;
    char *topic = strdup(message->topic);
    char *payload = malloc(message->length + 1);
    fake_at_work--;
    assert_true(topic != NULL && payload != NULL);
    memcpy(payload, message->payload, message->length);
    if (message->name != NULL && client->setup.protocol == MQTT_PROTOCOL_V5) {
        mosquitto_property_add_binary(&properties, MQTT_PROP_CORRELATION_DATA, message->name,
                                      (uint16_t)strlen(message->name));
    }
    struct mosquitto_message given = {.topic = topic,
                                      .payload = payload,
                                      .payloadlen = (int)message->length,
                                      .qos = 1,
                                      .mid = number + 1,
                                      .retain = message->retained};
    message->state = MESSAGE_READ;
    fake_queue_add(&client->out, PACKET_PUBACK, number);
    if (!client->setup.threaded) {
        mosquitto_loop_write(client, 1); /* as the library does unless it is told that there are threads */
    }
    client->on_message(client, client->user, &given, properties);
    mosquitto_property_free_all(&properties);
    free(topic);
    free(payload);
}

int mosquitto_loop_read(struct mosquitto *client, int most) {
    char byte;
    assert_int_equal(most, 1);
    int code = failure(FAKE_READ);
    if (code != 0) {
        return code;
    }
    if (client->in.first == client->in.past) {
        return read(client->socket, &byte, 1) < 0 && errno == EAGAIN ? MOSQ_ERR_SUCCESS : MOSQ_ERR_CONN_LOST;
    }
    bool all = client->encrypted && client->in.first == 0; /* TLS: one record, and so off the socket at once */
    struct packet packet = client->in.packets[client->in.first++];
    bool last = client->in.first == client->in.past;
    if (client->encrypted ? all : last) {
        assert_int_equal(read(client->socket, &byte, 1), 1);
    }
    if (last) {
        queue_clear(&client->in);
    }
    int reasons[FAKE_FILTERS_MAX];
    for (int i = 0; i < FAKE_FILTERS_MAX; i++) {
        reasons[i] = packet.reason;
    }
    switch (packet.type) {
    case PACKET_CONNACK:
        client->on_connect(client, client->user, packet.reason, packet.flag ? 1 : 0, NULL);
        break;
    case PACKET_PUBLISH:
        take_message(client, packet.mid);
        break;
    case PACKET_SUBACK:
        client->on_subscribe(client, client->user, packet.mid, client->filters, reasons, NULL);
        break;
    case PACKET_PUBACK:
        client->on_publish(client, client->user, packet.mid, packet.reason, NULL);
        break;
    default:
        fail_msg("the broker sent an odd packet");
    }
    return MOSQ_ERR_SUCCESS;
}

static void write_packet(struct mosquitto *client, const struct packet *packet) {
    struct message *message = &client->messages[packet->mid];
    switch (packet->type) {
    case PACKET_CONNECT:
        client->connect_written = true;
        break;
    case PACKET_PUBACK:
        message->state = MESSAGE_ACKNOWLEDGED;
        if (fake_watcher != NULL) {
            fake_watcher(fake_watcher_user, message->topic, message->payload, message->length);
        }
        break;
    case PACKET_SUBSCRIBE:
        snprintf(client->subscribed, sizeof client->subscribed, "%s", packet->text);
        client->subscribe_mid = packet->mid;
        break;
    case PACKET_UNSUBSCRIBE: {
        size_t at = strlen(client->unsubscribed);
        snprintf(client->unsubscribed + at, sizeof client->unsubscribed - at, "%s ", packet->text);
        break;
    }
    case PACKET_PUBLISH:
        client->published[client->published_count++] = packet->published;
        break;
    default:
        client->disconnected = true;
        break;
    }
}

int mosquitto_loop_write(struct mosquitto *client, int most) {
    assert_int_equal(most, 1);
    client->writes++;
    int code = failure(FAKE_WRITE);
    if (code != 0) {
        return code;
    }
    for (int i = 0; client->out.first < client->out.past && (socket_room == 0 || i < socket_room); i++) {
        write_packet(client, &client->out.packets[client->out.first++]);
    }
    if (client->out.first == client->out.past) {
        queue_clear(&client->out);
    }
    return MOSQ_ERR_SUCCESS;
}

bool mosquitto_want_write(struct mosquitto *client) {
    return client->out.first < client->out.past;
}

int mosquitto_loop_misc(struct mosquitto *client) {
    client->miscs++;
    return failure(FAKE_MISC);
}

static void join(char *text, size_t size, int count, char *const *filters) {
    text[0] = '\0';
    for (int i = 0; i < count; i++) {
        size_t at = strlen(text);
        snprintf(text + at, size - at, "%s%s", i > 0 ? " " : "", filters[i]);
    }
}

int mosquitto_subscribe_multiple(struct mosquitto *client, int *mid, int count, char *const *const filters, int qos,
                                 int options, const mosquitto_property *properties) {
    (void)properties;
    assert_int_equal(qos, 1);
    client->subscribe_options = options;
    int code = failure(FAKE_SUBSCRIBE);
    if (code != 0) {
        return code;
    }
    struct packet *packet = fake_queue_add(&client->out, PACKET_SUBSCRIBE, ++client->last_mid);
    join(packet->text, sizeof packet->text, count, filters);
    client->filters = count;
    *mid = packet->mid;
    return MOSQ_ERR_SUCCESS;
}

int mosquitto_unsubscribe_multiple(struct mosquitto *client, int *mid, int count, char *const *const filters,
                                   const mosquitto_property *properties) {
    (void)mid, (void)properties;
    struct packet *packet = fake_queue_add(&client->out, PACKET_UNSUBSCRIBE, ++client->last_mid);
    join(packet->text, sizeof packet->text, count, filters);
    return MOSQ_ERR_SUCCESS;
}

int mosquitto_publish_v5(struct mosquitto *client, int *mid, const char *topic, int length, const void *payload,
                         int qos, bool retain, const mosquitto_property *properties) {
    (void)properties;
    assert_int_equal(qos, 1);
    assert_false(retain);
    int code = failure(FAKE_PUBLISH);
    if (code != 0) {
        return code;
    }
    struct packet *packet = fake_queue_add(&client->out, PACKET_PUBLISH, ++client->last_mid);
    packet->published = (struct fake_published){.mid = packet->mid, .length = length};
    snprintf(packet->published.topic, sizeof packet->published.topic, "%s", topic);
    snprintf(packet->published.payload, sizeof packet->published.payload, "%.*s", length, (const char *)payload);
    *mid = packet->mid;
    return MOSQ_ERR_SUCCESS;
}

int mosquitto_disconnect_v5(struct mosquitto *client, int reason, const mosquitto_property *properties) {
    uint32_t expiry_s;
    (void)reason;
    client->disconnect_expiry_s =
        mosquitto_property_read_int32(properties, MQTT_PROP_SESSION_EXPIRY_INTERVAL, &expiry_s, false) == NULL
            ? -1
            : (int64_t)expiry_s;
    fake_queue_add(&client->out, PACKET_DISCONNECT, 0);
    return MOSQ_ERR_SUCCESS;
}

struct mosquitto *fake_client(const char *client_id) {
    struct mosquitto *client = fake_clients;
    while (client != NULL && strcmp(client->id, client_id) != 0) {
        client = client->next;
    }
    return client;
}

int fake_client_count(void) {
    int count = 0;
    for (const struct mosquitto *client = fake_clients; client != NULL; client = client->next) {
        count++;
    }
    return count;
}

const struct fake_setup *fake_setup(const struct mosquitto *client) {
    return &client->setup;
}

void fake_library_fail(enum fake_function function, int code) {
    failures[function] = code;
}

void fake_socket_room(int packets) {
    socket_room = packets;
}
