/* connection.c: sockets, their bounds and their clocks. Must never wait for a device, nor let one cost another more
 * than its share. */
#include "hub/gateway/connection.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "hub/base/clock.h"
#include "hub/base/closing.h"
#include "hub/base/count.h"
#include "hub/base/error.h"
#include "hub/base/hash.h"
#include "hub/base/log.h"
#include "hub/base/member.h"
#include "hub/base/table.h"
#include "hub/gateway/address_count.h"
#include "hub/gateway/bundle.h"
#include "hub/gateway/pending.h"
#include "hub/gateway/speech.h"
#include "hub/gateway/upstream.h"
#include "hub/http/address.h"

enum {
    LISTEN_BACKLOG = 1024,
    READ_BYTES = 64 * 1024,  /* of all connections together: one reads at a time */
    HELD_FRAMES_MAX = 64,    /* of a connection that are not stored yet: with more it is not read */
    HELD_FRAMES_LOW = 32,    /* and with fewer it is again */
    UNSENT_MAX = 16 * 1024,  /* bytes that a device does not take */
    GARBAGE_MAX = 64 * 1024, /* bytes that are no frame since the last good one */
    TICK_MS = 1000,
};

static const struct speech *const speeches[] = {&speech_hj212, &speech_jt808};
_Static_assert(COUNT_OF(speeches) == FIGURES_PROTOCOLS, "each protocol has its figures");

struct connection {
    uv_tcp_t socket; /* first: libuv's handle is the connection */
    struct connections *connections;
    size_t protocol; /* in speeches */
    struct connection *next, *previous;
    struct in6_addr address; /* an IPv6 network */
    char *identity;          /* NULL = none was claimed, or several were */
    bool shared;             /* several terminals speak by it */
    bool closing, ending, paused, heard;
    char *buffer; /* what is no whole frame yet */
    size_t length;
    size_t garbage;
    uint64_t heard_at; /* of uv_now: the last good frame, or when it was opened */
    size_t held_count;
    struct holding *held;
    void *state;
};

struct holding {
    struct parcel parcel;          /* first */
    struct connection *connection; /* NULL = it is gone */
    struct holding *next, *previous;
    size_t protocol;
    struct buffer stored, refused;
    uint64_t began_ns;
    bool broken;
};

struct listener {
    uv_tcp_t socket;
    struct connections *connections;
    size_t protocol;
    bool open;
};

struct connections {
    struct connections_parts parts;
    struct listener listeners[COUNT_OF(speeches)];
    struct connection *first;
    size_t count;
    struct table claimed; /* connections, by their identities */
    struct address_counts addresses;
    uv_timer_t timer;
    struct closing closing;
    char room[READ_BYTES];
};

/* ---- who has which identity ---- */

struct claim {
    size_t protocol;
    const char *identity;
};

static uint32_t claim_hash(const char *identity) {
    return hash_bytes(HASH_FIRST, identity, strlen(identity));
}

static bool is_claimed(const void *entry, const void *key) {
    const struct connection *connection = entry;
    const struct claim *claim = key;
    return connection->protocol == claim->protocol && strcmp(connection->identity, claim->identity) == 0;
}

static struct connection *claim_find(const struct connections *connections, size_t protocol, const char *identity) {
    return table_find(&connections->claimed, claim_hash(identity), is_claimed, &(struct claim){protocol, identity});
}

static void unclaim(struct connection *connection) {
    if (connection->identity != NULL) {
        table_remove(&connection->connections->claimed, claim_hash(connection->identity), connection);
        free(connection->identity);
        connection->identity = NULL;
    }
}

void connection_claim(struct connection *connection, const char *identity) {
    if (connection->shared || (connection->identity != NULL && strcmp(connection->identity, identity) == 0)) {
        return;
    }
    if (connection->identity != NULL) { /* a platform or a concentrator: no terminal owns it */
        unclaim(connection);
        connection->shared = true;
        return;
    }
    struct connection *other = claim_find(connection->connections, connection->protocol, identity);
    if (other != NULL) {
        connection_end(other, "replaced");
    }
    connection->identity = strdup(identity);
    if (connection->identity != NULL &&
        table_add(&connection->connections->claimed, claim_hash(identity), connection) != 0) {
        free(connection->identity);
        connection->identity = NULL;
    }
}

/* ---- the end of a connection ---- */

static void on_closed(uv_handle_t *handle) {
    struct connection *connection = (struct connection *)handle;
    struct connections *connections = connection->connections;
    const struct speech *speech = speeches[connection->protocol];
    if (connection->state != NULL && speech->release != NULL) {
        speech->release(connection->state);
    }
    free(connection->buffer);
    free(connection);
    closing_over(&connections->closing);
}

