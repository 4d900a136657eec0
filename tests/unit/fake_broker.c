/* fake_broker.c: the broker at the other end of a client, and what the client was seen to do, for tests. */
#include "fake_broker.h"
#include "fake_mosquitto_internal.h"

#include <unistd.h>

/* A byte is on the socket for as long as there are packets, so that it is readable. */
static struct packet *send_packet(struct mosquitto *client, enum packet_type type, int mid) {
    assert_true(client->broker_socket >= 0);
    if (client->in.first == client->in.past) {
        assert_int_equal(write(client->broker_socket, "p", 1), 1);
    }
    return fake_queue_add(&client->in, type, mid);
}

static void send_waiting(struct mosquitto *client) {
    for (int i = 0; client->accepted && i < client->message_count; i++) {
        if (client->messages[i].state == MESSAGE_WAITS) {
            client->messages[i].state = MESSAGE_SENT;
            send_packet(client, PACKET_PUBLISH, i);
        }
    }
}

void fake_broker_encrypt(struct mosquitto *client) {
    client->encrypted = true;
}

void fake_broker_accept(struct mosquitto *client, int reason, bool session_present) {
    assert_true(client->connect_written);
    struct packet *packet = send_packet(client, PACKET_CONNACK, 0);
    packet->reason = reason;
    packet->flag = session_present;
    client->accepted = reason == 0;
    send_waiting(client);
}

void fake_broker_subscribe(struct mosquitto *client, int reason) {
    send_packet(client, PACKET_SUBACK, client->subscribe_mid)->reason = reason;
}

static int send_message(struct mosquitto *client, const char *topic, const void *payload, size_t length,
                        const char *name, bool retained) {
    assert_true(client->message_count < FAKE_PACKETS_MAX);
    struct message *message = &client->messages[client->message_count];
    message->topic = strdup(topic);
    message->payload = malloc(length + 1);
    message->name = name == NULL ? NULL : strdup(name);
    assert_true(message->topic != NULL && message->payload != NULL);
    memcpy(message->payload, payload, length);
    message->length = length;
    message->retained = retained;
    client->message_count++;
    send_waiting(client);
    return client->message_count - 1;
}

int fake_broker_send(struct mosquitto *client, const char *topic, const void *payload, size_t length,
                     const char *name) {
    return send_message(client, topic, payload, length, name, false);
}

int fake_broker_send_retained(struct mosquitto *client, const char *topic, const void *payload, size_t length) {
    return send_message(client, topic, payload, length, NULL, true);
}

void fake_broker_acknowledge(struct mosquitto *client, int mid, int reason) {
    send_packet(client, PACKET_PUBACK, mid)->reason = reason;
}

void fake_broker_serve(struct mosquitto *client) {
    if (client->connect_written && !client->accepted && client->broker_socket >= 0) {
        fake_broker_accept(client, 0, true);
    }
    if (client->subscribe_mid > 0) {
        fake_broker_subscribe(client, 1);
        client->subscribe_mid = 0;
    }
    for (; client->served < client->published_count; client->served++) {
        fake_broker_acknowledge(client, client->published[client->served].mid, 0);
    }
}

void fake_broker_close(struct mosquitto *client) {
    assert_true(client->broker_socket >= 0);
    close(client->broker_socket);
    client->broker_socket = -1;
    client->accepted = false;
}

bool fake_broker_connected(const struct mosquitto *client) {
    return client->broker_socket >= 0;
}

bool fake_message_read(const struct mosquitto *client, int number) {
    return client->messages[number].state >= MESSAGE_READ;
}

bool fake_message_acknowledged(const struct mosquitto *client, int number) {
    return client->messages[number].state == MESSAGE_ACKNOWLEDGED;
}

int fake_messages_acknowledged(const struct mosquitto *client) {
    int count = 0;
    for (int i = 0; i < client->message_count; i++) {
        count += client->messages[i].state == MESSAGE_ACKNOWLEDGED;
    }
    return count;
}

void fake_broker_witness(void (*acknowledged)(void *user, const char *topic, const void *payload, size_t length),
                         void *user) {
    fake_watcher = acknowledged;
    fake_watcher_user = user;
}

/* ---- what the client did ---- */

const char *fake_subscribed(const struct mosquitto *client) {
    return client->subscribed;
}

const char *fake_unsubscribed(const struct mosquitto *client) {
    return client->unsubscribed;
}

size_t fake_published(const struct mosquitto *client, const struct fake_published **list) {
    *list = client->published;
    return client->published_count;
}

bool fake_disconnected(const struct mosquitto *client, int64_t *session_expiry_s) {
    *session_expiry_s = client->disconnect_expiry_s;
    return client->disconnected;
}

int fake_writes(const struct mosquitto *client) {
    return client->writes;
}

int fake_miscs(const struct mosquitto *client) {
    return client->miscs;
}

bool fake_logs(const struct mosquitto *client) {
    return client->on_log != NULL;
}

int fake_subscribe_options(const struct mosquitto *client) {
    return client->subscribe_options;
}
