/* feed_client.c: clients by filter. A channel is all clients of one filter: its chunks are made once, by whoever comes
 * first to a position, and are kept for those that come later. Must never move a client past a change that is its. */
#include "hub/live/feed_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/base/metrics.h"
#include "hub/live/feed_chunk.h"
#include "hub/live/feed_internal.h"

enum { SHARED_CHUNKS = 64, NOTE_BYTES = 256, SLICE_MS = 5, SLICE_LEAST = 2 };

struct feed_channel {
    struct feed_channel *next;
    struct feed_filter filter;
    size_t clients;
    struct feed_chunk *shared[SHARED_CHUNKS]; /* the newest ones, round and round; NULL = none yet */
    size_t shared_next;
};

/* What a client must be told before anything else. */
enum feed_greeting { GREETING_NONE, GREETING_SNAPSHOT, GREETING_RESYNC };

struct feed_client {
    struct feed_clients *clients;
    struct feed_client *next, *previous;
    struct feed_channel *channel;
    uint64_t position; /* all up to here is in its hands, or in `chunk` */
    enum feed_greeting greeting;
    struct feed_chunk *chunk;
    size_t chunk_taken;
    char note[NOTE_BYTES]; /* a greeting or a sign of life */
    size_t note_length, note_taken;
    uint64_t sent_ms; /* when it was last given something */
    bool waiting;
    void (*wake)(void *user);
    void *user;
};

struct feed_clients {
    struct feed *feed;
    struct feed_client *first;
    struct feed_client *coming; /* the next one to be woken in this turn; NULL = all are */
    size_t slice;               /* how many at a time */
    struct feed_channel *channels;
    size_t count, most;
    size_t shared_bytes;
    uint64_t left_ms;                /* when the last one left */
    uint64_t bytes_s, turn_ms, sent; /* what may be sent; when the last turn was; bytes that were sent since */
    void (*started)(void *user);
    void *user;
};

struct feed_clients *feed_clients_new(struct feed *feed, size_t most, uint64_t bytes_s, void (*started)(void *user),
                                      void *user) {
    struct feed_clients *clients = calloc(1, sizeof *clients);
    if (clients != NULL) {
        *clients =
            (struct feed_clients){.feed = feed, .most = most, .bytes_s = bytes_s, .started = started, .user = user};
    }
    return clients;
}

size_t feed_clients_count(const struct feed_clients *clients) {
    return clients->count;
}

bool feed_clients_full(const struct feed_clients *clients) {
    return clients->count >= clients->most;
}

bool feed_clients_active(const struct feed_clients *clients) {
    return feed_kept(clients->feed);
}

/* ---- channels ---- */

static void shared_drop(struct feed_clients *clients, struct feed_channel *channel) {
    for (size_t i = 0; i < SHARED_CHUNKS; i++) {
        if (channel->shared[i] != NULL) {
            clients->shared_bytes -= channel->shared[i]->length;
            feed_chunk_release(channel->shared[i]);
            channel->shared[i] = NULL;
        }
    }
}

static void channel_leave(struct feed_clients *clients, struct feed_channel *channel) {
    if (--channel->clients > 0) {
        return;
    }
    struct feed_channel **at = &clients->channels;
    while (*at != channel) {
        at = &(*at)->next;
    }
    *at = channel->next;
    shared_drop(clients, channel);
    feed_filter_free(&channel->filter);
    free(channel);
    hub_metrics.stream_filters--;
}

/* Takes the filter over. */
static struct feed_channel *channel_join(struct feed_clients *clients, struct feed_filter *filter) {
    struct feed_channel *channel = clients->channels;
    while (channel != NULL && !feed_filter_equal(&channel->filter, filter)) {
        channel = channel->next;
    }
    if (channel != NULL) {
        feed_filter_free(filter);
    } else {
        channel = calloc(1, sizeof *channel);
        if (channel == NULL) {
            feed_filter_free(filter);
            return NULL;
        }
        channel->filter = *filter;
        channel->next = clients->channels;
        clients->channels = channel;
        hub_metrics.stream_filters++;
    }
    channel->clients++;
    return channel;
}

/* For whoever comes to its position later; one alone in its channel has no use for it. */
static void chunk_share(struct feed_clients *clients, struct feed_channel *channel, struct feed_chunk *chunk) {
    struct feed_chunk **place = &channel->shared[channel->shared_next];
    if (channel->clients < 2 || clients->shared_bytes + chunk->length > FEED_SHARED_BYTES_MAX) {
        return;
    }
    if (*place != NULL) {
        clients->shared_bytes -= (*place)->length;
        feed_chunk_release(*place);
    }
    *place = feed_chunk_keep(chunk);
    clients->shared_bytes += chunk->length;
    channel->shared_next = (channel->shared_next + 1) % SHARED_CHUNKS;
}