static void connection_close(struct connection *connection) {
    struct connections *connections = connection->connections;
    if (connection->closing) {
        return;
    }
    connection->closing = true;
    unclaim(connection);
    for (struct holding *held = connection->held; held != NULL; held = held->next) {
        held->connection = NULL;
    }
    connection->held = NULL;
    address_count_less(&connections->addresses, &connection->address);
    *(connection->previous == NULL ? &connections->first : &connection->previous->next) = connection->next;
    if (connection->next != NULL) {
        connection->next->previous = connection->previous;
    }
    connections->count--;
    figures.protocols[connection->protocol].connections--;
    closing_await(&connections->closing);
    uv_close((uv_handle_t *)&connection->socket, on_closed);
}

void connection_end(struct connection *connection, const char *why) {
    if (connection->closing || connection->ending) {
        return;
    }
    figures.protocols[connection->protocol].closed++;
    log_info("device_connection", "protocol=%s identity=%s state=closed reason=%s",
             speeches[connection->protocol]->name, log_quote(connection->identity), why);
    connection->ending = true;
    connection_close(connection);
}

/* ---- sending ---- */

struct sending {
    uv_write_t request;
    char bytes[];
};

static void on_sent(uv_write_t *request, int status) {
    struct connection *connection = (struct connection *)request->handle;
    if (status < 0 && status != UV_ECANCELED) {
        connection_close(connection);
    }
    free(request);
}

void connection_send(struct connection *connection, const void *bytes, size_t length) {
    uv_stream_t *stream = (uv_stream_t *)&connection->socket;
    uv_buf_t whole = uv_buf_init((char *)(uintptr_t)bytes, (unsigned)length);
    if (connection->closing || length == 0) {
        return;
    }
    int sent = uv_try_write(stream, &whole, 1);
    size_t done = sent > 0 ? (size_t)sent : 0;
    if (sent < 0 && sent != UV_EAGAIN) {
        connection_close(connection);
        return;
    }
    if (done == length) {
        return;
    }
    struct sending *rest = malloc(sizeof *rest + length - done);
    if (rest == NULL || uv_stream_get_write_queue_size(stream) > UNSENT_MAX) {
        free(rest);
        connection_end(connection, "unread");
        return;
    }
    memcpy(rest->bytes, (const char *)bytes + done, length - done);
    uv_buf_t left = uv_buf_init(rest->bytes, (unsigned)(length - done));
    if (uv_write(&rest->request, stream, &left, 1, on_sent) != 0) {
        free(rest);
        connection_close(connection);
    }
}

/* ---- frames that are held ---- */

static void read_on(struct connection *connection);

static void holding_free(struct holding *holding) {
    buffer_free(&holding->stored);
    buffer_free(&holding->refused);
    free(holding);
}

static void holding_leave(struct holding *holding) {
    struct connection *connection = holding->connection;
    *(holding->previous == NULL ? &connection->held : &holding->previous->next) = holding->next;
    if (holding->next != NULL) {
        holding->next->previous = holding->previous;
    }
    connection->held_count--;
    holding->connection = NULL;
}

static void on_parcel(struct parcel *parcel, enum parcel_end end) {
    struct holding *holding = (struct holding *)parcel;
    struct connection *connection = holding->connection;
    end = holding->broken && end == PARCEL_STORED ? PARCEL_UNSURE : end;
    enum frame_fate fate = end == PARCEL_STORED ? FRAME_STORED : end == PARCEL_REFUSED ? FRAME_REFUSED : FRAME_UNSURE;
    figures.protocols[holding->protocol].frames[fate]++;
    if (connection != NULL) {
        const struct buffer *answer = end == PARCEL_STORED ? &holding->stored : &holding->refused;
        holding_leave(holding);
        if (end == PARCEL_STORED) {
            histogram_observe(&figures.acknowledged_s, (double)(uv_hrtime() - holding->began_ns) / 1e9);
        }
        if (end != PARCEL_UNSURE && !answer->failed) {
            connection_send(connection, answer->data, answer->length);
        }
        if (!connection->closing && connection->paused && connection->held_count <= HELD_FRAMES_LOW) {
            read_on(connection);
        }
    }
    holding_free(holding);
}

