/* simulate_vendor.c: a vendor's side of MQTT. It may block while it connects, as it is a program of its own. Must never
 * send what it has no receipt topic for. */
#include "hub/simulate/simulate_vendor.h"

#include <mqtt_protocol.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hub/base/error.h"
#include "hub/base/log.h"
#include "hub/base/member.h"
#include "hub/link/mqtt_login.h"
#include "hub/simulate/simulate_encode.h"

enum { RETRY_MS = 2000, VENDORS_MAX = 64 };

static void complain(struct simulated_vendor *vendor, const char *doing, const char *reason) {
    snprintf(vendor->complaint, sizeof vendor->complaint, "%s: %s: %s", vendor->adapter->key, doing, reason);
}

static void on_connect(struct mosquitto *client, void *user, int code, int flags,
                       const mosquitto_property *properties) {
    (void)flags;
    (void)properties;
    struct simulated_vendor *vendor = user;
    char topic[128];
    if (code != 0) {
        complain(vendor, "the broker refuses the connection", mqtt_refusal(vendor->login->config, code));
        vendor->denied = code == MQTT_RC_BAD_USERNAME_OR_PASSWORD || code == MQTT_RC_NOT_AUTHORIZED ||
                         code == CONNACK_REFUSED_BAD_USERNAME_PASSWORD || code == CONNACK_REFUSED_NOT_AUTHORIZED;
        return;
    }
    vendor->connected = true;
    vendor->ever = true;
    vendor->complaint[0] = '\0';
    snprintf(topic, sizeof topic, TOPIC_FORMAT, vendor->adapter->key, vendor->login->vendor,
             topic_words[TOPIC_RECEIPT]);
    mosquitto_subscribe_v5(client, NULL, topic, 1, 0, NULL);
}

static void on_subscribe(struct mosquitto *client, void *user, int id, int count, const int *granted,
                         const mosquitto_property *properties) {
    (void)client;
    (void)id;
    (void)properties;
    struct simulated_vendor *vendor = user;
    vendor->subscribed = count == 1 && granted[0] < 0x80;
    if (!vendor->subscribed) {
        complain(vendor, "the broker refuses the subscription to receipts", "not authorized");
        vendor->denied = true;
    }
}

static void on_disconnect(struct mosquitto *client, void *user, int code, const mosquitto_property *properties) {
    (void)client;
    (void)properties;
    struct simulated_vendor *vendor = user;
    if (vendor->connected && code != 0) {
        complain(vendor, "the connection is lost", mosquitto_strerror(code));
    }
    vendor->connected = vendor->subscribed = false;
}

static void on_publish(struct mosquitto *client, void *user, int id, int code, const mosquitto_property *properties) {
    (void)client;
    (void)id;
    (void)properties;
    struct simulated_vendor *vendor = user;
    vendor->in_flight -= vendor->in_flight > 0 ? 1 : 0;
    if (code >= 0x80) {
        complain(vendor, "the broker refuses a message", mosquitto_reason_string(code));
        vendor->denied = code == MQTT_RC_NOT_AUTHORIZED;
    }
}

static void take_receipt(struct simulated_vendor *vendor, const cJSON *receipt) {
    long rejected = (long)member_number(receipt, "rejected", 0);
    const char *word = member_text(receipt, "kind");
    enum topic_kind kind = topic_kind(word);
    vendor->receipts++;
    vendor->accepted += (long)member_number(receipt, "accepted", 0);
    vendor->duplicates += (long)member_number(receipt, "duplicates", 0);
    vendor->rejected += rejected;
    if (vendor->waiting > 0 && (kind == TOPIC_INVENTORY || kind == TOPIC_STAFF)) {
        vendor->waiting--;
    }
    if (rejected > 0) {
        const cJSON *first = cJSON_GetArrayItem(member_get(receipt, "problems"), 0);
        snprintf(vendor->problem, sizeof vendor->problem, "%s %s %s: %ld rejected, the first: %s (%s)",
                 vendor->adapter->key, word, member_text(receipt, "message"), rejected, member_text(first, "reason"),
                 member_text(first, "code"));
    }
}

static void on_message(struct mosquitto *client, void *user, const struct mosquitto_message *message,
                       const mosquitto_property *properties) {
    (void)client;
    (void)properties;
    cJSON *document = cJSON_ParseWithLength(message->payload, (size_t)message->payloadlen);
    const cJSON *receipt;
    cJSON_ArrayForEach(receipt, member_get(document, "receipts")) {
        take_receipt(user, receipt);
    }
    cJSON_Delete(document);
}

static int set_up(struct simulated_vendor *vendor) {
    const struct vendor_login *login = vendor->login;
    struct mosquitto *client = vendor->client;
    mosquitto_int_option(client, MOSQ_OPT_SEND_MAXIMUM, VENDOR_IN_FLIGHT_MAX);
    mosquitto_connect_v5_callback_set(client, on_connect);
    mosquitto_subscribe_v5_callback_set(client, on_subscribe);
    mosquitto_disconnect_v5_callback_set(client, on_disconnect);
    mosquitto_publish_v5_callback_set(client, on_publish);
    mosquitto_message_v5_callback_set(client, on_message);
    const char *username = login->password == NULL ? NULL : login->vendor;
    int code = mqtt_login(client, login->config, username, login->password);
    if (code != MOSQ_ERR_SUCCESS) {
        log_error("simulate_vendor", "subsystem=%s reason=%s", vendor->adapter->key,
                  log_quote(mosquitto_strerror(code)));
        return CH_EIO;
    }
    return 0;
}