/* What changed behind the position: the caller has a reference. NULL = out of memory. */
static struct feed_chunk *channel_chunk(struct feed_clients *clients, struct feed_channel *channel, uint64_t from) {
    for (size_t i = 0; i < SHARED_CHUNKS; i++) {
        struct feed_chunk *chunk = channel->shared[(channel->shared_next + SHARED_CHUNKS - 1 - i) % SHARED_CHUNKS];
        if (chunk == NULL) {
            break;
        }
        /* One that ended with an earlier turn may be of things that have changed since: they come once more. */
        if (chunk->from == from && chunk->to > from) {
            return feed_chunk_keep(chunk);
        }
    }
    struct feed_chunk *chunk = feed_chunk_make(clients->feed, &channel->filter, from);
    if (chunk != NULL) {
        chunk_share(clients, channel, chunk);
    }
    return chunk;
}

/* ---- clients ---- */

/* The layers' changes may be missing up to here. */
static uint64_t floor_of(const struct feed_client *client) {
    const struct feed *feed = client->clients->feed;
    uint64_t floor = 0;
    for (int layer = 0; layer < FEED_LAYERS; layer++) {
        if ((client->channel->filter.layers >> layer & 1) != 0 && feed->lists[layer].floor > floor) {
            floor = feed->lists[layer].floor;
        }
    }
    return floor;
}

static bool is_known(const struct feed_client *client, const struct feed_position *resume) {
    const struct feed *feed = client->clients->feed;
    return resume->epoch == feed->epoch && resume->scope == client->channel->filter.scope && resume->at <= feed->head &&
           resume->at >= floor_of(client);
}

struct feed_client *feed_client_add(struct feed_clients *clients, struct feed_filter *filter,
                                    const struct feed_position *resume, uint64_t now_ms, void (*wake)(void *user),
                                    void *user) {
    struct feed_client *client = calloc(1, sizeof *client);
    struct feed_channel *channel = channel_join(clients, filter);
    if (client == NULL || channel == NULL) {
        free(client);
        if (channel != NULL) {
            channel_leave(clients, channel);
        }
        return NULL;
    }
    if (!feed_kept(clients->feed)) {
        feed_start(clients->feed);
        clients->started(clients->user);
    }
    *client = (struct feed_client){
        .clients = clients, .next = clients->first, .channel = channel, .sent_ms = now_ms, .wake = wake, .user = user};
    if (resume != NULL && is_known(client, resume)) {
        client->position = resume->at;
    } else {
        client->greeting = resume == NULL ? GREETING_SNAPSHOT : GREETING_RESYNC;
    }
    if (clients->first != NULL) {
        clients->first->previous = client;
    }
    clients->first = client;
    clients->count++;
    hub_metrics.stream_clients++;
    return client;
}

void feed_client_remove(struct feed_client *client, uint64_t now_ms) {
    struct feed_clients *clients = client->clients;
    *(client->previous == NULL ? &clients->first : &client->previous->next) = client->next;
    clients->coming = clients->coming == client ? client->next : clients->coming;
    if (client->next != NULL) {
        client->next->previous = client->previous;
    }
    feed_chunk_release(client->chunk);
    channel_leave(clients, client->channel);
    free(client);
    clients->count--;
    clients->left_ms = now_ms;
    hub_metrics.stream_clients--;
}

void feed_clients_free(struct feed_clients *clients) {
    if (clients != NULL) {
        for (struct feed_client *client = clients->first, *next; client != NULL; client = next) {
            next = client->next;
            feed_client_remove(client, 0);
        }
        free(clients);
    }
}

/* ---- what it is told ---- */

static void note_set(struct feed_client *client, const char *event) {
    const struct feed *feed = client->clients->feed;
    const struct feed_position position = {
        .epoch = feed->epoch, .at = client->position, .scope = client->channel->filter.scope};
    char id[FEED_POSITION_BYTES];
    feed_position_text(&position, id);
    int length = event == NULL
                     ? snprintf(client->note, sizeof client->note, ":\nid: %s\n\n", id)
                     : snprintf(client->note, sizeof client->note,
                                "retry: 2000\nevent: %s\ndata: {\"position\":\"%s\"}\nid: %s\n\n", event, id, id);
    client->note_length = (size_t)length;
    client->note_taken = 0;
}

/* From a position on of which the database has all before: whoever reads there now and then takes what is told here
 * lacks nothing. Not before it has all that this feed has lost. */
static bool greet(struct feed_client *client) {
    const struct feed *feed = client->clients->feed;
    bool lost = client->greeting == GREETING_NONE && client->position < floor_of(client);
    client->greeting = lost ? GREETING_RESYNC : client->greeting;
    if (client->greeting == GREETING_NONE) {
        return true;
    }
    if (feed->settled < floor_of(client)) {
        return false;
    }
    client->position = feed->settled;
    hub_metrics.stream_resyncs += client->greeting == GREETING_RESYNC;
    note_set(client, client->greeting == GREETING_RESYNC ? "resync" : "snapshot");
    client->greeting = GREETING_NONE;
    return true;
}