struct holding *holding_new(struct connection *connection) {
    struct holding *holding = calloc(1, sizeof *holding);
    if (holding == NULL) {
        return NULL;
    }
    parcel_begin(&holding->parcel, on_parcel);
    holding->connection = connection;
    holding->protocol = connection->protocol;
    holding->began_ns = uv_hrtime();
    holding->next = connection->held;
    if (connection->held != NULL) {
        connection->held->previous = holding;
    }
    connection->held = holding;
    connection->held_count++;
    return holding;
}

struct buffer *holding_stored(struct holding *holding) {
    return &holding->stored;
}

struct buffer *holding_refused(struct holding *holding) {
    return &holding->refused;
}

int holding_put(struct holding *holding, const struct terminal *terminal, const char *kind, const cJSON *records) {
    struct bundles *bundles = holding->connection->connections->parts.bundles;
    int code = bundle_put(bundles, terminal->subsystem, terminal->vendor, kind, records, &holding->parcel);
    if (code == 0) {
        figures.protocols[holding->protocol].records += (uint64_t)cJSON_GetArraySize(records);
    }
    return code;
}

int holding_letter(struct holding *holding, cJSON *letter) {
    return upstream_letter(holding->connection->connections->parts.upstream, letter, &holding->parcel);
}

void holding_seal(struct holding *holding, bool whole) {
    holding->broken = !whole;
    parcel_seal(&holding->parcel);
}

/* ---- for protocols ---- */

void **connection_state(struct connection *connection) {
    return &connection->state;
}

const struct connections_parts *connection_parts(const struct connection *connection) {
    return &connection->connections->parts;
}

void connection_heard(struct connection *connection) {
    connection->heard = true;
    connection->heard_at = uv_now(connection->connections->parts.loop);
    connection->garbage = 0;
}

void connection_count(struct connection *connection, enum frame_fate fate) {
    figures.protocols[connection->protocol].frames[fate]++;
}

/* But for where it came from. */
static void note_refused(const struct connection *connection, const struct refused *refused) {
    char address[INET6_ADDRSTRLEN];
    struct refused noted = *refused;
    address_shown(&connection->address, address);
    noted.address = address;
    pending_note(upstream_pending(connection->connections->parts.upstream), &noted, clock_now_ms());
}