int simulated_vendor_open(struct simulated_vendor *vendor, const struct vendor_login *login,
                          const struct adapter *adapter) {
    char client_id[128];
    vendor->login = login;
    vendor->adapter = adapter;
    /* Two simulators beside each other must not throw each other out. */
    snprintf(client_id, sizeof client_id, "%s-%s-%ld", login->vendor, adapter->key, (long)getpid());
    vendor->client = mosquitto_new(client_id, true, vendor);
    return vendor->client == NULL ? CH_EMEMORY : set_up(vendor);
}

void simulated_vendor_close(struct simulated_vendor *vendor) {
    if (vendor->client != NULL) {
        mosquitto_disconnect_v5(vendor->client, 0, NULL);
        mosquitto_loop_write(vendor->client, 1);
        mosquitto_destroy(vendor->client);
        vendor->client = NULL;
    }
}

bool simulated_vendor_ready(const struct simulated_vendor *vendor) {
    return vendor->connected && vendor->subscribed && vendor->in_flight < VENDOR_IN_FLIGHT_MAX;
}

static int publish(struct simulated_vendor *vendor, enum topic_kind kind, const struct simulate_bytes *bytes,
                   int records) {
    char topic[128];
    char name[32];
    mosquitto_property *properties = NULL;
    snprintf(topic, sizeof topic, TOPIC_FORMAT, vendor->adapter->key, vendor->login->vendor, topic_words[kind]);
    int length = snprintf(name, sizeof name, "%s-%ld", topic_words[kind], ++vendor->number);
    int code = MOSQ_ERR_SUCCESS;
    if (mqtt_is_5(vendor->login->config)) {
        code = mosquitto_property_add_binary(&properties, MQTT_PROP_CORRELATION_DATA, name, (uint16_t)length);
    }
    if (code == MOSQ_ERR_SUCCESS) {
        code = mosquitto_publish_v5(vendor->client, NULL, topic, (int)bytes->length, bytes->data, 1, false, properties);
    }
    mosquitto_property_free_all(&properties);
    if (code != MOSQ_ERR_SUCCESS) {
        complain(vendor, "a message cannot be sent", mosquitto_strerror(code));
        return CH_EBROKER;
    }
    vendor->in_flight++;
    vendor->messages++;
    vendor->records += records;
    return 0;
}

int simulated_vendor_send(struct simulated_vendor *vendor, enum topic_kind kind,
                          const ProtobufCMessageDescriptor *descriptor, cJSON *records) {
    struct simulate_bytes bytes = {0};
    int count = records == NULL ? 0 : cJSON_GetArraySize(records);
    int code = records == NULL ? CH_EMEMORY : 0;
    if (count > 0) {
        const char *subsystem = vendor->adapter->key;
        code = vendor->json ? simulate_encode_json(&bytes, subsystem, records)
                            : simulate_encode_protobuf(&bytes, subsystem, descriptor, records);
        code = code == 0 ? publish(vendor, kind, &bytes, count) : code;
    }
    free(bytes.data);
    cJSON_Delete(records);
    return code;
}

/* In-flight messages stay with the client and go again after the connection is back. */
static void connect_again(struct simulated_vendor *vendor, int64_t now_ms) {
    const struct config *config = vendor->login->config;
    if (now_ms < vendor->retry_ms) {
        return;
    }
    vendor->retry_ms = now_ms + RETRY_MS;
    vendor->connected = vendor->subscribed = false;
    int code = mosquitto_connect_bind_v5(vendor->client, config->mqtt_host, (int)config->mqtt_port,
                                         (int)config->mqtt_keepalive_s, NULL, NULL);
    if (code != MOSQ_ERR_SUCCESS) {
        complain(vendor, "there is no connection to the broker", mosquitto_strerror(code));
    }
}

static void handle(struct simulated_vendor *vendor, short happened) {
    int code = MOSQ_ERR_SUCCESS;
    if ((happened & (POLLIN | POLLHUP | POLLERR)) != 0) {
        code = mosquitto_loop_read(vendor->client, 100);
    }
    if (code == MOSQ_ERR_SUCCESS && mosquitto_want_write(vendor->client)) {
        code = mosquitto_loop_write(vendor->client, 100);
    }
    if (code == MOSQ_ERR_SUCCESS) {
        mosquitto_loop_misc(vendor->client);
    }
}

void simulated_vendors_poll(struct simulated_vendor *vendors, int count, int timeout_ms, int64_t now_ms) {
    struct pollfd sockets[VENDORS_MAX];
    for (int i = 0; i < count && i < VENDORS_MAX; i++) {
        if (mosquitto_socket(vendors[i].client) < 0 && !vendors[i].denied) {
            connect_again(&vendors[i], now_ms);
        }
        short write = mosquitto_want_write(vendors[i].client) ? POLLOUT : 0;
        sockets[i] = (struct pollfd){.fd = mosquitto_socket(vendors[i].client), .events = (short)(POLLIN | write)};
    }
    if (poll(sockets, (nfds_t)count, timeout_ms) < 0) {
        return; /* a signal */
    }
    for (int i = 0; i < count && i < VENDORS_MAX; i++) {
        if (sockets[i].fd >= 0) {
            handle(&vendors[i], sockets[i].revents);
        }
    }
}