/* The next thing to send, in `note` or `chunk`: true if there is one. */
static bool next_piece(struct feed_client *client, uint64_t now_ms, bool *failed) {
    const struct feed *feed = client->clients->feed;
    if (!greet(client)) {
        /* A comment meanwhile: the client has no position yet. */
        if (now_ms - client->sent_ms >= FEED_HEARTBEAT_MS) {
            client->note_length = (size_t)snprintf(client->note, sizeof client->note, ":\n\n");
            client->note_taken = 0;
            client->sent_ms = now_ms;
        }
        return client->note_taken < client->note_length;
    }
    while (client->note_taken == client->note_length && client->position < feed->turn) {
        struct feed_chunk *chunk = channel_chunk(client->clients, client->channel, client->position);
        if (chunk == NULL) {
            *failed = true;
            return false;
        }
        client->position = chunk->to;
        if (chunk->length > 0) {
            hub_metrics.stream_events += chunk->things;
            client->chunk = chunk;
            client->chunk_taken = 0;
            return true;
        }
        feed_chunk_release(chunk);
    }
    if (client->note_taken == client->note_length && now_ms - client->sent_ms >= FEED_HEARTBEAT_MS) {
        note_set(client, NULL);
        client->sent_ms = now_ms;
    }
    return client->note_taken < client->note_length;
}

static size_t take(char *room, size_t size, const char *bytes, size_t length, size_t *taken) {
    size_t piece = length - *taken < size ? length - *taken : size;
    memcpy(room, bytes + *taken, piece);
    *taken += piece;
    return piece;
}

ssize_t feed_client_pull(struct feed_client *client, char *room, size_t size, uint64_t now_ms) {
    size_t used = 0;
    bool failed = false;
    client->waiting = false;
    while (used < size) {
        if (client->note_taken < client->note_length) {
            used += take(room + used, size - used, client->note, client->note_length, &client->note_taken);
        } else if (client->chunk != NULL) {
            used += take(room + used, size - used, client->chunk->bytes, client->chunk->length, &client->chunk_taken);
            if (client->chunk_taken == client->chunk->length) {
                feed_chunk_release(client->chunk);
                client->chunk = NULL;
            }
        } else if (!next_piece(client, now_ms, &failed)) {
            break;
        }
    }
    if (failed && used == 0) {
        return -1;
    }
    client->clients->sent += used;
    client->waiting = used == 0;
    client->sent_ms = used > 0 ? now_ms : client->sent_ms;
    return (ssize_t)used;
}

/* ---- turns ---- */

/* How long the running turn lasts, by what was sent in it up to now. */
static uint64_t turn_length_ms(const struct feed_clients *clients) {
    uint64_t length_ms = clients->sent * 1000 / clients->bytes_s;
    length_ms = length_ms < FEED_TURN_MS_MAX ? length_ms : FEED_TURN_MS_MAX;
    return length_ms > FEED_TURN_MS ? length_ms : FEED_TURN_MS;
}

/* What is made and sent at a time is what those that report wait for: all have been woken when two thirds of a turn as
 * long as the one before is over. */
static void turn_begin(struct feed_clients *clients, uint64_t now_ms) {
    clients->slice = SLICE_LEAST + clients->count * SLICE_MS * 3 / 2 / turn_length_ms(clients);
    clients->coming = clients->first;
    clients->turn_ms = now_ms;
    clients->sent = 0;
    feed_turn(clients->feed);
    if (clients->count == 0 && feed_kept(clients->feed) && now_ms - clients->left_ms >= FEED_LINGER_MS) {
        feed_stop(clients->feed);
    }
}

/* Only whoever is to be sent something is woken: waking costs more than looking. */
static void slice_wake(struct feed_clients *clients, uint64_t now_ms) {
    for (size_t i = 0; i < clients->slice && clients->coming != NULL; i++) {
        struct feed_client *client = clients->coming;
        bool failed = false;
        clients->coming = client->next;
        if (client->waiting && (next_piece(client, now_ms, &failed) || failed)) {
            client->waiting = false;
            client->wake(client->user);
        }
    }
}

uint64_t feed_clients_turn(struct feed_clients *clients, uint64_t now_ms) {
    if (clients->coming == NULL && now_ms - clients->turn_ms >= turn_length_ms(clients)) {
        turn_begin(clients, now_ms);
    }
    slice_wake(clients, now_ms);
    uint64_t due_ms = clients->turn_ms + turn_length_ms(clients);
    return clients->coming != NULL ? SLICE_MS : due_ms > now_ms ? due_ms - now_ms : 1;
}