const struct terminal *connection_caller(struct connection *connection, const char *identity, const void *frame,
                                         size_t length) {
    const struct connections_parts *parts = &connection->connections->parts;
    const char *protocol = speeches[connection->protocol]->name;
    const struct terminal *terminal = terminals_find(upstream_terminals(parts->upstream), protocol, identity);
    if (terminal != NULL) {
        return terminal;
    }
    connection_count(connection, FRAME_UNKNOWN);
    if (strcmp(parts->config->gateway_unknown, "pending") == 0 && strlen(identity) < TERMINAL_IDENTITY_MAX &&
        strspn(identity, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") == strlen(identity)) {
        note_refused(
            connection,
            &(struct refused){
                .protocol = protocol, .identity = identity, .reason = "not_listed", .frame = frame, .length = length});
    }
    return NULL;
}

void connection_refused(struct connection *connection, const struct terminal *terminal, const char *reason) {
    note_refused(connection,
                 &(struct refused){.protocol = terminal->protocol, .identity = terminal->identity, .reason = reason});
}

/* ---- reading ---- */

/* Whether another frame may be taken: what it says has room. */
static bool may_take(const struct connection *connection) {
    return connection->held_count < HELD_FRAMES_MAX && !bundles_full(connection->connections->parts.bundles);
}

/* Takes the frames in the bytes, and returns how many bytes are done with. */
static size_t take_frames(struct connection *connection, const char *bytes, size_t length) {
    const struct speech *speech = speeches[connection->protocol];
    size_t at = 0;
    while (at < length && !connection->closing && may_take(connection)) {
        struct reading_result result = {0};
        enum reading reading = speech->read(bytes + at, length - at, &result);
        if (reading == READING_MORE) {
            break;
        }
        if (reading == READING_FRAME) {
            speech->take(connection, bytes + at, result.length);
        } else {
            connection->garbage += result.length;
        }
        at += result.length;
        if (connection->garbage > GARBAGE_MAX) {
            connection_end(connection, "garbage");
        }
    }
    return at;
}

/* Keeps what is left for later. */
static void keep(struct connection *connection, const char *bytes, size_t length) {
    char *kept = length == 0 ? NULL : malloc(length);
    if (length > 0 && kept == NULL) {
        connection_end(connection, "memory"); /* the device repeats what was not acknowledged */
        return;
    }
    if (length > 0) {
        memcpy(kept, bytes, length);
    }
    free(connection->buffer);
    connection->buffer = kept;
    connection->length = length;
}

static void work(struct connection *connection, const char *bytes, size_t length) {
    size_t done = take_frames(connection, bytes, length);
    if (connection->closing) {
        return;
    }
    keep(connection, bytes + done, length - done);
    if (!connection->closing && !may_take(connection) && !connection->paused) {
        connection->paused = true;
        uv_read_stop((uv_stream_t *)&connection->socket);
    }
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *room) {
    struct connection *connection = (struct connection *)handle;
    (void)suggested;
    /* Behind what is kept, which is copied to the front when bytes have come. */
    size_t kept = connection->length < READ_BYTES / 2 ? connection->length : READ_BYTES / 2;
    *room = uv_buf_init(connection->connections->room + kept, (unsigned)(READ_BYTES - kept));
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *room) {
    struct connection *connection = (struct connection *)stream;
    char *all = connection->connections->room;
    if (count < 0) {
        connection_close(connection);
        return;
    }
    if (count == 0) {
        return;
    }
    figures.protocols[connection->protocol].bytes += (uint64_t)count;
    if (connection->length >= READ_BYTES / 2) {
        connection_end(connection, "buffer"); /* cannot be: it is not read with so much left */
        return;
    }
    if (connection->length > 0) {
        memcpy(all, connection->buffer, connection->length);
    }
    work(connection, all, (size_t)(room->base - all) + (size_t)count);
}

/* There is room again: first for what is kept, then for what comes. */
static void read_on(struct connection *connection) {
    connection->paused = false;
    if (connection->length > 0) {
        char *bytes = connection->buffer;
        size_t length = connection->length;
        connection->buffer = NULL;
        connection->length = 0;
        work(connection, bytes, length);
        free(bytes);
    }
    if (!connection->closing && !connection->paused) {
        uv_read_start((uv_stream_t *)&connection->socket, on_room, on_read);
    }
}

/* ---- accepting ---- */

static struct in6_addr peer_of(const uv_tcp_t *socket) {
    struct sockaddr_storage address;
    int length = sizeof address;
    struct in6_addr none = {0};
    if (uv_tcp_getpeername(socket, (struct sockaddr *)&address, &length) != 0) {
        return none;
    }
    return address_client((struct sockaddr *)&address);
}

static void on_refused_closed(uv_handle_t *handle) {
    struct connection *connection = (struct connection *)handle;
    struct connections *connections = connection->connections;
    free(connection);
    closing_over(&connections->closing);
}

static void on_connection(uv_stream_t *server, int status) {
    struct listener *listener = (struct listener *)server;
    struct connections *connections = listener->connections;
    const struct config *config = connections->parts.config;
    struct connection *connection = status < 0 ? NULL : calloc(1, sizeof *connection);
    if (connection == NULL || uv_tcp_init(connections->parts.loop, &connection->socket) != 0) {
        free(connection);
        return;
    }
    connection->connections = connections;
    connection->protocol = listener->protocol;
    bool taken = uv_accept(server, (uv_stream_t *)&connection->socket) == 0;
    connection->address = peer_of(&connection->socket);
    if (!taken || connections->count >= (size_t)config->gateway_connections ||
        !address_count_more(&connections->addresses, &connection->address,
                            (size_t)config->gateway_address_connections)) {
        figures.protocols[listener->protocol].refused++;
        closing_await(&connections->closing);
        uv_close((uv_handle_t *)&connection->socket, on_refused_closed);
        return;
    }
    connection->heard_at = uv_now(connections->parts.loop);
    connection->next = connections->first;
    if (connections->first != NULL) {
        connections->first->previous = connection;
    }
    connections->first = connection;
    connections->count++;
    figures.protocols[listener->protocol].connections++;
    figures.protocols[listener->protocol].accepted++;
    uv_tcp_nodelay(&connection->socket, 1);
    uv_read_start((uv_stream_t *)&connection->socket, on_room, on_read);
}

/* ---- the clock ---- */

static void look_at(struct connection *connection, uint64_t now) {
    const struct config *config = connection->connections->parts.config;
    uint64_t patience = (uint64_t)(connection->heard ? config->gateway_idle_s : config->gateway_first_frame_s) * 1000;
    if (now - connection->heard_at >= patience && connection->held_count == 0) {
        connection_end(connection, connection->heard ? "silent" : "no frame");
    } else if (connection->paused && may_take(connection)) {
        read_on(connection);
    }
}

static void on_timer(uv_timer_t *timer) {
    struct connections *connections = timer->data;
    uint64_t now = uv_now(connections->parts.loop);
    for (struct connection *connection = connections->first, *next; connection != NULL; connection = next) {
        next = connection->next;
        look_at(connection, now);
    }
}

void connections_settle(struct connections *connections) {
    const struct terminals *terminals = upstream_terminals(connections->parts.upstream);
    for (struct connection *connection = connections->first, *next; connection != NULL; connection = next) {
        next = connection->next;
        if (connection->identity != NULL &&
            terminals_find(terminals, speeches[connection->protocol]->name, connection->identity) == NULL) {
            connection_end(connection, "revoked");
        }
    }
}

/* The connection that the terminal has claimed, NULL = none here. */
static struct connection *told_of(struct connections *connections, const cJSON *what) {
    for (size_t i = 0; i < COUNT_OF(speeches); i++) {
        if (strcmp(speeches[i]->name, member_text(what, "protocol")) == 0) {
            return claim_find(connections, i, member_text(what, "identity"));
        }
    }
    return NULL;
}

void connections_tell(struct connections *connections, const cJSON *list) {
    struct upstream *upstream = connections->parts.upstream;
    const cJSON *what;
    cJSON_ArrayForEach(what, list) {
        struct connection *connection = told_of(connections, what);
        const struct speech *speech = connection == NULL ? NULL : speeches[connection->protocol];
        const cJSON *command = member_get(what, "command");
        const struct command_name name = command_name_of(what);
        if (member_is_number(what, "offer")) {
            if (speech != NULL && speech->may_tell(connection)) {
                upstream_want(upstream, (int64_t)member_number(what, "offer", 0));
            }
        } else if (command != NULL && !upstream_begin(upstream, name)) {
            continue;
        } else if (command != NULL && (speech == NULL || !speech->may_tell(connection))) {
            upstream_settle(upstream, name, COMMAND_RETURNED, NULL);
        } else if (speech != NULL) {
            speech->told(connection, what);
        }
    }
}

/* ---- open and close ---- */

static bool listen_open(struct connections *connections, size_t protocol) {
    const struct config *config = connections->parts.config;
    struct listener *listener = &connections->listeners[protocol];
    int port = (int)speeches[protocol]->port(config);
    struct sockaddr_storage address;
    figures.protocols[protocol].name = speeches[protocol]->name;
    if (port == 0) {
        return true;
    }
    int code = uv_ip4_addr(config->gateway_listen, port, (struct sockaddr_in *)&address);
    code = code == 0 ? 0 : uv_ip6_addr(config->gateway_listen, port, (struct sockaddr_in6 *)&address);
    listener->connections = connections;
    listener->protocol = protocol;
    uv_tcp_init(connections->parts.loop, &listener->socket);
    listener->open = true;
    code = code == 0 ? uv_tcp_bind(&listener->socket, (struct sockaddr *)&address, 0) : code;
    code = code == 0 ? uv_listen((uv_stream_t *)&listener->socket, LISTEN_BACKLOG, on_connection) : code;
    if (code != 0) {
        log_error("device_listen", "protocol=%s listen=%s port=%d reason=%s advice=\"see [gateway]\"",
                  speeches[protocol]->name, log_quote(config->gateway_listen), port, log_quote(uv_strerror(code)));
        return false;
    }
    log_info("device_listening", "protocol=%s listen=%s port=%d", speeches[protocol]->name,
             log_quote(config->gateway_listen), port);
    return true;
}

static void connections_free(void *part) {
    struct connections *connections = part;
    table_free(&connections->claimed);
    free(connections);
}

struct connections *connections_open(const struct connections_parts *parts) {
    struct connections *connections = calloc(1, sizeof *connections);
    if (connections == NULL) {
        log_error("out_of_memory", "what=connections");
        return NULL;
    }
    connections->parts = *parts;
    uv_timer_init(parts->loop, &connections->timer);
    connections->timer.data = connections;
    uv_timer_start(&connections->timer, on_timer, TICK_MS, TICK_MS);
    for (size_t i = 0; i < COUNT_OF(speeches); i++) {
        if (!listen_open(connections, i)) {
            connections_close(connections, NULL, NULL);
            return NULL;
        }
    }
    return connections;
}

void connections_close(struct connections *connections, void (*closed)(void *user), void *user) {
    closing_begin(&connections->closing, connections_free, connections, closed, user);
    closing_handle(&connections->closing, (uv_handle_t *)&connections->timer);
    for (size_t i = 0; i < COUNT_OF(speeches); i++) {
        if (connections->listeners[i].open) {
            connections->listeners[i].open = false;
            closing_handle(&connections->closing, (uv_handle_t *)&connections->listeners[i].socket);
        }
    }
    while (connections->first != NULL) {
        connection_close(connections->first);
    }
}
